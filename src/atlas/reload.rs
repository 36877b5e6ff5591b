//! The layers in force, which can be replaced while the program runs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;

use crate::engine::geo::{Atlas, Country, Place};

use super::builtin::{BuiltIn, with_network};
use super::mmdb::{Fault, Identity, Mmdb, Record};
use super::{Settings, is_public};

/// What a layer is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Country, city, coordinates.
    City,
    /// Network and operator.
    Asn,
    /// Country, network and operator if no file knows them; distances between countries.
    BuiltIn,
}

/// One layer as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its role.
    pub role: Role,
    /// The file; `None` for the built-in table.
    pub path: Option<PathBuf>,
    /// The file's own name for its type, such as `GeoLite2-City`; `None` if none is in use.
    pub kind: Option<String>,
    /// When the data in use was made, in seconds since 1970.
    pub built: Option<u64>,
    /// Why the file, or its newest version, is not in use.
    pub fault: Option<Fault>,
}

/// A result of [`Reloading::refresh`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new file, or the new version of one, is now in use.
    Loaded(Layer),
    /// A file cannot be used, for a reason not reported before. The previous data stays in use.
    Faulty(Layer),
    /// The file that had a fault is again the one that is in use.
    Recovered(Layer),
}

/// An atlas whose files may be replaced, cut or deleted while it is in use.
///
/// A file is swapped in only once it was read and verified completely. Until then, and if that fails, the previous one
/// is used. The built-in table supplies what no file knows.
pub struct Reloading {
    settings: Settings,
    /// Locked while files are read, which may take long: only [`Self::refresh`] waits for it.
    slots: Mutex<Vec<Slot>>,
    /// What the last refresh found. Locked only to be replaced.
    layers: RwLock<Arc<Layers>>,
}

impl Reloading {
    /// Reads the files. A file that cannot be read is a fault in [`Self::status`], not an error.
    #[must_use]
    pub fn open(settings: Settings) -> Self {
        let atlas = Self { settings, slots: Mutex::default(), layers: RwLock::default() };
        drop(atlas.refresh());
        atlas
    }

    /// Checks whether files changed, appeared or disappeared, and swaps in the new ones. If nothing changed, reads only
    /// a few directory entries. Meanwhile, all other functions answer from the refresh before.
    pub fn refresh(&self) -> Vec<Change> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        for role in [Role::City, Role::Asn] {
            let wanted = self.settings.paths(role);
            for path in &wanted {
                if !slots.iter().any(|slot| slot.is_for(role, path)) {
                    slots.push(Slot::new(role, path.clone()));
                }
            }
            changes
                .extend(slots.iter_mut().filter(|slot| slot.role == role).filter_map(Slot::look));
            // A file found automatically is replaced by a better one once that is in use.
            let is_served = slots
                .iter()
                .any(|slot| slot.is_loaded() && wanted.iter().any(|p| slot.is_for(role, p)));
            slots.retain(|slot| slot.role != role || !is_served || wanted.contains(&slot.path));
        }
        let layers = Arc::new(Layers::of(&slots));
        *self.layers.write().unwrap_or_else(PoisonError::into_inner) = layers;
        changes
    }

    /// Returns the layers that are files, in the order in which they are used. Leaves out the built-in table, which
    /// takes memory once it is used.
    #[must_use]
    pub fn files(&self) -> Vec<Layer> {
        self.layers().slots.iter().map(Slot::layer).collect()
    }

    /// Returns all layers in the order in which they are used, the built-in table last.
    #[must_use]
    pub fn status(&self) -> Vec<Layer> {
        let table = BuiltIn::get();
        let built_in = Layer {
            role: Role::BuiltIn,
            path: None,
            kind: Some("built-in".to_owned()),
            built: table.map(BuiltIn::built),
            fault: table.is_none().then(|| Fault::Damaged("built-in table".to_owned())),
        };
        self.files().into_iter().chain([built_in]).collect()
    }

    /// Returns the layers that know an address, in the order in which they are used.
    #[must_use]
    pub fn knowing(&self, address: IpAddr) -> Vec<Layer> {
        let address = address.to_canonical();
        if !is_public(address) {
            return Vec::new();
        }
        let layers = self.layers();
        let knows =
            |slot: &&Slot| slot.loaded.as_ref().is_some_and(|file| file.find(address).is_some());
        let known = BuiltIn::get().filter(|table| table.country(address).is_some());
        let built_in = known.map(|table| Layer {
            role: Role::BuiltIn,
            path: None,
            kind: Some("built-in".to_owned()),
            built: Some(table.built()),
            fault: None,
        });
        layers.slots.iter().filter(knows).map(Slot::layer).chain(built_in).collect()
    }

    /// Returns the files with a current fault.
    #[must_use]
    pub fn faults(&self) -> Vec<Layer> {
        self.files().into_iter().filter(|layer| layer.fault.is_some()).collect()
    }

    fn layers(&self) -> Arc<Layers> {
        Arc::clone(&self.layers.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Atlas for Reloading {
    fn place(&self, address: IpAddr) -> Place {
        self.layers().place(address)
    }

    fn border_distance_km(&self, a: Country, b: Country) -> Option<f64> {
        BuiltIn::get()?.border_distance_km(a, b)
    }

    fn is_one_operator(&self, a: u32, b: u32) -> bool {
        BuiltIn::get().map_or(a == b, |table| table.is_one_operator(a, b))
    }
}

/// A path, the last good file found there, and the fault of the current one.
#[derive(Clone)]
struct Slot {
    role: Role,
    path: PathBuf,
    loaded: Option<Arc<Mmdb>>,
    /// The file that last failed to load, and why.
    fault: Option<(Option<Identity>, Fault)>,
}

impl Slot {
    fn new(role: Role, path: PathBuf) -> Self {
        Self { role, path, loaded: None, fault: None }
    }

    fn is_for(&self, role: Role, path: &Path) -> bool {
        self.role == role && self.path == *path
    }

    fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    fn layer(&self) -> Layer {
        let loaded = self.loaded.as_ref();
        Layer {
            role: self.role,
            path: Some(self.path.clone()),
            kind: loaded.map(|file| file.kind().to_owned()),
            built: loaded.map(|file| file.built()),
            fault: self.fault.as_ref().map(|(_, fault)| fault.clone()),
        }
    }

    /// Checks the path; reads the file there unless it is in use or has failed already.
    fn look(&mut self) -> Option<Change> {
        let identity = match Identity::of(&self.path) {
            Ok(identity) => identity,
            Err(fault) => return self.note(None, fault),
        };
        if self.loaded.as_ref().is_some_and(|file| file.identity() == identity) {
            return self.fault.take().map(|_| Change::Recovered(self.layer()));
        }
        let is_hopeless = |(tried, fault): &(Option<Identity>, Fault)| {
            *tried == Some(identity) && !fault.is_temporary()
        };
        if self.fault.as_ref().is_some_and(is_hopeless) {
            return None;
        }
        match Mmdb::open(&self.path) {
            Ok(file) => {
                self.loaded = Some(Arc::new(file));
                self.fault = None;
                Some(Change::Loaded(self.layer()))
            }
            Err(fault) => self.note(Some(identity), fault),
        }
    }

    fn note(&mut self, identity: Option<Identity>, fault: Fault) -> Option<Change> {
        let is_new = self.fault.as_ref().is_none_or(|(_, before)| *before != fault);
        self.fault = Some((identity, fault));
        is_new.then(|| Change::Faulty(self.layer()))
    }
}

/// The files in use, and what was found at each path.
#[derive(Default)]
struct Layers {
    slots: Vec<Slot>,
    city: Vec<Arc<Mmdb>>,
    asn: Vec<Arc<Mmdb>>,
}

impl Layers {
    fn of(slots: &[Slot]) -> Self {
        let files = |role: Role| {
            let slots = slots.iter().filter(|slot| slot.role == role);
            slots.filter_map(|slot| slot.loaded.clone()).collect()
        };
        Self { slots: slots.to_vec(), city: files(Role::City), asn: files(Role::Asn) }
    }

    fn place(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        if !is_public(address) {
            return Place::default();
        }
        let geography = self.city.iter().find_map(|file| file.find(address)).unwrap_or_else(|| {
            let country = BuiltIn::get().and_then(|table| table.country(address));
            Record { country, ..Record::default() }
        });
        let mut network = self
            .asn
            .iter()
            .filter_map(|file| file.find(address))
            .chain([geography.clone()])
            .find(|record| record.asn.is_some())
            .unwrap_or_else(|| {
                let asn = BuiltIn::get().and_then(|table| table.asn(address));
                Record { asn, ..Record::default() }
            });
        if network.organization.is_empty() {
            let name = |asn| BuiltIn::get().and_then(|table| table.operator(asn));
            network.organization = network.asn.and_then(name).unwrap_or_default().into();
        }
        with_network(Place {
            country: geography.country,
            city: geography.city,
            point: geography.point,
            asn: network.asn,
            organization: network.organization,
            network: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_loop_waited_until_a_file_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let city = vec![directory.path().join("missing.mmdb")];
        let atlas = Reloading::open(Settings { city, asn: vec![], usual: vec![] });
        let reading = atlas.slots.lock().unwrap();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let n_knowing = atlas.knowing([8, 8, 8, 8].into()).len();
                tell.send((atlas.files().len(), n_knowing)).unwrap();
            });
            let answer = told.recv_timeout(Duration::from_mins(1));
            drop(reading);
            assert_eq!(answer, Ok((1, 1)));
        });
    }
}

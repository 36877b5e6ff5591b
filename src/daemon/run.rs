//! The daemon: the loop on one thread, the pump on another, signals and systemd on the main one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::atlas::Reloading;
use crate::clock::{monotonic_usec, now};
use crate::config::{Config, Faults, Limits};
use crate::daemon::backup::Backups;
use crate::daemon::blocked::{Blocked, Spell};
use crate::daemon::follow::{Loop, Order, Reload};
use crate::daemon::housekeeper::{Chore, Housekeeper};
use crate::daemon::lifetime::Lifetime;
use crate::daemon::opening::{Opened, Opening, delivery, post};
use crate::daemon::post::{Cut, Replacement};
use crate::daemon::printing::Sink;
use crate::daemon::recovery;
use crate::daemon::site::Site;
use crate::daemon::strain::Strains;
use crate::daemon::systemd::{Asked, Signals, notify};
use crate::daemon::voice::Voice;
use crate::deliver::render::Host;
use crate::engine::line::{Position, StreamId};
use crate::engine::reader::Source;
use crate::engine::registry::Registry;
use crate::engine::time::Timestamp;
use crate::source::Waker;
use crate::source::follow::{Follower, Options, Watch};
use crate::source::journal::{Journals, UnitWatch, is_journal};
use crate::source::listing::list;
use crate::store::Retention;

/// What `run` needs besides the site.
pub struct Setup {
    /// The sources, which parse the lines, by index.
    pub sources: Vec<Source>,
    /// What to follow.
    pub followed: Followed,
    /// Where committed alerts go, besides the database.
    pub output: Output,
    /// Reads the configuration again, for a reload.
    pub load: Load,
    /// The directory of systemd's credentials.
    pub credentials: Option<PathBuf>,
    /// The host that mails name.
    pub host: Host,
}

/// What to follow, each with the index of its source.
pub struct Followed {
    /// Files.
    pub watches: Vec<Watch>,
    /// Units of the journal.
    pub units: Vec<UnitWatch>,
}

/// Where committed alerts go, and how long somebody is there for them.
pub struct Output {
    /// Prints them, if they are to be printed.
    pub sink: Option<Sink>,
    /// Whether they also go to the journal.
    pub journal: bool,
    /// How long the daemon runs.
    pub lifetime: Lifetime,
}

/// Reads the configuration again: the site, its sources, what to follow.
pub type Load = Box<dyn Fn() -> anyhow::Result<(Site, Vec<Source>, Followed)>>;

/// Runs until SIGTERM, SIGINT or the end of its [`Lifetime`]; then everything that was read is committed.
///
/// # Errors
/// Another daemon holds the state, or a retry cannot cure the error.
pub fn run(site: &Site, setup: Setup) -> anyhow::Result<()> {
    // Transparent huge pages take 2 MB for each touched piece of memory: a daemon of 45 MB becomes one of 64. If they
    // cannot be disabled, that only costs memory.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // First of all: a signal during the assembly must not kill the process.
    let mut signals = Signals::listen(&runtime, setup.output.lifetime)?;
    let (atlas, cut) = (Arc::new(site.atlas_with_warnings()), Cut::default());
    let opening = Opening {
        site,
        places: Arc::clone(&atlas) as _,
        credentials: setup.credentials.as_deref(),
        host: &setup.host,
        cut: &cut,
        lifetime: setup.output.lifetime,
    };
    let mut lock = None;
    let opened = opening.wait(&mut lock, &runtime, &mut signals);
    let ended = opened.and_then(|opened| {
        let Some(opened) = opened else { return Ok(()) };
        let parts = Parts::assemble(site, setup, opened, atlas, cut)?;
        runtime.block_on(parts.supervise(site, signals))
    });
    recovery::note_end(site, &ended);
    drop(lock);
    ended
}

/// The running threads and how to reach them.
struct Parts {
    orders: Sender<Order>,
    waker: Waker,
    stopping: Arc<AtomicBool>,
    ready: oneshot::Receiver<()>,
    is_ready: bool,
    ended: oneshot::Receiver<anyhow::Result<()>>,
    chores: SyncSender<Chore>,
    replacement: Replacement,
    chores_thread: thread::JoinHandle<()>,
    chores_ended: oneshot::Receiver<()>,
    load: Load,
    credentials: Option<PathBuf>,
}

impl Parts {
    fn assemble(
        site: &Site,
        setup: Setup,
        opened: Opened,
        atlas: Arc<Reloading>,
        cut: Cut,
    ) -> anyhow::Result<Self> {
        let Setup { sources, followed, output, load, credentials, host } = setup;
        let Opened { worker, versions, positions, followed: before, pump, store } = opened;
        warn_of_nothing(&followed.watches);
        warn_of_access(site);
        let reader = Arc::new(site.reader(sources)?);
        let (follower, journals) = follow(site, followed, positions, before);
        let waker = follower.waker();

        let (orders, orders_out) = channel();
        let (chores, chores_out) = sync_channel(8);
        let Cut { stopping, replacement } = cut.clone();
        let spell = Spell::default();
        let (listener, ready) =
            Voice::new(output, &orders, &chores, &spell, &site.state, &stopping)?;
        let strains = Strains::new(Arc::clone(&atlas), &site.database(), now());
        let housekeeper = Housekeeper {
            store,
            retention: retention(site),
            atlas,
            backups: Backups::new(site.database(), chores.clone()),
            blocked: Blocked::new(spell),
            orders: orders.clone(),
            pump,
            host,
            post: None,
            is_hindered: false,
            cut,
        };
        let (chores_thread, chores_ended) = spawn("chores", move || housekeeper.work(&chores_out))?;
        let commit_interval = site.config.limits.commit_interval;
        let ended = spawn_loop(move || {
            let orders = &orders_out;
            let work = Loop {
                follower,
                journals,
                reader,
                worker,
                commit_interval,
                versions,
                strains,
                orders,
                listener,
            };
            work.run()
        })?;
        Ok(Self {
            orders,
            waker,
            stopping,
            ready,
            is_ready: false,
            ended,
            chores,
            replacement,
            chores_thread,
            chores_ended,
            load,
            credentials,
        })
    }

    /// Waits for signals and for the end of the loop.
    async fn supervise(mut self, site: &Site, mut signals: Signals) -> anyhow::Result<()> {
        let ended = loop {
            // Losing a branch loses nothing: signals stay pending, and so does what the loop sent.
            tokio::select! {
                ended = &mut self.ended => break ended,
                _ = &mut self.chores_ended => break self.give_up().await,
                asked = signals.next() => match asked {
                    Asked::End => break self.stop().await,
                    Asked::Reload => self.reload(site),
                },
                Ok(()) = &mut self.ready, if !self.is_ready => {
                    self.is_ready = true;
                    info!(state = %site.state.display(), "Started.");
                    notify(&[NotifyState::Ready]);
                }
            }
        };
        self.stopping.store(true, Ordering::Relaxed);
        // The queue may be full: then the other thread is busy, and sees the flag when it is done.
        self.chores.try_send(Chore::Stop).ok();
        self.chores_thread.join().ok();
        info!("Stopped.");
        ended.unwrap_or_else(|_| Err(anyhow::anyhow!("the loop ended unexpectedly")))
    }

    async fn stop(&mut self) -> Result<anyhow::Result<()>, oneshot::error::RecvError> {
        notify(&[NotifyState::Stopping]);
        self.stopping.store(true, Ordering::Relaxed);
        self.orders.send(Order::Stop).ok();
        self.waker.wake();
        (&mut self.ended).await
    }

    /// Ends the daemon, which cannot mail, prune or back up any more: it must not pass for a healthy service.
    async fn give_up(&mut self) -> Result<anyhow::Result<()>, oneshot::error::RecvError> {
        let ended = self.stop().await?;
        Ok(ended.and_then(|()| {
            Err(anyhow::anyhow!("the thread of mails and backups ended unexpectedly"))
        }))
    }

    /// Checks the new configuration and applies it between two batches, or keeps the old one.
    fn reload(&mut self, old: &Site) {
        let micros = i128::from(monotonic_usec());
        notify(&[NotifyState::Reloading, NotifyState::MonotonicUsec(micros)]);
        if let Err(error) = self.try_reload(old) {
            let faults = error.downcast_ref::<Faults>().map(|faults| faults.iter().count());
            let why = faults.map_or_else(|| format!("{error:#}"), |_| first_fault(&error));
            error!(
                error = why,
                faults, "The new configuration is not used; the old one stays in force."
            );
        }
        notify(&[NotifyState::Ready]);
    }

    fn try_reload(&mut self, old: &Site) -> anyhow::Result<()> {
        let (site, sources, followed) = (self.load)()?;
        anyhow::ensure!(
            site.state == old.state,
            "the state directory cannot change while the daemon runs: {} is not {}",
            site.state.display(),
            old.state.display()
        );
        let judge = site.judge(Registry::default(), site.policy())?;
        let reader = Arc::new(site.reader(sources)?);
        let post = post(&site, self.credentials.as_deref())?;
        let commit_interval = site.config.limits.commit_interval;
        let Followed { watches, units } = followed;
        let delivery = delivery(&site);
        let not_applied = not_applied(&old.config, &site.config);
        let reload =
            Reload { reader, judge, watches, units, commit_interval, delivery, not_applied };
        self.replacement.leave(post);
        // The queue may be full: then the other thread is busy, and checks for a replacement when it is done.
        self.chores.try_send(Chore::Mail).ok();
        self.orders.send(Order::Reload(Box::new(reload))).context("the loop is gone")?;
        self.waker.wake();
        Ok(())
    }
}

/// Starts the thread of the loop; the receiver gets its result.
fn spawn_loop(
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> std::io::Result<oneshot::Receiver<anyhow::Result<()>>> {
    let (tell_end, ended) = oneshot::channel();
    thread::Builder::new().name("loop".into()).spawn(move || {
        // Nobody receives only if the main thread is gone, and then nobody needs the result.
        drop(tell_end.send(work()));
    })?;
    Ok(ended)
}

/// Starts a thread; the receiver reports its end, even by a panic.
fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<(thread::JoinHandle<()>, oneshot::Receiver<()>)> {
    let (alive, ended) = oneshot::channel();
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        // Dropped at any end of the thread; nothing is ever sent.
        let _alive: oneshot::Sender<()> = alive;
        work();
    })?;
    Ok((thread, ended))
}

/// Continues files and the journal from their committed positions.
fn follow(
    site: &Site,
    followed: Followed,
    positions: Vec<(StreamId, Position)>,
    before: BTreeMap<PathBuf, Timestamp>,
) -> (Follower, Journals) {
    let Followed { watches, units } = followed;
    let (in_journal, in_files): (Vec<_>, Vec<_>) =
        positions.into_iter().partition(|(_, position)| is_journal(position));
    let exclude = site.state.canonicalize().ok();
    let options = Options { exclude, followed: before, ..Options::default() };
    let follower = Follower::new(watches, in_files, options);
    let journals = Journals::new(units, &in_journal, follower.waker());
    (follower, journals)
}

fn first_fault(error: &anyhow::Error) -> String {
    let fault = error.downcast_ref::<Faults>().and_then(|faults| faults.iter().next());
    fault.map(ToString::to_string).unwrap_or_default()
}

/// Returns this host's name, for mails.
#[must_use]
pub fn host() -> String {
    // From the kernel: the service's sandbox hides /proc/sys.
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Warns of patterns without a file: a mistyped path must not pass for a quiet log.
fn warn_of_nothing(watches: &[Watch]) {
    for pattern in watches.iter().flat_map(|watch| &watch.patterns) {
        if list(std::slice::from_ref(pattern), None).0.is_empty() {
            warn!(path = %pattern.display(), "No such log exists yet; it will be followed once it does.");
        }
    }
}

/// Warns of a state directory, a database or a key to which others have access.
fn warn_of_access(site: &Site) {
    if let Some(mode) = open_mode(&site.state) {
        warn!(
            path = %site.state.display(), mode,
            "Others have access to the state directory, whose mode should be 0700."
        );
    }
    for path in [site.database(), site.key_path()] {
        if let Some(mode) = open_mode(&path) {
            warn!(
                path = %path.display(), mode,
                "Others have access to this file, whose mode should be 0600."
            );
        }
    }
}

/// Returns the mode of a file or directory if it gives others than the owner access.
fn open_mode(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| format!("{:04o}", mode & 0o777))
}

fn retention(site: &Site) -> Retention {
    let kept = &site.config.retention;
    Retention {
        activity: kept.activity,
        facets: kept.facets,
        alerts: kept.alerts,
        tokens: kept.profiles,
        mails: kept.alerts,
    }
}

/// Returns the settings that differ, and that only a start puts in force.
fn not_applied(old: &Config, new: &Config) -> Vec<&'static str> {
    // Named one by one, so that a new setting has to be decided on.
    let Config {
        limits: Limits { memory, commit_interval: _ },
        retention,
        geoip,
        output,
        files: _,
        state_dir: _,
        sources: _,
        tokens: _,
        detect: _,
        rules: _,
        mail: _,
        alerts: _,
        faulty: _,
    } = new;
    let all = [
        ("[limits] memory", old.limits.memory != *memory),
        ("[retention]", old.retention != *retention),
        ("[geoip]", old.geoip != *geoip),
        ("[output]", old.output != *output),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panic_of_a_thread_was_heard_of_at_the_end_only() {
        let (thread, mut ended) = spawn("calm", || {}).unwrap();
        thread.join().unwrap();
        assert!(ended.try_recv().is_err());
        let (go, wait) = channel::<()>();
        let (thread, mut ended) = spawn("hasty", move || wait.recv().unwrap()).unwrap();
        assert_eq!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty), "it works");
        drop(go);
        assert!(ended.blocking_recv().is_err() && thread.join().is_err());
    }
}

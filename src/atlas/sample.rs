//! Creates MMDB files, so that tests have places of their own. Also included by code outside the crate.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Writes a minimal MMDB file (spec 2.0): a tree of 24-bit records, nothing shared.
pub(crate) struct MmdbWriter {
    pub(crate) ip_version: u8,
    pub(crate) kind: &'static str,
    pub(crate) built: u32,
    pub(crate) nodes: Vec<[u32; 2]>,
    pub(crate) data: Vec<u8>,
}

/// Marks an empty record in a node under construction. All other values above the count point to data.
pub(crate) const EMPTY: u32 = u32::MAX;
const DATA: u32 = 1 << 31;

impl MmdbWriter {
    pub(crate) fn new(ip_version: u8, kind: &'static str) -> Self {
        Self { ip_version, kind, built: 1_700_000_000, nodes: vec![[EMPTY; 2]], data: vec![] }
    }

    pub(crate) fn with(mut self, network: &str, record: &Value) -> Self {
        let at = DATA | u32::try_from(self.data.len()).unwrap();
        encode(&mut self.data, record);
        let network: ipnet::IpNet = network.parse().unwrap();
        let (bits, n_bits) = match (network.network(), self.ip_version) {
            (IpAddr::V4(v4), 4) => (u128::from(v4.to_bits()) << 96, network.prefix_len()),
            (IpAddr::V4(v4), _) => (u128::from(v4.to_bits()), network.prefix_len() + 96),
            (IpAddr::V6(v6), _) => (v6.to_bits(), network.prefix_len()),
        };
        let mut node = 0;
        for bit in 0..n_bits {
            let side = usize::try_from(bits >> (127 - bit) & 1).unwrap();
            if bit + 1 == n_bits {
                self.nodes[node][side] = at;
            } else {
                if self.nodes[node][side] == EMPTY {
                    self.nodes[node][side] = u32::try_from(self.nodes.len()).unwrap();
                    self.nodes.push([EMPTY; 2]);
                }
                node = usize::try_from(self.nodes[node][side]).unwrap();
            }
        }
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let n_nodes = u32::try_from(self.nodes.len()).unwrap();
        let mut bytes = Vec::new();
        for record in self.nodes.iter().flatten() {
            let value = match *record {
                EMPTY => n_nodes,
                data if data & DATA != 0 => n_nodes + 16 + (data & !DATA),
                node => node,
            };
            bytes.extend(&value.to_be_bytes()[1..]);
        }
        bytes.extend([0; 16]);
        bytes.extend(&self.data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let metadata = json!({
            "binary_format_major_version": 2, "binary_format_minor_version": 0,
            "build_epoch": self.built, "database_type": self.kind, "description": {},
            "ip_version": self.ip_version, "languages": [], "node_count": n_nodes,
            "record_size": 24,
        });
        encode(&mut bytes, &metadata);
        bytes
    }

    pub(crate) fn write(&self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, self.bytes()).unwrap();
        path
    }
}

fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => {
            control(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        Value::Number(number) if number.is_f64() => {
            control(out, 3, 8);
            out.extend(number.as_f64().unwrap().to_be_bytes());
        }
        Value::Number(number) => {
            control(out, 5, 2);
            out.extend(u16::try_from(number.as_u64().unwrap()).unwrap().to_be_bytes());
        }
        Value::Object(map) => {
            control(out, 7, map.len());
            for (key, value) in map {
                encode(out, &Value::String(key.clone()));
                match key.as_str() {
                    "build_epoch" => {
                        out.extend([8, 9 - 7]);
                        out.extend(value.as_u64().unwrap().to_be_bytes());
                    }
                    "node_count" | "autonomous_system_number" => {
                        control(out, 6, 4);
                        out.extend(u32::try_from(value.as_u64().unwrap()).unwrap().to_be_bytes());
                    }
                    _ => encode(out, value),
                }
            }
        }
        Value::Array(items) => {
            out.extend([u8::try_from(items.len()).unwrap(), 11 - 7]);
            items.iter().for_each(|item| encode(out, item));
        }
        Value::Bool(_) | Value::Null => unreachable!("not used here"),
    }
}

fn control(out: &mut Vec<u8>, kind: u8, size: usize) {
    let size = u8::try_from(size).unwrap();
    if size < 29 {
        out.push(kind << 5 | size);
    } else {
        out.extend([kind << 5 | 29, size - 29]);
    }
}

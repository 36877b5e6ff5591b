//! Builds the tables in this directory from public data; `README.md` lists the sources.
//!
//! `make-geo INPUTS` writes the files. `make-geo --check INPUTS` looks up both ends of each range of the inputs, and
//! the adjacent addresses outside it, in the built-in files.

mod map;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokenwatch::atlas::BuiltIn;

/// zstd's strongest level: compressed once, read for years.
const ZSTD_LEVEL: i32 = 22;

/// The limit of a name; the longest meaningful one is shorter.
const MAX_NAME_BYTES: usize = 64;

/// Legal forms in lower case, which are removed from the end of an operator's name.
const LEGAL_FORMS: &str = "\
    a.s., a/s, ab, ag, aps, as, b.v., bv, co, co., corp, corp., corporation, d.o.o., e.u., \
    eireli, eirl, epp, gmbh, inc, inc., incorporated, jsc, kft, kft., l.l.c., limited, llc, \
    llc., llp, ltd, ltd., ltda, ltda., me, nv, n.v., ou, oy, oyj, pjsc, plc, private, pte, \
    pte., pty, pvt, pvt., s.a., s.a.s., s.l., s.p.a., s.r.l., s.r.o., s/a, sa, sarl, sas, sdn \
    bhd, sl, slu, sp. z o.o., sp. z o. o., spa, srl, srls, uab";

/// A range of addresses (IPv4) or of /64s (IPv6), both ends included.
#[derive(Clone)]
struct Range<V> {
    first: u64,
    last: u64,
    value: V,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [inputs] if inputs != "--check" => write(&Inputs::read(Path::new(inputs))?),
        [flag, inputs] if flag == "--check" => check(&Inputs::read(Path::new(inputs))?),
        _ => bail!("usage: make-geo [--check] INPUTS"),
    }
}

/// The data of the sources, unchanged.
struct Inputs {
    directory: PathBuf,
    built: u32,
    /// IPv4 and IPv6.
    countries: [Vec<Range<String>>; 2],
    asns: [Vec<Range<u32>>; 2],
    names: BTreeMap<u32, String>,
}

impl Inputs {
    fn read(directory: &Path) -> Result<Self> {
        let text = |name: &str| {
            fs::read_to_string(directory.join(name)).with_context(|| format!("reading {name}"))
        };
        let (geoip, geoip6) = (text("geoip")?, text("geoip6")?);
        let (asn4, asn6) = (text("asn-ipv4.csv")?, text("asn-ipv6.csv")?);
        let mut names = BTreeMap::new();
        Ok(Self {
            directory: directory.to_owned(),
            built: built(&geoip, &text("package.json")?)?,
            countries: [countries(&geoip)?, countries(&geoip6)?],
            asns: [asns(&asn4, &mut names)?, asns(&asn6, &mut names)?],
            names,
        })
    }
}

/// Returns when the older of the two sources was made, in seconds since 1970.
fn built(geoip: &str, package: &str) -> Result<u32> {
    let generated = geoip.lines().find_map(|line| line.strip_prefix("# Generated:"));
    let country =
        chrono::DateTime::parse_from_rfc2822(generated.context("no date in geoip")?.trim())?;
    let package: serde_json::Value = serde_json::from_str(package)?;
    let version = package.get("version").and_then(|version| version.as_str());
    let day = version.and_then(|version| version.rsplit('.').next()?.get(..8));
    let asn = chrono::NaiveDate::parse_from_str(day.context("no date in the version")?, "%Y%m%d")?;
    let asn = asn.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
    Ok(u32::try_from(country.timestamp().min(asn))?)
}

/// Parses lines of `first,last,CODE`, in which IPv4 addresses are decimal numbers.
fn countries(text: &str) -> Result<Vec<Range<String>>> {
    let known = map::codes();
    let mut ranges = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut fields = line.split(',');
        let (Some(first), Some(last), Some(code)) = (fields.next(), fields.next(), fields.next())
        else {
            bail!("found {line:?}, expected first,last,code");
        };
        let code = if code == "UK" { "GB" } else { code };
        if known.contains(&code) {
            ranges.push(Range { first: unit(first)?, last: unit(last)?, value: code.to_owned() });
        }
    }
    Ok(ranges)
}

/// Parses CSV lines of `first,last,number,name`.
fn asns(text: &str, names: &mut BTreeMap<u32, String>) -> Result<Vec<Range<u32>>> {
    let mut ranges = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for row in reader.deserialize() {
        let (first, last, asn, name): (String, String, u32, String) = row?;
        names.entry(asn).or_insert_with(|| short_name(&name));
        ranges.push(Range { first: unit(&first)?, last: unit(&last)?, value: asn });
    }
    Ok(ranges)
}

/// Parses an address: returns its number (IPv4), or that of its /64 (IPv6).
fn unit(text: &str) -> Result<u64> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    Ok(match text.parse().with_context(|| format!("found {text:?}, expected an address"))? {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64)?,
    })
}

/// Removes legal forms, repetitions, control characters and quotes from a name.
fn short_name(name: &str) -> String {
    let mut name: String = name.chars().filter(|c| !c.is_control() && *c != '"').collect();
    if let Some((left, right)) = name.split_once(" - ")
        && left == right
    {
        name = left.to_owned();
    }
    let mut short = name.trim();
    while let Some(shorter) = LEGAL_FORMS.split(", ").find_map(|form| without(short, form)) {
        short = shorter;
    }
    let mut end = short.len().min(MAX_NAME_BYTES);
    while !short.is_char_boundary(end) {
        end -= 1;
    }
    short.get(..end).unwrap_or_default().trim_end().to_owned()
}

/// Returns the name without the legal form at its end, if at least three letters remain.
fn without<'a>(name: &'a str, form: &str) -> Option<&'a str> {
    let (rest, end) = name.split_at_checked(name.len().checked_sub(form.len())?)?;
    let is_form = end.eq_ignore_ascii_case(form) && rest.ends_with([' ', ',', '.', ')']);
    let rest = rest.trim_end_matches([' ', ',', '(', '&']);
    (is_form && rest.len() >= 3).then_some(rest)
}

/// Sorts ranges and joins adjacent ones, so that none overlap.
fn joined<V: Clone + PartialEq>(ranges: &[Range<V>]) -> Vec<Range<V>> {
    let mut out: Vec<Range<V>> = Vec::new();
    for range in ranges {
        let mut range = range.clone();
        if let Some(before) = out.last_mut() {
            range.first = range.first.max(before.last + 1);
            if range.first == before.last + 1 && range.value == before.value {
                before.last = before.last.max(range.last);
                continue;
            }
        }
        if range.first <= range.last {
            out.push(range);
        }
    }
    out
}

fn write(inputs: &Inputs) -> Result<()> {
    let map = fs::read_to_string(inputs.directory.join("countries-10m.json"))?;
    let codes = map::codes();
    let mut head = inputs.built.to_le_bytes().to_vec();
    put_column(&mut head, codes.concat().as_bytes())?;
    let triangle: Vec<u8> = map::triangle(&map)?.into_iter().flat_map(u16::to_le_bytes).collect();
    put_column(&mut head, &triangle)?;
    write_packed("countries.zst", &head)?;

    let country = |code: &String| codes.binary_search(&code.as_str()).ok();
    let numbers: Vec<u32> = inputs.names.keys().copied().collect();
    let operator = |asn: &u32| numbers.binary_search(asn).ok();
    let [country4, country6] = &inputs.countries;
    let [asn4, asn6] = &inputs.asns;
    write_packed("country4.zst", &pack(country4, country)?)?;
    write_packed("country6.zst", &pack(country6, country)?)?;
    write_packed("asn4.zst", &pack(asn4, operator)?)?;
    write_packed("asn6.zst", &pack(asn6, operator)?)?;
    write_packed("operators.zst", &operators(&inputs.names)?)
}

/// Packs ranges in the format that `table.rs` describes.
fn pack<V: Clone + PartialEq>(
    ranges: &[Range<V>],
    place: impl Fn(&V) -> Option<usize>,
) -> Result<Vec<u8>> {
    let ranges = joined(ranges);
    let mut columns: [Vec<u8>; 5] = Default::default();
    let [gaps, gap_odds, lengths, length_odds, values] = &mut columns;
    let mut at = 0;
    for range in &ranges {
        put_number(gaps, gap_odds, range.first - at)?;
        put_number(lengths, length_odds, range.last - range.first + 1)?;
        put_varint(values, u64::try_from(place(&range.value).context("unlisted value")?)?)?;
        at = range.last + 1;
    }
    let mut bytes = u32::try_from(ranges.len())?.to_le_bytes().to_vec();
    for column in &columns {
        put_column(&mut bytes, column)?;
    }
    Ok(bytes)
}

/// Packs the names in the format that `builtin.rs` describes.
fn operators(names: &BTreeMap<u32, String>) -> Result<Vec<u8>> {
    let (mut deltas, mut text, mut before) = (Vec::new(), String::new(), 0);
    for (asn, name) in names {
        put_varint(&mut deltas, u64::from(asn - before))?;
        text.push_str(name);
        text.push('\n');
        before = *asn;
    }
    let mut bytes = Vec::new();
    put_column(&mut bytes, &deltas)?;
    put_column(&mut bytes, text.as_bytes())?;
    Ok(bytes)
}

fn put_column(bytes: &mut Vec<u8>, column: &[u8]) -> Result<()> {
    bytes.extend(u32::try_from(column.len())?.to_le_bytes());
    bytes.extend(column);
    Ok(())
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) -> Result<()> {
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f)? | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value)?);
    Ok(())
}

fn put_number(shifts: &mut Vec<u8>, odds: &mut Vec<u8>, number: u64) -> Result<()> {
    if number == 0 {
        shifts.push(0);
        return Ok(());
    }
    let shift = number.trailing_zeros();
    let odd = number >> shift;
    shifts.push(u8::try_from(shift + 1)? | if odd > 1 { 0x80 } else { 0 });
    if odd > 1 { put_varint(odds, (odd - 1) / 2) } else { Ok(()) }
}

fn write_packed(name: &str, bytes: &[u8]) -> Result<()> {
    let packed = zstd::bulk::compress(bytes, ZSTD_LEVEL)?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/atlas/data");
    fs::write(directory.join(name), &packed)?;
    writeln!(std::io::stderr(), "{name}: {} bytes, packed {}", bytes.len(), packed.len())?;
    Ok(())
}

/// Compares the built-in data with the sources.
fn check(inputs: &Inputs) -> Result<()> {
    let table = BuiltIn::get().context("the built-in table is damaged")?;
    for (version, to_address) in [v4 as fn(u64) -> Option<IpAddr>, v6].into_iter().enumerate() {
        let countries = inputs.countries.get(version).context("no countries")?;
        check_ranges(countries, to_address, |a| table.country(a).map(|c| c.to_string()))?;
        let asns = inputs.asns.get(version).context("no networks")?;
        check_ranges(asns, to_address, |a| table.asn(a))?;
    }
    for (asn, name) in &inputs.names {
        let found = table.operator(*asn).unwrap_or_default();
        ensure!(found == name, "AS{asn}: found {found:?}, expected {name:?}");
    }
    Ok(())
}

fn v4(number: u64) -> Option<IpAddr> {
    u32::try_from(number).ok().map(|number| Ipv4Addr::from_bits(number).into())
}

fn v6(upper: u64) -> Option<IpAddr> {
    Some(Ipv6Addr::from_bits(u128::from(upper) << 64 | 1).into())
}

fn check_ranges<V: Clone + PartialEq + std::fmt::Debug>(
    ranges: &[Range<V>],
    to_address: fn(u64) -> Option<IpAddr>,
    find: impl Fn(IpAddr) -> Option<V>,
) -> Result<()> {
    let (mut n_right, mut n_shared) = (0, 0);
    let mut end = 0;
    for (i, range) in ranges.iter().enumerate() {
        let next = ranges.get(i + 1).map_or(u64::MAX, |next| next.first);
        let probes = [
            (range.first.checked_sub(1).filter(|before| *before >= end), None),
            (Some(range.first).filter(|first| *first >= end), Some(&range.value)),
            (Some(range.last).filter(|last| *last < next && *last >= end), Some(&range.value)),
            (Some(range.last + 1).filter(|after| *after < next), None),
        ];
        for (probe, expected) in probes {
            let Some(address) = probe.and_then(to_address) else {
                n_shared += 1;
                continue;
            };
            let found = find(address);
            ensure!(
                found.as_ref() == expected,
                "{address}: found {found:?}, expected {expected:?}"
            );
            n_right += 1;
        }
        end = end.max(range.last + 1);
    }
    writeln!(
        std::io::stderr(),
        "{} ranges: {n_right} right, {n_shared} inside others",
        ranges.len()
    )?;
    Ok(())
}

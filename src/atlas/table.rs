//! Reads the packed tables of `data/` and looks up addresses in them.
//!
//! A packed table is a zstd frame of address ranges in ascending order:
//!
//! ```text
//! n_ranges          u32, little endian, as all lengths here
//! 5 columns         each u32 n_bytes, then the bytes:
//!   gap             since the end of the range before \ numbers of the form
//!   gap_odd         the odd parts of the gaps         | 0 or odd * 2^shift
//!   length          of the range                      |
//!   length_odd      the odd parts of the lengths      /
//!   value           varints
//!
//! a number          one byte in its column: 0 for 0, else shift + 1; plus 0x80 if odd > 1, and
//!                   then (odd - 1) / 2 as a varint in the odd column
//! a varint          7 bits a byte, lowest first, 0x80 set in all but the last (LEB128)
//! ```
//!
//! The length of nearly every range is a power of two, and nearly every range follows the previous one directly, so the
//! big columns compress to a fraction. IPv4 counts addresses; IPv6 counts /64s, the least that a customer has.

/// The limit of an unpacked table; larger ones are not ours.
const MAX_UNPACKED_BYTES: usize = 16 << 20;

/// Decompresses one file of `data/`; `None` if it is damaged.
pub(super) fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(packed, MAX_UNPACKED_BYTES).ok()
}

/// Splits off a length.
pub(super) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*head))
}

/// Splits off a column: its length, then that many bytes.
pub(super) fn take_column<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let n_bytes = take_u32(bytes)?;
    let (column, rest) = bytes.split_at_checked(usize::try_from(n_bytes).ok()?)?;
    *bytes = rest;
    Some(column)
}

/// Splits off a varint.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0_u32);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

/// Splits off `0` or `odd * 2^shift` from its two columns.
fn take_number(shifts: &mut &[u8], odds: &mut &[u8]) -> Option<u64> {
    let (&byte, rest) = shifts.split_first()?;
    *shifts = rest;
    let Some(shift) = (byte & 0x7f).checked_sub(1) else { return Some(0) };
    let odd = if byte & 0x80 == 0 { 1 } else { take_varint(odds)?.checked_mul(2)? | 1 };
    odd.checked_shl(u32::from(shift))
}

/// Unpacks a table into consecutive starts: `push(start, value)` is called with the value that applies from `start` on,
/// or with `None` if nothing is known from there. The first start is 0. Returns the number of ranges, or `None` if the
/// table is damaged.
fn unpack(packed: &[u8], mut push: impl FnMut(u64, Option<u32>) -> Option<()>) -> Option<u32> {
    let bytes = inflate(packed)?;
    let mut rest = bytes.as_slice();
    let n_ranges = take_u32(&mut rest)?;
    let (mut gaps, mut gap_odds) = (take_column(&mut rest)?, take_column(&mut rest)?);
    let (mut lengths, mut length_odds) = (take_column(&mut rest)?, take_column(&mut rest)?);
    let mut values = take_column(&mut rest)?;
    let mut at = 0_u64;
    for range in 0..n_ranges {
        let gap = take_number(&mut gaps, &mut gap_odds)?;
        if gap > 0 || range == 0 {
            push(at, None)?;
        }
        at = at.checked_add(gap)?;
        push(at, Some(u32::try_from(take_varint(&mut values)?).ok()?))?;
        at = at.checked_add(take_number(&mut lengths, &mut length_odds)?)?;
    }
    push(at, None)?;
    Some(n_ranges)
}

/// The values of ranges, in a sufficient width.
pub(super) trait Value: Copy + TryFrom<u32> {
    /// Stands for "nothing known".
    const NONE: Self;
}

impl Value for u8 {
    const NONE: Self = Self::MAX;
}

impl Value for u32 {
    const NONE: Self = Self::MAX;
}

fn narrow<V: Value>(value: Option<u32>) -> Option<V> {
    value.map_or(Some(V::NONE), |value| V::try_from(value).ok())
}

/// IPv4 ranges: two bytes per start, since a page of starts shares its upper half.
pub(super) struct Ranges4<V> {
    /// For each upper half, and one past the last: the number of starts below it.
    pages: Vec<u32>,
    /// The lower halves of the starts.
    lows: Vec<u16>,
    values: Vec<V>,
}

impl<V: Value> Ranges4<V> {
    const N_PAGES: usize = 1 << 16;

    /// Unpacks a table; `None` if it is damaged.
    pub(super) fn unpack(packed: &[u8]) -> Option<Self> {
        let mut ranges =
            Self { pages: Vec::with_capacity(Self::N_PAGES + 1), lows: vec![], values: vec![] };
        unpack(packed, |start, value| {
            if let Ok(start) = u32::try_from(start) {
                ranges.open_pages(start >> 16)?;
                ranges.lows.push(u16::try_from(start & 0xffff).ok()?);
                ranges.values.push(narrow(value)?);
            }
            Some(())
        })?;
        ranges.open_pages(u32::from(u16::MAX) + 1)?;
        ranges.lows.shrink_to_fit();
        ranges.values.shrink_to_fit();
        Some(ranges)
    }

    fn open_pages(&mut self, up_to: u32) -> Option<()> {
        let n_starts = u32::try_from(self.lows.len()).ok()?;
        let n_pages = usize::try_from(up_to).ok()? + 1;
        if self.pages.len() < n_pages {
            self.pages.resize(n_pages, n_starts);
        }
        Some(())
    }

    /// Returns the value of the address.
    pub(super) fn find(&self, address: u32) -> Option<V> {
        let page = usize::try_from(address >> 16).ok()?;
        let low = u16::try_from(address & 0xffff).ok()?;
        let from = usize::try_from(*self.pages.get(page)?).ok()?;
        let to = usize::try_from(*self.pages.get(page + 1)?).ok()?;
        let within = self.lows.get(from..to)?.partition_point(|start| *start <= low);
        self.values.get((from + within).checked_sub(1)?).copied()
    }
}

/// IPv6 ranges by the upper half of the address.
pub(super) struct Ranges6<V> {
    starts: Vec<u64>,
    values: Vec<V>,
}

impl<V: Value> Ranges6<V> {
    /// Unpacks a table; `None` if it is damaged.
    pub(super) fn unpack(packed: &[u8]) -> Option<Self> {
        let mut ranges = Self { starts: vec![], values: vec![] };
        unpack(packed, |start, value| {
            ranges.starts.push(start);
            ranges.values.push(narrow(value)?);
            Some(())
        })?;
        ranges.starts.shrink_to_fit();
        ranges.values.shrink_to_fit();
        Some(ranges)
    }

    /// Returns the value of the /64.
    pub(super) fn find(&self, upper: u64) -> Option<V> {
        let after = self.starts.partition_point(|start| *start <= upper);
        self.values.get(after.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs `10..=11 -> 7` and `12..=14 -> 9`.
    fn packed() -> Vec<u8> {
        let columns: [&[u8]; 5] = [&[0x82, 0], &[2], &[2, 0x81], &[1], &[7, 9]];
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for column in columns {
            bytes.extend(u32::try_from(column.len()).unwrap().to_le_bytes());
            bytes.extend(column);
        }
        zstd::bulk::compress(&bytes, 3).unwrap()
    }

    #[test]
    fn a_value_holds_within_its_range_and_nowhere_else() {
        let (v4, v6) =
            (Ranges4::<u8>::unpack(&packed()).unwrap(), Ranges6::<u32>::unpack(&packed()).unwrap());
        for (address, value) in
            [(0, None), (9, None), (10, Some(7)), (11, Some(7)), (12, Some(9)), (14, Some(9))]
                .into_iter()
                .chain([(15, None), (u32::MAX, None)])
        {
            assert_eq!(v4.find(address), Some(value.unwrap_or(u8::NONE)), "{address}");
            assert_eq!(
                v6.find(u64::from(address)),
                Some(value.map_or(u32::NONE, u32::from)),
                "{address}"
            );
        }
    }

    #[test]
    fn a_damaged_table_is_no_table() {
        let whole = packed();
        for n in 0..whole.len() {
            assert!(Ranges4::<u8>::unpack(whole.get(..n).unwrap()).is_none());
        }
        let inflated = inflate(&whole).unwrap();
        for n in 0..inflated.len() {
            let cut = zstd::bulk::compress(inflated.get(..n).unwrap(), 3).unwrap();
            assert!(Ranges6::<u32>::unpack(&cut).is_none());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_table_or_none(n_ranges: u16, columns: [Vec<u8>; 5], address: u32) {
            let mut bytes = u32::from(n_ranges % 8).to_le_bytes().to_vec();
            for column in columns {
                bytes.extend(u32::try_from(column.len()).unwrap().to_le_bytes());
                bytes.extend(column);
            }
            let packed = zstd::bulk::compress(&bytes, 1).unwrap();
            if let Some(ranges) = Ranges4::<u32>::unpack(&packed) {
                proptest::prop_assert!(ranges.find(address).is_some());
            }
            if let Some(ranges) = Ranges6::<u32>::unpack(&packed) {
                proptest::prop_assert!(ranges.find(u64::from(address)).is_some());
            }
        }
    }
}

//! The values that an encoded profile consists of: integers, differences, faded days, floats (see `codec`).
//!
//! Until version 5 each value took whole bytes; a [`Reader`] reads both forms.

use crate::engine::stats::Days;

/// Stored bytes that are not a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end within a value, or continue after the last.
    #[error("profile has the wrong length")]
    Length,
    /// Written by a later version.
    #[error("profile has version {0}, newer than this program")]
    Version(u8),
    /// A value that no profile can have.
    #[error("profile holds an impossible {0}")]
    Value(&'static str),
}

pub(crate) type Read<T> = Result<T, CodecError>;

/// Bits of a faded number of days: it does not reach 44 of the 64 that fit.
const DAYS_BITS: u32 = 14;
/// Marks a larger number of days, which follows.
const MORE_DAYS: u64 = (1 << DAYS_BITS) - 1;
/// Largest set whose members are written one by one.
const FEW: u32 = 9;
/// Replaces the number of members of a larger set.
const MANY: u64 = 15;

/// Writes values one after another, the lowest bit first.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// The bits that do not fill four bytes yet, and their number.
    open: u64,
    filled: u32,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Writes the lowest bits of a value, at most 32.
    pub(crate) fn bits(&mut self, value: impl Into<u64>, count: u32) {
        self.open |= (value.into() & lowest(count)) << self.filled;
        self.filled += count;
        if self.filled >= 32 {
            let [a, b, c, d, ..] = self.open.to_le_bytes();
            self.bytes.extend([a, b, c, d]);
            self.open >>= 32;
            self.filled -= 32;
        }
    }

    pub(crate) fn is(&mut self, is: bool) {
        self.bits(is, 1);
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bits(byte, 8);
    }

    pub(crate) fn word64(&mut self, word: u64) {
        self.bits(word, 32);
        self.bits(word >> 32, 32);
    }

    /// Writes a count of nibbles in four bits, then the nibbles: most values are 0 or small.
    pub(crate) fn uint(&mut self, value: impl Into<u64>) {
        let value = value.into();
        let nibbles = (64 - value.leading_zeros()).div_ceil(4);
        if nibbles < 8 {
            // Count and nibbles at once.
            return self.bits(value << 4 | u64::from(nibbles), 4 + nibbles * 4);
        }
        self.bits(nibbles.min(15), 4);
        let count = if nibbles < 15 { nibbles * 4 } else { 64 };
        self.bits(value, count.min(32));
        self.bits(value >> 32, count.saturating_sub(32));
    }

    /// Writes a difference in wrapping arithmetic, which any two values have.
    pub(crate) fn from(&mut self, base: i64, value: i64) {
        let difference = value.wrapping_sub(base);
        self.uint(((difference << 1) ^ (difference >> 63)).cast_unsigned());
    }

    pub(crate) fn len(&mut self, len: usize) {
        self.uint(u64::try_from(len).unwrap_or(u64::MAX));
    }

    pub(crate) fn float(&mut self, value: f32) {
        let bits = value.to_bits();
        self.is(bits != 0);
        self.bits(bits, if bits == 0 { 0 } else { 32 });
    }

    pub(crate) fn days(&mut self, days: Days) {
        let is_more = u64::from(days.0) >= MORE_DAYS;
        self.bits(if is_more { MORE_DAYS } else { days.0.into() }, DAYS_BITS);
        self.bits(days.0, if is_more { 16 } else { 0 });
    }

    /// Writes a table's value or its hash: the number of bytes, then one to four bytes.
    pub(crate) fn key(&mut self, key: u32) {
        let bytes = (32 - key.leading_zeros()).div_ceil(8).max(1);
        self.bits(bytes - 1, 2);
        self.bits(key, bytes * 8);
    }

    /// Writes a set of numbers below 64, usually few.
    pub(crate) fn set(&mut self, set: u64) {
        if set.count_ones() > FEW {
            self.bits(MANY, 4);
            return self.word64(set);
        }
        self.bits(set.count_ones(), 4);
        let mut left = set;
        while left > 0 {
            self.bits(left.trailing_zeros(), 6);
            left &= left - 1;
        }
    }

    /// Completes the last byte.
    pub(crate) fn end(mut self) -> Vec<u8> {
        let count = usize::try_from(self.filled.div_ceil(8)).unwrap_or(0);
        self.bytes.extend(self.open.to_le_bytes().into_iter().take(count));
        self.bytes
    }
}

const fn lowest(count: u32) -> u64 {
    (1 << count) - 1
}

/// Reads what a [`Writer`] wrote.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    open: u64,
    filled: u32,
    /// Whether values take only the bits they need, not whole bytes.
    pub(crate) is_packed: bool,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, open: 0, filled: 0, is_packed: true }
    }

    /// Returns whether nothing is left but padding of the last byte.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.rest.is_empty() && self.filled < 8 && self.open == 0
    }

    pub(crate) fn bits(&mut self, count: u32) -> Read<u64> {
        if self.filled < count {
            self.fill(count)?;
        }
        let value = self.open & lowest(count);
        self.open >>= count;
        self.filled -= count;
        Ok(value)
    }

    fn fill(&mut self, count: u32) -> Read<()> {
        if let Some((bytes, rest)) = self.rest.split_first_chunk() {
            self.open |= u64::from(u32::from_le_bytes(*bytes)) << self.filled;
            (self.rest, self.filled) = (rest, self.filled + 32);
        }
        while self.filled < count {
            let (byte, rest) = self.rest.split_first().ok_or(CodecError::Length)?;
            self.open |= u64::from(*byte) << self.filled;
            (self.rest, self.filled) = (rest, self.filled + 8);
        }
        Ok(())
    }

    /// Reads a boolean: a bit, or a byte that is not 0.
    pub(crate) fn is(&mut self) -> Read<bool> {
        Ok(self.bits(if self.is_packed { 1 } else { 8 })? != 0)
    }

    /// Reads up to eight bits.
    fn small(&mut self, count: u32) -> Read<u8> {
        let [low, ..] = self.bits(count)?.to_le_bytes();
        Ok(low)
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        self.small(8)
    }

    pub(crate) fn short(&mut self) -> Read<u16> {
        let [low, high, ..] = self.bits(16)?.to_le_bytes();
        Ok(u16::from_le_bytes([low, high]))
    }

    pub(crate) fn word(&mut self) -> Read<u32> {
        u32::try_from(self.bits(32)?).map_err(|_| CodecError::Value("integer"))
    }

    pub(crate) fn word64(&mut self) -> Read<u64> {
        Ok(self.bits(32)? | self.bits(32)? << 32)
    }

    pub(crate) fn uint<T: TryFrom<u64>>(&mut self) -> Read<T> {
        let value = if self.is_packed { self.nibbles() } else { self.varint() };
        T::try_from(value?).map_err(|_| CodecError::Value("integer"))
    }

    fn nibbles(&mut self) -> Read<u64> {
        let nibbles = u32::from(self.small(4)?);
        let count = if nibbles < 15 { nibbles * 4 } else { 64 };
        Ok(self.bits(count.min(32))? | self.bits(count.saturating_sub(32))? << 32)
    }

    /// Reads seven bits per byte, the lowest first.
    fn varint(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Value("integer"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Value("integer"))
    }

    pub(crate) fn from(&mut self, base: i64) -> Read<i64> {
        let zigzag: u64 = self.uint()?;
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        Ok(base.wrapping_add(difference))
    }

    pub(crate) fn len(&mut self, most: usize) -> Read<usize> {
        let len = self.uint()?;
        if len > most { Err(CodecError::Value("length")) } else { Ok(len) }
    }

    pub(crate) fn float(&mut self) -> Read<f32> {
        if self.is_packed && !self.is()? {
            return Ok(0.0);
        }
        let value = f32::from_bits(self.word()?);
        if value.is_finite() { Ok(value) } else { Err(CodecError::Value("number")) }
    }

    pub(crate) fn days(&mut self) -> Read<Days> {
        if !self.is_packed {
            return self.uint().map(Days);
        }
        let days = self.bits(DAYS_BITS)?;
        if days == MORE_DAYS {
            return self.short().map(Days);
        }
        u16::try_from(days).map(Days).map_err(|_| CodecError::Value("days"))
    }

    pub(crate) fn key(&mut self) -> Read<u32> {
        if !self.is_packed {
            return self.uint();
        }
        let bytes = u32::from(self.small(2)?) + 1;
        u32::try_from(self.bits(bytes * 8)?).map_err(|_| CodecError::Value("integer"))
    }

    pub(crate) fn set(&mut self) -> Read<u64> {
        let count = self.bits(4)?;
        if count == MANY {
            return self.word64();
        }
        let mut set = 0;
        for _ in 0..count {
            set |= 1 << self.bits(6)?;
        }
        Ok(set)
    }
}

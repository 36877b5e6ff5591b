//! The values that a profile's bytes consist of: varints, differences, floats (see `codec`).

/// Stored bytes that are no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end within a value, or go on after the last.
    #[error("profile has the wrong length")]
    Length,
    /// Written by a later version.
    #[error("profile has version {0}, newer than this program")]
    Version(u8),
    /// A value that no profile has.
    #[error("profile holds an impossible {0}")]
    Value(&'static str),
}

pub(super) type Read<T> = Result<T, CodecError>;

/// Writes values one after another.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn uint(&mut self, value: impl Into<u64>) {
        let mut value = value.into();
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.0.push(low & 0x7f);
            }
            self.0.push(low | 0x80);
        }
    }

    /// A difference, in wrapping arithmetic: any two values have one.
    pub(super) fn from(&mut self, base: i64, value: i64) {
        let difference = value.wrapping_sub(base);
        self.uint(((difference << 1) ^ (difference >> 63)).cast_unsigned());
    }

    pub(super) fn len(&mut self, len: usize) {
        self.uint(u64::try_from(len).unwrap_or(u64::MAX));
    }

    pub(super) fn float(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }
}

/// Reads what a [`Writer`] wrote.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn byte(&mut self) -> Read<u8> {
        let (first, rest) = self.0.split_first().ok_or(CodecError::Length)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn uint<T: TryFrom<u64>>(&mut self) -> Read<T> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Value("integer"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return T::try_from(value).map_err(|_| CodecError::Value("integer"));
            }
        }
        Err(CodecError::Value("integer"))
    }

    pub(super) fn from(&mut self, base: i64) -> Read<i64> {
        let zigzag: u64 = self.uint()?;
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        Ok(base.wrapping_add(difference))
    }

    pub(super) fn len(&mut self, most: usize) -> Read<usize> {
        let len = self.uint()?;
        if len > most { Err(CodecError::Value("length")) } else { Ok(len) }
    }

    pub(super) fn float(&mut self) -> Read<f32> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(CodecError::Length)?;
        self.0 = rest;
        let value = f32::from_le_bytes(*bytes);
        if value.is_finite() { Ok(value) } else { Err(CodecError::Value("number")) }
    }
}

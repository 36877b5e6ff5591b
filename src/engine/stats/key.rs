//! Numbers that stand for values in what is stored.

/// Returns the 32-bit key of a value: FNV-1a (64 bit) over its parts, folded. It is the same on every machine and in
/// every version, since profiles are stored with it.
#[must_use]
pub fn key(parts: &[&[u8]]) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = parts.iter().fold(OFFSET, |hash, part| {
        let hash = part.iter().fold(hash, |hash, byte| step(hash, *byte));
        step(hash, 0xff) // never in UTF-8 text: parts cannot run together
    });
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"ab"]), key(&[b"ab", b""]));
        assert_eq!(key(&[]), 0xcbf2_9ce4 ^ 0x8422_2325); // the offset, folded: profiles depend on it
    }
}

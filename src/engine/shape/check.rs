//! Properties of a token's characters: checksum, entropy, and how many bits they can have.

/// The alphabet of the base-62 digits in which GitHub and npm write the checksum.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number of trailing characters that are the checksum.
const DIGITS: usize = 6;

/// Returns whether the last six characters are the CRC-32 of the preceding ones in base 62, padded with `0`.
///
/// Source: GitHub's description of its token formats (2021); npm adopted the same format. The prefix is not part of
/// the sum.
pub(super) fn crc32_base62(body: &[u8]) -> bool {
    let Some(at) = body.len().checked_sub(DIGITS) else { return false };
    let Some((text, digits)) = body.split_at_checked(at) else { return false };
    base62(crc32(text)) == digits
}

fn base62(mut number: u32) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        let value = usize::try_from(number % 62).unwrap_or_default();
        *digit = BASE62.get(value).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

/// Returns the CRC-32 of ISO 3309 (as in zip), bit by bit: the input is only a few dozen bytes.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
    let add = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum));
    !bytes.iter().fold(!0, add)
}

/// Returns Shannon's entropy of the characters, in bits per character: 0 for one repeated character, `log2(n)` for
/// `n` distinct characters.
#[must_use]
pub fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = f64::from(counts.iter().sum::<u32>());
    let bits = |count: &u32| {
        let share = f64::from(*count) / total;
        -share * libm::log2(share)
    };
    counts.iter().filter(|count| **count != 0).map(bits).sum()
}

/// The classes of characters, as bits of a set, each with what it adds to an alphabet: digits, the letters of hex
/// digits, the other letters, both again in upper case, what base64 has besides, other ASCII, other bytes.
const SIZES: [u128; 8] = [10, 6, 20, 6, 20, 4, 29, 161];

/// Returns the most bits that a text can have if it is random, by its length and the classes of its characters,
/// rounded down; `None` if they are 128 or more.
#[must_use]
pub fn most_bits(text: &[u8]) -> Option<u8> {
    // Hex digits have four bits each. Nearly all tokens are that long, and this is asked of each line.
    if 32 <= text.len() && text.iter().any(u8::is_ascii_alphabetic) {
        return None;
    }
    let classes = text.iter().fold(0, |classes, byte| classes | classes_of(*byte));
    let is_among = |at: &usize| (classes >> at) & 1 == 1;
    let sizes = SIZES.iter().enumerate().filter(|(at, _)| is_among(at));
    let alphabet: u128 = sizes.map(|(_, size)| size).sum();
    let n_texts = alphabet.checked_pow(u32::try_from(text.len()).ok()?)?;
    u8::try_from(n_texts.checked_ilog2()?).ok()
}

/// Returns the classes of an alphabet that has this character: with letters up to `f`, that of hex digits at least.
const fn classes_of(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0b1,
        b'a'..=b'f' => 0b11,
        b'g'..=b'z' => 0b110,
        b'A'..=b'F' => 0b1001,
        b'G'..=b'Z' => 0b1_1000,
        b'-' | b'_' | b'+' | b'/' => 0b10_0000,
        0x20..0x7f => 0b110_0000,
        _ => 0b1000_0000,
    }
}

/// Returns whether a name or word looks like a secret rather than language: long, made of letters and digits, and of
/// high entropy.
#[must_use]
pub fn is_random(text: &[u8]) -> bool {
    const SHORTEST: usize = 16;
    const BITS: f64 = 3.0;
    SHORTEST <= text.len()
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
        && entropy(text) >= BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(&base62(0), b"000000");
        assert_eq!(&base62(u32::MAX), b"4gfFC3");
    }

    #[test]
    fn one_wrong_character_breaks_the_checksum() {
        let mut body = b"abcdefghijklmnopqrstuvwxyz0123".to_vec();
        body.extend(base62(crc32(&body)));
        assert!(crc32_base62(&body));
        body[0] = b'b';
        assert!(!crc32_base62(&body));
        assert!(!crc32_base62(b"abc"));
    }

    #[test]
    fn length_and_alphabet_bound_the_bits() {
        let cases: [(&str, Option<u8>); 13] = [
            ("", Some(0)),
            ("12345678", Some(26)),
            ("deadbeef", Some(32)),
            ("hunter2hunter2", Some(72)),
            ("correct horse", Some(79)),
            ("9f86d081884c7d659a2f", Some(80)),
            ("V1StGXR8Z5jdHi6BmyTq", Some(119)),
            ("V1StGXR8Z5jdHi6BmyTq7w", None),
            ("9f86d081884c7d659a2feaa0c55ad01", Some(124)),
            ("9f86d081884c7d659a2feaa0c55ad015", None),
            ("1b4e28ba-2fa1-41d2-883f-0016d3cca427", None),
            ("73625184950617283940516273849506172839", Some(126)),
            ("736251849506172839405162738495061728394", None),
        ];
        for (text, bits) in cases {
            assert_eq!(most_bits(text.as_bytes()), bits, "{text}");
        }
    }

    #[test]
    fn entropy_counts_bits_a_character() {
        assert!(entropy(b"").abs() < 1e-9);
        assert!(entropy(b"aaaa").abs() < 1e-9);
        assert!((entropy(b"abcdabcd") - 2.0).abs() < 1e-9);
        assert!((entropy(b"0123456789abcdef") - 4.0).abs() < 1e-9);
    }
}

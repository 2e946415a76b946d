//! Eight bytes at a time: short texts, looked through without a call for each.

/// The same byte eight times, as a factor.
pub const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub const HIGHS: u64 = 0x8080_8080_8080_8080;

const BLANKS: u64 = ONES * 0x20;

/// Goes through all bytes as words. The last word overlaps the one before; what is shorter than a word is
/// filled up, from bytes that may repeat and blanks.
pub fn fold<T>(bytes: &[u8], start: T, step: impl Fn(T, u64) -> T) -> T {
    let Some(last) = bytes.last_chunk::<8>() else { return step(start, short(bytes)) };
    let (chunks, rest) = bytes.as_chunks::<8>();
    let folded = chunks.iter().fold(start, |folded, chunk| step(folded, u64::from_le_bytes(*chunk)));
    if rest.is_empty() { folded } else { step(folded, u64::from_le_bytes(*last)) }
}

fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    match *bytes {
        [a] => BLANKS << 8 | u64::from(a),
        [a, b] => BLANKS << 16 | u64::from(b) << 8 | u64::from(a),
        [a, b, c] => BLANKS << 24 | u64::from(c) << 16 | u64::from(b) << 8 | u64::from(a),
        _ => BLANKS,
    }
}

/// Whether all bytes are printable ASCII.
pub fn printable(bytes: &[u8]) -> bool {
    // Taking a blank from a control character borrows, adding one to DEL carries: both reach the high bit,
    // and nothing else does that is below it.
    let marks = |word: u64| (word | word.wrapping_sub(BLANKS) | word.wrapping_add(ONES)) & HIGHS;
    fold(bytes, 0, |found, word| found | marks(word)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printable_is_what_it_says(text in "[ -~]{0,30}", other in prop::option::of(any::<u8>()), at in 0usize..30) {
            let mut bytes = text.into_bytes();
            if let Some(byte) = other {
                bytes.insert(at.min(bytes.len()), byte);
            }
            prop_assert_eq!(printable(&bytes), bytes.iter().all(|byte| (0x20..0x7f).contains(byte)));
        }

        #[test]
        fn every_byte_is_in_a_word(bytes in prop::collection::vec(any::<u8>(), 1..40), at in any::<prop::sample::Index>()) {
            let mut other = bytes.clone();
            other[at.index(bytes.len())] ^= 1;
            let words = |bytes: &[u8]| fold(bytes, Vec::new(), |mut words, word| { words.push(word); words });
            prop_assert_ne!(words(&bytes), words(&other));
        }
    }
}

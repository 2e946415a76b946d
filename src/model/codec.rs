//! Buckets as bytes: what the store keeps in its chunks and a published dataset carries.
//!
//! Variable-length integers (LEB128, zigzag where they may be negative) and strings with a length before
//! them. Sketch bins are written sparse, as differences. A chunk carries a checksum, so that a bit that a disk has
//! turned is not taken for a number. Decoding never trusts its input all the same: damaged bytes give `None`, never a
//! panic or an allocation that the input does not pay for.

use crate::model::bucket::Bucket;
use crate::model::notes::{Notes, Sample};
use crate::model::rollup::SeriesName;
use crate::model::sketch::{Bins, Sketch};

/// First byte of every encoded chunk; a change of layout gets a new one.
pub const VERSION: u8 = 3;

/// Appends a value to bytes.
pub trait Encode {
    fn encode(&self, out: &mut Vec<u8>);
}

/// Reads a value back; `None` where the bytes are damaged.
pub trait Decode: Sized {
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

/// Before the value of a chunk: the version, and the CRC-32 (IEEE 802.3) of what follows, little-endian.
const HEAD: usize = 5;

/// A value as one chunk.
pub fn to_bytes<T: Encode + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION, 0, 0, 0, 0];
    value.encode(&mut out);
    let sum = crc32fast::hash(&out[HEAD..]);
    out[1..HEAD].copy_from_slice(&sum.to_le_bytes());
    out.shrink_to_fit();
    out
}

/// A whole chunk back; `None` where it is damaged, of another version, or has bytes left over.
pub fn from_bytes<T: Decode>(bytes: &[u8]) -> Option<T> {
    let mut input = value_of(bytes)?;
    let value = T::decode(&mut input)?;
    input.is_empty().then_some(value)
}

/// Whether a chunk is of this version and its bytes are those that were written.
pub fn is_whole(bytes: &[u8]) -> bool {
    value_of(bytes).is_some()
}

/// What a chunk holds, still encoded; `None` where it is damaged or of another version.
pub fn value_of(bytes: &[u8]) -> Option<&[u8]> {
    let (head, value) = bytes.split_at_checked(HEAD)?;
    (head[0] == VERSION && head[1..] == crc32fast::hash(value).to_le_bytes()).then_some(value)
}

/// Appends bytes, such as a chunk, with their length before them.
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    (bytes.len() as u64).encode(out);
    out.extend_from_slice(bytes);
}

/// Takes what [`append`] put there first.
pub fn take_first<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u64::decode(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl Encode for u128 {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
}

impl Decode for u128 {
    fn decode(input: &mut &[u8]) -> Option<u128> {
        if let Some(short) = take_short(input) {
            return Some(short.into());
        }
        let mut value = 0u128;
        for shift in (0..128).step_by(7) {
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl Encode for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
}

impl Decode for u64 {
    #[inline]
    fn decode(input: &mut &[u8]) -> Option<u64> {
        // Most numbers in a chunk are a single byte.
        if let [byte @ ..0x80, rest @ ..] = *input {
            *input = rest;
            return Some(u64::from(*byte));
        }
        long_number(input)
    }
}

#[inline(never)]
fn long_number(input: &mut &[u8]) -> Option<u64> {
    u64::try_from(u128::decode(input)?).ok()
}

/// Takes a number of at most eight bytes, if the input has as many. How many it takes cannot be foretold, so its groups
/// of seven bits are moved together side by side, and no branch depends on it.
#[inline(always)]
fn take_short(input: &mut &[u8]) -> Option<u64> {
    let word = u64::from_le_bytes(*input.first_chunk()?);
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    *input = &input[ends.trailing_zeros() as usize / 8 + 1..];
    // Up to the first byte that ends a number.
    let sevens = word & (ends ^ (ends - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
    let fourteens = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let twenty_eights = fourteens & 0x3fff_0000_3fff | (fourteens & 0x3fff_0000_3fff_0000) >> 2;
    Some(twenty_eights & 0x0fff_ffff | twenty_eights >> 4 & 0x0fff_ffff << 28)
}

impl Encode for i128 {
    fn encode(&self, out: &mut Vec<u8>) {
        (((self << 1) ^ (self >> 127)) as u128).encode(out);
    }
}

impl Decode for i128 {
    fn decode(input: &mut &[u8]) -> Option<i128> {
        let zigzag = u128::decode(input)?;
        Some((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
    }
}

impl Encode for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        (((self << 1) ^ (self >> 63)) as u64).encode(out);
    }
}

impl Decode for i64 {
    fn decode(input: &mut &[u8]) -> Option<i64> {
        let zigzag = u64::decode(input)?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        append(out, self.as_bytes());
    }
}

impl Decode for String {
    fn decode(input: &mut &[u8]) -> Option<String> {
        String::from_utf8(take_first(input)?.to_vec()).ok()
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u64).encode(out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut &[u8]) -> Option<Vec<T>> {
        let length = u64::decode(input)?;
        // Every item takes a byte at least, so a length beyond the input is damage.
        (length <= input.len() as u64).then_some(())?;
        (0..length).map(|_| T::decode(input)).collect()
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut &[u8]) -> Option<(A, B)> {
        Some((A::decode(input)?, B::decode(input)?))
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        u64::from(self.is_some()).encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut &[u8]) -> Option<Option<T>> {
        match u64::decode(input)? {
            0 => Some(None),
            1 => Some(Some(T::decode(input)?)),
            _ => None,
        }
    }
}

impl Encode for Sketch {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count().encode(out);
        append(out, self.as_bytes());
    }
}

/// What a bucket holds besides counts of success: most hold few of these.
mod holds {
    pub const UNUSUAL: u64 = 1;
    pub const LATENCY: u64 = 2;
    pub const COST: u64 = 4;
    pub const TOKENS: u64 = 8;
}

impl Encode for Bucket {
    fn encode(&self, out: &mut Vec<u8>) {
        let flag = |present: bool, flag: u64| if present { flag } else { 0 };
        let unusual = self.fallback + self.error_count() > 0;
        let tokens = [self.prompt_tokens, self.completion_tokens, self.cached_tokens, self.total_tokens];
        let flags = flag(unusual, holds::UNUSUAL)
            | flag(!self.latency.is_empty(), holds::LATENCY)
            | flag(self.cost_count > 0, holds::COST)
            | flag(tokens != [0; 4], holds::TOKENS);
        flags.encode(out);
        self.success.encode(out);
        self.last_end_ms.encode(out);
        if unusual {
            for count in [self.fallback, self.error, self.timeout, self.cancelled] {
                count.encode(out);
            }
        }
        if flags & holds::LATENCY != 0 {
            self.latency.encode(out);
            self.duration_sum_ns.encode(out);
            self.duration_max_ns.encode(out);
        }
        if flags & holds::COST != 0 {
            self.cost_pico.encode(out);
            self.cost_count.encode(out);
        }
        if flags & holds::TOKENS != 0 {
            for count in tokens {
                count.encode(out);
            }
        }
    }
}

impl Decode for Bucket {
    fn decode(input: &mut &[u8]) -> Option<Bucket> {
        let (bucket, latency) = Bucket::decode_apart(input)?;
        Some(Bucket { latency: latency.sketch(), ..bucket })
    }
}

/// A sketch as it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoredSketch<'a> {
    count: u64,
    bytes: &'a [u8],
}

impl<'a> StoredSketch<'a> {
    fn decode(input: &mut &'a [u8]) -> Option<StoredSketch<'a>> {
        Some(StoredSketch { count: u64::decode(input)?, bytes: take_first(input)? })
    }

    pub fn sketch(self) -> Sketch {
        Sketch::stored(self.count, self.bytes)
    }

    pub fn bins(self) -> Bins<'a> {
        Bins::of(self.bytes)
    }
}

impl Bucket {
    /// A bucket without its latency, and that: for who adds it to others at once, and needs no copy of it.
    pub fn decode_apart<'a>(input: &mut &'a [u8]) -> Option<(Bucket, StoredSketch<'a>)> {
        let mut latency = StoredSketch::default();
        let flags = u64::decode(input)?;
        let success = u64::decode(input)?;
        let mut bucket = Bucket { success, last_end_ms: i64::decode(input)?, ..Bucket::default() };
        if flags & holds::UNUSUAL != 0 {
            bucket.fallback = u64::decode(input)?;
            bucket.error = u64::decode(input)?;
            bucket.timeout = u64::decode(input)?;
            bucket.cancelled = u64::decode(input)?;
        }
        if flags & holds::LATENCY != 0 {
            latency = StoredSketch::decode(input)?;
            bucket.duration_sum_ns = u128::decode(input)?;
            bucket.duration_max_ns = u64::decode(input)?;
        }
        if flags & holds::COST != 0 {
            bucket.cost_pico = i128::decode(input)?;
            bucket.cost_count = u64::decode(input)?;
        }
        if flags & holds::TOKENS != 0 {
            bucket.prompt_tokens = u64::decode(input)?;
            bucket.completion_tokens = u64::decode(input)?;
            bucket.cached_tokens = u64::decode(input)?;
            bucket.total_tokens = u64::decode(input)?;
        }
        Some((bucket, latency))
    }
}

impl Encode for SeriesName {
    fn encode(&self, out: &mut Vec<u8>) {
        self.operation_type.encode(out);
        self.model.encode(out);
    }
}

impl Decode for SeriesName {
    fn decode(input: &mut &[u8]) -> Option<SeriesName> {
        Some(SeriesName { operation_type: String::decode(input)?, model: String::decode(input)? })
    }
}

impl Encode for Sample {
    fn encode(&self, out: &mut Vec<u8>) {
        self.end_ms.encode(out);
        for text in [&self.id, &self.operation_type, &self.model, &self.outcome, &self.message] {
            text.encode(out);
        }
        self.duration_ns.encode(out);
    }
}

impl Decode for Sample {
    fn decode(input: &mut &[u8]) -> Option<Sample> {
        Some(Sample {
            end_ms: i64::decode(input)?,
            id: String::decode(input)?,
            operation_type: String::decode(input)?,
            model: String::decode(input)?,
            outcome: String::decode(input)?,
            message: String::decode(input)?,
            duration_ns: Option::decode(input)?,
        })
    }
}

impl Encode for Notes {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.errors.len() as u64).encode(out);
        for ((kind, hour), count) in &self.errors {
            kind.encode(out);
            hour.encode(out);
            count.encode(out);
        }
        (self.samples.len() as u64).encode(out);
        for (kind, samples) in &self.samples {
            kind.encode(out);
            samples.encode(out);
        }
        self.slowest.encode(out);
    }
}

impl Decode for Notes {
    fn decode(input: &mut &[u8]) -> Option<Notes> {
        let errors: Vec<(String, (i64, u64))> = Vec::decode(input)?;
        let samples: Vec<(String, Vec<Sample>)> = Vec::decode(input)?;
        Some(Notes {
            errors: errors.into_iter().map(|(kind, (hour, count))| ((kind, hour), count)).collect(),
            samples: samples.into_iter().collect(),
            slowest: Vec::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::operation::{Operation, Outcome, Tokens};
    use proptest::prelude::*;

    fn operation(seed: (u8, i64, Option<u64>, Option<i64>, u64)) -> Operation<'static> {
        let (kind, end_ms, duration_ns, cost, tokens) = seed;
        let outcomes =
            [Outcome::Success, Outcome::Fallback, Outcome::Error, Outcome::Timeout, Outcome::Cancelled];
        Operation {
            id: Some(format!("op-{end_ms}").into()),
            wrapper: "w".into(),
            operation_type: "chat".into(),
            model: "m".into(),
            outcome: outcomes[usize::from(kind % 5)],
            end_ms,
            duration_ns,
            error_code: None,
            error_message: Some(format!("fehler {kind} ü").into()),
            cost_pico: cost.map(i128::from),
            tokens: Tokens { prompt: tokens, total: tokens, ..Tokens::default() },
        }
    }

    proptest! {
        #[test]
        fn buckets_and_notes_come_back(
            seeds in prop::collection::vec(
                (any::<u8>(), 0i64..4_102_444_800_000, any::<Option<u64>>(), any::<Option<i64>>(), any::<u64>()),
                0..60,
            ),
        ) {
            let (mut bucket, mut notes) = (Bucket::default(), Notes::default());
            for seed in seeds {
                let operation = operation(seed);
                bucket.add(&operation);
                notes.add(&operation);
            }
            prop_assert_eq!(from_bytes::<Bucket>(&to_bytes(&bucket)), Some(bucket));
            prop_assert_eq!(from_bytes::<Notes>(&to_bytes(&notes)), Some(notes));
        }

        #[test]
        fn numbers_of_every_length_come_back(
            number in (any::<u128>(), 0u32..128).prop_map(|(number, shift)| number >> shift),
            more in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut bytes = Vec::new();
            number.encode(&mut bytes);
            bytes.extend(&more);
            let mut input = &bytes[..];
            prop_assert_eq!((u128::decode(&mut input), input), (Some(number), &more[..]));
            let (mut bytes, number) = (Vec::new(), number as u64);
            number.encode(&mut bytes);
            bytes.extend(&more);
            let mut input = &bytes[..];
            prop_assert_eq!((u64::decode(&mut input), input), (Some(number), &more[..]));
        }

        #[test]
        fn a_number_that_does_not_end_is_damage(bytes in prop::collection::vec(0x80u8.., 0..24)) {
            prop_assert_eq!(u64::decode(&mut &bytes[..]), None);
            prop_assert_eq!(u128::decode(&mut &bytes[..]), None);
        }

        #[test]
        fn a_turned_bit_is_damage(seeds in prop::collection::vec(any::<u64>(), 1..50), at in any::<prop::sample::Index>()) {
            let mut bytes = to_bytes(&seeds);
            let at = at.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(from_bytes::<Vec<u64>>(&bytes), None);
        }

        #[test]
        fn whatever_is_stored_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let chunk = to_bytes(&Raw(bytes));
            let _ = from_bytes::<Notes>(&chunk);
            let buckets = from_bytes::<Vec<Bucket>>(&chunk).unwrap_or_default();
            let sum = Bucket::sum(buckets.iter().chain(&buckets));
            let _ = (sum.percentiles_ms([0.5, 0.99]), sum.latency.bins().count());
        }
    }

    /// Bytes as they are.
    struct Raw(Vec<u8>);

    impl Encode for Raw {
        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0);
        }
    }
}

//! Plain values that every room shares: operations, sketches, buckets and roll-ups.
//!
//! Nothing here does I/O, reads a clock or knows how a value is stored or shown. All times are
//! milliseconds since the Unix epoch, UTC, unless a name says otherwise (`minute`, `hour` and `day`
//! count whole units since the epoch).
//!
//! To add a counter: a field in [`bucket::Bucket`], its line in `add` and in `merge`, and its place in
//! `codec.rs`.

pub mod accumulator;
pub mod bucket;
pub mod codec;
pub mod error_kind;
pub mod history;
pub mod names;
pub mod notes;
pub mod operation;
pub mod quality;
pub mod rollup;
pub mod sketch;
pub mod tens;
pub mod time;
pub mod parallel;

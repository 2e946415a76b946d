//! What the buckets mean: rolled-up operations and a moment go in, a [`snapshot::Snapshot`] comes out.
//!
//! Pure: no I/O, no clock, no settings but the slices handed in. Every number that dash shows anywhere is
//! computed here, once, so that a page, a chart, an export and an API answer cannot disagree.
//!
//! To add a figure: a field in [`figures::Figures`] (it then reaches rows, exports and the API), or in
//! [`snapshot::WrapperReport`] for a page alone.

pub mod activity;
pub mod breakdown;
pub mod facts;
pub mod figures;
pub mod health;
pub mod cells;
pub mod snapshot;
pub mod trend;
pub mod service;
pub mod window;

//! Everything that is tested at a boundary: one crate, one module a topic.

mod sources;
mod tidy;

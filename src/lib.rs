//! dash turns operation logs into a finished monitoring site, and serves it live.
//!
//! The rooms, in the order in which data flows through them; ARCHITECTURE.md has the picture.

pub mod model;
pub mod sources;
pub mod store;
pub mod analysis;
pub mod report;
pub mod publish;
pub mod archive;
pub mod send;
pub mod pipeline;
pub mod access;
pub mod serve;
pub mod sample;
pub mod config;
pub mod cli;

//! Everything that is tested at a boundary: one crate, one module a topic.

mod archive;
mod archive_diff;
mod archive_verify;
mod browser;
mod cli;
mod crash;
mod daemon;
mod export;
mod golden;
mod limits;
mod logrotate;
mod reach;
mod report;
mod rotate;
mod seeded;
mod serve;
mod service;
mod soak;
mod sources;
mod sources_quality;
mod sources_shapes;
mod tidy;
mod tools;

//! Tests at the boundaries: one crate, one module a topic.

mod report;
mod seeded;

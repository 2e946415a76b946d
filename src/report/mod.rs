//! How it looks: a snapshot becomes a [`site::Site`], paths and bytes, with nothing written yet.

pub mod dataset;
pub mod datasets;
pub mod export;
pub mod site;

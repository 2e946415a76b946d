//! What was built, sent elsewhere.
//!
//! [`mirror`] makes a [`Target`] hold what dash has in its output folder: only what changed is sent, in an order
//! in which the site at the target stays whole, and only what dash put there is removed. The target's [`ledger`]
//! tells what that is.
//!
//! A kept snapshot is also told: [`report`] reads it, [`letter`] and [`mail`] bring it to people, [`webhook`] to
//! programs.
//!
//! To add a kind of target: a file with an implementation of [`Target`], and its arm in [`settings`]. To add a way of
//! telling: a file with a function of a [`report`], and its flag of `dash snapshot`.

pub mod settings;
pub mod ledger;
pub mod local;
pub mod mirror;
pub mod folder;
pub mod bucket;
pub mod sign;
pub mod http;
pub mod report;
pub mod letter;
pub mod mail;
pub mod webhook;

use std::fmt::Debug;
use std::path::Path;

use anyhow::Result;

/// A place that holds files by path: plain ones of the site, and hidden ones that dash needs to keep it whole.
/// Errors name the file and the next step.
pub trait Target: Debug + Sync {
    /// As the user wrote it.
    fn name(&self) -> &str;

    /// Where it is on this machine, if it is.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// The file at a path; `None` where there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Which of these paths hold something.
    fn taken(&self, paths: &[&str]) -> Result<Vec<String>>;

    /// Puts a file in place, whole at any instant.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Brings a file to the target without anyone seeing it, to be put in place later.
    fn stage(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Puts a staged file in its place: quick, since its bytes are there already. Something may stay staged.
    fn place(&self, path: &str) -> Result<()>;

    /// Removes a file. Fine if there is none.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes what is staged for a path. Fine if there is nothing.
    fn unstage(&self, path: &str) -> Result<()>;
}

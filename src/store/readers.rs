//! Further connections to the store, to read on all cores: each is opened when it is first needed, and used again.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use rusqlite::Connection;

use crate::store::damage::{self, Damaged};
use crate::store::schema;

#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// A connection for one thread, or why there is none.
#[derive(Debug)]
pub struct Reader<'a> {
    readers: &'a Readers,
    /// `None` while it is being given back.
    connection: Option<Result<Connection>>,
}

impl Readers {
    pub fn of(path: &Path) -> Readers {
        Readers { path: path.to_owned(), idle: Mutex::default() }
    }

    pub fn reader(&self) -> Reader<'_> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| schema::open_to_read(&self.path), Ok);
        Reader { readers: self, connection: Some(connection) }
    }
}

impl Reader<'_> {
    pub fn connection(&self) -> Result<&Connection> {
        let path = self.readers.path.display();
        match self.connection.as_ref().expect("it is given back when the reader is dropped") {
            Ok(connection) => Ok(connection),
            Err(error) if damage::is_damage(error) => bail!(Damaged(format!("`{path}`"))),
            Err(error) => bail!("opening the store `{path}` to read: {error:#}"),
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(Ok(connection)) = self.connection.take() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

//! Kept snapshots, from the disk: there may be thousands, they are asked for seldom, and no manifest of the
//! site lists them.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::report::site::is_plain;
use crate::serve::answer::Request;
use crate::serve::files::{folder, prepare};

/// The archive's folder in the output folder, as it begins a path.
const ARCHIVE: &str = "archive/";

/// Larger files are not dash's.
const MOST_BYTES: u64 = 256 << 20;

/// What lies at a path of the archive.
enum Found {
    File { path: String, bytes: Vec<u8>, modified: Option<SystemTime> },
    Folder,
    Nothing,
}

/// Answers with a file of the archive; `None` where there is no such file. `tail` is the request's path below
/// the base path, still encoded, of the `full` one.
pub async fn get(full: &str, tail: &str, request: &Request) -> Option<Response> {
    let path = percent_decode_str(tail).decode_utf8().ok()?.trim_end_matches('/').to_owned();
    let below = path.starts_with(ARCHIVE) || path == ARCHIVE.trim_end_matches('/');
    if !below || !is_plain(&path) {
        return None;
    }
    let (output, slash) = (request.current.folder.clone(), full.ends_with('/'));
    let found = tokio::task::spawn_blocking(move || find(&output, path, slash)).await.ok()?;
    match found {
        Found::File { path, bytes, modified } => {
            let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
            let tag = format!("{:x}-{:x}", bytes.len(), since.unwrap_or_default().as_nanos());
            let make = {
                let name = path.trim_start_matches(ARCHIVE).to_owned();
                let tag = tag.clone();
                move || prepare(&name, bytes, &tag).modified(modified)
            };
            // Kept with the answers of the API, so that it is packed once.
            let prepared = request.current.answers.get(format!("{path} {tag}"), make).await.ok()?;
            Some(Arc::clone(&prepared).respond(request, StatusCode::OK).await)
        }
        Found::Folder => Some(folder(full)),
        Found::Nothing => None,
    }
}

/// Only what lies in the folder itself is found: a link, or a folder that is one, may lead anywhere.
fn find(output: &Path, path: String, slash: bool) -> Found {
    let at = output.join(&path);
    if !at.canonicalize().is_ok_and(|real| real == at) {
        return Found::Nothing;
    }
    match (at.is_dir(), slash) {
        (true, false) => Found::Folder,
        (true, true) => read(output, format!("{path}/index.html")).unwrap_or(Found::Nothing),
        (false, true) => Found::Nothing,
        (false, false) => read(output, path).unwrap_or(Found::Nothing),
    }
}

fn read(output: &Path, path: String) -> Option<Found> {
    let at = output.join(&path);
    if at.canonicalize().ok()? != at {
        return None;
    }
    let file = File::open(&at).ok()?;
    let metadata = file.metadata().ok().filter(|found| found.is_file() && found.len() <= MOST_BYTES)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(Found::File { path, bytes, modified: metadata.modified().ok() })
}

//! Kept snapshots, from the disk: there may be thousands, they are asked for seldom, and no manifest of the
//! site lists them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;
use warp::http::header::{ACCEPT_RANGES, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::report::site::is_plain;
use crate::serve::answer::Request;
use crate::serve::conditions::{Part, Verdict, part};
use crate::serve::files::{folder, label, prepare};

/// The archive's folder in the output folder, as it begins a path.
const ARCHIVE: &str = "archive/";

/// Larger files are sent from the disk, as they are; smaller ones are kept with the answers of the API, so that they
/// are read and packed once.
const SENT_FROM_BYTES: u64 = 4 << 20;
/// Bytes that are read at a time of these.
const PIECE_BYTES: u64 = 256 << 10;

/// What lies at a path of the archive.
enum Found {
    File(Kept),
    Folder,
    Nothing,
}

/// A file, and what tells this version of it from others.
struct Kept {
    path: String,
    file: File,
    length: u64,
    modified: Option<SystemTime>,
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
    match spawn_blocking(move || find(&output, path, slash)).await.ok()? {
        Found::File(kept) => kept.respond(request).await,
        Found::Folder => Some(folder(full)),
        Found::Nothing => None,
    }
}

impl Kept {
    async fn respond(self, request: &Request) -> Option<Response> {
        let since = self.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let tag = format!("{:x}-{:x}", self.length, since.unwrap_or_default().as_nanos());
        if self.length > SENT_FROM_BYTES {
            return Some(self.sent(request, &tag));
        }
        let question = format!("{} {tag}", self.path);
        let make = move || {
            let mut bytes = Vec::with_capacity(self.length as usize);
            (&self.file).take(self.length).read_to_end(&mut bytes).ok()?;
            Some(prepare(self.path.trim_start_matches(ARCHIVE), bytes, &tag, self.modified))
        };
        let prepared = request.current.answers.get(question, make).await.ok()?;
        Some(Arc::clone(&prepared).respond(request.wish(), StatusCode::OK).await)
    }

    /// The file, or what of it is asked for, read while it is sent.
    fn sent(self, request: &Request, tag: &str) -> Response {
        let label = label(self.path.trim_start_matches(ARCHIVE), tag, self.modified);
        let etag = label.etag("");
        let version = label.version(&etag);
        match version.verdict(&request.headers) {
            Verdict::Send => {}
            Verdict::NotModified => return label.bodiless(StatusCode::NOT_MODIFIED, &etag),
            Verdict::Failed => return label.bodiless(StatusCode::PRECONDITION_FAILED, &etag),
        }
        let wanted = match request.method == Method::GET {
            true => part(&request.headers, &version, self.length),
            false => Part::Whole,
        };
        let (mut head, range) = match wanted {
            Part::Whole => (label.head(StatusCode::OK, &etag, self.length), 0..self.length),
            Part::Range(range) => (label.partial(&range, self.length), range),
            Part::Nowhere => return label.no_such_part(self.length),
        };
        head.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if request.method == Method::GET {
            *head.body_mut() = pieces(self.file, range).into_body();
        }
        head
    }
}

/// A part of a file, piece by piece.
fn pieces(file: File, range: Range<u64>) -> Response {
    let pieces = stream::try_unfold((file, range), async |(file, range)| {
        if range.is_empty() {
            return Ok(None);
        }
        let read = move || {
            let wanted = (range.end - range.start).min(PIECE_BYTES);
            let mut bytes = vec![0; wanted as usize];
            (&file).seek(SeekFrom::Start(range.start))?;
            (&file).read_exact(&mut bytes)?;
            io::Result::Ok((Bytes::from(bytes), (file, range.start + wanted..range.end)))
        };
        spawn_blocking(read).await.map_err(io::Error::other)?.map(Some)
    });
    warp::reply::stream(pieces).into_response()
}

/// Only what lies in the folder itself is found: a link, or a folder that is one, may lead anywhere.
fn find(output: &Path, path: String, slash: bool) -> Found {
    let at = output.join(&path);
    if !at.canonicalize().is_ok_and(|real| real == at) {
        return Found::Nothing;
    }
    match (at.is_dir(), slash) {
        (true, false) => Found::Folder,
        (true, true) => open(output, format!("{path}/index.html")),
        (false, true) => Found::Nothing,
        (false, false) => open(output, path),
    }
}

fn open(output: &Path, path: String) -> Found {
    let open = || {
        let at = output.join(&path);
        let file = File::open(&at).ok().filter(|_| at.canonicalize().is_ok_and(|real| real == at))?;
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((file, metadata))
    };
    match open() {
        Some((file, metadata)) => {
            Found::File(Kept { path, file, length: metadata.len(), modified: metadata.modified().ok() })
        }
        None => Found::Nothing,
    }
}

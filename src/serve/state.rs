//! The snapshot in memory: files ready to be sent, facts ready to be asked, and what is new since the last.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::model::history::{History, WrapperId};
use crate::publish::manifest::{self, FileEntry, MANIFEST, Manifest};
use crate::publish::{SNAPSHOT_SCRIPT, sha256, snapshot_script};
use crate::report::dataset::{self, INDEX, history_path, read_history};
use crate::report::datasets::ACTIVITY;
use crate::report::site::is_plain;
use crate::serve::answers::Answers;
use crate::serve::files::{Files, prepare};
use crate::serve::hub::News;
use crate::serve::prepared::Prepared;

/// Digits of a file's hash that its entity tag shows.
const TAG_DIGITS: usize = 32;
/// Most bytes that are reserved for a file because a manifest says so.
const MOST_RESERVED: usize = 16 << 20;

/// One published snapshot, whole.
#[derive(Debug)]
pub struct Current {
    pub manifest: Manifest,
    /// The output folder, without links.
    pub folder: PathBuf,
    pub facts: Arc<Facts>,
    /// The entries of the published activity feed, newest first.
    pub activity: Vec<Value>,
    pub files: Files,
    /// What the live clients are told of it.
    pub news: News,
    pub answers: Answers,
}

impl Current {
    /// Loads what stands in `output`. Files that are the same in `before` are not read again.
    ///
    /// # Errors
    /// If there is no snapshot, or if a file is not the one that the manifest names: it is being replaced
    /// just now, or is damaged.
    pub fn load(output: &Path, before: Option<&Current>) -> Result<Current> {
        let Some(manifest) = manifest::read(output)? else {
            bail!("`{}` holds no snapshot; run `dash build` first", output.join(MANIFEST).display());
        };
        let folder = output.canonicalize().with_context(|| format!("finding `{}`", output.display()))?;
        let mut files = Files::default();
        for (path, entry) in &manifest.files {
            files.insert(path.clone(), file(&folder, path, entry, before)?);
        }
        let facts = Arc::new(facts(&manifest, &files, before)?);
        let activity = activity(&files);
        let told = serde_json::to_vec_pretty(&manifest)?;
        for (path, bytes) in [(MANIFEST, told), (SNAPSHOT_SCRIPT, snapshot_script(&manifest).into_bytes())] {
            let moment = u64::try_from(facts.moment_ms).map(Duration::from_millis).ok();
            let modified = moment.and_then(|moment| SystemTime::UNIX_EPOCH.checked_add(moment));
            let prepared = prepare(path, bytes, &manifest.id, modified);
            files.insert(path.to_owned(), Arc::new(prepared));
        }
        let news = News::new(&manifest, &facts, &activity, before);
        Ok(Current { manifest, folder, facts, activity, files, news, answers: Answers::default() })
    }
}

/// One file of the manifest, from the last snapshot or from the disk; `folder` is without links.
fn file(folder: &Path, path: &str, entry: &FileEntry, before: Option<&Current>) -> Result<Arc<Prepared>> {
    if let Some(before) = before
        && before.manifest.files.get(path) == Some(entry)
        && let Some(file) = before.files.get(path)
    {
        return Ok(Arc::clone(file));
    }
    if !is_plain(path) {
        bail!("`{MANIFEST}` lists `{path}`, which is not a path in its folder; build the site again");
    }
    let at = folder.join(path);
    let context = || format!("reading `{}`", at.display());
    // Only what lies in the folder itself is served: a link, or a folder that is one, may lead anywhere.
    if at.canonicalize().with_context(context)? != at {
        bail!("`{}` is reached by a link; put the file itself there", at.display());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or_default().min(MOST_RESERVED));
    let mut file = File::open(&at).with_context(context)?;
    (&mut file).take(entry.size.saturating_add(1)).read_to_end(&mut bytes).with_context(context)?;
    if bytes.len() as u64 != entry.size || sha256(&bytes) != entry.sha256 {
        bail!("`{}` is not what `{MANIFEST}` says; delete it and build the site again", at.display());
    }
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
    Ok(Arc::new(prepare(path, bytes, &entry.sha256[..TAG_DIGITS], modified)))
}

fn facts(manifest: &Manifest, files: &Files, before: Option<&Current>) -> Result<Facts> {
    let bytes = |path: &str| files.get(path).map(|file| file.bytes());
    let index = bytes(INDEX).ok_or_else(|| anyhow!("the site has no `{INDEX}`; build it again"))?;
    let index = dataset::read_index(index)?;
    let mut wrappers = Vec::with_capacity(index.wrappers.len());
    for id in index.wrappers {
        let path = history_path(&id.slug);
        let history = match known_history(&id, &path, manifest, before) {
            Some(history) => history,
            None => {
                let history = bytes(&path).and_then(|bytes| read_history(bytes));
                Arc::new(history.ok_or_else(|| anyhow!("`{path}` cannot be read; build the site again"))?)
            }
        };
        wrappers.push(WrapperFacts::whole(id, history));
    }
    Ok(Facts {
        moment_ms: index.moment_ms,
        settings: index.settings,
        wrappers,
        in_flight: index.in_flight,
        // Which only pages show.
        sources: Vec::new(),
        files: Vec::new(),
        reached: Default::default(),
        set_aside: Vec::new(),
    })
}

/// The buckets of a wrapper whose file has not changed.
fn known_history(
    id: &WrapperId,
    path: &str,
    manifest: &Manifest,
    before: Option<&Current>,
) -> Option<Arc<History>> {
    let before = before?;
    let same = before.manifest.files.get(path)? == manifest.files.get(path)?;
    let known = before.facts.wrapper(&id.name).filter(|known| same && known.id == *id)?;
    Some(Arc::clone(&known.history))
}

/// The published feed; empty where the site has none.
fn activity(files: &Files) -> Vec<Value> {
    let answer = files.get(ACTIVITY).and_then(|file| serde_json::from_slice::<Value>(file.bytes()).ok());
    match answer.and_then(|mut answer| answer.get_mut("data").map(Value::take)) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

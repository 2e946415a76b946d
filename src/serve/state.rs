//! The snapshot in memory: files ready to be sent, facts ready to be asked, and what is new since the last.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::model::history::{History, WrapperId};
use crate::publish::manifest::{self, FileEntry, MANIFEST, Manifest};
use crate::publish::{SNAPSHOT_SCRIPT, sha256, snapshot_script};
use crate::report::dataset::{self, INDEX, history_path, read_history};
use crate::report::datasets::ACTIVITY;
use crate::report::site::is_plain;
use crate::serve::answer::Prepared;
use crate::serve::files::{Files, prepare};
use crate::serve::hub::News;

/// Most answers kept of one snapshot, and most bytes in them.
const KEPT_ANSWERS: usize = 1024;
const KEPT_BYTES: usize = 64 << 20;

/// One published snapshot, whole.
#[derive(Debug)]
pub struct Current {
    pub manifest: Manifest,
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
        let mut files = Files::new();
        for (path, entry) in &manifest.files {
            files.insert(path.clone(), file(output, path, entry, before)?);
        }
        let facts = Arc::new(facts(&manifest, &files, before)?);
        let activity = activity(&files);
        let told = serde_json::to_vec_pretty(&manifest)?;
        for (path, bytes) in [(MANIFEST, told), (SNAPSHOT_SCRIPT, snapshot_script(&manifest).into_bytes())] {
            files.insert(path.to_owned(), Arc::new(prepare(path, bytes, &manifest.id)));
        }
        let news = News::new(&manifest, &facts, &activity, before);
        Ok(Current { manifest, facts, activity, files, news, answers: Answers::default() })
    }
}

/// One file of the manifest, from the last snapshot or from the disk.
fn file(output: &Path, path: &str, entry: &FileEntry, before: Option<&Current>) -> Result<Arc<Prepared>> {
    if let Some(before) = before
        && before.manifest.files.get(path) == Some(entry)
        && let Some(file) = before.files.get(path)
    {
        return Ok(Arc::clone(file));
    }
    if !is_plain(path) {
        bail!("`{MANIFEST}` lists `{path}`, which is not a path in its folder; build the site again");
    }
    let at = output.join(path);
    let bytes = fs::read(&at).with_context(|| format!("reading `{}`", at.display()))?;
    if bytes.len() as u64 != entry.size || sha256(&bytes) != entry.sha256 {
        bail!("`{}` is not what `{MANIFEST}` says; delete it and build the site again", at.display());
    }
    Ok(Arc::new(prepare(path, bytes, &entry.sha256)))
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
        wrappers.push(WrapperFacts { id, history, detailed: true });
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

/// Answers of one snapshot that were worked out already, by question.
#[derive(Debug, Default)]
pub struct Answers {
    kept: Mutex<(HashMap<String, Arc<Prepared>>, usize)>,
}

impl Answers {
    pub fn get(&self, question: &str) -> Option<Arc<Prepared>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.get(question).cloned()
    }

    /// Keeps an answer. When there are too many, all are forgotten: they cost little to work out again.
    pub fn keep(&self, question: String, answer: Arc<Prepared>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (answers, bytes) = &mut *kept;
        if answers.len() >= KEPT_ANSWERS || *bytes + answer.bytes().len() > KEPT_BYTES {
            answers.clear();
            *bytes = 0;
        }
        *bytes += answer.bytes().len();
        answers.insert(question, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_answers_are_bounded() {
        let answers = Answers::default();
        for at in 0..3 * KEPT_ANSWERS {
            answers.keep(at.to_string(), Arc::new(Prepared::new(vec![0], "text/plain", "x")));
        }
        assert!(answers.kept.lock().expect("no panic").0.len() <= KEPT_ANSWERS);
        assert!(answers.get(&(3 * KEPT_ANSWERS - 1).to_string()).is_some());
        let large = Arc::new(Prepared::new(vec![0; KEPT_BYTES], "text/plain", "x"));
        answers.keep("large".to_owned(), large);
        assert_eq!(answers.kept.lock().expect("no panic").0.len(), 1);
    }
}

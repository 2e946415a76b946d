//! What a new snapshot means to those who watch: each frame made once, for all of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::analysis::facts::Facts;
use crate::model::time::rfc3339;
use crate::publish::manifest::Manifest;
use crate::report::datasets::{system_health, wrappers_health};
use crate::serve::state::Current;

/// The subscription to every wrapper.
pub const ALL: &str = "all";

/// One snapshot's news since the one before it, as frames.
#[derive(Debug)]
pub struct News {
    /// The snapshot that these are the news since.
    since: Option<String>,
    /// `refresh` with the pages that changed since, and with all pages.
    refresh: Utf8Bytes,
    refresh_all: Utf8Bytes,
    /// `metrics_broadcast`.
    pub broadcast: Utf8Bytes,
    /// `activity`, where there are new entries.
    pub activity: Option<Utf8Bytes>,
    wrappers: BTreeMap<String, Update>,
    all: Update,
}

/// What subscribers of one wrapper are told.
#[derive(Debug)]
pub struct Update {
    /// `metrics_update`.
    pub frame: Utf8Bytes,
    /// Whether it differs from that of the snapshot before.
    pub changed: bool,
    data: String,
}

impl News {
    pub fn new(manifest: &Manifest, facts: &Facts, activity: &[Value], before: Option<&Current>) -> News {
        let timestamp = rfc3339(facts.moment_ms);
        let known = before.map(|before| &before.news);
        let health = wrappers_health(facts, None);
        let wrappers = health.iter().map(|(name, data)| {
            let known = known.and_then(|known| known.wrappers.get(name));
            (name.clone(), Update::new(name, data, &timestamp, known))
        });
        let wrappers = wrappers.collect();
        let system = system_health(facts, None);
        let broadcast =
            json!({"event": "metrics_broadcast", "system_health": system, "timestamp": timestamp});
        let entries = before.map_or(Vec::new(), |before| new_entries(activity, &before.activity));
        let told =
            || json!({"event": "activity", "entries": entries, "timestamp": timestamp}).to_string().into();
        let changed = before.map_or(manifest.changed.clone(), |before| differing(manifest, &before.manifest));
        let pages = manifest.files.keys().filter(|path| is_page(path)).cloned().collect();
        News {
            since: before.map_or(manifest.previous.clone(), |before| Some(before.manifest.id.clone())),
            refresh: refresh(manifest, changed),
            refresh_all: refresh(manifest, pages),
            broadcast: broadcast.to_string().into(),
            activity: (!entries.is_empty()).then(told),
            wrappers,
            all: Update::new(ALL, &Value::Object(health), &timestamp, known.map(|known| &known.all)),
        }
    }

    /// `refresh` for someone who has the snapshot `known`: where it is not known what changed since, all
    /// pages may have.
    pub fn refresh(&self, known: Option<&str>) -> &Utf8Bytes {
        if self.follows(known) { &self.refresh } else { &self.refresh_all }
    }

    /// Whether these are the news for someone who has the snapshot `known`, with none missed between.
    pub fn follows(&self, known: Option<&str>) -> bool {
        known.is_some() && known == self.since.as_deref()
    }

    /// What a subscription gives; `None` where there is no such wrapper.
    pub fn update(&self, wrapper: &str) -> Option<&Update> {
        if wrapper == ALL { Some(&self.all) } else { self.wrappers.get(wrapper) }
    }
}

impl Update {
    fn new(name: &str, data: &Value, timestamp: &str, known: Option<&Update>) -> Update {
        let data = data.to_string();
        let name = Value::from(name);
        let frame = format!(
            r#"{{"event":"metrics_update","wrapper":{name},"data":{data},"timestamp":"{timestamp}"}}"#
        );
        Update { frame: frame.into(), changed: known.is_none_or(|known| known.data != data), data }
    }
}

fn refresh(manifest: &Manifest, changed: Vec<String>) -> Utf8Bytes {
    json!({
        "event": "refresh",
        "snapshot": manifest.id,
        "generated_at": manifest.generated_at,
        "changed": changed,
    })
    .to_string()
    .into()
}

fn is_page(path: &str) -> bool {
    path.ends_with(".html")
}

/// Pages that are not the same in both.
fn differing(now: &Manifest, before: &Manifest) -> Vec<String> {
    let paths = now.files.keys().chain(before.files.keys().filter(|path| !now.files.contains_key(*path)));
    let mut pages: Vec<_> = paths
        .filter(|path| is_page(path) && now.files.get(*path) != before.files.get(*path))
        .cloned()
        .collect();
    pages.sort();
    pages
}

/// Entries that were not there before, or stand for more operations now.
fn new_entries<'a>(now: &'a [Value], before: &[Value]) -> Vec<&'a Value> {
    let key = |entry: &Value| (entry["id"].to_string(), entry["count"].to_string());
    let known: std::collections::HashSet<_> = before.iter().map(key).collect();
    now.iter().filter(|entry| !known.contains(&key(entry))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_news_by_id_and_count() {
        let entry = |id: &str, count: u64| json!({"id": id, "count": count});
        let before = [entry("a", 1), entry("b", 1), entry("gone", 1)];
        let now = [entry("c", 1), entry("b", 2), entry("a", 1)];
        assert_eq!(new_entries(&now, &before), [&now[0], &now[1]]);
    }
}

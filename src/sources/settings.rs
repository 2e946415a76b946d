//! `[[source]]` of `dash.toml`: where the logs lie and how to read them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::sources::content::hash;
use crate::sources::layout::native_names;

/// One `[[source]]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// What pages call it; its path where missing.
    pub name: Option<String>,
    /// A file, a folder (all logs in it and below) or a glob, relative to the site's folder.
    pub path: String,
    #[serde(default)]
    pub format: Format,
    /// Native field → the column or JSON key that holds it; a dotted path reaches into nested objects.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Native field → its value where a record has none.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    /// Whether it is fine that nothing matches the path.
    #[serde(default)]
    pub optional: bool,
    /// What an export of its operations shows although it is private.
    #[serde(default)]
    pub reveal: Vec<Private>,
}

/// Native fields that no page shows, and no export unless their source reveals them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    UserId,
    SessionId,
    RequestId,
}

impl Private {
    pub const ALL: [Private; 3] = [Private::UserId, Private::SessionId, Private::RequestId];

    /// The name of the field.
    pub fn name(self) -> &'static str {
        match self {
            Private::UserId => "user_id",
            Private::SessionId => "session_id",
            Private::RequestId => "request_id",
        }
    }
}

/// How the records of a source are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// By the file's extension, else by its first bytes.
    #[default]
    Auto,
    /// One JSON object a line, or an array of them.
    Jsonl,
    /// A header and one row a record.
    Csv,
}

impl SourceSettings {
    /// The name that pages and the ledger use.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.path)
    }

    /// Names what its records are read by: a change of it gives the same lines another meaning.
    pub fn mapping(&self) -> String {
        hash(format!("{:?}", (self.format, &self.fields, &self.defaults)).as_bytes())
    }

    /// The folder or file in which a change may mean new operations: the path itself, or for a glob the nearest
    /// folder above that has no wildcard in its name.
    pub fn watched(&self, root: &Path) -> PathBuf {
        let path = root.join(&self.path);
        let plain = |path: &&Path| !path.to_string_lossy().contains(['*', '?', '[']);
        if path.exists() {
            return path;
        }
        path.ancestors().find(plain).unwrap_or(root).to_owned()
    }
}

/// Refuses what serde cannot see: unknown native names, empty paths, two sources of one name.
pub fn validate(sources: &[SourceSettings]) -> Result<(), String> {
    let mut titles = BTreeSet::new();
    for source in sources {
        let title = source.title();
        if source.path.is_empty() {
            return Err(format!("source `{title}` has an empty `path`; name a file, a folder or a glob"));
        }
        if !titles.insert(title) {
            return Err(format!("two sources are called `{title}`; give each its own `name`"));
        }
        for (table, names) in [("fields", &source.fields), ("defaults", &source.defaults)] {
            names.keys().try_for_each(|name| known(name, table, title))?;
        }
    }
    Ok(())
}

fn known(name: &str, table: &str, title: &str) -> Result<(), String> {
    if native_names().any(|native| native == name) {
        return Ok(());
    }
    let nearest = native_names()
        .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
        .expect("there are native names");
    Err(format!(
        "`{name}` in `{table}` of source `{title}` is no field of a record; did you mean `{nearest}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceSettings {
        toml::from_str(text).expect("valid settings")
    }

    #[test]
    fn a_path_is_enough() {
        let source = source("path = 'logs'");
        assert_eq!(source.title(), "logs");
        assert_eq!(source.format, Format::Auto);
        assert_eq!(validate(&[source]), Ok(()));
    }

    #[test]
    fn a_glob_is_watched_from_above_its_wildcards() {
        let watched = |path: &str| source(&format!("path = '{path}'")).watched(Path::new("/site"));
        assert_eq!(watched("logs/*/a?.jsonl"), Path::new("/site/logs"));
        assert_eq!(watched("/var/log/app.log"), Path::new("/var/log/app.log"));
        assert_eq!(watched("*.csv"), Path::new("/site"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<SourceSettings>("path = 'a'\nfolder = 'b'").is_err());
    }

    #[test]
    fn unknown_native_names_are_refused_with_the_nearest() {
        for table in ["fields", "defaults"] {
            let source = source(&format!("path = 'a'\n[{table}]\nwraper = 'svc'"));
            let message = validate(&[source]).expect_err("`wraper` is unknown");
            assert!(message.contains("did you mean `wrapper_name`"), "{message}");
        }
    }

    #[test]
    fn names_are_unique() {
        let twice = [source("path = 'a'\nname = 'x'"), source("path = 'b'\nname = 'x'")];
        assert!(validate(&twice).expect_err("same name").contains("`x`"));
    }
}

//! What wrappers report to the daemon: a folder of the site that is a source without being named as one.

use std::path::Path;

use crate::sources::json;
use crate::sources::layout::Layout;
use crate::sources::record::interpret;
use crate::sources::settings::{Format, SourceSettings};

/// The folder, in the site's.
pub const FOLDER: &str = "inbox";

/// The source that the folder is; `None` where there is no folder, or the settings name it themselves.
pub fn source(root: &Path, named: &[SourceSettings]) -> Option<SourceSettings> {
    let known = |source: &SourceSettings| source.title() == FOLDER || source.path.trim_matches('/') == FOLDER;
    (root.join(FOLDER).is_dir() && !named.iter().any(known)).then(|| SourceSettings {
        path: FOLDER.to_owned(),
        format: Format::Jsonl,
        optional: true,
        ..SourceSettings::default()
    })
}

/// Tells records that will be read from those that would be skipped.
#[derive(Debug)]
pub struct Check(Layout);

impl Default for Check {
    fn default() -> Check {
        Check(Layout::new(&SourceSettings::default()))
    }
}

impl Check {
    /// Whether this JSON object is a record.
    ///
    /// # Errors
    /// If it is none: why, as the data-quality page would say it.
    pub fn record(&self, object: &str) -> Result<(), String> {
        let read = json::parse(object, &self.0.root).and_then(|raw| interpret(&raw).map(|_| ()));
        read.map_err(|fault| format!("{} {}", fault.reason, fault.example).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_skipped_is_told() {
        let check = Check::default();
        assert_eq!(check.record(r#"{"wrapper_name":"a","end_time":"2026-01-25T12:00:00Z"}"#), Ok(()));
        for (object, reason) in [
            (r#"{"end_time":"2026-01-25T12:00:00Z"}"#, "`wrapper_name` is missing"),
            (r#"{"wrapper_name":"a"}"#, "time"),
            ("[]", "not a JSON object"),
            ("{", "ends early"),
        ] {
            let said = check.record(object).expect_err(object);
            assert!(said.contains(reason), "{object}: {said}");
        }
    }

    #[test]
    fn the_folder_is_a_source_where_it_is() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(source(root.path(), &[]), None);
        std::fs::create_dir(root.path().join(FOLDER)).expect("free");
        let found = source(root.path(), &[]).expect("it is there");
        assert_eq!(source(root.path(), &[found]), None, "it is not named twice");
    }
}

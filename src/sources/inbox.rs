//! What wrappers report to the daemon: a folder of the site that is a source without being named as one.

use std::iter;
use std::path::Path;

use crate::sources::json;
use crate::sources::layout::Layout;
use crate::sources::record::interpret;
use crate::sources::settings::{Format, SourceSettings};

/// The folder, in the site's.
pub const FOLDER: &str = "inbox";

/// The source that the folder is; `None` where there is no folder, or the settings name it themselves. It is
/// called after its folder, with a number where another source is called so.
pub fn source(root: &Path, named: &[SourceSettings]) -> Option<SourceSettings> {
    let folder = root.join(FOLDER);
    if !folder.is_dir() || named.iter().any(|source| root.join(&source.path) == folder) {
        return None;
    }
    let mut names = iter::once(FOLDER.to_owned()).chain((2..).map(|number| format!("{FOLDER} {number}")));
    let free = |name: &String| named.iter().all(|source| source.title() != name);
    Some(SourceSettings {
        name: names.find(free),
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

    #[test]
    fn only_a_source_of_its_path_stands_for_the_folder() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join(FOLDER)).expect("free");
        let named = |name: Option<&str>, path: &str| SourceSettings {
            name: name.map(str::to_owned),
            path: path.to_owned(),
            ..SourceSettings::default()
        };
        let absolute = root.path().join(FOLDER).display().to_string();
        for path in ["inbox", "inbox/", "./inbox", absolute.as_str()] {
            assert_eq!(source(root.path(), &[named(Some("reports"), path)]), None, "{path}");
        }
        let others = [named(Some("inbox"), "logs"), named(None, "inbox 2")];
        for (others, title) in [(&others[..0], "inbox"), (&others[..1], "inbox 2"), (&others[..], "inbox 3")]
        {
            let found = source(root.path(), others).expect("its path is not named");
            assert_eq!((found.title(), found.path.as_str()), (title, FOLDER));
        }
    }
}

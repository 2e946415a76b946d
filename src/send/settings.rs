//! `[publish]` of `dash.toml`: where `dash publish` sends the site. Credentials are never among the settings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::send::Target;
use crate::send::bucket::{Bucket, Place};
use crate::send::folder::Folder;
use crate::send::http::Address;
use crate::send::sign::Keys;

/// `[publish]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublishSettings {
    /// A folder, or `s3://bucket/prefix`.
    pub target: Option<String>,
    /// Of an S3-compatible server; that of AWS in the region without it.
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

/// Where the region is none of the server's business.
const REGION: &str = "us-east-1";

impl PublishSettings {
    /// What is not as it should be, as a sentence that names the key.
    pub fn problem(&self) -> Option<String> {
        let problem = |(key, result): (&str, Result<()>)| Some(format!("`{key}`: {:#}", result.err()?));
        let target = self.target.as_deref().map_or(Ok(()), |target| parse(target).map(drop));
        let endpoint = self.endpoint.as_deref().map_or(Ok(()), |url| Address::parse(url).map(drop));
        [("target", target), ("endpoint", endpoint)].into_iter().find_map(problem)
    }
}

/// What a target is called.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Folder(PathBuf),
    Bucket { bucket: String, prefix: String },
}

fn parse(target: &str) -> Result<Kind> {
    if let Some(path) = target.strip_prefix("file://") {
        return Ok(Kind::Folder(PathBuf::from(path)));
    }
    let Some(rest) = target.strip_prefix("s3://") else {
        if target.is_empty() || target.contains("://") {
            bail!("`{target}` is neither a folder nor `s3://bucket/prefix`");
        }
        return Ok(Kind::Folder(PathBuf::from(target)));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if bucket.is_empty() || !bucket.chars().all(named) {
        bail!("`{target}` does not name a bucket; write it as `s3://bucket/prefix`");
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix
        .split('/')
        .any(|segment| matches!(segment, "." | "..") || (segment.is_empty() && !prefix.is_empty()))
    {
        bail!("`{target}` has a prefix that hosts would read as another; write it as `s3://bucket/prefix`");
    }
    Ok(Kind::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

/// What opening a target needs from outside.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// Relative folders start here.
    pub root: &'a Path,
    /// Asks the environment for a variable.
    pub variable: fn(&str) -> Option<String>,
    pub moment_ms: i64,
}

/// The target of these settings. The environment may say what they do not: `AWS_ENDPOINT_URL`, `AWS_REGION`.
///
/// # Errors
/// If they name none, or if something that it needs is missing: says what.
pub fn open(settings: &PublishSettings, outside: &Outside) -> Result<Box<dyn Target>> {
    let none =
        "there is no target; name a folder or `s3://bucket/prefix`, here or as `target` in `[publish]`";
    let target = settings.target.as_deref().context(none)?;
    match parse(target)? {
        Kind::Folder(path) => Ok(Box::new(Folder::new(target, &outside.root.join(path)))),
        Kind::Bucket { bucket, prefix } => {
            let said = |names: [&str; 2]| {
                names.into_iter().filter_map(outside.variable).find(|value| !value.is_empty())
            };
            let region = settings.region.clone().or_else(|| said(["AWS_REGION", "AWS_DEFAULT_REGION"]));
            let region = region.unwrap_or_else(|| REGION.to_owned());
            let endpoint = settings.endpoint.clone();
            let endpoint = endpoint.or_else(|| said(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
            let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
            let endpoint = Address::parse(&endpoint).context("reading `endpoint`")?;
            let place = Place { name: target.to_owned(), endpoint, bucket, prefix, region };
            Ok(Box::new(Bucket::new(place, Keys::from(outside.variable)?, outside.moment_ms)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_folders_or_buckets() {
        let bucket = |bucket: &str, prefix: &str| {
            Some(Kind::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
        };
        let table = [
            ("/srv/www", Some(Kind::Folder("/srv/www".into()))),
            ("file:///srv/www", Some(Kind::Folder("/srv/www".into()))),
            ("s3://site", bucket("site", "")),
            ("s3://site/", bucket("site", "")),
            ("s3://my.site/team/dash/", bucket("my.site", "team/dash")),
            ("s3://", None),
            ("s3://site/../other", None),
            ("s3://site//x", None),
            ("s3://si te", None),
            ("ftp://site", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn problems_name_their_key() {
        let settings = PublishSettings { endpoint: Some("minio".to_owned()), ..PublishSettings::default() };
        let problem = settings.problem().expect("it has no scheme");
        assert!(problem.contains("`endpoint`") && problem.contains("`https://`"), "{problem}");
        assert_eq!(PublishSettings::default().problem(), None);
    }
}

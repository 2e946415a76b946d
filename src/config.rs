//! `dash.toml`: assembled from each room's own settings. Unknown keys are refused, with the nearest known one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use toml::Table;

use crate::analysis::facts::Settings;
use crate::analysis::health::{HealthSettings, Preset};
use crate::analysis::service::ServiceSettings;
use crate::archive::settings::ArchiveSettings;
use crate::publish::sha256;
use crate::report::SiteSettings;
use crate::send::mail::MailSettings;
use crate::send::settings::PublishSettings;
use crate::serve::ServeSettings;
use crate::sources::inbox;
use crate::sources::settings::{SourceSettings, validate};
use crate::store::settings::StoreSettings;

/// The file's name in a site's folder.
pub const FILE: &str = "dash.toml";

/// Where logs are looked for when `dash.toml` names no source.
pub const DEFAULT_LOGS: &str = "content/operations";

/// A site's folder and everything its `dash.toml` says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that holds `dash.toml`; relative paths start here.
    pub root: PathBuf,
    pub site: SiteSettings,
    pub analysis: Settings,
    pub store: StoreSettings,
    pub archive: ArchiveSettings,
    pub service: ServiceSettings,
    pub publish: PublishSettings,
    pub mail: MailSettings,
    pub serve: ServeSettings,
    pub sources: Vec<SourceSettings>,
    /// SHA-256 of the file.
    pub hash: String,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    site: SiteSettings,
    health: Table,
    activity: Activity,
    store: StoreSettings,
    archive: ArchiveSettings,
    service: ServiceSettings,
    publish: PublishSettings,
    mail: MailSettings,
    serve: ServeSettings,
    source: Vec<SourceSettings>,
}

/// `[activity]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Activity {
    quiet_after_minutes: u32,
}

impl Default for Activity {
    fn default() -> Activity {
        Activity { quiet_after_minutes: 60 }
    }
}

/// Reads a site's `dash.toml`.
///
/// # Errors
/// If it is not there, or is not valid: with the line, the key and what to do.
pub fn read(path: &Path) -> Result<Config> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "there is no `{}`; run `dash init` for a new site, or name one with `--config`",
            path.display()
        ),
        _ => anyhow!(error).context(format!("reading `{}`", path.display())),
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(&text, folder).with_context(|| format!("reading `{}`", path.display()))
}

fn parse(text: &str, root: &Path) -> Result<Config> {
    let file: File = toml::from_str(text).map_err(|error| explained(&error))?;
    let health = health(file.health).context("in `[health]`")?;
    if let Some(problem) = health.problem() {
        bail!("in `[health]`: {problem}");
    }
    validate(&file.source).map_err(anyhow::Error::msg)?;
    let scheme = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if let Some(url) = file.site.base_url.as_ref().filter(|url| !scheme(url)) {
        bail!("in `[site]`: `base_url = \"{url}\"` does not begin with `http://` or `https://`");
    }
    file.store.validate().map_err(|problem| anyhow!("in `[store]`: {problem}"))?;
    if let Some(problem) = file.service.problem() {
        bail!("in `[service]`: {problem}");
    }
    if let Some(problem) = file.archive.problem() {
        bail!("in `[archive]`: {problem}");
    }
    if let Some(problem) = file.publish.problem() {
        bail!("in `[publish]`: {problem}");
    }
    if let Some(problem) = file.mail.problem() {
        bail!("in `[mail]`: {problem}");
    }
    if let Some(problem) = file.serve.problem() {
        bail!("in `[serve]`: {problem}");
    }
    if !(1..=525_600).contains(&file.activity.quiet_after_minutes) {
        bail!("in `[activity]`: `quiet_after_minutes` is not between 1 and 525600");
    }
    let logs = SourceSettings { path: DEFAULT_LOGS.to_owned(), optional: true, ..SourceSettings::default() };
    let mut sources = if file.source.is_empty() { vec![logs] } else { file.source };
    sources.extend(inbox::source(root, &sources));
    Ok(Config {
        root: root.to_owned(),
        site: file.site,
        analysis: Settings { health, quiet_after_minutes: file.activity.quiet_after_minutes },
        store: file.store,
        archive: file.archive,
        service: file.service,
        publish: file.publish,
        mail: file.mail,
        serve: file.serve,
        hash: sha256(text.as_bytes()),
        sources,
    })
}

/// The preset's settings with what the table says laid over them.
fn health(table: Table) -> Result<HealthSettings> {
    let preset = match table.get("preset") {
        Some(preset) => preset.clone().try_into::<Preset>().map_err(|error| explained(&error))?,
        None => Preset::default(),
    };
    let mut settings = Table::try_from(HealthSettings::preset(preset))?;
    // Whole numbers are welcome where a share is meant: `fallback_credit = 1`.
    let as_share = |known: Option<&toml::Value>, value: toml::Value| match (known, &value) {
        (Some(toml::Value::Float(_)) | None, toml::Value::Integer(whole)) => {
            toml::Value::Float(*whole as f64)
        }
        _ => value,
    };
    for (key, value) in table {
        let value = as_share(settings.get(&key), value);
        settings.insert(key, value);
    }
    settings.try_into().map_err(|error| explained(&error))
}

/// The message of the TOML reader, with its line and caret, and the nearest known key where one is unknown.
fn explained(error: &toml::de::Error) -> anyhow::Error {
    let text = error.to_string();
    let text = text.trim_end();
    if error.message().contains("expected a sequence") {
        return anyhow!("{text}\nwrite a table of a list in double brackets: `[[source]]`");
    }
    match nearest(error.message()) {
        Some(known) => anyhow!("{text}\ndid you mean `{known}`?"),
        None => anyhow!("{text}"),
    }
}

/// From serde's "unknown field `x`, expected one of `a`, `b`": the known key that looks most like `x`.
fn nearest(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let closeness = |known: &str| strsim::jaro_winkler(known, unknown);
    quoted.max_by(|a, b| closeness(a).total_cmp(&closeness(b))).filter(|known| closeness(known) > 0.6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, Path::new(".")).expect_err(text))
    }

    #[test]
    fn an_empty_file_is_a_site() {
        let config = parse("", Path::new(".")).expect("all settings have defaults");
        assert_eq!(config.sources[0].path, DEFAULT_LOGS);
        assert_eq!(config.analysis.health, HealthSettings::default());
    }

    #[test]
    fn a_preset_is_where_the_other_health_settings_start() {
        let text = "[health]\npreset = 'orchestrator'\nrecent_factor = 1\nlatency_targets = { 'A b' = 100 }";
        let health = parse(text, Path::new(".")).expect("valid").analysis.health;
        assert_eq!((health.fallback_credit, health.recent_factor), (0.0, 1.0));
        assert_eq!(health.target_of("A b"), Some(100.0));
    }

    #[test]
    fn unknown_keys_are_refused_and_the_nearest_is_named() {
        assert!(error("[site]\ntitel = 'x'").contains("did you mean `title`"));
        assert!(error("[helth]").contains("did you mean `health`"));
        assert!(error("[health]\nfallback_credt = 1").contains("did you mean `fallback_credit`"));
        assert!(error("[[source]]\npth = 'x'").contains("did you mean `path`"));
    }

    #[test]
    fn wrong_values_are_named() {
        assert!(error("[health]\nrecent_factor = 2").contains("recent_factor"));
        assert!(error("[health]\npreset = 'defualt'").contains("did you mean `default`"));
        assert!(error("[serve]\nbind = 5").contains("line 2"));
        assert!(error("[serve]\nbase_path = 'x'").contains("`base_path = \"x\"`"));
        assert!(error("title = ").contains("line 1"));
        assert!(error("[source]\npath = 'x'").contains("`[[source]]`"));
        assert!(error("[site]\nbase_url = 'foo'").contains("`http://`"));
    }
}

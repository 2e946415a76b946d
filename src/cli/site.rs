//! From flags to a site: settings read, overrides laid over them, and a plan for a moment.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use chrono::Utc;

use crate::cli::Common;
use crate::config::{self, Config};
use crate::pipeline::Plan;

/// A site and where it is written.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub output: PathBuf,
    now_ms: Option<i64>,
}

impl Site {
    /// Reads the settings that the flags name.
    pub fn open(common: &Common) -> Result<Site> {
        let mut config = config::read(&common.config)?;
        if let Some(base_url) = &common.base_url {
            config.site.base_url = Some(base_url.clone());
        }
        let output = common.output.clone().unwrap_or_else(|| config.root.join("output"));
        apart(&output, &config)?;
        Ok(Site { config, output, now_ms: common.now.map(|now| now.timestamp_millis()) })
    }

    /// What to build, for the moment given or for now.
    pub fn plan(&self) -> Plan<'_> {
        Plan {
            root: &self.config.root,
            output: &self.output,
            moment_ms: self.now_ms.unwrap_or_else(|| Utc::now().timestamp_millis()),
            sources: &self.config.sources,
            store: &self.config.store,
            analysis: &self.config.analysis,
            site: &self.config.site,
        }
    }
}

/// Refuses an output folder in which dash would read what it writes, or write among what is the user's.
fn apart(output: &Path, config: &Config) -> Result<()> {
    let (output_path, root) = (whole(output), whole(&config.root));
    if root.starts_with(&output_path) {
        bail!("`{}` holds the site itself; choose another `--output`", output.display());
    }
    for source in &config.sources {
        // All of a folder is read; a file or a glob names its logs.
        let logs = whole(&config.root.join(&source.path));
        if logs.is_dir() && logs != root && output_path.starts_with(&logs) {
            let output = output.display();
            bail!("`{output}` lies in the logs of source `{}`; choose another `--output`", source.title());
        }
    }
    Ok(())
}

/// Absolute and without links, as far as the path exists.
pub fn whole(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = |above: &Path| Some(above.canonicalize().ok()?.join(path.strip_prefix(above).ok()?));
    path.ancestors().find_map(found).unwrap_or_else(|| path.clone())
}

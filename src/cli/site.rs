//! From flags to a site: settings read, overrides laid over them, and a plan for a moment.

use std::path::PathBuf;

use anyhow::Result;
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

//! Whether the snapshot that stands in the output can be kept, and what of it.

use std::collections::HashSet;

use anyhow::{Context, Result};

use crate::analysis::window::Window;
use crate::model::quality::SourceState;
use crate::pipeline::Plan;
use crate::publish::manifest::Manifest;
use crate::publish::{Standing, sha256};
use crate::report::Theme;
use crate::store::{self, Store};

/// What the next snapshot will be made of, as far as it can be known without making it.
#[derive(Debug)]
pub struct Next {
    /// Hash of what every page is made of besides operations: version, minute, settings, theme, who the
    /// wrappers are, since each page links to its neighbours, and which stores were set aside.
    inputs: String,
    /// Hash of the state of the sources.
    sources: String,
    revision: i64,
}

/// The snapshot that stands, where the next one can build upon it.
#[derive(Debug)]
pub struct Stands {
    pub output: Standing,
    /// The one that stands, if the next would be the same.
    pub current: Option<Manifest>,
    /// The names of the wrappers that have changed since.
    pub changed: HashSet<String>,
}

impl Next {
    pub fn new(plan: &Plan, store: &Store, sources: &[SourceState]) -> Result<Next> {
        let minute = Window::last_minutes(plan.moment_ms, 0).to;
        let version = env!("CARGO_PKG_VERSION");
        let of_all = (version, minute, plan.analysis, plan.site, Theme::fingerprint());
        let inputs = (of_all, store.wrappers()?, store.set_aside()?);
        Ok(Next {
            inputs: sha256(&serde_json::to_vec(&inputs)?),
            sources: sha256(&serde_json::to_vec(sources)?),
            revision: store.revision()?,
        })
    }

    pub fn record(self, snapshot: &str) -> store::Published {
        let Next { inputs, sources, revision } = self;
        store::Published { snapshot: snapshot.to_owned(), inputs, sources, revision }
    }

    /// Known by what is in the output folder and what the store remembers of it, together: either can be
    /// deleted or moved.
    pub fn stands(&self, plan: &Plan, store: &Store) -> Result<Option<Stands>> {
        if !plan.output.exists() {
            return Ok(None);
        }
        let Some(last) = store.published(&Next::output(plan)?)? else { return Ok(None) };
        if last.inputs != self.inputs {
            return Ok(None);
        }
        let mut output = Standing::look(plan.output)?;
        let Some(manifest) = output.snapshot(&last.snapshot) else { return Ok(None) };
        let is_current = last.revision == self.revision && last.sources == self.sources;
        let current = is_current.then(|| manifest.clone());
        Ok(Some(Stands { output, current, changed: store.changed_since(last.revision)? }))
    }

    /// The name under which the store remembers an output folder.
    pub fn output(plan: &Plan) -> Result<String> {
        let output = plan.output;
        let path = output.canonicalize().with_context(|| format!("finding `{}`", output.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

//! Everything known at one moment, before any of it is judged: what a build hands to the analysis, and what
//! the daemon reads back from a published site to answer for any window.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analysis::health::HealthSettings;
use crate::model::history::{History, WrapperId};
use crate::model::quality::{FileState, Reached, SetAside, SourceState};
use crate::model::rollup::InFlight;

/// The settings that change what numbers mean. They travel with a published site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub health: HealthSettings,
    /// A wrapper without an operation for this long, after having had some, has gone quiet.
    pub quiet_after_minutes: u32,
}

/// One wrapper and its past.
#[derive(Clone, Debug)]
pub struct WrapperFacts {
    pub id: WrapperId,
    /// Shared: the daemon keeps it from one snapshot to the next as long as nothing in it changes.
    pub history: Arc<History>,
    /// Whether the history reaches as far back as the wrapper's own page and its lines in charts do. Without,
    /// it holds what other pages show of a wrapper that has not changed: a day and the health window.
    pub detailed: bool,
    /// Whether the files of its own stand as they are, since nothing of it has changed.
    pub stands: bool,
}

/// What is known at `moment_ms`.
#[derive(Clone, Debug)]
pub struct Facts {
    pub moment_ms: i64,
    pub settings: Settings,
    /// Sorted by name.
    pub wrappers: Vec<WrapperFacts>,
    /// Sorted by wrapper.
    pub in_flight: Vec<InFlight>,
    pub sources: Vec<SourceState>,
    /// The files that have something to say: problems, or being read still. Sorted by path.
    pub files: Vec<FileState>,
    pub reached: Reached,
    /// Stores that were damaged: what only they knew is not among these facts. Oldest first.
    pub set_aside: Vec<SetAside>,
}

impl WrapperFacts {
    /// A wrapper whose past is at hand, and whose files are to be written.
    pub fn whole(id: WrapperId, history: impl Into<Arc<History>>) -> WrapperFacts {
        WrapperFacts { id, history: history.into(), detailed: true, stands: false }
    }
}

impl Facts {
    /// Of these wrappers, and nothing else, with the default settings.
    #[cfg(test)]
    pub fn of_wrappers(wrappers: Vec<WrapperFacts>, moment_ms: i64) -> Facts {
        Facts {
            moment_ms,
            settings: Settings { health: Default::default(), quiet_after_minutes: 60 },
            wrappers,
            in_flight: Vec::new(),
            sources: Vec::new(),
            files: Vec::new(),
            reached: Default::default(),
            set_aside: Vec::new(),
        }
    }

    pub fn wrapper(&self, name: &str) -> Option<&WrapperFacts> {
        let at = self.wrappers.binary_search_by(|wrapper| wrapper.id.name.as_str().cmp(name)).ok()?;
        Some(&self.wrappers[at])
    }
}

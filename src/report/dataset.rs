//! The facts as files of the site: what lets a daemon that has nothing but `output/` answer for any window.
//!
//! `data/site.json` holds the rest of what the API answers from; `data/<slug>.bin` holds one wrapper's, as chunks of
//! `model/codec.rs`, so that a change of one wrapper is a change of one small file.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::analysis::facts::{Facts, Settings};
use crate::analysis::window::MAX_HOURS;
use crate::model::bucket::Bucket;
use crate::model::codec::{append, from_bytes, take_first, to_bytes};
use crate::model::history::{History, WrapperId};
use crate::model::rollup::InFlight;
use crate::model::time::hour_of;
use crate::report::SiteSettings;
use crate::report::site::Site;

/// Where the index lies in the site.
pub const INDEX: &str = "data/site.json";

/// What `data/site.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    pub title: String,
    pub currency: String,
    pub moment_ms: i64,
    pub settings: Settings,
    /// Sorted by name.
    pub wrappers: Vec<WrapperId>,
    pub in_flight: Vec<InFlight>,
}

/// The path of a wrapper's buckets in the site.
pub fn history_path(slug: &str) -> String {
    format!("data/{slug}.bin")
}

/// Reads a wrapper's minutes as they are stored: chunks, put together by [`append`].
pub type ReadMinutes<'a> = dyn Fn(&WrapperId) -> Result<Vec<u8>> + Sync + 'a;

/// Adds the facts to a site. The files of wrappers are made when their turn comes.
pub fn add<'a>(
    site: &mut Site<'a>,
    facts: &'a Facts,
    settings: &SiteSettings,
    minutes: &'a ReadMinutes,
) -> Result<()> {
    let index = Index {
        title: settings.title.clone(),
        currency: settings.currency.clone(),
        moment_ms: facts.moment_ms,
        settings: facts.settings.clone(),
        wrappers: facts.wrappers.iter().map(|wrapper| wrapper.id.clone()).collect(),
        in_flight: facts.in_flight.clone(),
    };
    site.add(INDEX, serde_json::to_vec(&index)?)?;
    for wrapper in &facts.wrappers {
        let path = history_path(&wrapper.id.slug);
        if wrapper.stands {
            site.keep(path)?;
            continue;
        }
        site.later(path, move || {
            // Most of the file, which is why they come first: nothing of them is copied.
            let mut bytes = minutes(&wrapper.id)?;
            append(&mut bytes, &write_history(&wrapper.history, facts.moment_ms));
            Ok(bytes)
        })?;
    }
    Ok(())
}

/// Reads the index back.
pub fn read_index(bytes: &[u8]) -> Result<Index> {
    serde_json::from_slice(bytes).with_context(|| format!("reading `{INDEX}`; build the site again"))
}

/// What the API can be asked about besides minutes: the hours of [`MAX_HOURS`], and the newest day for the last
/// activity of a wrapper that has been silent for longer. The last chunk of a wrapper's file.
fn write_history(history: &History, moment_ms: i64) -> Vec<u8> {
    let first_hour = hour_of(moment_ms) - i64::from(MAX_HOURS);
    let hours = history.hours.partition_point(|hour| hour.0 < first_hour);
    let newest_day = history.days.len().saturating_sub(1);
    let levels = (&history.hours[hours..], &history.days[newest_day..]);
    to_bytes(&(history.first_end_ms, levels))
}

/// Reads a wrapper's buckets back: all but breakdowns and notes, which only pages show. `None` where the bytes are
/// damaged or of another version of dash.
pub fn read_history(mut bytes: &[u8]) -> Option<History> {
    let (mut minutes, mut chunk): (Vec<(i64, Bucket)>, _) = (Vec::new(), take_first(&mut bytes)?);
    while !bytes.is_empty() {
        minutes.extend(from_bytes::<Vec<_>>(chunk)?);
        chunk = take_first(&mut bytes)?;
    }
    let (first_end_ms, (hours, days)) = from_bytes(chunk)?;
    Some(History { first_end_ms, minutes, hours, days, ..History::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_history_comes_back() {
        let one = |success| Bucket { success, ..Bucket::default() };
        let history = History {
            first_end_ms: 7,
            hours: vec![(1, one(9)), (1000, one(3))],
            days: vec![(1, one(4)), (2, one(5))],
            ..History::default()
        };
        let mut bytes = Vec::new();
        for chunk in [vec![(59_940i64, one(3)), (59_941, one(4))], vec![(60_000, one(2))]] {
            append(&mut bytes, &to_bytes(&chunk));
        }
        append(&mut bytes, &write_history(&history, 1000 * 3_600_000));
        let back = read_history(&bytes).expect("just written");
        assert_eq!(back.minutes, [(59_940, one(3)), (59_941, one(4)), (60_000, one(2))]);
        assert_eq!((back.first_end_ms, back.hours, back.days), (7, vec![(1000, one(3))], vec![(2, one(5))]));
    }
}

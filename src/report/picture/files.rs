//! Any chart of a site as a file, by its name.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::analysis::snapshot::{DAY_HOURS, RANGES, Snapshot, WrapperReport};
use crate::report::SiteSettings;
use crate::report::charts::table::{OfSystem, OfWrapper, Row, names, row};
use crate::report::charts::{Chart, rows};
use crate::report::format;
use crate::report::picture::palette::Look;
use crate::report::picture::{Caption, SCALE, picture};
use crate::report::site::Site;

/// Kinds of files that a chart can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Svg,
    Png,
    Pdf,
    Csv,
}

/// Which chart.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The name of a row of the charts' table.
    pub name: &'a str,
    /// Of this wrapper; of all where absent.
    pub wrapper: Option<&'a str>,
    /// A place in [`RANGES`].
    pub range: usize,
}

/// A chart and what is written over it.
#[derive(Debug)]
pub struct Captioned {
    pub chart: Chart,
    pub title: String,
    /// The time that it is of.
    pub note: String,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Svg, Kind::Png, Kind::Pdf, Kind::Csv];

    /// Its name, and the ending of its files.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Svg => "svg",
            Kind::Png => "png",
            Kind::Pdf => "pdf",
            Kind::Csv => "csv",
        }
    }

    pub fn of(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// The chart of that name, drawn of a snapshot whose facts are all at hand.
///
/// # Errors
/// If there is no such chart or wrapper; says which there are.
pub fn chart(snapshot: &Snapshot, wanted: &Wanted, settings: &SiteSettings) -> Result<Captioned> {
    let Some(name) = wanted.wrapper else {
        let of_wrapper = row(&OfWrapper::CHARTS, wanted.name).is_some();
        let Some(row) = row(&OfSystem::CHARTS, wanted.name) else {
            let hint = if of_wrapper {
                "is one of a single wrapper; name it with `--wrapper`, or"
            } else {
                "is not there;"
            };
            bail!(
                "the chart `{}` {hint} choose one of all wrappers: {}",
                wanted.name,
                names(&OfSystem::CHARTS)
            );
        };
        return Ok(captioned(row, &OfSystem::of(snapshot), (&settings.title, wanted.range), snapshot));
    };
    let Some(row) = row(&OfWrapper::CHARTS, wanted.name) else {
        bail!("there is no chart `{}` of a wrapper; choose from: {}", wanted.name, names(&OfWrapper::CHARTS));
    };
    let found = snapshot.wrappers.iter().find(|wrapper| wrapper.summary.name == name);
    let Some(of) = found.and_then(|wrapper| OfWrapper::of(wrapper, &settings.currency)) else {
        let known: Vec<_> = snapshot.wrappers.iter().take(20).map(|w| w.summary.name.as_str()).collect();
        bail!("there is no wrapper `{name}`; known are: {}", known.join(", "));
    };
    Ok(captioned(row, &of, (name, wanted.range), snapshot))
}

/// Adds `charts/<chart>.<kind>` of all wrappers and `charts/<slug>/<chart>.<kind>` of each, over the last day, in
/// the kinds that the settings name. What of a wrapper stands already is kept.
pub fn add<'a>(site: &mut Site<'a>, snapshot: &'a Snapshot, settings: &'a SiteSettings) -> Result<()> {
    for &kind in &settings.chart_files {
        for row in &OfSystem::CHARTS {
            let path = format!("charts/{}.{}", row.name, kind.word());
            site.later(path, move || {
                let of = OfSystem::of(snapshot);
                captioned(row, &of, (&settings.title, day()), snapshot).file(kind, Look::Light)
            })?;
        }
        for wrapper in &snapshot.wrappers {
            add_wrapper(site, wrapper, kind, (snapshot, settings))?;
        }
    }
    Ok(())
}

fn add_wrapper<'a>(
    site: &mut Site<'a>,
    wrapper: &'a WrapperReport,
    kind: Kind,
    (snapshot, settings): (&'a Snapshot, &'a SiteSettings),
) -> Result<()> {
    let summary = &wrapper.summary;
    for row in &OfWrapper::CHARTS {
        let path = format!("charts/{}/{}.{}", summary.slug, row.name, kind.word());
        match OfWrapper::of(wrapper, &settings.currency).filter(|_| !wrapper.stands) {
            Some(of) => site.later(path, move || {
                captioned(row, &of, (&summary.name, day()), snapshot).file(kind, Look::Light)
            })?,
            None => site.keep(path)?,
        }
    }
    Ok(())
}

/// The place of the last day in the table of ranges.
fn day() -> usize {
    RANGES.iter().position(|range| range.1 == DAY_HOURS).expect("a day is one of the ranges")
}

fn captioned<S>(row: &Row<S>, of: &S, (whose, range): (&str, usize), snapshot: &Snapshot) -> Captioned {
    let chart = (row.draw)(of, range);
    let minutes =
        if row.ranged { RANGES[range].1 * 60 } else { snapshot.facts.settings.health.window_minutes };
    let note = format!("Last {} to {}", format::stretch(minutes), format::time(snapshot.facts.moment_ms));
    Captioned { title: format!("{whose}: {}", chart.title), chart, note }
}

impl Captioned {
    /// As a file of that kind.
    ///
    /// # Errors
    /// As [`picture`] and what it returns.
    pub fn file(&self, kind: Kind, look: Look) -> Result<Vec<u8>> {
        if kind == Kind::Csv {
            return Ok(rows::csv(&self.chart));
        }
        let drawing = picture(&self.chart, &Caption { title: &self.title, note: &self.note }, look)?;
        match kind {
            Kind::Png => drawing.png(SCALE),
            Kind::Pdf => drawing.pdf(),
            Kind::Svg | Kind::Csv => Ok(drawing.svg()),
        }
    }
}

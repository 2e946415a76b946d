//! Badges: a figure as a small picture, for a README or a wiki.

use anyhow::Result;

use crate::analysis::health::Status;
use crate::analysis::snapshot::{Snapshot, Summary};
use crate::report::escape::markup;
use crate::report::format::{self, NOTHING};
use crate::report::site::Site;

/// Sites with more wrappers have badges of the whole only: each would be some small files more.
pub const MOST: usize = 200;

/// Pixels a letter of the badge takes, near enough: the drawing is told to fit.
const LETTER: usize = 7;

/// Most letters of a label.
const LABEL: usize = 40;

/// White text is readable on each.
const NEUTRAL: &str = "#2f5fae";

/// Adds `badges/health.svg` and `badges/success-rate.svg` of all wrappers, and `badges/<slug>/….svg` of each.
pub fn add(site: &mut Site, snapshot: &Snapshot) -> Result<()> {
    let system = &snapshot.system;
    let colour = colour(system.status);
    site.add("badges/health.svg", badge("health", &health(system.status, system.score), colour))?;
    site.add(
        "badges/success-rate.svg",
        badge("success rate", &percent(system.figures.success_rate), colour),
    )?;
    if snapshot.wrappers.len() > MOST {
        return Ok(());
    }
    snapshot.wrappers.iter().try_for_each(|wrapper| of_wrapper(site, &wrapper.summary))
}

fn of_wrapper(site: &mut Site, summary: &Summary) -> Result<()> {
    let (health_now, figures) = (&summary.health, &summary.figures);
    let label = |what: &str| format!("{} {what}", shortened(&summary.name));
    let colour = colour(health_now.status);
    let p95 = figures.p95.map_or_else(|| NOTHING.to_owned(), format::duration);
    let mut add = |name: &str, svg: String| site.add(format!("badges/{}/{name}.svg", summary.slug), svg);
    add("health", badge(&label("health"), &health(health_now.status, health_now.score), colour))?;
    add("success-rate", badge(&label("success rate"), &percent(figures.success_rate), colour))?;
    add("p95", badge(&label("p95"), &p95, NEUTRAL))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LABEL {
        name.to_owned()
    } else {
        name.chars().take(LABEL - 1).chain(['…']).collect()
    }
}

fn health(status: Status, score: Option<f64>) -> String {
    match score {
        Some(score) => format!("{} {}", status.word(), format::percent(score)),
        None => status.word().to_owned(),
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NOTHING.to_owned(), format::percent)
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Healthy => "#1d7a43",
        Status::Degraded => "#805b00",
        Status::Unhealthy => "#a8470c",
        Status::Critical => "#b32626",
        Status::NoData => "#566374",
    }
}

/// The picture: a label on grey, and a value on the colour.
fn badge(label: &str, value: &str, colour: &str) -> String {
    let width = |text: &str| text.chars().count() * LETTER;
    let (left, right) = (width(label) + 12, width(value) + 12);
    let (whole, height) = (left + right, 20);
    let text = |text: &str, from: usize| {
        let (x, length) = (from + 6, width(text));
        format!(
            "<text x=\"{x}\" y=\"14\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
            markup(text)
        )
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{title}\"><title>{title}</title>\
         <clipPath id=\"r\"><rect width=\"{whole}\" height=\"{height}\" rx=\"3\"/></clipPath>\
         <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"{height}\" fill=\"#40474f\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"{height}\" fill=\"{colour}\"/></g>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">{}{}</g></svg>\n",
        text(label, 0),
        text(value, left),
        title = markup(&format!("{label}: {value}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_says_what_it_shows() {
        let svg = badge("<b>\"x\" health", "Healthy 99.7 %", colour(Status::Healthy));
        assert!(svg.contains("aria-label=\"&lt;b&gt;&quot;x&quot; health: Healthy 99.7 %\""), "{svg}");
        assert!(!svg.contains("<b>") && svg.contains("#1d7a43"));
        assert_eq!(health(Status::NoData, None), "No data");
        assert_eq!(shortened(&"n".repeat(200)).chars().count(), LABEL);
    }
}

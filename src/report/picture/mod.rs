//! Charts as pictures: files that need no page, no browser and no font around them.
//!
//! [`picture`] draws a chart with its title, its time and its legend as an SVG of fixed size and colours, which
//! [`Drawing`] turns into SVG, PNG or PDF; [`files`] finds a chart by its name. A chart is drawn by the same
//! [`paths`](crate::report::charts::plot) as in a page. To add a kind of file: a variant of
//! [`Kind`](files::Kind), and a function of [`Drawing`].

use anyhow::Result;

use crate::report::charts::Chart;

pub mod palette;
pub mod layout;
pub mod drawing;
pub mod files;

use crate::report::picture::drawing::Drawing;
use crate::report::picture::palette::Look;

/// Pixels of a PNG to one of the picture: sharp on screens of today.
pub const SCALE: f32 = 2.0;

/// What is written over a chart.
#[derive(Clone, Copy, Debug)]
pub struct Caption<'a> {
    pub title: &'a str,
    /// What and when it is of, in words.
    pub note: &'a str,
}

/// A chart as a picture of 960 pixels' width; its height follows from its rows and its legend.
///
/// # Errors
/// Never for a chart: whatever names and values it has, its drawing is SVG.
pub fn picture(chart: &Chart, caption: &Caption, look: Look) -> Result<Drawing> {
    Drawing::of(caption.title, &layout::svg(chart, caption, look))
}

#[cfg(test)]
mod tests;

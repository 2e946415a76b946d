//! Every chart of a site, one a row: pages show them, and files are made of them.
//!
//! To add one: a row here, with a function of its own file, and its place in a template.

use crate::analysis::health::Status;
use crate::analysis::snapshot::{Detail, Range, Snapshot, Summary, WrapperReport, charted};
use crate::report::charts::{
    Chart, Mark, errors, health, latency, marks_of, models, operations, performance,
};

/// A chart that can be asked for; `S` is what it is drawn of.
#[derive(Debug)]
pub struct Row<S> {
    /// The name of the charts that it draws.
    pub name: &'static str,
    /// Their title.
    pub title: &'static str,
    /// Whether there is one a range, or one for all.
    pub ranged: bool,
    /// Draws the range at that place of [`RANGES`](crate::analysis::snapshot::RANGES).
    pub draw: fn(&S, usize) -> Chart,
}

/// All wrappers together, as far as one chart can show them.
#[derive(Debug)]
pub struct OfSystem<'a> {
    pub drawn: Vec<&'a WrapperReport>,
}

/// One wrapper.
#[derive(Clone, Copy, Debug)]
pub struct OfWrapper<'a> {
    pub wrapper: &'a WrapperReport,
    pub detail: &'a Detail,
    pub currency: &'a str,
}

/// The row of that name.
pub fn row<'a, S>(rows: &'a [Row<S>], name: &str) -> Option<&'a Row<S>> {
    rows.iter().find(|row| row.name == name)
}

/// The names of rows, as a sentence lists them.
pub fn names<S>(rows: &[Row<S>]) -> String {
    rows.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

impl<'a> OfSystem<'a> {
    /// Charts of all wrappers.
    pub const CHARTS: [Row<Self>; 3] = [
        Row {
            name: "system",
            title: "Success rate of each wrapper over time",
            ranged: true,
            draw: |of, at| performance::system(&of.ranges(at), of.marks(at)),
        },
        Row {
            name: "operations",
            title: "Operations a minute of each wrapper",
            ranged: true,
            draw: |of, at| operations::by_wrapper(&of.ranges(at)),
        },
        Row {
            name: "health",
            title: "Health score of each wrapper",
            ranged: false,
            draw: |of, _| health::bars(of.summaries()),
        },
    ];

    pub fn of(snapshot: &'a Snapshot) -> OfSystem<'a> {
        OfSystem { drawn: charted(snapshot.facts).into_iter().map(|at| &snapshot.wrappers[at]).collect() }
    }

    /// Those of which the past is at hand.
    pub fn detailed(&self) -> impl Iterator<Item = (&'a WrapperReport, &'a Detail)> + Clone {
        self.drawn.iter().filter_map(|wrapper| Some((*wrapper, wrapper.detail.as_ref()?)))
    }

    fn ranges(&self, at: usize) -> Vec<(&'a str, &'a Range)> {
        self.detailed().map(|(wrapper, detail)| (wrapper.summary.name.as_str(), &detail.ranges[at])).collect()
    }

    /// Of all wrappers' marks, those that matter most.
    fn marks(&self, at: usize) -> Vec<Mark> {
        let all = self.detailed().flat_map(|(w, detail)| marks_of(&detail.ranges[at], &w.activity));
        all.filter(|mark| mark.status == Status::Critical).collect()
    }

    fn summaries(&self) -> impl Iterator<Item = &'a Summary> {
        self.drawn.iter().map(|wrapper| &wrapper.summary)
    }
}

impl<'a> OfWrapper<'a> {
    /// Charts of one wrapper.
    pub const CHARTS: [Row<Self>; 8] = [
        Row {
            name: "performance",
            title: "Success rate and response time over time",
            ranged: true,
            draw: |of, at| performance::dual(of.range(at), of.marks(at)),
        },
        Row {
            name: "percentiles",
            title: "Response time percentiles over time",
            ranged: true,
            draw: |of, at| latency::percentiles(of.range(at), of.marks(at)),
        },
        Row {
            name: "distribution",
            title: "How many operations took how long",
            ranged: true,
            draw: |of, at| latency::distribution(&of.detail.cells.ranges[at].latency),
        },
        Row {
            name: "heat",
            title: "How long operations took, over time",
            ranged: true,
            draw: |of, at| latency::heat(&of.detail.cells.ranges[at].latency),
        },
        Row {
            name: "operations",
            title: "Operations a minute by how they ended",
            ranged: true,
            draw: |of, at| operations::by_outcome(of.range(at), of.marks(at)),
        },
        Row {
            name: "errors",
            title: "Errors by kind over time",
            ranged: true,
            draw: |of, at| {
                let cells = &of.detail.cells;
                errors::by_kind(&cells.errors, &cells.ranges[at].errors, of.marks(at))
            },
        },
        Row {
            name: "cost",
            title: "Cost by model over time",
            ranged: true,
            draw: |of, at| {
                let cells = &of.detail.cells;
                models::cost(&cells.models, &cells.ranges[at].models, of.currency)
            },
        },
        Row {
            name: "tokens",
            title: "Tokens by model over time",
            ranged: true,
            draw: |of, at| models::tokens(&of.detail.cells.models, &of.detail.cells.ranges[at].models),
        },
    ];

    /// `None` where its past is not at hand.
    pub fn of(wrapper: &'a WrapperReport, currency: &'a str) -> Option<OfWrapper<'a>> {
        Some(OfWrapper { wrapper, detail: wrapper.detail.as_ref()?, currency })
    }

    fn range(&self, at: usize) -> &'a Range {
        &self.detail.ranges[at]
    }

    fn marks(&self, at: usize) -> Vec<Mark> {
        marks_of(self.range(at), &self.wrapper.activity)
    }
}

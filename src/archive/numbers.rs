//! One set of numbers: what an entry's overview and exports say, held against its summary.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::archive::entry::SUMMARY;
use crate::archive::verify::{Problem, problem};
use crate::report::export::inert;
use crate::report::summary::{Line, Summary, Tally};

const OVERVIEW: &str = "index.html";
const CSV: &str = "exports/metrics.csv";
const JSON: &str = "exports/metrics.json";

/// Relative difference below which two numbers are the same: sums of an hour each are added up in another order.
const TOLERANCE: f64 = 1e-9;

/// What differs. A file that cannot be read is not told again here.
pub fn problems(archive: &Path, id: &str) -> Vec<Problem> {
    let read = |path: &str| fs::read_to_string(archive.join(id).join(path)).ok();
    let at = |path: &str| format!("{id}/{path}");
    let summary = read(SUMMARY).and_then(|text| serde_json::from_str::<Summary>(&text).ok());
    let Some(summary) = summary else { return vec![problem(&at(SUMMARY), "is no summary")] };
    let mut problems = Vec::new();
    let mut told =
        |path: &str, found: Vec<String>| problems.extend(found.iter().map(|what| problem(&at(path), what)));
    if let Some(html) = read(OVERVIEW) {
        told(OVERVIEW, summary.wrappers.iter().flat_map(|line| row_problems(&html, line)).collect());
    }
    if let Some(text) = read(JSON) {
        told(
            JSON,
            sums_problems(&json_sums(&text).unwrap_or_default(), &summary, |name| Cow::Borrowed(name)),
        );
    }
    if let Some(text) = read(CSV) {
        told(CSV, sums_problems(&csv_sums(&text).unwrap_or_default(), &summary, inert));
    }
    problems
}

/// A wrapper's row in the overview's table, against its figures over the health window.
fn row_problems(html: &str, line: &Line) -> Vec<String> {
    let start = html.find(&format!("id=\"row-{}\"", line.slug));
    let Some(row) = start.and_then(|start| html[start..].split("</tr>").next()) else {
        return vec![format!("has no row of `{}`", line.name)];
    };
    let whole = |count: u64| Some(count as f64);
    let figures = [
        ("Score", line.score),
        ("Success rate", line.window.success_rate),
        ("p95", line.window.p95),
        ("Operations", whole(line.window.total_operations)),
    ];
    let mut problems = Vec::new();
    for (label, expected) in figures {
        let shown = row
            .split_once(&format!("data-label=\"{label}\" data-value=\""))
            .and_then(|(_, rest)| rest.split('"').next());
        let same = match (shown, expected) {
            (Some(""), None) => true,
            (Some(shown), Some(expected)) => shown.parse().is_ok_and(|shown| close(shown, expected)),
            _ => false,
        };
        if !same {
            let (shown, expected) = (shown.unwrap_or("nothing"), said(expected));
            problems.push(format!("shows {shown} as {label} of `{}`, the summary {expected}", line.name));
        }
    }
    problems
}

fn said(number: Option<f64>) -> String {
    number.map_or_else(|| "nothing".to_owned(), |number| number.to_string())
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

/// Sums over a wrapper's rows of an export.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    total: f64,
    success: f64,
    error: f64,
    fallback: f64,
    tokens: f64,
    cost: f64,
}

impl Sums {
    fn add(&mut self, cell: impl Fn(&str) -> f64) {
        self.total += cell("total_operations");
        self.success += cell("success_count");
        self.error += cell("error_count");
        self.fallback += cell("fallback_count");
        self.tokens += cell("total_tokens");
        self.cost += cell("cost");
    }

    fn pairs(&self, day: &Tally) -> [(&'static str, f64, f64); 6] {
        [
            ("operations", self.total, day.total_operations as f64),
            ("successes", self.success, day.success_count as f64),
            ("errors", self.error, day.error_count as f64),
            ("fallbacks", self.fallback, day.fallback_count as f64),
            ("tokens", self.tokens, day.total_tokens as f64),
            ("cost", self.cost, day.cost.unwrap_or_default()),
        ]
    }
}

fn sums_problems(
    sums: &BTreeMap<String, Sums>,
    summary: &Summary,
    name: fn(&str) -> Cow<'_, str>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for line in &summary.wrappers {
        let sums = sums.get(name(&line.name).as_ref()).copied().unwrap_or_default();
        for (what, found, expected) in sums.pairs(&line.day) {
            if !close(found, expected) {
                problems.push(format!(
                    "adds up to {found} {what} of `{}`, the summary says {expected}",
                    line.name
                ));
            }
        }
    }
    problems
}

fn json_sums(text: &str) -> Option<BTreeMap<String, Sums>> {
    let rows: Vec<Map<String, Value>> = serde_json::from_str(text).ok()?;
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for row in rows {
        let name = row.get("wrapper_name")?.as_str()?.to_owned();
        sums.entry(name)
            .or_default()
            .add(|column| row.get(column).and_then(Value::as_f64).unwrap_or_default());
    }
    Some(sums)
}

fn csv_sums(text: &str) -> Option<BTreeMap<String, Sums>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns: BTreeMap<String, usize> =
        reader.headers().ok()?.iter().enumerate().map(|(at, name)| (name.to_owned(), at)).collect();
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for row in reader.records() {
        let row = row.ok()?;
        let cell = |column: &str| row.get(*columns.get(column)?);
        let name = cell("wrapper_name")?.to_owned();
        let number = |column: &str| cell(column).and_then(|cell| cell.parse().ok()).unwrap_or_default();
        sums.entry(name).or_default().add(number);
    }
    Some(sums)
}

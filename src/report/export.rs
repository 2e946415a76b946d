//! The metrics export: one row a wrapper and hour of the clock, with every counter, percentile, cost and
//! token sum, as JSON or CSV. Written piece by piece, so that its size is nobody's memory.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Deref;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::figures::Figures;
use crate::analysis::window::Window;
use crate::model::bucket::Bucket;
use crate::model::parallel;
use crate::model::time::rfc3339;

/// Minutes a row.
const STEP_MINUTES: i64 = 60;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Csv,
    Json,
}

impl Format {
    pub const ALL: [Format; 2] = [Format::Csv, Format::Json];

    /// Its name in a query, and as the ending of a file.
    pub fn word(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
        }
    }

    pub fn of(word: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.word() == word)
    }

    fn head(self) -> Vec<u8> {
        match self {
            Format::Csv => csv_head(),
            Format::Json => b"[".to_vec(),
        }
    }

    fn end(self) -> &'static [u8] {
        match self {
            Format::Csv => b"",
            Format::Json => b"\n]\n",
        }
    }

    /// One wrapper's rows, as they stand beside each other.
    fn rows(self, rows: &[Row]) -> Vec<u8> {
        match self {
            Format::Csv => csv(rows),
            Format::Json => json(rows),
        }
    }

    /// Appends a wrapper's rows to an export, which has `some` already or not.
    fn append(self, rows: &[u8], some: &mut bool, out: &mut Vec<u8>) {
        if rows.is_empty() {
            return;
        }
        let before: &[u8] = match self {
            Format::Csv => b"",
            Format::Json if *some => b",\n",
            Format::Json => b"\n",
        };
        out.extend_from_slice(before);
        out.extend_from_slice(rows);
        *some = true;
    }
}

/// What to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub format: Format,
    /// 1..=[`crate::analysis::window::MAX_HOURS`].
    pub hours: u32,
    /// The name of the only wrapper; all where absent.
    pub wrapper: Option<String>,
}

impl Export {
    /// The whole export.
    ///
    /// # Errors
    /// If `out` cannot be written to.
    pub fn write(self, facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
        self.pieces(facts).try_for_each(|piece| out.write_all(&piece))
    }

    /// The export as pieces to be written one after the other: a head, one a wrapper, and an end. Each is
    /// worked out when it is asked for.
    pub fn pieces<F: Deref<Target = Facts>>(self, facts: F) -> Pieces<F> {
        Pieces { export: self, facts, at: 0, some: false }
    }

    /// The name for the file, without anything that a log has chosen.
    pub fn file_name(&self) -> String {
        format!("dash-metrics-{}h.{}", self.hours, self.format.word())
    }
}

/// See [`Export::pieces`].
#[derive(Debug)]
pub struct Pieces<F> {
    export: Export,
    facts: F,
    at: usize,
    /// Whether any row has been handed out.
    some: bool,
}

impl<F: Deref<Target = Facts>> Iterator for Pieces<F> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let at = self.at;
        self.at += 1;
        if at == 0 {
            return Some(self.export.format.head());
        }
        let Some(wrapper) = self.facts.wrappers.get(at - 1) else {
            return (at == self.facts.wrappers.len() + 1).then(|| self.export.format.end().to_vec());
        };
        if self.export.wrapper.as_ref().is_some_and(|name| *name != wrapper.id.name) {
            return Some(Vec::new());
        }
        let rows = self.export.format.rows(&rows(&self.facts, wrapper, self.export.hours));
        let mut piece = Vec::with_capacity(rows.len() + 2);
        self.export.format.append(&rows, &mut self.some, &mut piece);
        Some(piece)
    }
}

/// The export of all wrappers in every format, worked out on all cores.
pub fn all(facts: &Facts, hours: u32) -> Vec<(Format, Vec<u8>)> {
    let written = parallel::map(&facts.wrappers, |wrapper| {
        let rows = rows(facts, wrapper, hours);
        Format::ALL.map(|format| format.rows(&rows))
    });
    let whole = |(at, format): (usize, Format)| {
        let (mut out, mut some) = (format.head(), false);
        for rows in &written {
            format.append(&rows[at], &mut some, &mut out);
        }
        out.extend_from_slice(format.end());
        (format, out)
    };
    Format::ALL.into_iter().enumerate().map(whole).collect()
}

#[derive(Serialize)]
struct Row<'a> {
    timestamp: String,
    wrapper_name: &'a str,
    #[serde(flatten)]
    figures: Figures,
}

fn rows<'a>(facts: &Facts, wrapper: &'a WrapperFacts, hours: u32) -> Vec<Row<'a>> {
    let credit = facts.settings.health.fallback_credit;
    let cells = Window::last_hours(facts.moment_ms, hours).cells(&wrapper.history, STEP_MINUTES);
    let row = |(at, bucket): &(i64, Cow<Bucket>)| Row {
        timestamp: rfc3339(*at),
        wrapper_name: &wrapper.id.name,
        figures: Figures::of(bucket, credit),
    };
    cells.iter().map(row).collect()
}

fn json(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b",\n");
        }
        serde_json::to_writer(&mut out, row).expect("a row is plain data, and memory takes it");
    }
    out
}

/// The rows as CSV, without the head.
fn csv(rows: &[Row]) -> Vec<u8> {
    let mut writer = writer();
    for row in rows {
        writer
            .serialize((&row.timestamp, inert(row.wrapper_name), &row.figures))
            .expect("a row is plain data, all rows are as long, and memory takes them");
    }
    writer.into_inner().expect("memory takes what is left")
}

/// The fields of a row, in order, as those of a row about nothing: rates are `null`, counts 0.
pub fn fields() -> Map<String, Value> {
    let figures = Figures::of(&Bucket::default(), 1.0);
    let row = serde_json::to_value(Row { timestamp: String::new(), wrapper_name: "", figures });
    let Ok(Value::Object(fields)) = row else { unreachable!("a row is a struct of plain data") };
    fields
}

/// The names of a row's fields, as one line.
fn csv_head() -> Vec<u8> {
    let mut writer = writer();
    writer.write_record(fields().keys()).expect("memory takes it");
    writer.into_inner().expect("memory takes what is left")
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new())
}

/// Text that a spreadsheet shows and does not run: what could begin a formula gets an apostrophe before it.
/// (OWASP, "CSV Injection".)
pub fn inert(text: &str) -> Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => Cow::Owned(format!("'{text}")),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_never_begins_a_formula() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(inert(name), format!("'{name}"));
        }
        assert_eq!(inert("a=b"), "a=b");
    }

    #[test]
    fn nothing_to_export_is_still_a_file() {
        let facts = Facts::of_wrappers(Vec::new(), 0);
        let text = |format| {
            let mut out = Vec::new();
            Export { format, hours: 1, wrapper: None }.write(&facts, &mut out).expect("memory");
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(serde_json::from_str::<Value>(&text(Format::Json)).expect("JSON"), serde_json::json!([]));
        assert!(text(Format::Csv).starts_with("timestamp,wrapper_name,total_operations,success_count,"));
    }

    proptest! {
        #[test]
        fn any_name_comes_back_from_csv(name in any::<String>()) {
            let row = Row {
                timestamp: "t".to_owned(),
                wrapper_name: &name,
                figures: Figures::of(&Bucket::default(), 1.0),
            };
            let text = [csv_head(), csv(&[row])].concat();
            let mut reader = csv::Reader::from_reader(&text[..]);
            let row = reader.records().next().expect("one row").expect("CSV");
            prop_assert_eq!(&row[1], inert(&name));
        }
    }
}

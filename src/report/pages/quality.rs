//! What was read, how fresh it is, and what could not be read and why.

use std::borrow::Cow;

use serde::Serialize;
use tera::Context;

use crate::analysis::snapshot::Snapshot;
use crate::analysis::window::MINUTE_HOURS;
use crate::model::notes::KINDS_A_DAY;
use crate::model::quality::{FileState, Problem, ProblemKind, SourceState};
use crate::report::pages::built;

/// Most files with problems that are listed.
const FILES: usize = 500;

/// Most wrappers that a sentence names.
const NAMES: usize = 10;

#[derive(Debug, Serialize)]
struct SourceRow<'a> {
    name: &'a str,
    path: &'a str,
    files: u64,
    bytes: u64,
    operations: u64,
    skipped: u64,
    last_data: Option<i64>,
    problems: Vec<ProblemRow<'a>>,
}

#[derive(Debug, Serialize)]
struct FileRow<'a> {
    source: &'a str,
    path: &'a str,
    operations: u64,
    skipped: u64,
    present: bool,
    problems: Vec<ProblemRow<'a>>,
}

#[derive(Debug, Serialize)]
struct ProblemRow<'a> {
    kind: &'static str,
    /// Absent where the problem is the file's and not a line's.
    line: Option<u64>,
    reason: Cow<'a, str>,
    /// Records; absent like the line.
    count: Option<u64>,
}

pub fn view(snapshot: &Snapshot) -> Context {
    let facts = snapshot.facts;
    let with_problems = facts.files.iter().filter(|file| !file.problems.is_empty());
    let file_problems: Vec<_> = with_problems.clone().take(FILES).map(file).collect();
    let mut context = Context::new();
    built(snapshot, &mut context);
    context.insert("sources", &facts.sources.iter().map(source).collect::<Vec<_>>());
    let failing = facts.sources.iter().filter(|source| !source.problems.is_empty()).count();
    context.insert("failing", &failing);
    context.insert("more_files", &(with_problems.count() - file_problems.len()));
    context.insert("files", &file_problems);
    context.insert("operations", &facts.sources.iter().map(|source| source.operations).sum::<u64>());
    context.insert("skipped", &facts.sources.iter().map(|source| source.skipped).sum::<u64>());
    context.insert("file_count", &facts.sources.iter().map(|source| source.files).sum::<u64>());
    context.insert("bytes", &facts.sources.iter().map(|source| source.bytes).sum::<u64>());
    context.insert("minute_hours", &MINUTE_HOURS);
    context.insert("set_aside", &facts.set_aside);
    limits(snapshot, &mut context);
    context
}

/// Which limits are reached, and how much is summed as `other` for it.
fn limits(snapshot: &Snapshot, context: &mut Context) {
    let reached = &snapshot.facts.reached;
    let failures = snapshot.facts.wrappers.iter().map(|wrapper| {
        let days = wrapper.history.notes.iter();
        (&wrapper.id.name, days.map(|(_, notes)| notes.other_errors()).sum::<u64>())
    });
    let crowded: Vec<_> = failures.filter(|(_, failures)| *failures > 0).collect();
    context.insert("max_wrappers", &reached.wrappers);
    context.insert("other_operations", &reached.other_operations);
    context.insert("max_series", &reached.series);
    context.insert("full", &reached.full[..reached.full.len().min(NAMES)]);
    context.insert("more_full", &reached.full.len().saturating_sub(NAMES));
    context.insert("max_kinds", &KINDS_A_DAY);
    context.insert("crowded", &crowded[..crowded.len().min(NAMES)]);
    context.insert("more_crowded", &crowded.len().saturating_sub(NAMES));
}

fn source(source: &SourceState) -> SourceRow<'_> {
    SourceRow {
        name: &source.name,
        path: &source.path,
        files: source.files,
        bytes: source.bytes,
        operations: source.operations,
        skipped: source.skipped,
        last_data: Some(source.last_end_ms).filter(|&ms| ms > 0),
        problems: source.problems.iter().map(problem).collect(),
    }
}

fn file(file: &FileState) -> FileRow<'_> {
    FileRow {
        source: &file.source,
        path: &file.path,
        operations: file.operations,
        skipped: file.skipped,
        present: file.present,
        problems: file.problems.iter().map(problem).collect(),
    }
}

fn problem(problem: &Problem) -> ProblemRow<'_> {
    ProblemRow {
        kind: word(problem.kind),
        line: Some(problem.line).filter(|&line| line > 0),
        reason: match problem.example.as_str() {
            "" => Cow::Borrowed(&problem.reason),
            example => Cow::Owned(format!("{}; the first: {example}", problem.reason)),
        },
        count: Some(problem.count).filter(|_| problem.line > 0),
    }
}

fn word(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::NotJson => "Not JSON",
        ProblemKind::NotUtf8 => "Not UTF-8",
        ProblemKind::TooLong => "Line too long",
        ProblemKind::BadRow => "Row does not match the header",
        ProblemKind::BadField => "Unusable field",
        ProblemKind::ImplausibleTime => "Implausible time",
        ProblemKind::Unfinished => "Unfinished last line",
        ProblemKind::Unreadable => "Cannot be read",
        ProblemKind::Damaged => "Damaged",
        ProblemKind::NoMatch => "Nothing matches",
        ProblemKind::Layout => "Unexpected layout",
        ProblemKind::Remapped => "Read by other settings",
        ProblemKind::Other => "Other reasons",
    }
}

//! Problems by kind, as they are met and as they are merged.

use std::collections::BTreeMap;

use crate::model::notes::shorten;
use crate::model::quality::{Problem, ProblemKind};

/// Longest piece of a log that a reason quotes, in characters.
const EXCERPT_CHARS: usize = 60;

/// Native fields that no page may show, not even as part of a line that could not be read.
const PRIVATE: [&str; 3] = ["user_id", "session_id", "request_id"];

/// Why one record, or one file, could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: ProblemKind,
    pub reason: String,
}

/// One entry a kind: the first line's reason, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    by_kind: BTreeMap<ProblemKind, Problem>,
}

impl Problems {
    pub fn add(&mut self, line: u64, fault: Fault) {
        self.push(Problem { kind: fault.kind, line, reason: fault.reason, count: 1 });
    }

    /// Adds up with one of its kind; of the two reasons, that of the earlier line stays.
    pub fn push(&mut self, problem: Problem) {
        match self.by_kind.get_mut(&problem.kind) {
            None => {
                self.by_kind.insert(problem.kind, problem);
            }
            Some(ours) => {
                let count = ours.count.saturating_add(problem.count);
                if problem.line < ours.line {
                    *ours = problem;
                }
                ours.count = count;
            }
        }
    }

    pub fn remove(&mut self, kind: ProblemKind) {
        self.by_kind.remove(&kind);
    }

    /// The same problems, further down the file.
    pub fn shifted(self, lines: u64) -> impl Iterator<Item = Problem> {
        let shift = move |problem: Problem| Problem { line: problem.line + lines, ..problem };
        self.by_kind.into_values().map(shift)
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.by_kind.into_values().collect()
    }
}

/// The beginning of a text, fit for a message: short, on one line, without what is private.
pub fn excerpt(text: &str) -> String {
    let public = PRIVATE.iter().filter_map(|name| text.find(name)).min();
    let text = public.map_or(text, |at| &text[..at]);
    let mut short = shorten(text.trim(), EXCERPT_CHARS).replace(char::is_control, "\u{fffd}");
    if public.is_some() && !short.ends_with('…') {
        short.push('…');
    }
    short.replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(reason: &str) -> Fault {
        Fault { kind: ProblemKind::BadField, reason: reason.to_owned() }
    }

    #[test]
    fn the_first_line_gives_the_reason_in_any_order() {
        let mut problems = Problems::default();
        problems.add(7, fault("later"));
        problems.add(3, fault("first"));
        problems.add(9, fault("last"));
        let found = problems.into_vec();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].reason.as_str(), found[0].count), (3, "first", 3));
    }

    #[test]
    fn an_excerpt_is_short_clean_and_public() {
        assert_eq!(excerpt(" a\tb\u{7} "), "a\u{fffd}b\u{fffd}");
        assert_eq!(excerpt(&"x".repeat(100)).chars().count(), EXCERPT_CHARS + 1);
        assert_eq!(excerpt(r#"{"a":1,"user_id":"ann"}"#), r#"{"a":1,"…"#);
    }
}

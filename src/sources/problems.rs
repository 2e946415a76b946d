//! Problems by kind and reason, as they are met and as they are merged.

use std::collections::BTreeMap;

use crate::model::notes::shorten;
use crate::model::quality::{Problem, ProblemKind};

/// Longest value that is shown, in characters.
const EXCERPT_CHARS: usize = 60;

/// Most reasons kept of the lines of one file; what goes beyond is added up as [`ProblemKind::Other`].
const MOST_REASONS: usize = 20;

/// The last kind that is of a line; those after it are of the file.
const LAST_OF_LINES: ProblemKind = ProblemKind::ImplausibleTime;

/// Why one record, or one file, could not be read. Pages show all of it, so it holds nothing of a record but
/// values of fields that are never private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: ProblemKind,
    /// The same for all records that are wrong in the same way.
    pub reason: String,
    /// What this record has instead; may be empty.
    pub example: String,
}

impl Fault {
    pub fn new(kind: ProblemKind, reason: impl Into<String>) -> Fault {
        Fault { kind, reason: reason.into(), example: String::new() }
    }

    /// With what the record has instead.
    pub fn with(self, example: impl Into<String>) -> Fault {
        Fault { example: example.into(), ..self }
    }
}

/// One entry a kind and reason: the first line, its example, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    by_reason: BTreeMap<(ProblemKind, String), Problem>,
}

impl Problems {
    pub fn add(&mut self, line: u64, fault: Fault) {
        let Fault { kind, reason, example } = fault;
        self.push(Problem { kind, line, reason, example, count: 1 });
    }

    /// Adds up with one of its kind and reason; the earlier line and its example stay.
    pub fn push(&mut self, problem: Problem) {
        match self.by_reason.get_mut(&(problem.kind, problem.reason.clone())) {
            None => {
                self.by_reason.insert((problem.kind, problem.reason.clone()), problem);
                self.trim();
            }
            Some(ours) => {
                let count = ours.count.saturating_add(problem.count);
                if (problem.line, &problem.example) < (ours.line, &ours.example) {
                    *ours = problem;
                }
                ours.count = count;
            }
        }
    }

    /// Of too many reasons the first by kind and name stay, so that any order of merging keeps the same.
    fn trim(&mut self) {
        let of_lines = |key: &&(ProblemKind, String)| key.0 <= LAST_OF_LINES;
        if self.by_reason.keys().filter(of_lines).count() <= MOST_REASONS {
            return;
        }
        let last = self.by_reason.keys().rfind(of_lines).cloned();
        if let Some(beyond) = last.and_then(|key| self.by_reason.remove(&key)) {
            let reason = "other reasons; mend those above to see them".to_owned();
            self.push(Problem { kind: ProblemKind::Other, reason, example: String::new(), ..beyond });
        }
    }

    /// The same problems, further down the file.
    pub fn shifted(self, lines: u64) -> impl Iterator<Item = Problem> {
        let shift = move |problem: Problem| Problem { line: problem.line + lines, ..problem };
        self.by_reason.into_values().map(shift)
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.by_reason.into_values().collect()
    }
}

/// The beginning of a value, fit for a message: short and on one line.
pub fn excerpt(text: &str) -> String {
    shorten(text.trim(), EXCERPT_CHARS).replace(char::is_control, "\u{fffd}").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(line: u64, reason: u8) -> Problem {
        let (reason, example) = (format!("reason {reason:02}"), line.to_string());
        Problem { kind: ProblemKind::BadField, line, reason, example, count: 1 }
    }

    #[test]
    fn each_reason_has_its_first_line_and_example() {
        let mut problems = Problems::default();
        for (line, reason) in [(7, 1), (3, 1), (5, 0), (9, 1)] {
            problems.push(problem(line, reason));
        }
        let found = problems.into_vec();
        assert_eq!(found, [problem(5, 0), Problem { count: 3, ..problem(3, 1) }]);
    }

    #[test]
    fn reasons_beyond_the_limit_are_added_up_and_those_of_the_file_stay() {
        let mut problems = Problems::default();
        problems.add(0, Fault::new(ProblemKind::Unreadable, "no"));
        (0..MOST_REASONS as u8 + 5).for_each(|reason| problems.push(problem(90 - u64::from(reason), reason)));
        let found = problems.into_vec();
        assert_eq!(found.len(), MOST_REASONS + 2);
        let (unreadable, other) = (&found[MOST_REASONS], &found[MOST_REASONS + 1]);
        assert_eq!(unreadable.kind, ProblemKind::Unreadable);
        assert_eq!((other.kind, other.line, other.count), (ProblemKind::Other, 66, 5));
    }

    proptest! {
        #[test]
        fn any_split_and_order_comes_to_the_same(
            lines in prop::collection::vec((1u64..50, 0u8..40), 0..120), cut in any::<prop::sample::Index>(),
        ) {
            let all = |lines: &[(u64, u8)]| {
                let mut problems = Problems::default();
                lines.iter().for_each(|&(line, reason)| problems.push(problem(line, reason)));
                problems
            };
            let (first, second) = lines.split_at(cut.index(lines.len() + 1));
            let mut merged = all(second);
            all(first).shifted(0).for_each(|problem| merged.push(problem));
            prop_assert_eq!(merged, all(&lines));
        }
    }

    #[test]
    fn an_excerpt_is_short_and_clean() {
        assert_eq!(excerpt(" a\tb\u{7}` "), "a\u{fffd}b\u{fffd}'");
        assert_eq!(excerpt(&"x".repeat(100)).chars().count(), EXCERPT_CHARS + 1);
    }
}

//! What is known of files and sources, before a reading and after it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::quality::{FileState, Problem, ProblemKind, SourceState};
use crate::model::time::DAY_MS;
use crate::sources::Reading;
use crate::sources::blocks::{Ended, Planned};
use crate::sources::discover::{Discovery, Found, discover};
use crate::sources::fold::Tally;
use crate::sources::layout::Layout;
use crate::sources::ledger::{Ledger, Origin, is_stale};
use crate::sources::problems::Problems;

/// Problems that say how a file was found the last time, and nothing once it is looked at again.
const PASSING: [ProblemKind; 5] = [
    ProblemKind::Unfinished,
    ProblemKind::Unreadable,
    ProblemKind::Damaged,
    ProblemKind::Layout,
    ProblemKind::Remapped,
];

/// Problems for which a file is not read, or not on.
const UNREAD: [ProblemKind; 3] = [ProblemKind::Unreadable, ProblemKind::Damaged, ProblemKind::Layout];

/// A log that was not found for so long is forgotten; if it came back, it would be read again.
const FORGET_MS: i64 = 30 * DAY_MS;

/// What a reading changes in the ledger, and the totals of all sources.
#[derive(Debug)]
pub struct Report {
    pub files: Vec<FileState>,
    /// Paths of entries that are dropped.
    pub forgotten: Vec<String>,
    pub sources: Vec<SourceState>,
}

/// All sources and their files.
#[derive(Debug)]
pub struct Survey<'a> {
    reading: &'a Reading<'a>,
    /// By source: what is wrong with its path.
    problems: Vec<Vec<Problem>>,
    /// By path: the ledger as it will be.
    states: BTreeMap<String, FileState>,
    /// Entries whose path another content has now.
    replaced: Vec<FileState>,
    /// Files that changed, with their source.
    changed: Vec<(usize, Found)>,
}

impl<'a> Survey<'a> {
    /// Finds all files and sorts out those that did not change. A file that is found twice, by two sources
    /// or through a link, is read once.
    pub fn new(reading: &'a Reading<'a>, ledger: &mut Ledger) -> Survey<'a> {
        let states = reading.ledger.iter().map(|entry| (entry.path.clone(), entry.clone())).collect();
        let (problems, replaced, changed) = (Vec::new(), Vec::new(), Vec::new());
        let mut survey = Survey { reading, problems, states, replaced, changed };
        let (mut paths, mut files) = (HashSet::new(), HashSet::new());
        for (at, source) in reading.sources.iter().enumerate() {
            let Discovery { found, problems } = discover(reading.root, source);
            survey.problems.push(problems);
            for found in found {
                ledger.find(&found);
                let first = found.stat.inode == 0 || files.insert((found.stat.device, found.stat.inode));
                if first && paths.insert(found.path.clone()) {
                    survey.take(at, found, ledger);
                }
            }
        }
        for state in survey.states.values_mut() {
            if state.present && !paths.contains(&state.path) {
                *state = missed(std::mem::take(state), reading.now_ms);
            }
        }
        survey
    }

    fn take(&mut self, source: usize, found: Found, ledger: &Ledger) {
        let mapping = self.reading.sources[source].mapping();
        let unchanged = ledger.unchanged(&found.path, &found.stat, self.reading.now_ms);
        match unchanged.filter(|entry| !is_stale(entry, &mapping)) {
            None => self.changed.push((source, found)),
            Some(entry) => {
                let (source, path) = (self.title(source), found.path);
                let state = FileState { source, path, present: true, ..entry.clone() };
                self.keep(remapped(state, &mapping));
            }
        }
    }

    fn title(&self, source: usize) -> String {
        self.reading.sources[source].title().to_owned()
    }

    fn keep(&mut self, state: FileState) {
        if let Some(entry) = self.states.insert(state.path.clone(), state.clone())
            && !goes_on(&state, &entry)
        {
            self.replaced.push(entry);
        }
    }

    /// The files to be read, those that were written first before the others, so that ends follow starts.
    pub fn plan<'l>(&mut self, layouts: &'l [Layout]) -> Vec<Planned<'l>> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_by(|(_, a), (_, b)| (a.stat.modified_ns, &a.path).cmp(&(b.stat.modified_ns, &b.path)));
        let planned = changed.into_iter().map(|(source, found)| {
            let format = self.reading.sources[source].format;
            Planned { found, source, format, layout: &layouts[source] }
        });
        planned.collect()
    }

    /// Takes in what reading the files came to.
    pub fn conclude(&mut self, files: &[Planned], ended: Vec<Ended>, tallies: Vec<Tally>) {
        for ((planned, ended), tally) in files.iter().zip(ended).zip(tallies) {
            let state = match ended.unopened {
                true => self.unopened(planned, ended),
                false => self.continued(files, planned, (ended, tally)),
            };
            let (source, path) = (self.title(planned.source), planned.found.path.clone());
            let state = FileState { source, path, present: true, ..state };
            self.keep(remapped(state, &planned.layout.mapping));
        }
    }

    fn unopened(&self, planned: &Planned, ended: Ended) -> FileState {
        let Found { path, stat, .. } = &planned.found;
        let mut state = self.states.get(path).cloned().unwrap_or_else(|| FileState {
            device: stat.device,
            inode: stat.inode,
            size: stat.size,
            modified_ns: stat.modified_ns,
            ..FileState::default()
        });
        let mut problems = lasting(std::mem::take(&mut state.problems));
        ended.faults.into_iter().for_each(|fault| problems.add(0, fault));
        FileState { problems: problems.into_vec(), ..state }
    }

    fn continued(&self, files: &[Planned], planned: &Planned, (ended, tally): (Ended, Tally)) -> FileState {
        let before = match ended.origin {
            Origin::New => FileState {
                lines: ended.header_lines,
                mapping: planned.layout.mapping.clone(),
                ..FileState::default()
            },
            Origin::Ledger(at) => self.reading.ledger[at].clone(),
            Origin::Run(at) => self.states.get(&files[at].found.path).cloned().unwrap_or_default(),
        };
        let lineage = if ended.origin == Origin::New { String::new() } else { lineage(&before).to_owned() };
        let inherited = if before.path == planned.found.path {
            before.inherited
        } else {
            (before.operations, before.skipped)
        };
        let lines = before.lines + tally.lines;
        let mut problems = lasting(before.problems);
        tally.problems.shifted(before.lines).for_each(|problem| problems.push(problem));
        for fault in ended.faults {
            let line = if fault.kind == ProblemKind::Unfinished { lines + 1 } else { 0 };
            problems.add(line, fault);
        }
        FileState {
            device: ended.stat.device,
            inode: ended.stat.inode,
            size: ended.stat.size,
            modified_ns: ended.stat.modified_ns,
            offset: ended.offset,
            fingerprint: ended.fingerprint,
            lines,
            operations: before.operations + tally.operations,
            skipped: before.skipped + tally.skipped,
            problems: problems.into_vec(),
            last_end_ms: before.last_end_ms.max(tally.last_end_ms),
            mapping: before.mapping,
            lineage,
            inherited,
            ..FileState::default()
        }
    }

    /// A log that gave its name to another may come back under a new one: compressed, or found only then.
    fn keep_replaced(&mut self) {
        let replaced = std::mem::take(&mut self.replaced);
        if replaced.is_empty() {
            return;
        }
        let mut read_up_to: HashMap<String, u64> = HashMap::new();
        for state in self.states.values() {
            let offset = read_up_to.entry(lineage(state).to_owned()).or_default();
            *offset = state.offset.max(*offset);
        }
        for entry in replaced.into_iter().filter(|entry| entry.operations > 0) {
            if read_up_to.get(lineage(&entry)).is_none_or(|&offset| offset < entry.offset) {
                let path = format!("{}@{}", entry.path, entry.fingerprint.tail);
                self.states.insert(path.clone(), FileState { path, ..missed(entry, self.reading.now_ms) });
            }
        }
    }

    pub fn report(mut self) -> Report {
        self.keep_replaced();
        let now_ms = self.reading.now_ms;
        self.states.retain(|_, state| state.present || now_ms.saturating_sub(state.missed_ms) < FORGET_MS);
        let mut sources: Vec<SourceState> = Vec::new();
        for (settings, problems) in self.reading.sources.iter().zip(std::mem::take(&mut self.problems)) {
            let (name, path) = (settings.title().to_owned(), settings.path.clone());
            sources.push(SourceState { name, path, problems, ..SourceState::default() });
        }
        let mut firsts: HashMap<&str, &FileState> = HashMap::new();
        for state in self.states.values().filter(|state| state.present) {
            let first = firsts.entry(lineage(state)).or_insert(state);
            if state.inherited < first.inherited {
                *first = state;
            }
        }
        for state in self.states.values() {
            if let Some(source) = sources.iter_mut().find(|source| source.name == state.source) {
                let heir = firsts.get(lineage(state)).is_none_or(|first| first.path != state.path);
                add_up(source, state, if heir { state.inherited } else { (0, 0) });
            }
        }
        let known: BTreeMap<&str, &FileState> =
            self.reading.ledger.iter().map(|entry| (entry.path.as_str(), entry)).collect();
        let forgotten = known.keys().filter(|path| !self.states.contains_key(**path));
        let forgotten = forgotten.map(|path| (*path).to_owned()).collect();
        let changed = |state: &FileState| known.get(state.path.as_str()) != Some(&state);
        Report { files: self.states.into_values().filter(changed).collect(), forgotten, sources }
    }
}

/// Whether a state is of the content that an entry is of, read at least as far.
fn goes_on(state: &FileState, entry: &FileState) -> bool {
    entry.fingerprint.head_len == 0 || lineage(state) == lineage(entry) && state.offset >= entry.offset
}

/// What all states of one content have in common, however far it was read.
fn lineage(state: &FileState) -> &str {
    if state.lineage.is_empty() { &state.fingerprint.tail } else { &state.lineage }
}

fn missed(state: FileState, now_ms: i64) -> FileState {
    FileState { present: false, missed_ms: now_ms, ..state }
}

/// Says of a file whose lines were read by other settings what to do about it, as long as it is so.
fn remapped(mut state: FileState, mapping: &str) -> FileState {
    state.problems.retain(|problem| problem.kind != ProblemKind::Remapped);
    if state.mapping.is_empty() {
        state.mapping = mapping.to_owned();
    }
    if state.mapping != mapping && state.operations > 0 {
        let reason = "`format`, `fields` or `defaults` of the source changed after lines were read, and hold \
                      for new lines only; delete `.dash` and build to read all that remains again";
        let (kind, reason) = (ProblemKind::Remapped, reason.to_owned());
        state.problems.push(Problem { kind, line: 0, reason, example: String::new(), count: 1 });
    }
    state
}

fn lasting(problems: Vec<Problem>) -> Problems {
    let mut lasting = Problems::default();
    problems
        .into_iter()
        .filter(|problem| !PASSING.contains(&problem.kind))
        .for_each(|problem| lasting.push(problem));
    lasting
}

/// Counts are over the files that are there; the newest end is also that of a file that is gone. `elsewhere`
/// are the operations and skipped records that count with another file.
fn add_up(source: &mut SourceState, state: &FileState, elsewhere: (u64, u64)) {
    source.last_end_ms = source.last_end_ms.max(state.last_end_ms);
    if state.present {
        for problem in state.problems.iter().filter(|problem| UNREAD.contains(&problem.kind)) {
            source.add_unread(&state.path, &problem.reason);
        }
        source.files += 1;
        source.bytes += state.size;
        source.operations += state.operations.saturating_sub(elsewhere.0);
        source.skipped += state.skipped.saturating_sub(elsewhere.1);
    }
}

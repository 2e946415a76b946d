//! The records themselves, from the files that still hold them: what an export of operations hands out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::Path;

use serde_json::value::RawValue;

use crate::model::operation::{Operation, Record};
use crate::sources::blocks::{Bounds, Planned, Queue, What};
use crate::sources::csv::Column;
use crate::sources::discover::discover;
use crate::sources::layout::{Layout, native_names};
use crate::sources::ledger::Ledger;
use crate::sources::record::{Field, RawRecord, interpret};
use crate::sources::records::{Kind, Reader};
use crate::sources::settings::{Private, SourceSettings};
use crate::sources::strip::{self, Without};

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// Most names of wrappers that are told.
const MOST_NAMES: usize = 20;

/// Which operations to hand out.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// The site's folder.
    pub root: &'a Path,
    pub sources: &'a [SourceSettings],
    pub max_line_bytes: usize,
    pub now_ms: i64,
    /// All wrappers where missing.
    pub wrapper: Option<&'a str>,
    /// When they ended, in milliseconds since the epoch.
    pub ended_ms: Range<i64>,
}

/// What was met on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    pub operations: u64,
    /// Wrappers of any time, the first by name.
    pub wrappers: BTreeSet<String>,
    /// Whether the wrapper that was asked for is among all there are.
    pub knows_wrapper: bool,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// Hands out each selected operation once, as a JSON object on one line, with the source it is from; file by
/// file in the order in which the files were written. Values are as they were written. What is private is
/// left out, wherever it stands, unless its source reveals it; what only the source's `defaults` say is put in.
///
/// # Errors
/// Those of `each`, which end it.
pub fn operations(
    selection: &Selection,
    each: &mut dyn FnMut(&str, &SourceSettings) -> io::Result<()>,
) -> io::Result<Handed> {
    let layouts: Vec<Layout> = selection.sources.iter().map(Layout::new).collect();
    let private: Vec<Without> = selection.sources.iter().map(private).collect();
    let mut handed = Handed::default();
    let files = plan(selection, &layouts, &mut handed.unread);
    let Selection { max_line_bytes, now_ms, .. } = *selection;
    let bounds = Bounds { block_bytes: BLOCK_BYTES, max_line_bytes, now_ms };
    let mut queue = Queue::new(&files, selection.root, Ledger::default(), bounds);
    let (mut buffer, mut object) = (Vec::new(), String::new());
    while let Some(block) = queue.next(&mut buffer) {
        let Planned { source, layout, .. } = files[block.file];
        let What::Records(kind) = &block.what else { continue };
        let mut result = Ok(());
        Reader { layout, max_line_bytes }.each(kind, &buffer[..block.len], |place, read| {
            let Ok(raw) = read else { return };
            let added: Vec<(&str, &str)> = layout.defaults_of(raw).collect();
            layout.fill_defaults(raw);
            if result.is_err() || !selects(selection, raw, &mut handed) {
                return;
            }
            let without = &private[source];
            object.clear();
            object.push('{');
            if copy(kind, place.bytes, without, &mut object).is_ok() {
                added.iter().for_each(|(name, value)| strip::text_member(name, value, without, &mut object));
                object.push('}');
                handed.operations += 1;
                result = each(&object, &selection.sources[source]);
            }
        });
        result?;
    }
    for (planned, ended) in files.iter().zip(&queue.ended) {
        let faults = ended.faults.iter().filter(|_| ended.unopened);
        handed.unread.extend(faults.map(|fault| format!("`{}`: {}", planned.found.path, fault.reason)));
    }
    Ok(handed)
}

/// The native fields that such objects may have.
pub fn columns(sources: &[SourceSettings]) -> Vec<&'static str> {
    let hidden = |name: &str| {
        let private = Private::ALL.into_iter().find(|private| private.name() == name);
        private.is_some_and(|private| !sources.iter().any(|source| source.reveal.contains(&private)))
    };
    native_names().filter(|name| !hidden(name)).collect()
}

/// The values of native fields in an object that was handed out, whatever its source calls them, as the JSON
/// that they were written as.
pub fn values<'a>(
    object: &'a str,
    source: &SourceSettings,
    names: &[&str],
) -> serde_json::Result<Vec<Option<&'a str>>> {
    let members: Members = serde_json::from_str(object)?;
    let of = |name: &&str| {
        let own = source.fields.get(*name).and_then(|path| below(&members, path));
        own.or_else(|| members.get(*name).copied()).map(RawValue::get)
    };
    Ok(names.iter().map(of).collect())
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// What a dotted path leads to; a key may itself have a dot in its name.
fn below<'a>(members: &Members<'a>, path: &str) -> Option<&'a RawValue> {
    let nested = || {
        let (key, rest) = path.split_once('.')?;
        below(&serde_json::from_str(members.get(key)?.get()).ok()?, rest)
    };
    members.get(path).copied().or_else(nested)
}

fn plan<'a>(selection: &Selection, layouts: &'a [Layout], unread: &mut Vec<String>) -> Vec<Planned<'a>> {
    let mut files = Vec::new();
    for (source, settings) in selection.sources.iter().enumerate() {
        let discovery = discover(selection.root, settings);
        unread.extend(discovery.problems.into_iter().map(|problem| problem.reason));
        let (format, layout) = (settings.format, &layouts[source]);
        files.extend(discovery.found.into_iter().map(|found| Planned { found, source, format, layout }));
    }
    files.sort_by(|a, b| {
        (a.found.stat.modified_ns, &a.found.path).cmp(&(b.found.stat.modified_ns, &b.found.path))
    });
    files
}

/// What a source keeps private: the native names, and its own for them.
fn private(source: &SourceSettings) -> Without<'_> {
    let kept: Vec<Private> =
        Private::ALL.into_iter().filter(|private| !source.reveal.contains(private)).collect();
    let own = kept.iter().filter_map(|private| source.fields.get(private.name()).map(String::as_str));
    Without { names: kept.iter().map(|private| private.name()).collect(), paths: own.collect() }
}

/// Whether a record is a selected operation.
fn selects(selection: &Selection, raw: &RawRecord, handed: &mut Handed) -> bool {
    let Ok(Record::Finished(operation)) = interpret(raw) else { return false };
    note(&operation, selection, handed);
    let wrapper = selection.wrapper.is_none_or(|wrapper| wrapper == operation.wrapper);
    wrapper && selection.ended_ms.contains(&operation.end_ms)
}

fn note(operation: &Operation, selection: &Selection, handed: &mut Handed) {
    handed.knows_wrapper |= selection.wrapper.is_some_and(|wrapper| wrapper == operation.wrapper);
    let names = &mut handed.wrappers;
    let full = names.len() >= MOST_NAMES;
    if full && names.last().is_some_and(|last| *last.as_str() <= *operation.wrapper) {
        return;
    }
    if !names.contains(&*operation.wrapper) {
        names.insert(operation.wrapper.clone().into_owned());
        if full {
            names.pop_last();
        }
    }
}

/// Appends the members of a record.
fn copy(kind: &Kind, record: &[u8], without: &Without, out: &mut String) -> serde_json::Result<()> {
    let text = str::from_utf8(record).expect("a record that was read is text");
    let Kind::Rows(columns) = kind else { return strip::members(text.trim_ascii(), without, out) };
    columns.each(text, |name, column, cell| {
        if is_json(column, cell) {
            strip::member(name, cell.trim_ascii(), without, out).expect("JSON, as was seen");
        } else {
            strip::text_member(name, cell, without, out);
        }
    });
    Ok(())
}

/// Whether a cell is the JSON that its column holds, rather than text.
fn is_json(column: &Column, cell: &str) -> bool {
    let looks = match column {
        Column::Number(_) => cell.starts_with(|c: char| c.is_ascii_digit() || c == '-'),
        Column::Text(Field::Success | Field::FallbackUsed) => matches!(cell, "true" | "false"),
        Column::Text(_) | Column::Read(_) | Column::Unread => cell.starts_with(['{', '[']),
    };
    looks && serde_json::from_str::<&RawValue>(cell).is_ok()
}

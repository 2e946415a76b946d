//! `dash export --operations`: the records themselves, piece by piece, so that their number is nobody's memory.

use std::io::{self, Write};

use anyhow::{Result, bail};

use crate::analysis::window::Window;
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::model::time::MINUTE_MS;
use crate::report::export::inert;
use crate::sources::json::unescape;
use crate::sources::operations::{Handed, Selection, columns, operations, values};
use crate::sources::settings::SourceSettings;

/// Which operations, and how to write them.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Else as JSON Lines.
    pub as_csv: bool,
    pub hours: u32,
    /// All where missing.
    pub wrapper: Option<&'a str>,
}

/// Writes the operations of the window that metrics of so many hours are of.
pub fn write(wanted: &Wanted, site: &Site, talk: &Talk, out: &mut dyn Write) -> Result<()> {
    let plan = site.plan();
    let Window { from, to } = Window::last_hours(plan.moment_ms, wanted.hours);
    let selection = Selection {
        root: plan.root,
        sources: plan.sources,
        max_line_bytes: plan.store.max_line_bytes,
        now_ms: plan.moment_ms,
        wrapper: wanted.wrapper,
        ended_ms: from * MINUTE_MS..to * MINUTE_MS,
    };
    let handed = match wanted.as_csv {
        true => csv(&selection, out)?,
        false => operations(&selection, &mut |object, _| writeln!(out, "{object}"))?,
    };
    out.flush()?;
    handed.unread.iter().for_each(|line| talk.say(&format!("not read: {line}")));
    match wanted.wrapper {
        Some(name) if !handed.knows_wrapper => {
            let names: Vec<_> = handed.wrappers.into_iter().collect();
            bail!("no record is of wrapper `{name}`; records are of: {}", names.join(", "))
        }
        _ => Ok(()),
    }
}

fn csv(selection: &Selection, out: &mut dyn Write) -> io::Result<Handed> {
    let names = columns(selection.sources);
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(&names).map_err(of_stream)?;
    let handed = operations(selection, &mut |object, source| {
        writer.write_record(cells(object, source, &names)?).map_err(of_stream)
    })?;
    writer.flush()?;
    Ok(handed)
}

/// The error of the stream that a CSV error comes from: by itself, it would be one of no kind.
fn of_stream(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn cells(object: &str, source: &SourceSettings, names: &[&str]) -> io::Result<Vec<String>> {
    let cell = |value: Option<&str>| match value {
        None | Some("null") => String::new(),
        Some(text) if text.starts_with('"') => inert(&unescape(text)).into_owned(),
        Some(number) => number.to_owned(),
    };
    Ok(values(object, source, names)?.into_iter().map(cell).collect())
}

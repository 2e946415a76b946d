//! Whatever a CSV file holds, its records follow one another without a gap, the fast reader says of each what
//! the complete one says, or declines; and what is said can be given a meaning without a panic.

#![no_main]

use dash::sources::csv::{Columns, Cut, cut};
use dash::sources::csv_fast;
use dash::sources::layout::Layout;
use dash::sources::record::{RawRecord, interpret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let layout = Layout::new(&toml::from_str("path = 'a'").expect("settings"));
    let (header, rows) = text.split_once('\n').unwrap_or((text, ""));
    let columns = Columns::new(header, &layout);
    let mut at = 0;
    while at < rows.len() {
        let len = match cut(&rows.as_bytes()[at..], 1000, true) {
            Cut::Record(len) | Cut::Unclosed(len) => len,
            Cut::Incomplete => rows.len() - at,
        };
        assert!(len > 0);
        let row = &rows[at..at + len];
        let row = row.strip_suffix('\n').unwrap_or(row);
        let complete = columns.parse(row);
        let mut record = RawRecord::default();
        if let Some(end) = csv_fast::row(&columns, rows, at, &mut record) {
            assert_eq!(end, at + row.len());
            assert_eq!(complete.as_ref(), Ok(&record));
        }
        if let Ok(record) = complete {
            let _ = interpret(&record);
        }
        at += len;
    }
});

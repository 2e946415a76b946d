//! Whatever a line holds, the fast reader says what the complete one says, or declines; and what is said
//! can be given a meaning without a panic.

#![no_main]

use dash::sources::json;
use dash::sources::json_fast::Scanner;
use dash::sources::layout::Layout;
use dash::sources::record::{RawRecord, interpret};
use libfuzzer_sys::fuzz_target;

const SITES: [&str; 2] =
    ["path = 'a'", "path = 'a'\nfields = { model = 'a.b', start_time = 't', end_time = 't', custom_metrics = 'c.d' }"];

fuzz_target!(|text: &str| {
    for site in SITES {
        let layout = Layout::new(&toml::from_str(site).expect("settings"));
        let mut scanner = Scanner::new(&layout.root);
        let mut at = 0;
        for line in text.split('\n') {
            let complete = json::parse(line, &layout.root);
            let mut record = RawRecord::default();
            if let Some(end) = scanner.record(text, at, &mut record) {
                assert_eq!(end, at + line.len());
                assert_eq!(complete.as_ref(), Ok(&record));
            }
            if let Ok(record) = complete {
                let _ = interpret(&record);
            }
            at += line.len() + 1;
        }
    }
});

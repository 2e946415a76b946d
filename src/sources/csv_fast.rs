//! CSV rows without quotes, read in one pass; a row with a quote in it is left to [`crate::sources::csv`],
//! which says the same of every row that is not.

use std::ops::Range;

use wide::u8x16;

use crate::sources::csv::{Column, Columns, assign, number_in};
use crate::sources::record::{Raw, RawRecord};
use crate::sources::scan::{LANES, number};

/// Reads the row that begins at `at`, and returns where it ends: at its newline. `None` where that is left to
/// the complete reader; the record is then of no use.
pub fn row<'a>(columns: &Columns, text: &'a str, at: usize, record: &mut RawRecord<'a>) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut columns = columns.columns.iter();
    let mut column = columns.next()?;
    let (mut start, mut marked) = (at, at);
    loop {
        let mut marks = marks(*bytes.get(marked..)?.first_chunk()?);
        while marks != 0 {
            let end = marked + marks.trailing_zeros() as usize;
            match bytes[end] {
                b',' => {
                    read(column, text, start..end, record)?;
                    column = columns.next()?;
                    start = end + 1;
                }
                // Only a row of one column can be blank.
                b'\n' if end == at => return None,
                b'\n' => {
                    let carriage = usize::from(end > start && bytes[end - 1] == b'\r');
                    read(column, text, start..end - carriage, record)?;
                    return columns.next().is_none().then_some(end);
                }
                _ => return None,
            }
            marks &= marks - 1;
        }
        marked += LANES;
    }
}

/// A bit for each byte that is a comma, a newline or a quote, the first byte's lowest.
#[inline(always)]
fn marks(bytes: [u8; LANES]) -> u32 {
    let bytes = u8x16::new(bytes);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    (is(b',') | is(b'\n') | is(b'"')).to_bitmask()
}

#[inline(always)]
fn read<'a>(column: &Column, text: &'a str, place: Range<usize>, record: &mut RawRecord<'a>) -> Option<()> {
    match column {
        Column::Unread => {}
        Column::Text(field) if place.is_empty() => *record.slot(*field) = Raw::Missing,
        Column::Text(field) => *record.slot(*field) = Raw::Text(&text[place]),
        Column::Number(field) if place.is_empty() => *record.slot(*field) = Raw::Missing,
        Column::Number(field) => {
            *record.slot(*field) = match number(text.as_bytes(), place.start) {
                Some((end, Some(decimal))) if end == place.end => Raw::Number(&text[place], decimal),
                _ => number_in(Raw::Text(&text[place])),
            };
        }
        Column::Read(target) => {
            let value = if place.is_empty() { Raw::Missing } else { Raw::Text(&text[place]) };
            assign(value, target, record).ok()?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::csv::{Cut, cut};
    use crate::sources::layout::Layout;
    use proptest::prelude::*;

    const HEADER: &str = "wrapper_name,duration_ms,x,end_time,custom_metrics,prompt_tokens";

    fn columns(header: &str) -> Columns {
        Columns::new(header, &Layout::new(&Default::default()))
    }

    /// Reads rows one after another, and checks each against the complete reader; counts those read fast.
    fn check(text: &str, columns: &Columns) -> Result<usize, TestCaseError> {
        let (mut at, mut fast) = (0, 0);
        while at < text.len() {
            let rest = &text[at..];
            let len = match cut(rest.as_bytes(), 1000, true) {
                Cut::Record(len) | Cut::Unclosed(len) => len,
                Cut::Incomplete => rest.len(),
            };
            let line = rest[..len].strip_suffix('\n').unwrap_or(&rest[..len]);
            let mut record = RawRecord::default();
            if let Some(end) = row(columns, text, at, &mut record) {
                prop_assert_eq!(end, at + line.len());
                prop_assert_eq!(columns.parse(line), Ok(record), "{}", line);
                fast += 1;
            }
            at += len;
        }
        Ok(fast)
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => prop::sample::select(vec![
                "", "w", "12", "-1.5", "007", "5.", "1e5", " 3", "nan", "2025-01-24T09:20:46Z", "a longer text than that",
                "{\"\"tokens_used\"\": 5}", "{}", "é", "\r", "\"", "\"a,b\"", "\"a\nb\"", "\"\"",
            ]).prop_map(str::to_owned),
            1 => "[ -~]{0,20}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn fast_is_the_same_as_complete_or_declines(
            rows in prop::collection::vec(
                (prop::collection::vec(cell(), 1..8), prop::sample::select(vec!["\n", "\r\n", "\n\n"])),
                0..6,
            ),
            header in prop::sample::select(vec![HEADER, "wrapper_name", "wrapper_name,duration_ms"]),
        ) {
            let text: String = rows.iter().map(|(cells, end)| cells.join(",") + end).collect();
            check(&text, &columns(header))?;
            check(text.trim_end(), &columns(header))?;
        }
    }

    #[test]
    fn rows_without_quotes_are_read_fast() {
        let text = "w,12.5,x,2025-01-24T09:20:46Z,,7\nw,,,,,\r\nw,1e3,é,,{},-7\nthe last row,,,,,";
        assert_eq!(check(text, &columns(HEADER)).expect("the same"), 3);
    }
}

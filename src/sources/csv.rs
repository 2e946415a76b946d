//! CSV records after RFC 4180: a header, quoted fields with commas and newlines in them, LF or CRLF.

use memchr::{memchr, memchr_iter, memchr2};

use crate::model::quality::ProblemKind;
use crate::sources::json;
use crate::sources::layout::{Layout, Target};
use crate::sources::number::Decimal;
use crate::sources::problems::Fault;
use crate::sources::record::{Field, Raw, RawRecord};

/// Where a record ends in some bytes that begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After its newline.
    Record(usize),
    /// It opens a quote that is not closed within the limit. Only its first line is given up, up to here.
    Unclosed(usize),
    /// More bytes are needed to tell.
    Incomplete,
}

/// Finds the end of the first record. `limit` is the longest record allowed; `whole` says that no more bytes
/// follow.
pub fn cut(bytes: &[u8], limit: usize, whole: bool) -> Cut {
    let Some(line) = memchr(b'\n', bytes) else { return Cut::Incomplete };
    if memchr(b'"', &bytes[..line]).is_none() {
        return Cut::Record(line + 1);
    }
    match quoted_end(bytes) {
        Some(end) if end <= limit.max(line + 1) => Cut::Record(end),
        None if !whole && bytes.len() <= limit => Cut::Incomplete,
        _ => Cut::Unclosed(line + 1),
    }
}

/// The place after the newline that ends a record with quotes in it. A quote opens only where a field begins.
fn quoted_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            at = closing_quote(bytes, at + 1)? + 1;
        }
        at += memchr2(b',', b'\n', &bytes[at..])? + 1;
        if bytes[at - 1] == b'\n' {
            return Some(at);
        }
    }
}

/// The quote that ends a quoted field; doubled quotes are part of it.
fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', &bytes[at..])?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// Which columns hold what; made from a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub columns: Vec<Column>,
    names: Vec<String>,
}

/// What is read of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    Unread,
    /// One value and nothing below it, which is nearly every column.
    Text(Field),
    Number(Field),
    Read(Box<Target>),
}

impl Column {
    fn new(target: Option<&Target>) -> Column {
        let Some(target) = target else { return Column::Unread };
        match target.field() {
            Some(field) if field.is_number() => Column::Number(field),
            Some(field) => Column::Text(field),
            None => Column::Read(Box::new(target.clone())),
        }
    }

    fn holds(&self, field: Field) -> bool {
        match self {
            Column::Unread => false,
            Column::Text(own) | Column::Number(own) => *own == field,
            Column::Read(target) => target.fields.contains(&field) || target.below.contains(&field),
        }
    }
}

impl Columns {
    pub fn new(header: &str, layout: &Layout) -> Columns {
        let mut names = Vec::new();
        // A header that cannot be split has no columns, and every row says so.
        let _ = split(header, |field| names.push(field));
        let names: Vec<String> =
            names.iter().map(|name| name.text().unwrap_or_default().trim().to_owned()).collect();
        let columns = names.iter().map(|name| Column::new(layout.root.get(name))).collect();
        Columns { columns, names }
    }

    /// Hands out the names, columns and values of one row, those that are empty left out.
    pub fn each(&self, row: &str, mut value: impl FnMut(&str, &Column, &str)) {
        let mut columns = self.names.iter().zip(&self.columns);
        // A row that cannot be split was refused before.
        let _ = split(row, |field| {
            if let (Some((name, column)), Some(text)) = (columns.next(), field.text()) {
                value(name, column, &text);
            }
        });
    }

    fn has(&self, field: Field) -> bool {
        self.columns.iter().any(|column| column.holds(field))
    }

    /// The values of one row, without its newline.
    pub fn parse<'a>(&self, row: &'a str) -> Result<RawRecord<'a>, Fault> {
        let (mut record, mut count, mut broken) = (RawRecord::default(), 0, false);
        split(row, |value| {
            match self.columns.get(count) {
                None | Some(Column::Unread) => {}
                Some(Column::Text(field)) => record.set(*field, value),
                Some(Column::Number(field)) => record.set(*field, number_in(value)),
                Some(Column::Read(target)) => broken |= assign(value, target, &mut record).is_err(),
            }
            count += 1;
        })?;
        if count != self.columns.len() {
            let expected = self.columns.len();
            let fault = bad_row("the row has not as many fields as the header");
            return Err(fault.with(format!("{count} fields where the header has {expected}")));
        }
        if broken {
            return Err(bad_row("a field of nested values is not valid JSON"));
        }
        Ok(record)
    }
}

/// What keeps all rows below a header from being read.
pub fn bad_header(header: &str, layout: &Layout) -> Option<Fault> {
    let columns = Columns::new(header.trim(), layout);
    if header.trim_end().contains('\r') {
        let reason = "its lines end in CR alone; write LF or CRLF";
        return Some(Fault::new(ProblemKind::Layout, reason));
    }
    let named = columns.has(Field::WrapperName) || layout.has_default(Field::WrapperName);
    if named || !header.ends_with('\n') {
        return None;
    }
    let other = [(';', "`;`"), ('\t', "tabs")].into_iter().find(|(separator, _)| header.contains(*separator));
    let reason = match other {
        Some((_, separator)) if columns.columns.len() == 1 => {
            format!("its fields are separated by {separator}; write commas")
        }
        _ => "no `wrapper_name` column in the header; map one in `fields` of the source, or give all \
              records one in `defaults`"
            .to_owned(),
    };
    Some(Fault::new(ProblemKind::Layout, reason))
}

/// The value of a column of numbers.
pub fn number_in(value: Raw) -> Raw {
    match value {
        Raw::Text(text) => Decimal::parse(text).map_or(value, |decimal| Raw::Number(text, decimal)),
        _ => value,
    }
}

/// Reads the value of a column of which more is read than one value.
pub fn assign<'a>(value: Raw<'a>, target: &Target, record: &mut RawRecord<'a>) -> serde_json::Result<()> {
    for &field in &target.fields {
        record.set(field, if field.is_number() { number_in(value) } else { value });
    }
    match value {
        _ if target.below.is_empty() => Ok(()),
        Raw::Text(text) if text.starts_with('{') => json::read_object(text, &target.nested, record),
        Raw::Doubled(text) if text.starts_with('{') => read_doubled(text, target, record),
        _ => Ok(()),
    }
}

/// Reads an object whose quotes are doubled. Its plain values stand in the row as they are, only further
/// right than in the object's own text: by one for each quote before them.
fn read_doubled<'a>(doubled: &'a str, target: &Target, record: &mut RawRecord<'a>) -> serde_json::Result<()> {
    let object = doubled.replace("\"\"", "\"");
    let mut inner = RawRecord::default();
    json::read_object(&object, &target.nested, &mut inner)?;
    let place = |value: &str| {
        let at = value.as_ptr() as usize - object.as_ptr() as usize;
        let start = at + memchr_iter(b'"', &object.as_bytes()[..at]).count();
        &doubled[start..start + value.len()]
    };
    for &field in &target.below {
        match *inner.get(field) {
            Raw::Text(value) => record.set(field, Raw::Text(place(value))),
            Raw::Literal(value) | Raw::Number(value, _) => record.set(field, json::classify(place(value))),
            Raw::Missing | Raw::Escaped(_) | Raw::Doubled(_) | Raw::Nested(_) => {}
        }
    }
    Ok(())
}

/// Hands out the fields of one row, in order.
fn split<'a>(row: &'a str, mut field: impl FnMut(Raw<'a>)) -> Result<(), Fault> {
    let row = row.strip_suffix('\r').unwrap_or(row);
    let bytes = row.as_bytes();
    let mut at = 0;
    loop {
        let quoted = bytes.get(at) == Some(&b'"');
        let end = if quoted {
            let close = closing_quote(bytes, at + 1);
            let close = close.ok_or_else(|| bad_row("a quote is never closed"))?;
            field(quoted_value(&row[at + 1..close]));
            close + 1
        } else {
            let end = memchr(b',', &bytes[at..]).map_or(bytes.len(), |comma| at + comma);
            field(if at == end { Raw::Missing } else { Raw::Text(&row[at..end]) });
            end
        };
        match bytes.get(end) {
            None => return Ok(()),
            Some(b',') => at = end + 1,
            Some(_) => return Err(bad_row("text after a closing quote")),
        }
    }
}

fn quoted_value(inner: &str) -> Raw<'_> {
    match inner {
        "" => Raw::Missing,
        text if memchr(b'"', text.as_bytes()).is_some() => Raw::Doubled(text),
        text => Raw::Text(text),
    }
}

fn bad_row(reason: &str) -> Fault {
    Fault::new(ProblemKind::BadRow, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns(header: &str) -> Columns {
        Columns::new(header, &Layout::new(&Default::default()))
    }

    fn expected<'a>(values: &[(Field, Raw<'a>)]) -> RawRecord<'a> {
        let mut record = RawRecord::default();
        for (field, value) in values {
            record.set(*field, *value);
        }
        record
    }

    #[test]
    fn fields_go_by_the_header() {
        let columns = columns("x,model, wrapper_name ,status\r");
        assert_eq!(
            columns.parse("1,\"a, \"\"b\"\"\",w,\r").expect("a row"),
            expected(&[(Field::Model, Raw::Doubled("a, \"\"b\"\"")), (Field::WrapperName, Raw::Text("w"))])
        );
    }

    #[test]
    fn nested_values_are_found_in_their_json() {
        let columns = columns("model,custom_metrics");
        let row = r#"m,"{""a"": ""x"", ""tokens_used"": 12, ""cost_estimate"": ""0.5""}""#;
        let record = columns.parse(row).expect("a row");
        let values = [
            (Field::Model, "m", false),
            (Field::CustomTokens, "12", true),
            (Field::CustomCost, "0.5", false),
        ];
        let raw = |text, number| if number { json::classify(text) } else { Raw::Text(text) };
        assert_eq!(record, expected(&values.map(|(field, text, number)| (field, raw(text, number)))));
        assert_eq!(columns.parse("m,{oops").expect_err("not JSON").kind, ProblemKind::BadRow);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let columns = columns("model,status");
        let count = "the row has not as many fields as the header";
        for (row, reason, example) in [
            ("a", count, "1 fields where the header has 2"),
            ("a,b,c", count, "3 fields where the header has 2"),
            ("\"a\"b,c", "text after a closing quote", ""),
            ("\"a,c", "a quote is never closed", ""),
        ] {
            assert_eq!(columns.parse(row).expect_err(row), bad_row(reason).with(example));
        }
    }

    #[test]
    fn records_end_at_newlines_outside_of_quotes() {
        assert_eq!(cut(b"a,b\nc", 100, false), Cut::Record(4));
        assert_eq!(cut(b"a,b", 100, true), Cut::Incomplete);
        assert_eq!(cut(b"a,\"b\nc\"\nd", 100, false), Cut::Record(8));
        assert_eq!(cut(b"a,5\" disk\nd", 100, false), Cut::Record(10));
        assert_eq!(cut(b"a,\"b\nc", 100, false), Cut::Incomplete);
        assert_eq!(cut(b"a,\"b\nc", 100, true), Cut::Unclosed(5));
        assert_eq!(cut(b"a,\"b\nc\"\n", 6, false), Cut::Unclosed(5));
    }

    proptest! {
        #[test]
        fn rows_are_those_of_the_csv_crate(rows in prop::collection::vec(
            prop::collection::vec("[a-c,\"\n\r ]{0,6}", 2..3), 1..6,
        )) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("in memory");
            }
            let bytes = writer.into_inner().expect("in memory");
            let text = std::str::from_utf8(&bytes).expect("text");
            let mut at = 0;
            for row in &rows {
                let Cut::Record(end) = cut(&bytes[at..], 1000, true) else { panic!("a record at {at}") };
                let mut fields = Vec::new();
                split(text[at..at + end].strip_suffix('\n').expect("ends so"), |field| {
                    fields.push(field.text().unwrap_or_default().into_owned());
                }).expect("a row");
                prop_assert_eq!(&fields, row);
                at += end;
            }
            prop_assert_eq!(at, bytes.len());
        }
    }
}

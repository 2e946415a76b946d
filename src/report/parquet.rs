//! The metrics export as Parquet: the rows of [`crate::report::export`] in columns, compressed, with the types that
//! JSON and CSV leave to the reader.

use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use anyhow::{Context, Result};
use chrono::DateTime;
use serde_json::{Map, Value};

use crate::report::export::fields;

/// A row of the export.
type Row = Map<String, Value>;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// RFC 3339 in the export; milliseconds, UTC.
    Time,
    Text,
    Whole,
    /// Absent where it is of nothing.
    Number,
}

/// The metrics export, written as JSON before, as Parquet: one row group.
///
/// # Errors
/// If the bytes are not such an export.
pub fn of_json(export: &[u8]) -> Result<Vec<u8>> {
    let rows: Vec<Row> = serde_json::from_slice(export).context("reading the export of metrics")?;
    let columns = columns();
    let schema = Arc::new(parse_message_type(&schema(&columns))?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(Default::default()))
        .set_created_by(concat!("dash ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (name, kind) in &columns {
        let values = rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null));
        let mut column = group.next_column()?.context("there are as many columns as the schema has")?;
        match kind {
            Kind::Time => {
                let times = values.map(milliseconds).collect::<Result<Vec<_>>>()?;
                column.typed::<Int64Type>().write_batch(&times, None, None)?;
            }
            Kind::Text => {
                let texts: Vec<_> =
                    values.map(|value| ByteArray::from(value.as_str().unwrap_or(""))).collect();
                column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
            }
            Kind::Whole => {
                let whole: Vec<_> = values.map(|value| value.as_i64().unwrap_or(0)).collect();
                column.typed::<Int64Type>().write_batch(&whole, None, None)?;
            }
            Kind::Number => {
                let numbers: Vec<_> = values.map(Value::as_f64).collect();
                let there: Vec<i16> = numbers.iter().map(|number| i16::from(number.is_some())).collect();
                let numbers: Vec<f64> = numbers.into_iter().flatten().collect();
                column.typed::<DoubleType>().write_batch(&numbers, Some(&there), None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    writer.into_inner().context("ending the file")
}

/// Names and kinds, in the order of the export.
fn columns() -> Vec<(String, Kind)> {
    let kind = |name: &str, value: &Value| match value {
        _ if name == "timestamp" => Kind::Time,
        Value::String(_) => Kind::Text,
        Value::Number(number) if !number.is_f64() => Kind::Whole,
        _ => Kind::Number,
    };
    fields().iter().map(|(name, value)| (name.clone(), kind(name, value))).collect()
}

fn schema(columns: &[(String, Kind)]) -> String {
    let line = |(name, kind): &(String, Kind)| match kind {
        Kind::Time => format!("required int64 {name} (TIMESTAMP(MILLIS,true));"),
        Kind::Text => format!("required binary {name} (STRING);"),
        Kind::Whole => format!("required int64 {name};"),
        Kind::Number => format!("optional double {name};"),
    };
    format!("message metrics {{ {} }}", columns.iter().map(line).collect::<String>())
}

fn milliseconds(time: &Value) -> Result<i64> {
    let text = time.as_str().unwrap_or_default();
    let time = DateTime::parse_from_rfc3339(text).with_context(|| format!("`{text}` is not a time"))?;
    Ok(time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_kinds_of_the_figures() {
        let columns = columns();
        let kind = |name: &str| columns.iter().find(|column| column.0 == name).map(|column| column.1);
        let table = [
            ("timestamp", Kind::Time),
            ("wrapper_name", Kind::Text),
            ("total_operations", Kind::Whole),
            ("total_tokens", Kind::Whole),
            ("success_rate", Kind::Number),
            ("cost", Kind::Number),
        ];
        for (name, expected) in table {
            assert_eq!(kind(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_is_no_export_is_an_error_and_an_empty_one_a_file() {
        assert!(of_json(b"{").is_err());
        assert!(of_json(b"[{\"timestamp\": 5}]").is_err());
        assert!(of_json(b"[]").expect("a file without rows").starts_with(b"PAR1"));
    }
}

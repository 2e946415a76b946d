//! What a reported operation may say, as a JSON schema. It is made from the fields that are read, and tells of each
//! what the tolerant reader takes: numbers in quotes, words in any case, times in several forms.

use serde_json::{Map, Value, json};

use crate::sources::record::{FIELDS, Field, MOST_TOKENS, MOST_UNITS};

/// The words that are written out for those who make clients from the document.
const STATUSES: [&str; 6] = ["started", "success", "error", "fallback", "timeout", "cancelled"];
/// Others that mean the same.
const OTHER_STATUSES: [&str; 4] = ["ok", "failure", "failed", "canceled"];

/// Digits as a text, or nothing, which is as good as no value.
const NUMERIC: &str = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$|^$";
const TRUTH: &str = r"^\s*(true|True|TRUE|1|false|False|FALSE|0)\s*$|^$";

/// Decimals of what is counted, beyond which numbers are rounded: whole tokens, nanoseconds in milliseconds, 10⁻¹² of
/// the currency.
const TOKENS: i32 = 0;
const MILLISECONDS: i32 = 6;
const CURRENCY: i32 = 12;

/// One record; `wrapper_name` and one of the times are needed.
pub fn operation() -> Value {
    let own = FIELDS.iter().filter(|(name, _)| !name.contains('.'));
    let mut properties: Map<String, Value> =
        own.map(|(name, field)| ((*name).to_owned(), schema(*field))).collect();
    let nested = "An object; `tokens_used` and `cost_estimate` in it stand in for fields that are missing";
    properties.insert("custom_metrics".to_owned(), json!({"description": nested}));
    let one_time = [json!({"required": ["end_time"]}), json!({"required": ["start_time"]})];
    json!({
        "type": "object",
        "description": "Other fields are not read. `null` is as good as a field that is missing.",
        "properties": properties,
        "required": ["wrapper_name"],
        "anyOf": one_time,
    })
}

fn schema(field: Field) -> Value {
    match field {
        Field::WrapperName => {
            let types = ["string", "number", "boolean", "array", "object"];
            json!({"type": types, "minLength": 1, "pattern": r"\S", "description": TEXT})
        }
        Field::OperationId => json!({"description": format!("{TEXT}; a `started` record needs it")}),
        Field::OperationType | Field::Model => json!({"description": TEXT}),
        Field::ErrorMessage | Field::ErrorCode => json!({"description": TEXT}),
        Field::StartTime | Field::EndTime => {
            json!({"type": ["string", "number", "null"], "description": TIME})
        }
        Field::Status => status(),
        Field::Success | Field::FallbackUsed => {
            let types = ["boolean", "string", "integer", "null"];
            json!({"type": types, "pattern": TRUTH, "minimum": 0, "maximum": 1, "description": "`true` or `false`"})
        }
        Field::DurationMs => number(MILLISECONDS, MOST_UNITS as u64),
        Field::CostEstimate | Field::CustomCost => number(CURRENCY, MOST_UNITS as u64),
        Field::PromptTokens | Field::CompletionTokens | Field::CachedTokens => number(TOKENS, MOST_TOKENS),
        Field::TotalTokens | Field::CustomTokens => number(TOKENS, MOST_TOKENS),
    }
}

const TEXT: &str = "Text; what is of another type is taken as it is written";
const TIME: &str = "RFC 3339, where no offset means UTC; or seconds, milliseconds, microseconds or nanoseconds since \
                    the epoch; from 2000 to 2099, and not more than a day ahead";

/// What rounds to nothing is no negative number: differences of floats may lie a little below zero.
fn number(decimals: i32, most: u64) -> Value {
    json!({
        "type": ["number", "string", "null"],
        "exclusiveMinimum": -0.5 * 10_f64.powi(-decimals),
        "maximum": most,
        "pattern": NUMERIC,
        "description": "Not negative; may be in quotes",
    })
}

fn status() -> Value {
    let words =
        STATUSES.iter().chain(&OTHER_STATUSES).map(|word| any_case(word)).collect::<Vec<_>>().join("|");
    let others =
        format!("The same in any case, and {}", OTHER_STATUSES.map(|word| format!("`{word}`")).join(", "));
    json!({"anyOf": [
        {"enum": STATUSES},
        {"type": ["string", "null"], "pattern": format!(r"^\s*({words})\s*$|^$"), "description": others},
    ]})
}

fn any_case(word: &str) -> String {
    word.chars().map(|letter| format!("[{letter}{}]", letter.to_ascii_uppercase())).collect()
}

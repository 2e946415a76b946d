//! The API's description as an OpenAPI 3.1 document. It and the page of `docs.rs` are made from the table that answers
//! (`api.rs`), so neither can say something else.

use serde_json::{Map, Value, json};

use crate::analysis::figures::Figures;
use crate::analysis::window::MAX_HOURS;
use crate::model::bucket::Bucket;
use crate::report::export::Format;
use crate::serve::answer::TEXT;
use crate::serve::api::{ALL, Answer, ENDPOINTS, Endpoint, Parameter};
use crate::serve::docs::EVENTS;
use crate::serve::metrics::CONTENT_TYPE;
use crate::serve::operations::{LINES, MOST_BYTES, MOST_RECORD_BYTES, MOST_RECORDS};
use crate::serve::reported;
use crate::serve::sign_in::COOKIE_NAME;

/// What a question can go wrong with.
const BAD: &str = "A parameter is out of its bounds";
const UNKNOWN: &str = "There is no such wrapper";

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    paths.insert(stable("/api/sessions"), sessions());
    paths.insert(stable("/api/operations"), report());
    paths.insert("/metrics".to_owned(), metrics());
    paths.insert("/ws".to_owned(), live());
    for endpoint in &ENDPOINTS {
        paths.insert(stable(endpoint.path), json!({"get": operation(endpoint)}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dash",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Health, performance and cost of LLM wrappers. Every path under `/api/v1` answers under \
                            `/api`, too. Answers change with each snapshot; ask with `If-None-Match`.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        // Relative to the document: it holds behind any proxy and base path.
        "servers": [{"url": ".."}],
        "paths": paths,
        // Nothing, where the daemon asks nobody who they are.
        "security": [{}, {"token": []}, {"session": []}],
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE_NAME},
            },
        },
    })
}

fn metrics() -> Value {
    json!({"get": {
        "summary": "Figures of dash and of the wrappers, for Prometheus",
        "parameters": [],
        "responses": {
            "200": {"description": "Text, a figure a line", "content": {(CONTENT_TYPE): {"schema": text()}}},
            "default": error("Something is wrong; `error.message` says what"),
        },
    }})
}

fn live() -> Value {
    let plain = json!({(TEXT): {"schema": text()}});
    let events: Vec<_> =
        EVENTS.iter().map(|(event, way, about)| format!("`{event}` ({way}): {about}")).collect();
    json!({"get": {
        "summary": "Live updates: a WebSocket of JSON text frames, each an object with its `event`",
        "description": events.join(". "),
        "parameters": [],
        "responses": {
            "101": {"description": "The connection is a WebSocket from here on"},
            "426": {"description": "The request did not ask for a WebSocket", "content": plain},
            "429": error("This client has too many live connections"),
            "503": {"description": "There are too many live connections", "content": plain},
            "default": error("Something is wrong; `error.message` says what"),
        },
    }})
}

fn report() -> Value {
    let list = json!({"type": "array", "items": reference("Operation"), "minItems": 1});
    let mut content =
        properties(&[("application/json", json!({"schema": {"oneOf": [reference("Operation"), list]}}))]);
    let line = json!({"schema": {"type": "string", "description": "One operation a line"}});
    content.extend(LINES.iter().map(|media| ((*media).to_owned(), line.clone())));
    let taken = json!({"application/json": {"schema": reference("Taken")}});
    json!({"post": {
        "summary": "Report operations; may be packed with gzip. What is accepted is on the disk",
        "description": format!(
            "At most {MOST_BYTES} bytes and {MOST_RECORDS} records of {MOST_RECORD_BYTES} bytes. `problems` names \
             up to 100 records that were not accepted, by their place from 0 on, and why."
        ),
        "parameters": [],
        "requestBody": {"required": true, "content": content},
        "responses": {
            "202": {"description": "At least one record was accepted", "content": taken},
            "400": error("No record could be read"),
            "413": error("The body is too large"),
            "415": error("The body is of another type"),
            "503": error("The records could not be written; send them again"),
            "507": error("The inbox is full; send them again when builds have read it"),
            "default": error("Something is wrong; `error.message` says what"),
        },
    }})
}

fn sessions() -> Value {
    let response = |data: &str| {
        json!({
            "200": {"description": "Done", "content": {"application/json": {"schema": reference(data)}}},
            "default": error("Something is wrong; `error.message` says what"),
        })
    };
    let user = json!({"name": "user", "in": "query", "required": true, "schema": text()});
    json!({
        "get": {"summary": "Who is signed in; for admins", "parameters": [], "responses": response("Sessions")},
        "delete": {
            "summary": "Ends all sessions of a user; for admins",
            "parameters": [user],
            "responses": response("Ended"),
        },
    })
}

/// `/api/x` → `/api/v1/x`.
pub fn stable(path: &str) -> String {
    path.strip_prefix("/api/").map_or(path.to_owned(), |rest| format!("/api/v1/{rest}"))
}

fn operation(endpoint: &Endpoint) -> Value {
    let parameters: Vec<_> = endpoint.parameters.iter().map(Parameter::described).collect();
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(endpoint));
    responses.insert("304".to_owned(), json!({"description": "The client has this answer"}));
    if endpoint.parameters.iter().any(|parameter| *parameter != Parameter::Name) {
        responses.insert("400".to_owned(), error(BAD));
    }
    if endpoint.parameters.iter().any(|one| matches!(one, Parameter::Name | Parameter::Wrapper)) {
        responses.insert("404".to_owned(), error(UNKNOWN));
    }
    responses.insert("default".to_owned(), error("Something is wrong; `error.message` says what"));
    json!({"summary": endpoint.summary, "parameters": parameters, "responses": responses})
}

fn success(endpoint: &Endpoint) -> Value {
    let content = match endpoint.answer {
        Answer::Worked { schema, .. } | Answer::Published { schema, .. } => {
            json!({"application/json": {"schema": reference(schema)}})
        }
        Answer::Export => json!({
            "application/json": {"schema": {"type": "array", "items": reference("ExportRow")}},
            "text/csv": {"schema": {"type": "string"}},
        }),
    };
    json!({"description": endpoint.summary, "content": content})
}

fn error(description: &str) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": reference("Error")}}})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

impl Parameter {
    /// Its name in a question.
    pub fn name(&self) -> &'static str {
        match self {
            Parameter::Format => "format",
            Parameter::Hours(_) => "hours",
            Parameter::Name => "name",
            Parameter::Wrapper => "wrapper",
        }
    }

    pub fn about(&self) -> &'static str {
        match self {
            Parameter::Format => "How the rows are written",
            Parameter::Hours(Some(_)) => "How many hours to look back",
            Parameter::Hours(None) => "How many hours to look back; the health window where it is not given",
            Parameter::Name => "The name of a wrapper",
            Parameter::Wrapper => "The name of a wrapper, or `all`",
        }
    }

    fn schema(&self) -> Value {
        match self {
            Parameter::Format => {
                let words = Format::ALL.map(Format::word);
                json!({"type": "string", "enum": words, "default": Format::Json.word()})
            }
            Parameter::Hours(default) => {
                let mut schema = json!({"type": "integer", "minimum": 1, "maximum": MAX_HOURS});
                if let Some(hours) = default {
                    schema["default"] = json!(hours);
                }
                schema
            }
            Parameter::Name => json!({"type": "string", "minLength": 1}),
            Parameter::Wrapper => json!({"type": "string", "default": ALL}),
        }
    }

    fn described(&self) -> Value {
        let in_path = *self == Parameter::Name;
        json!({
            "name": self.name(),
            "in": if in_path { "path" } else { "query" },
            "required": in_path,
            "description": self.about(),
            "schema": self.schema(),
        })
    }
}

/// Properties that are all there, and others that may be.
fn object(properties: Map<String, Value>) -> Value {
    let required: Vec<_> = properties.keys().cloned().collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn properties(pairs: &[(&str, Value)]) -> Map<String, Value> {
    pairs.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect()
}

/// The counters are whole numbers; everything else is `null` where there is nothing to say it of.
fn figures() -> Map<String, Value> {
    let empty = serde_json::to_value(Figures::of(&Bucket::default(), 1.0)).expect("it is plain data");
    let Value::Object(fields) = empty else { unreachable!("figures are a struct") };
    let schema = |value: &Value| if value.is_u64() { count() } else { number_or_null() };
    fields.into_iter().map(|(name, value)| (name, schema(&value))).collect()
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn number_or_null() -> Value {
    json!({"type": ["number", "null"]})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn text_or_null() -> Value {
    json!({"type": ["string", "null"]})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn schemas() -> Value {
    let envelope = |data: Value| {
        object(properties(&[("success", json!({"const": true})), ("data", data), ("timestamp", moment())]))
    };
    let mut row = properties(&[("timestamp", moment())]);
    row.extend(figures());
    let mut export = properties(&[("timestamp", moment()), ("wrapper_name", text())]);
    export.extend(figures());
    let mut metrics = properties(&[("success", json!({"const": true})), ("wrapper_name", text())]);
    let hours = json!({"type": "integer", "minimum": 1, "maximum": MAX_HOURS});
    metrics.extend(properties(&[
        ("time_range_hours", hours),
        ("data", json!({"type": "array", "items": object(row)})),
        ("timestamp", moment()),
    ]));
    json!({
        "Activity": envelope(json!({"type": "array", "items": activity()})),
        "DaemonHealth": object(properties(&[
            ("status", text()), ("timestamp", moment()), ("version", text()), ("snapshot", text()),
        ])),
        "Ended": envelope(object(properties(&[("ended", count())]))),
        "Error": object(properties(&[
            ("success", json!({"const": false})),
            ("error", object(properties(&[("code", text()), ("message", text())]))),
            ("timestamp", moment()),
        ])),
        "ExportRow": object(export),
        "Figure": object(properties(&[
            ("data", json!({"type": "array", "items": {"type": "object"}})),
            ("layout", json!({"type": "object"})),
        ])),
        "Sessions": envelope(json!({
            "type": "array",
            "items": object(properties(&[("user", text()), ("opened", moment())])),
        })),
        "SystemHealth": envelope(system_health()),
        "Operation": reported::operation(),
        "Taken": envelope(object(properties(&[
            ("accepted", count()),
            ("rejected", count()),
            ("problems", json!({"type": "array", "items": object(properties(&[
                ("record", count()), ("reason", text()),
            ]))})),
        ]))),
        "WrapperMetrics": object(metrics),
        "WrappersHealth": envelope(json!({"type": "object", "additionalProperties": wrapper_health()})),
    })
}

fn activity() -> Value {
    object(properties(&[
        ("id", text()),
        ("kind", text()),
        ("timestamp", moment()),
        ("wrapper", text()),
        ("message", text()),
        ("count", count()),
    ]))
}

fn system_health() -> Value {
    object(properties(&[
        ("overall_health_score", number_or_null()),
        ("system_status", status()),
        ("active_wrappers", count()),
        ("healthy_wrappers", count()),
        ("unhealthy_wrappers", count()),
        ("health_percentage", number_or_null()),
        ("total_operations", count()),
        ("active_operations", count()),
        ("overall_success_rate", number_or_null()),
        ("error_count", count()),
        ("operations_per_minute", number_or_null()),
        ("last_health_check", moment()),
    ]))
}

fn wrapper_health() -> Value {
    let mut fields = properties(&[
        ("health_score", number_or_null()),
        ("status", status()),
        ("last_activity", text_or_null()),
    ]);
    fields.extend(figures());
    let factor = object(properties(&[
        ("name", text()),
        ("multiplier", json!({"type": "number"})),
        ("reason", text()),
    ]));
    fields.extend(properties(&[
        ("in_flight", count()),
        ("first_seen", moment()),
        ("slug", text()),
        ("factors", json!({"type": "array", "items": factor})),
    ]));
    object(fields)
}

fn status() -> Value {
    json!({"enum": ["Healthy", "Degraded", "Unhealthy", "Critical", "No data"]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::docs::page;

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = document();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("a name");
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn page_and_document_name_every_endpoint() {
        let (document, page) = (document(), page());
        for path in ["/api/v1/operations", "/api/v1/sessions", "/metrics", "/ws"] {
            assert!(document["paths"][path].is_object() && page.contains(path), "{path}");
        }
        for endpoint in &ENDPOINTS {
            let path = stable(endpoint.path);
            assert!(document["paths"][&path]["get"].is_object() && page.contains(&path), "{path}");
        }
    }
}

//! What describes the API, and what Prometheus is told.

use std::collections::{BTreeMap, BTreeSet};

use predicates::Predicate;
use predicates::str::is_match;
use serde_json::{Value, json};

use super::Server;
use super::site::NAMES;

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_document_answers_as_it_says() {
    let server = Server::start().await;
    let document = server.get("/api/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 8, "{paths:?}");
    for (path, operations) in paths {
        let Some(get) = operations.get("get") else { continue };
        let answer = server.get(&path.replace("{name}", "RouteLLM")).await;
        // A socket is not asked for as if it were a page.
        assert_eq!(answer.status, if path == "/ws" { 426 } else { 200 }, "{path}");
        let content = get["responses"][answer.status.to_string()]["content"].as_object().expect("content");
        assert!(content.contains_key(answer.header("content-type")), "{path}");
        if let Some(json) = content.get("application/json") {
            let wrong = check(&document, &json["schema"], &answer.json(), path);
            assert!(wrong.is_empty(), "{wrong:?}");
        }
        for parameter in get["parameters"].as_array().expect("parameters") {
            bounds_hold(&server, path, parameter).await;
        }
    }
    for (path, content_type) in
        [("/api/docs", "text/html; charset=utf-8"), ("/api/docs.css", "text/css; charset=utf-8")]
    {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type));
        assert!(!answer.text().contains("://"), "it needs nothing from another host");
        let brings_icon = answer.text().contains("rel=\"icon\" href=\"data:image/svg");
        assert_eq!(brings_icon, path == "/api/docs", "a browser looks for an icon that is not told");
    }
}

/// What lies at the bounds is answered, and what lies beyond is refused with their name.
async fn bounds_hold(server: &Server, path: &str, parameter: &Value) {
    let path = path.replace("{name}", "RouteLLM");
    let (name, schema) = (parameter["name"].as_str().expect("a name"), &parameter["schema"]);
    let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) else { return };
    for (value, status) in [(least, 200), (most, 200), (least - 1, 400), (most + 1, 400)] {
        let answer = server.get(&format!("{path}?{name}={value}")).await;
        assert_eq!(answer.status, status, "{path} {name}={value}");
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(status == 200 || message.contains(&format!("`{name}`")), "{message}");
    }
}

/// What is wrong with a value. As much of JSON Schema as the document uses; an unknown keyword is wrong, too.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        let within = |schema: &Value, value: &Value, part: String| {
            check(document, schema, value, &format!("{at}{part}"))
        };
        let types = || wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
        let holds = match keyword.as_str() {
            "$ref" => {
                let name = wanted.as_str().and_then(|path| path.strip_prefix("#/components/schemas/"));
                let schema = &document["components"]["schemas"][name.expect("a schema of the document")];
                wrong.extend(within(schema, value, String::new()));
                true
            }
            "type" => types().iter().any(|name| is_of(value, name.as_str().expect("a name"))),
            "const" => value == wanted,
            "enum" => wanted.as_array().is_some_and(|values| values.contains(value)),
            // These say nothing of values of other types.
            "minimum" => value.as_f64().is_none_or(|value| Some(value) >= wanted.as_f64()),
            "exclusiveMinimum" => value.as_f64().is_none_or(|value| Some(value) > wanted.as_f64()),
            "maximum" => value.as_f64().is_none_or(|value| Some(value) <= wanted.as_f64()),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().expect("a count")),
            "pattern" => value
                .as_str()
                .is_none_or(|text| is_match(wanted.as_str().expect("a pattern")).expect("valid").eval(text)),
            "description" => true,
            "anyOf" => {
                let choices = wanted.as_array().expect("schemas");
                choices.iter().any(|schema| within(schema, value, String::new()).is_empty())
            }
            "required" => {
                let names = wanted.as_array().expect("names").iter().filter_map(Value::as_str);
                names.filter(|name| value.get(name).is_none()).count() == 0
            }
            "properties" => {
                let schemas = wanted.as_object().expect("schemas").iter();
                let there = schemas.filter_map(|(name, schema)| Some((name, schema, value.get(name)?)));
                wrong.extend(
                    there.flat_map(|(name, schema, value)| within(schema, value, format!(".{name}"))),
                );
                true
            }
            "additionalProperties" => {
                let values = value.as_object().expect("an object").iter();
                wrong.extend(values.flat_map(|(name, value)| within(wanted, value, format!(".{name}"))));
                true
            }
            "items" => {
                let values = value.as_array().expect("a list").iter().enumerate();
                wrong.extend(values.flat_map(|(index, value)| within(wanted, value, format!("[{index}]"))));
                true
            }
            "format" => chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap_or_default()).is_ok(),
            _ => false,
        };
        if !holds {
            wrong.push(format!("{at}: {keyword} {wanted} of {value}"));
        }
    }
    wrong
}

/// Values of all types, at the bounds of numbers, and words that mean something.
fn values() -> Vec<Value> {
    let texts = [
        "", " ", "x", "5", " 5.5 ", "1e3", ".5", "5.", "-5", "nan", "inf", "true", " TRUE", "tRue", "success",
    ];
    let texts =
        texts.iter().chain(&["FAILED ", "started", "2026-09-21T14:00:00Z", "2026-09-21 14:00", "[1]"]);
    let mut values: Vec<_> = texts.map(|text| json!(text)).collect();
    values.extend([
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!([1]),
        json!({}),
        json!({"a": 1}),
    ]);
    values.extend(
        [-1.0, -0.5, -0.1, -1e-20, -0.0, 0.4, 1.5, 1e12, 1.1e12, 1e15, 1.1e15, 1e300].map(Value::from),
    );
    values.extend([0, 1, 2, 1_790_000_000].map(Value::from));
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_where_the_document_describes_it_and_nowhere_else() {
    let server = Server::start().await;
    let document = server.get("/api/openapi.json").await.json();
    let schema = &document["components"]["schemas"]["Operation"];
    let fields: Vec<_> = schema["properties"].as_object().expect("fields").keys().cloned().collect();
    assert!(fields.len() >= 18, "{fields:?}");
    let begun = json!({
        "wrapper_name": "a", "operation_id": "1", "start_time": "2026-09-21T14:00:00Z", "status": "started",
    });
    let ended = json!({"wrapper_name": "a", "start_time": "2026-09-21T13:00:00Z", "end_time": "2026-09-21T14:00:00Z"});
    for base in [&begun, &ended] {
        for field in &fields {
            for value in values() {
                let mut record = base.clone();
                record[field] = value.clone();
                let body = record.to_string();
                let json = [("content-type", "application/json")];
                let answer = server.post("/api/operations", &json, body.as_bytes()).await;
                let wrong = check(&document, schema, &record, field);
                assert!(answer.status == 400 || wrong.is_empty(), "{body} is taken: {wrong:?}");
                // How large a number in a text is, what is a time, and that a start needs an id, is said in words.
                let nameless = record["status"] == "started" && field == "operation_id";
                let vague = value.is_string() || field.ends_with("_time") || nameless;
                assert!(answer.status == 202 || !wrong.is_empty() || vague, "{body}: {}", answer.text());
            }
            let mut without = base.clone();
            without.as_object_mut().expect("an object").remove(field);
            let wrong = check(&document, schema, &without, field);
            let json = [("content-type", "application/json")];
            let answer = server.post("/api/operations", &json, without.to_string().as_bytes()).await;
            let nameless = without["status"] == "started" && field == "operation_id";
            assert_eq!(answer.status == 202, wrong.is_empty() && !nameless, "{without}: {wrong:?}");
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        _ => name == "string" && value.is_string(),
    }
}

/// A line of the text format: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_can_read_the_metrics() {
    let server = Server::start().await;
    server.get("/nothing").await;
    let answer = server.get("/metrics").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    let samples = samples(answer.text());
    let value = |name: &str, label: &str, wanted: &str| {
        let found = samples
            .iter()
            .find(|sample| sample.0 == name && sample.1.get(label).is_none_or(|value| value == wanted));
        found.unwrap_or_else(|| panic!("no {name} with {label}={wanted}")).2
    };
    assert_eq!(value("dash_http_responses_total", "code", "4xx"), 1.0);
    assert_eq!(
        value("dash_http_responses_total", "code", "2xx"),
        1.0,
        "the page that was asked for at first"
    );
    assert!(value("process_resident_memory_bytes", "", "") > 1e6);
    let names: BTreeSet<_> = samples.iter().filter_map(|sample| sample.1.get("wrapper").cloned()).collect();
    assert_eq!(names, NAMES.iter().map(|name| (*name).to_owned()).collect());
    let health = server.get("/api/wrappers/health").await.json()["data"]["RouteLLM"].clone();
    assert_eq!(json!(value("dash_wrapper_health_score", "wrapper", "RouteLLM")), health["health_score"]);
    let p50 = value("dash_wrapper_response_time_seconds", "wrapper", "RouteLLM");
    assert!((p50 * 1000.0 - health["p50"].as_f64().expect("a number")).abs() < 1e-6);
}

/// Reads the text format strictly: a head before each family, no family in two pieces, no sample twice.
fn samples(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n') && !text.contains('\r'));
    let (mut samples, mut seen, mut families, mut family) =
        (Vec::new(), BTreeSet::new(), BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split_once(' ').expect("a help").0;
            assert!(families.insert(family), "{family} comes in two pieces");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(name == family && matches!(kind, "gauge" | "counter"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let name = series.split('{').next().expect("a name");
        assert_eq!(name, family, "{line}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        assert!(seen.insert(series), "{series} comes twice");
        let value = value.parse::<f64>().expect("a number");
        assert!(value.is_finite(), "{line}");
        samples.push((name.to_owned(), labels(&series[name.len()..]), value));
    }
    samples
}

fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{').unwrap_or_default();
    while !rest.is_empty() && rest != "}" {
        let (name, value) = rest.split_once("=\"").expect("a label");
        let (mut shown, mut letters) = (String::new(), value.char_indices());
        let end = loop {
            match letters.next().expect("the value ends") {
                (at, '"') => break at,
                (_, '\\') => match letters.next().expect("something is escaped").1 {
                    'n' => shown.push('\n'),
                    letter => {
                        assert!(matches!(letter, '\\' | '"'), "{text}");
                        shown.push(letter);
                    }
                },
                (_, letter) => shown.push(letter),
            }
        };
        labels.insert(name.to_owned(), shown);
        rest = &value[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

//! The contract of the REST API, route by route and error by error.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Server;
use super::site::NAMES;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

const MOMENT: &str = "2026-09-21T14:13:20.500Z";

#[tokio::test(flavor = "multi_thread")]
async fn system_health_has_its_fields_and_no_others() {
    let server = Server::start().await;
    for path in ["/api/system/health", "/api/v1/system/health"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        let body = answer.json();
        assert_eq!((&body["success"], &body["timestamp"]), (&json!(true), &json!(MOMENT)));
        let data = body["data"].as_object().expect("an object");
        let names: Vec<_> = data.keys().map(String::as_str).collect();
        let expected = [
            "overall_health_score",
            "system_status",
            "active_wrappers",
            "healthy_wrappers",
            "unhealthy_wrappers",
            "health_percentage",
            "total_operations",
            "active_operations",
            "overall_success_rate",
            "error_count",
            "operations_per_minute",
            "last_health_check",
        ];
        assert_eq!(names, expected);
        assert_eq!((&data["active_wrappers"], &data["active_operations"]), (&json!(5), &json!(1)));
        assert_eq!(data["last_health_check"], MOMENT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrappers_health_tells_of_each_by_name() {
    let server = Server::start().await;
    let data = server.get("/api/wrappers/health").await.json()["data"].clone();
    let names: Vec<_> = data.as_object().expect("an object").keys().collect();
    assert_eq!(names, NAMES);
    let routed = &data["RouteLLM"];
    for field in ["health_score", "success_rate", "error_rate", "fallback_rate", "p95", "cost"] {
        assert!(routed[field].is_f64(), "{field}: {routed}");
    }
    assert_eq!((&routed["in_flight"], &routed["slug"]), (&json!(1), &json!("w1")));
    assert!(routed["last_activity"].as_str().is_some_and(|last| last.ends_with('Z')), "{routed}");
    assert_eq!(routed["factors"][0]["name"], "success_rate");
    let silent = &data["silent"];
    assert_eq!((&silent["health_score"], &silent["status"]), (&Value::Null, &json!("No data")));
    assert_eq!((&silent["success_rate"], &silent["total_operations"]), (&Value::Null, &json!(0)));
    assert!(silent["last_activity"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_a_wrapper_can_be_asked_for() {
    let server = Server::start().await;
    for name in NAMES {
        let answer = server.get(&format!("/api/wrappers/{}/metrics?hours=720", encoded(name))).await;
        assert_eq!(answer.status, 200, "{name}");
        let body = answer.json();
        assert_eq!((&body["wrapper_name"], &body["time_range_hours"]), (&json!(name), &json!(720)));
        let row = &body["data"][0];
        for field in ["total_operations", "success_count", "error_count", "fallback_count", "prompt_tokens"] {
            assert!(row[field].is_u64(), "{field}: {row}");
        }
        for field in
            ["success_rate", "error_rate", "fallback_rate", "avg_response_time", "p50", "p95", "p99", "cost"]
        {
            assert!(row[field].is_f64(), "{field}: {row}");
        }
        assert!(row["timestamp"].is_string());
    }
    let plain_slash = server.get("/api/v1/wrappers/metrics/metrics/metrics").await;
    assert_eq!(plain_slash.json()["wrapper_name"], "metrics/metrics");
    assert_eq!(server.get("/api/wrappers/RouteLLM/metrics").await.json()["time_range_hours"], 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_hours_give_the_same_sums_everywhere() {
    let server = Server::start().await;
    let fields = ["total_operations", "error_count", "fallback_count", "total_tokens"];
    let sum =
        |rows: &[Value]| fields.map(|field| rows.iter().map(|row| row[field].as_u64().expect(field)).sum());
    for hours in [1, 5, 24, 48, 49, 100, 720] {
        let system = server.get(&format!("/api/system/health?hours={hours}")).await.json()["data"].clone();
        let health = server.get(&format!("/api/wrappers/health?hours={hours}")).await.json()["data"].clone();
        let health: Vec<Value> = health.as_object().expect("an object").values().cloned().collect();
        let totals: [u64; 4] = sum(&health);
        assert_eq!(
            (&system["total_operations"], &system["error_count"]),
            (&json!(totals[0]), &json!(totals[1]))
        );

        let mut rows = Vec::new();
        for name in NAMES {
            let target = format!("/api/wrappers/{}/metrics?hours={hours}", encoded(name));
            rows.extend(server.get(&target).await.json()["data"].as_array().expect("rows").clone());
        }
        assert_eq!(sum(&rows), totals, "rows over {hours} hours");

        let export = server.get(&format!("/api/metrics/export?hours={hours}")).await.json();
        assert_eq!(sum(export.as_array().expect("rows")), totals, "export over {hours} hours");

        let csv = server.get(&format!("/api/metrics/export?format=csv&hours={hours}")).await;
        let mut reader = csv::Reader::from_reader(csv.body.as_slice());
        let column = reader.headers().expect("a header").iter().position(|name| name == "total_operations");
        let column = column.expect("the column is there");
        let total: u64 =
            reader.records().map(|row| row.expect("CSV")[column].parse::<u64>().expect("a count")).sum();
        assert_eq!(total, totals[0], "CSV over {hours} hours");
    }
    let window = server.get("/api/system/health").await.json()["data"].clone();
    let hour = server.get("/api/system/health?hours=1").await.json()["data"].clone();
    assert_eq!(window, hour, "the health window is an hour long");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_a_file_without_formulas() {
    let server = Server::start().await;
    let answer = server.get("/api/metrics/export?format=csv&wrapper=%3Dcmd%7C%27%20/C%20calc%27%21A0").await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"dash-metrics-24h.csv\"");
    let mut lines = answer.text().lines();
    assert!(lines.next().expect("a header").starts_with("timestamp,wrapper_name,total_operations"));
    assert!(lines.clone().count() >= 24);
    for line in lines {
        assert!(line.contains(",'=cmd|' /C calc'!A0,"), "{line}");
    }
    let json = server.get("/api/metrics/export?format=json&wrapper=%3Dcmd%7C%27%20/C%20calc%27%21A0").await;
    assert_eq!(json.json()[0]["wrapper_name"], NAMES[0]);
    let head = server.ask("HEAD", "/api/metrics/export", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_plotly_figures() {
    let server = Server::start().await;
    let all = server.get("/api/charts/performance").await.json();
    let names: Vec<_> =
        all["data"].as_array().expect("traces").iter().map(|trace| trace["name"].clone()).collect();
    assert!(names.contains(&json!("RouteLLM")) && names.len() >= 5, "{names:?}");
    let one = server.get("/api/v1/charts/performance?wrapper=RouteLLM&hours=168").await.json();
    assert!(one["data"].as_array().is_some_and(|traces| traces.len() >= 2), "success rate and response time");
    assert_eq!((&one["layout"]["yaxis2"]["side"], &one["data"][1]["yaxis"]), (&json!("right"), &json!("y2")));
    let bars = server.get("/api/charts/health").await.json();
    assert_eq!((&bars["data"][0]["type"], bars["layout"].is_object()), (&json!("bar"), true));
    for (target, status) in [("wrapper=nobody", 404), ("hours=0", 400), ("wrapper=RouteLLM&hours=721", 400)] {
        let answer = server.get(&format!("/api/charts/performance?{target}")).await;
        assert_eq!((answer.status, answer.json()["success"].clone()), (status, json!(false)), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_status_and_say_what_to_do() {
    let server = Server::start().await;
    let table = [
        (
            "/api/system/health?hours=0",
            400,
            "invalid_parameter",
            "`hours` must be a whole number from 1 to 720",
        ),
        ("/api/system/health?hours=721", 400, "invalid_parameter", "1 to 720"),
        ("/api/wrappers/health?hours=-1", 400, "invalid_parameter", "1 to 720"),
        ("/api/wrappers/health?hours=%2B5", 400, "invalid_parameter", "1 to 720"),
        ("/api/wrappers/RouteLLM/metrics?hours=1.5", 400, "invalid_parameter", "`hours`"),
        ("/api/wrappers/RouteLLM/metrics?hours=", 400, "invalid_parameter", "`hours`"),
        ("/api/wrappers/RouteLLM/metrics?hours=99999999999999999999", 400, "invalid_parameter", "`hours`"),
        ("/api/metrics/export?hours=NaN", 400, "invalid_parameter", "`hours`"),
        ("/api/metrics/export?format=xml", 400, "invalid_parameter", "`format` must be `csv` or `json`"),
        ("/api/metrics/export?wrapper=nobody", 404, "unknown_wrapper", "`nobody`"),
        ("/api/wrappers/nobody/metrics", 404, "unknown_wrapper", "`nobody`"),
        ("/api/wrappers/%ff/metrics", 404, "unknown_wrapper", ""),
        ("/api/wrappers//metrics", 404, "unknown_wrapper", ""),
        ("/api", 404, "not_found", ""),
        ("/api/", 404, "not_found", ""),
        ("/api/v1", 404, "not_found", ""),
        ("/api/v2/system/health", 404, "not_found", ""),
        ("/api/../index.html", 404, "not_found", ""),
        ("/api/%2e%2e/index.html", 404, "not_found", ""),
    ];
    for (target, status, code, message) in table {
        let answer = server.get(target).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"), "{target}");
        let body = answer.json();
        assert_eq!((&body["success"], &body["error"]["code"]), (&json!(false), &json!(code)), "{target}");
        assert_eq!(body["timestamp"], MOMENT, "{target}");
        assert!(
            body["error"]["message"].as_str().is_some_and(|said| said.contains(message)),
            "{target}: {body}"
        );
    }
    let long = server.get(&format!("/api/wrappers/{}/metrics", "x".repeat(5000))).await;
    assert!(long.body.len() < 500, "what was asked for comes back shortened");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_changed() {
    let server = Server::start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        for target in ["/api/system/health", "/api/v1/wrappers/x/metrics", "/api/nothing", "/health"] {
            let answer = server.ask(method, target, &[]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method} {target}");
            assert_eq!(answer.json()["error"]["code"], "method_not_allowed");
        }
        for target in ["/index.html", "/ws"] {
            let answer = server.ask(method, target, &[]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method} {target}");
        }
    }
    let large = server.ask("POST", "/api/system/health", &[("content-length", "70000")]).await;
    assert_eq!((large.status, large.json()["error"]["code"].clone()), (413, json!("payload_too_large")));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_known_by_their_tags() {
    let server = Server::start().await;
    let targets = [
        "/health",
        "/api/system/health",
        "/api/wrappers/health?hours=3",
        "/api/wrappers/RouteLLM/metrics",
        "/api/metrics/export?format=csv",
        "/api/activity",
    ];
    for target in targets {
        let first = server.get(target).await;
        let tag = first.header("etag");
        assert!(first.status == 200 && !tag.is_empty(), "{target}");
        let listed = format!("\"other\", {tag}");
        for known in [tag, listed.as_str(), "*"] {
            let again = server.ask("GET", target, &[("if-none-match", known)]).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{target} {known}");
            assert_eq!(again.header("etag"), tag);
        }
        let head = server.ask("HEAD", target, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
    }
    let one = server.get("/api/system/health?hours=2").await;
    let two = server.get("/api/system/health?hours=3").await;
    assert_ne!(one.header("etag"), two.header("etag"));

    let id = server.publish(1);
    let newer = server.until("/health", |answer| answer.json()["snapshot"] == json!(id)).await;
    assert_eq!(newer.json()["timestamp"], "2026-09-21T14:14:20.500Z");
    let known = [("if-none-match", one.header("etag"))];
    assert_eq!(server.ask("GET", "/api/system/health?hours=2", &known).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_build_are_the_same_bytes() {
    let server = Server::start().await;
    let pairs = [
        ("/api/system/health", "/api/system/health.json"),
        ("/api/v1/wrappers/health", "/api/v1/wrappers/health.json"),
        ("/api/wrappers/RouteLLM/metrics", "/api/wrappers/w1/metrics.json"),
        ("/api/charts/performance", "/api/charts/performance.json"),
        ("/api/charts/health", "/api/charts/health.json"),
        ("/api/activity", "/api/activity.json"),
        ("/api/metrics/export", "/exports/metrics.json"),
        ("/api/metrics/export?format=csv&wrapper=all&hours=24", "/exports/metrics.csv"),
    ];
    for (live, file) in pairs {
        let (live, file) = (server.get(live).await, server.get(file).await);
        assert_eq!((live.status, file.status), (200, 200), "{file:?}");
        assert_eq!(live.text(), file.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_says_who_it_is() {
    let server = Server::start().await;
    let health = server.get("/health").await.json();
    assert_eq!((&health["status"], &health["version"]), (&json!("ok"), &json!(env!("CARGO_PKG_VERSION"))));
    assert!(health["snapshot"].as_str().is_some_and(|id| id.starts_with("20260921T141320")));
    assert_eq!(server.get("/live.json").await.json()["live"], true);
}

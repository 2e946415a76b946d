//! Reporting operations: what is taken, what is refused, and what each refusal says.

use std::io::Write;

use dash::access::Role;
use dash::access::accounts::{Accounts, FILE};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, LIMIT, Server};

const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

type Headers<'a> = &'a [(&'a str, &'a str)];

fn operation(name: &str) -> Value {
    json!({"wrapper_name": name, "end_time": "2026-09-21T14:00:00Z", "duration_ms": 10, "status": "success"})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

async fn report(server: &Server, headers: Headers<'_>, body: impl AsRef<[u8]>) -> Answer {
    server.post("/api/operations", headers, body.as_ref()).await
}

/// Lines in the inbox.
fn written(server: &Server) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(server.home.path().join("inbox")) else { return Vec::new() };
    let texts = entries.flatten().map(|entry| std::fs::read_to_string(entry.path()).expect("text"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_report_is_on_the_disk_before_it_is_accepted() {
    let server = Server::start().await;
    let (one, two) = (operation("a\nb"), operation("ü"));
    let pretty = serde_json::to_string_pretty(&json!([one, two])).expect("JSON");
    let lines = format!("{one}\r\n\r\n{two}\n");
    let bodies: [(Headers, Vec<u8>, u64); 7] = [
        (&[JSON], one.to_string().into_bytes(), 1),
        (&[JSON], pretty.clone().into_bytes(), 2),
        (&[("content-type", "Application/JSON; charset=utf-8"), GZIP], gzip(pretty.as_bytes()), 2),
        (&[LINES], lines.clone().into_bytes(), 2),
        (&[LINES, GZIP], gzip(lines.as_bytes()), 2),
        (&[LINES, GZIP], [gzip(lines.as_bytes()), gzip(b"\n"), gzip(lines.as_bytes())].concat(), 4),
        (&[("content-type", "application/jsonl")], format!("\u{feff}{one}").into_bytes(), 1),
    ];
    let mut expected = 0;
    for (headers, body, count) in bodies {
        let answer = report(&server, headers, body).await;
        assert_eq!(answer.status, 202, "{headers:?} {}", answer.text());
        assert_eq!(answer.json()["data"], json!({"accepted": count, "rejected": 0, "problems": []}));
        expected += count as usize;
        assert_eq!(written(&server).len(), expected, "{headers:?}");
    }
    for line in written(&server) {
        let record: Value = serde_json::from_str(&line).expect("a whole record a line");
        assert!(record == one || record == two, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_partly_bad_report_the_good_records_are_taken_and_the_others_named() {
    let server = Server::start().await;
    let body = json!([operation("a"), {"wrapper_name": "b"}, operation("c"), 7, {"end_time": "x"}]);
    let answer = report(&server, &[JSON], body.to_string()).await;
    assert_eq!(answer.status, 202);
    let data = answer.json()["data"].clone();
    assert_eq!((&data["accepted"], &data["rejected"]), (&json!(2), &json!(3)));
    let records: Vec<_> = data["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| problem["record"].clone())
        .collect();
    assert_eq!(records, [json!(1), json!(3), json!(4)]);
    assert!(data["problems"][2]["reason"].as_str().is_some_and(|reason| reason.contains("`wrapper_name`")));

    let none = report(&server, &[JSON], "[{}]").await;
    assert_eq!((none.status, &none.json()["error"]["code"]), (400, &json!("invalid_records")));
    let many = report(&server, &[JSON], json!(vec![json!({}); 500]).to_string()).await;
    assert_eq!(many.json()["data"]["problems"].as_array().map(Vec::len), Some(100));
    assert_eq!(written(&server).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_report_is_refused_with_its_reason() {
    let server = Server::start().await;
    let one = operation("a").to_string();
    let long = format!("{{\"wrapper_name\":\"{}\",\"end_time\":0}}", "x".repeat(1 << 20));
    let bomb = gzip(&vec![b' '; 40 << 20]);
    assert!(bomb.len() < 1 << 20);
    let many = "{}\n".repeat(50_001);
    let deep = format!("{{\"wrapper_name\":\"a\",\"end_time\":0,\"x\":{}", "[".repeat(100_000));
    let table: [(Headers, &[u8], u16, &str); 14] = [
        (&[], one.as_bytes(), 415, "unsupported_media_type"),
        (&[("content-type", "text/plain")], one.as_bytes(), 415, "unsupported_media_type"),
        (&[("content-type", "application/x-www-form-urlencoded")], b"a=b", 415, "unsupported_media_type"),
        (&[JSON, ("content-encoding", "br")], one.as_bytes(), 415, "unsupported_media_type"),
        (&[JSON, GZIP], one.as_bytes(), 400, "invalid_body"),
        (&[JSON, GZIP], &gzip(one.as_bytes())[..20], 400, "invalid_body"),
        (&[JSON], b"", 400, "invalid_body"),
        (&[JSON], b"[", 400, "invalid_body"),
        (&[JSON], b"[]", 400, "invalid_body"),
        (&[JSON], b"\xff\xfe", 400, "invalid_body"),
        (&[JSON], long.as_bytes(), 400, "invalid_records"),
        (&[JSON], deep.as_bytes(), 400, "invalid_records"),
        (&[LINES, GZIP], &bomb, 413, "payload_too_large"),
        (&[LINES], many.as_bytes(), 413, "payload_too_large"),
    ];
    for (headers, body, status, code) in table {
        let answer = report(&server, headers, body).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{headers:?}");
    }
    let announced = server.ask("POST", "/api/operations", &[JSON, ("content-length", "99999999")]).await;
    assert_eq!(announced.status, 413);
    let read = server.get("/api/operations").await;
    assert_eq!((read.status, read.header("allow")), (405, "POST"));
    assert!(written(&server).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_report_where_anyone_is_asked() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut accounts = Accounts::default();
    let mut bearer =
        |role: Role| format!("Bearer {}", accounts.add_token(role.word(), role.word(), role).expect("free"));
    let (viewer, operator) = (bearer(Role::Viewer), bearer(Role::Operator));
    accounts.write(&home.path().join(FILE)).expect("writable");
    let server = Server::at(home, |_| {}, |_| None).await;
    let one = operation("a").to_string();
    let status = async |headers: Headers<'_>| report(&server, headers, &one).await.status;
    assert_eq!(status(&[JSON]).await, 401);
    assert_eq!(status(&[JSON, ("authorization", &viewer)]).await, 403);
    assert_eq!(status(&[JSON, ("authorization", &operator)]).await, 202);
    assert_eq!(written(&server).len(), 1);

    let public = Server::with(|settings| settings.public = true, |_| None).await;
    assert_eq!(
        report(&public, &[JSON], &one).await.status,
        401,
        "that anyone may look is not that anyone may write"
    );
    let own = Server::start().await;
    let evil = [JSON, ("origin", "https://evil.example")];
    assert_eq!(report(&own, &evil, &one).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_that_promises_nothing() {
    let server = Server::start().await;
    std::fs::write(server.home.path().join("inbox"), "in the way").expect("writable");
    let answer = report(&server, &[JSON], operation("a").to_string()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert!(!answer.text().contains(server.home.path().to_str().expect("text")), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_inbox_is_an_error_that_says_what_to_do() {
    let most = 64 << 20;
    let server = Server::with(|settings| settings.inbox_max_bytes = most, |_| None).await;
    assert_eq!(report(&server, &[JSON], operation("a").to_string()).await.status, 202);
    let large = server.home.path().join("inbox/operations-20260101T000000.000000Z.jsonl");
    let file = std::fs::File::create_new(&large).expect("free");
    file.set_len(most).expect("a hole takes no room");
    let answer = report(&server, &[JSON], operation("b").to_string()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (507, "60"));
    assert!(answer.text().contains("inbox_max_bytes"), "{}", answer.text());
    std::fs::remove_file(large).expect("ours");
    assert_eq!(report(&server, &[JSON], operation("c").to_string()).await.status, 202);
    assert_eq!(written(&server).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_whose_clock_is_wrong_is_told_so() {
    let server = Server::start().await;
    let body = json!([operation("a"), {"wrapper_name": "b", "end_time": "2099-01-01T00:00:00Z"}]);
    let answer = report(&server, &[JSON], body.to_string()).await;
    let problems = answer.json()["data"]["problems"].clone();
    assert_eq!((answer.status, &problems[0]["record"]), (202, &json!(1)), "{}", answer.text());
    assert!(problems[0]["reason"].as_str().is_some_and(|reason| reason.contains("2099-01-01T00:00:00Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_may_hold_very_many_records_that_are_none() {
    let server = Server::start().await;
    let answer = report(&server, &[LINES], "1\n".repeat(30_000)).await;
    let said = answer.json();
    assert_eq!((answer.status, &said["data"]["rejected"]), (400, &json!(30_000)));
    assert_eq!(said["data"]["problems"].as_array().map(Vec::len), Some(100));
    // Packed, as much as they may be unpacked.
    for (form, body) in
        [(LINES, "1\n".repeat(16 << 20)), (JSON, format!("[{}1]", "1,".repeat((16 << 20) - 2)))]
    {
        let answer = report(&server, &[form, GZIP], gzip(body.as_bytes())).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("payload_too_large")));
    }
    assert_eq!(written(&server).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_reports_that_never_end_leave_room_for_small_ones() {
    let server = Server::start().await;
    let head = format!(
        "POST /api/operations HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: 1000000\r\n\r\n",
        server.address
    );
    let begin = async || {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        stream.write_all(&[b' '; 100_000]).await.expect("it reads");
        stream
    };
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(begin().await);
    }
    let refused = async {
        let answers = held.iter_mut().map(async |stream| {
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.map(|_| answer)
        });
        let answers: FuturesUnordered<_> = answers.collect();
        // Those that are not refused wait for the rest of their bodies.
        answers.take(24).collect::<Vec<_>>().await
    };
    let refused = timeout(LIMIT, refused).await.expect("there is room for sixteen");
    assert!(refused.into_iter().all(|answer| answer.is_ok_and(|answer| &answer == b"HTTP/1.1 503")));
    assert_eq!(report(&server, &[JSON], operation("small").to_string()).await.status, 202);
    drop(held);
    let large = vec![operation("large").to_string(); 1000].join("\n");
    let taken = async { while report(&server, &[LINES], &large).await.status == 503 {} };
    timeout(LIMIT, taken).await.expect("there is room again");
    assert_eq!(written(&server).len(), 1001);
}

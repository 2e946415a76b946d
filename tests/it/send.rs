//! Kept snapshots that are sent: by mail, read back from a real server, and to a webhook.

use std::path::Path;
use std::process::Command;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

use dash::publish::sha256;

use crate::archive::{ENTRY, MOMENT, site};
use crate::python::Server;
use crate::tools::{Folder, dash};

const PASSWORD: &str = "let-me-in";

/// A server whose mails or requests land in a folder.
struct Post {
    server: Server,
    received: Folder,
}

impl Post {
    fn start(script: &str, arguments: &[&str]) -> Post {
        let received = Folder::new();
        let folder = received.path("").to_string_lossy().into_owned();
        let arguments: Vec<&str> = [folder.as_str()].iter().chain(arguments).copied().collect();
        Post { server: Server::start(script, &arguments), received }
    }

    fn settings(&self, more: &str) -> String {
        format!("[mail]\nserver = 'localhost'\nport = {}\n{more}\n", self.server.said["port"])
    }
}

fn snapshot(folder: &Folder, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = dash(folder);
    for name in ["DASH_MAIL_PASSWORD", "DASH_WEBHOOK_SECRET", "DASH_WEBHOOK_URL"] {
        command.env_remove(name);
    }
    command.args(["snapshot", "--quiet", "--now", MOMENT]).args(arguments);
    command
}

fn part<'a>(mail: &'a Value, kind: &str, named: bool) -> &'a Value {
    let parts = mail["parts"].as_array().expect("a list");
    let found = parts.iter().find(|part| part["type"] == kind && part["name"].is_string() == named);
    found.unwrap_or_else(|| panic!("there is no {kind} in {mail}"))
}

#[test]
fn a_mail_arrives_with_its_figures_and_the_whole_report() {
    let (post, folder) = (Post::start("mail.py", &[]), site());
    folder.append(
        "content/operations/sample.jsonl",
        "{\"wrapper_name\":\"<b>Ü & Co\",\"end_time\":\"2026-01-25T12:50:00Z\",\"status\":\"error\"}\n",
    );
    let more = "tls = 'none'\nfrom = 'Dash <dash@example.org>'\n[site]\ntitle = 'Wächter'\nbase_url = 'https://x.org/d'";
    folder.write("dash.toml", post.settings(more));
    snapshot(&folder, &["--mail", "ana@example.org", "Bo <bo@example.org>"]).assert().success().stderr("");
    let mail = post.received.json("0.json");
    assert_eq!(mail["from"], "dash@example.org");
    assert_eq!(mail["to"], json!(["ana@example.org", "bo@example.org"]));
    let subject = mail["subject"].as_str().expect("a subject");
    assert!(subject.contains(": Wächter, 2026-01-25 13:00"), "{subject}");
    assert_eq!(mail["defects"], json!([]));
    for header in ["Date", "Message-ID", "MIME-Version", "From", "To"] {
        assert!(mail["headers"].as_array().expect("a list").contains(&json!(header)), "{header}: {mail}");
    }
    let (text, html) = (part(&mail, "text/plain", false), part(&mail, "text/html", false));
    let (text, html) = (text["text"].as_str().expect("text"), html["text"].as_str().expect("text"));
    assert!(text.contains("<b>Ü & Co: Critical") && text.contains("https://x.org/d/archive/"), "{text}");
    assert!(html.contains("&lt;b&gt;Ü &amp; Co") && !html.contains("<b>Ü"), "{html}");
    let manifest = folder.json(&format!("{ENTRY}/manifest.json"));
    let operations = manifest["operations"].as_u64().expect("a number");
    let shown = dash::report::format::count(operations);
    assert!(text.contains(&format!("Operations in 24 hours: {shown}")) && html.contains(&shown), "{text}");
    let attached = part(&mail, "text/html", true);
    assert_eq!(attached["name"], "dash-20260125T130000Z.html");
    assert_eq!(attached["sha256"], sha256(folder.read(&format!("{ENTRY}/report.html")).as_bytes()));
    let pictures =
        mail["parts"].as_array().expect("a list").iter().filter(|part| part["type"] == "image/png");
    let pictures: Vec<_> = pictures.map(|part| (part["id"].as_str(), part["sha256"].as_str())).collect();
    let drawn = ["system", "health"].map(|chart| {
        let export = ["export", "chart", chart, "--format", "png", "--now", MOMENT];
        (format!("<{chart}.png>"), sha256(&dash(&folder).args(export).assert().success().get_output().stdout))
    });
    let drawn: Vec<_> = drawn.iter().map(|(id, sha256)| (Some(id.as_str()), Some(sha256.as_str()))).collect();
    assert_eq!(pictures, drawn);
    assert!(html.contains("cid:system.png") && html.contains("cid:health.png"), "{html}");
}

/// A key and a certificate for `localhost`.
fn certificate(folder: &Path) {
    let request =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let of_host = ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"];
    let made = Command::new("openssl").args(request).args(names).args(of_host).current_dir(folder).output();
    let made = made.expect("`openssl` can be run; `tests/run` installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn a_mail_goes_by_tls_to_whom_it_trusts_and_with_a_password() {
    let keys = Folder::new();
    certificate(&keys.path(""));
    let path = |name: &str| keys.path(name).to_string_lossy().into_owned();
    let (post, folder) = (Post::start("mail.py", &[&path("cert.pem"), &path("key.pem")]), site());
    folder.write("dash.toml", post.settings("user = 'dash'"));
    let send = |password: &str, roots: &str| {
        let mut command = snapshot(&folder, &["--mail", "ana@example.org"]);
        command.env("DASH_MAIL_PASSWORD", password).env("SSL_CERT_FILE", roots);
        command
    };
    let untrusted = send(PASSWORD, "/dev/null").assert().code(1);
    untrusted.stderr(contains("ertificate").and(contains("20260125T130000Z` is kept")));
    let refused = send("guess", &path("cert.pem")).assert().code(1);
    refused.stderr(contains("uthentication").and(contains("guess").not()));
    send(PASSWORD, &path("cert.pem")).assert().success();
    let mail = post.received.json("0.json");
    assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("dash")));
    keys.write("password", format!("{PASSWORD}\n"));
    folder
        .write("dash.toml", post.settings(&format!("user = 'dash'\npassword_file = '{}'", path("password"))));
    send("", &path("cert.pem")).assert().success();
    assert_eq!(post.received.json("1.json")["user"], "dash");
}

#[test]
fn what_is_not_sent_is_said_and_the_snapshot_is_kept() {
    let (post, folder) = (Post::start("mail.py", &[]), site());
    let kept = |told: &str| contains("the snapshot `20260125T130000Z` is kept").and(contains(told));
    snapshot(&folder, &["--mail", "ana@example.org"])
        .assert()
        .code(1)
        .stderr(kept("set `server` in `[mail]`"));
    assert!(folder.path(ENTRY).join("manifest.json").exists());
    folder.write("dash.toml", post.settings("tls = 'none'"));
    snapshot(&folder, &["--mail", "nobody@example.org"])
        .assert()
        .code(1)
        .stderr(kept("there is no such person"));
    // Greylisting passes.
    snapshot(&folder, &["--mail", "later@example.org"]).assert().success();
    folder.write("dash.toml", "[mail]\nserver = 'localhost'\nport = 1\ntls = 'none'");
    snapshot(&folder, &["--mail", "ana@example.org"]).assert().code(1).stderr(kept("`localhost`"));
    snapshot(&folder, &["--mail", "ana"]).assert().code(2).stderr(contains("ana@example.org"));
    folder.write("dash.toml", "[mail]\nserver = 'mail.example.org'\ntls = 'none'\nuser = 'x'");
    snapshot(&folder, &[]).assert().code(1).stderr(contains("in `[mail]`"));
}

#[test]
fn a_webhook_gets_the_summary_signed() {
    let (hook, folder) = (Post::start("hook.py", &["503", "204"]), site());
    let url = format!("{}/secret-path", hook.server.text("address"));
    let mut command = snapshot(&folder, &["--webhook", &url]);
    command.env("DASH_WEBHOOK_SECRET", "s3cret").assert().success().stderr("");
    let (first, asked) = (hook.received.json("0.json"), hook.received.json("1.json"));
    assert_eq!(first["body"], asked["body"], "the first was told to come again");
    let body = asked["body"].as_str().expect("text");
    let told: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&told["event"], &told["id"]), (&json!("snapshot"), &json!("20260125T130000Z")));
    let manifest = folder.json(&format!("{ENTRY}/manifest.json"));
    for (ours, theirs) in [("total_operations", "operations"), ("error_count", "errors"), ("score", "score")]
    {
        assert_eq!(told[ours], manifest[theirs], "{ours}");
    }
    assert!(
        told["wrappers"][0]["name"].is_string() && told["wrappers"][0]["total_operations"].is_u64(),
        "{told}"
    );
    let header = |name: &str| asked["headers"][name].as_str().expect("it is there").to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(asked["path"], "/secret-path");
    let signed = format!("20260125T130000Z.{}.{body}", header("webhook-timestamp"));
    let by_openssl = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$0\" | openssl dgst -sha256 -hmac s3cret -binary | openssl base64 -A",
            &signed,
        ])
        .output()
        .expect("`openssl` can be run; `tests/run` installs it");
    let expected = String::from_utf8(by_openssl.stdout).expect("Base64");
    assert_eq!(header("webhook-signature"), format!("v1,{expected}"));
}

#[test]
fn a_webhook_that_refuses_is_said_without_its_secret() {
    let (hook, folder) = (Post::start("hook.py", &["410"]), site());
    let url = format!("{}/secret-path", hook.server.text("address"));
    let failed = snapshot(&folder, &["--webhook", &url]).assert().code(1);
    failed.stderr(contains("answered 410").and(contains("is kept")).and(contains("secret-path").not()));
    assert!(folder.path(ENTRY).join("manifest.json").exists());
    let open = snapshot(&folder, &["--webhook", "http://hooks.example.org/secret-path"]).assert().code(1);
    open.stderr(contains("`https://`").and(contains("secret-path").not()));
}

//! `dash publish`: to folders, and to a real S3 server that checks signatures and sometimes fails.

use std::collections::BTreeMap;
use std::fs;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

use dash::publish::sha256;

use crate::archive::{MOMENT, site, snapshot};
use crate::python::Server;
use crate::tools::{Folder, dash, files_below};

/// What dash keeps at a target for itself.
const LEDGER: &str = ".dash-published.json";

const LATER: &str = "2026-01-25T13:05:00Z";

/// Path → hash of all that a visitor of a site may ask for.
type Hashes = BTreeMap<String, String>;

fn hashes(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Hashes {
    files.into_iter().map(|(path, bytes)| (path, sha256(&bytes))).collect()
}

/// The output folder, but for what says how the page of the archive was made.
fn built(folder: &Folder) -> Hashes {
    let mut files = hashes(files_below(&folder.path("output")));
    files.remove("archive/page.txt");
    files
}

struct S3 {
    server: Server,
}

impl S3 {
    fn start() -> S3 {
        S3 { server: Server::start("s3.py", &[]) }
    }

    fn publish(&self, folder: &Folder) -> assert_cmd::Command {
        let mut command = dash(folder);
        command.env("AWS_ACCESS_KEY_ID", self.server.text("key"));
        command.env("AWS_SECRET_ACCESS_KEY", self.server.text("secret"));
        command.args(["publish", "s3://site/team", "--region", "eu-west-1", "--endpoint"]);
        command.arg(self.server.text("address"));
        command
    }

    fn control(&self, asked: &Value) {
        let url = format!("{}/_control", self.server.text("address"));
        let sent = ureq::post(&url).send(asked.to_string().as_bytes());
        sent.expect("the server answers").body_mut().read_to_vec().expect("it answers to the end");
    }

    fn state(&self) -> Value {
        let url = format!("{}/_control", self.server.text("address"));
        let bytes = ureq::get(&url).call().expect("the server answers").body_mut().read_to_vec();
        serde_json::from_slice(&bytes.expect("it answers to the end")).expect("the answer is JSON")
    }

    /// What visitors may ask for.
    fn objects(&self) -> Hashes {
        let state = self.state();
        let objects = state["objects"].as_object().expect("a table");
        let objects = objects.iter().map(|(key, object)| {
            let key = key.strip_prefix("team/").unwrap_or(key).to_owned();
            (key, object["sha256"].as_str().expect("a hash").to_owned())
        });
        objects.filter(|(key, _)| !key.starts_with('.')).collect()
    }
}

/// Another build of the site: one more operation, five minutes later.
fn go_on(folder: &Folder) {
    folder.append(
        "content/operations/sample.jsonl",
        "{\"wrapper_name\":\"late\",\"end_time\":\"2026-01-25T13:01:00Z\",\"status\":\"error\"}\n",
    );
    dash(folder).args(["build", "--now", LATER]).assert().success();
}

#[test]
fn a_bucket_gets_what_was_built_and_then_only_what_changed() {
    let (s3, folder) = (S3::start(), site());
    snapshot(&folder, MOMENT);
    s3.publish(&folder).assert().success().stderr(contains("sent"));
    assert_eq!(s3.objects(), built(&folder));
    let state = s3.state();
    let of = |path: &str, what: &str| state["objects"][format!("team/{path}")][what].clone();
    assert_eq!(of("index.html", "type"), "text/html; charset=utf-8");
    assert_eq!(
        (of("index.html", "cache"), of("snapshot.js", "cache")),
        (json!("no-cache"), json!("no-cache"))
    );
    let asset = built(&folder).into_keys().find(|path| path.starts_with("assets/") && path.ends_with(".css"));
    let asset = asset.expect("there is a style");
    assert_eq!(of(&asset, "type"), "text/css; charset=utf-8");
    assert_eq!(of(&asset, "cache"), "public, max-age=31536000, immutable");
    let log: Vec<&str> = state["log"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let manifest = log.iter().position(|line| *line == "PUT /site/team/snapshot.json").expect("it was put");
    assert!(log[manifest + 1..].iter().all(|line| line.contains("/.dash-published.json")), "{log:?}");

    s3.control(&json!({}));
    s3.publish(&folder).assert().success().stderr(contains("already"));
    assert_eq!(s3.state()["log"], json!(["GET /site/team/.dash-published.json"]));

    go_on(&folder);
    let before = s3.objects();
    s3.publish(&folder).arg("--dry-run").assert().success().stderr(contains("would replace `index.html`"));
    assert_eq!(s3.objects(), before);
    s3.control(&json!({}));
    s3.publish(&folder).assert().success();
    assert_eq!(s3.objects(), built(&folder));
    let state = s3.state();
    let log = state["log"].as_array().expect("a list");
    let put = |path: &str| log.contains(&json!(format!("PUT /site/team/{path}")));
    assert!(put("index.html") && !put(&asset), "{log:?}");
    let left: Vec<_> = state["objects"].as_object().expect("a table").keys().collect();
    assert!(!left.iter().any(|key| key.contains(".dash-new")), "{left:?}");
}

#[test]
fn a_server_that_fails_midway_keeps_the_old_site_whole() {
    let (s3, folder) = (S3::start(), site());
    snapshot(&folder, MOMENT);
    s3.publish(&folder).assert().success();
    let before = s3.objects();
    go_on(&folder);
    for fault in ["index.html$", "snapshot.json$", "api/.*.json$"] {
        s3.control(
            &json!({"method": "PUT", "path": format!("dash-new/{fault}"), "status": 503, "times": 1000}),
        );
        let failed = s3.publish(&folder).assert().code(1);
        let said = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(said.contains("run this again") && said.contains("503"), "{said}");
        let now = s3.objects();
        assert!(before.iter().all(|(path, hash)| now.get(path) == Some(hash)), "{fault}");
    }
    // While files take their places, nothing is lost either, and the next run ends it.
    s3.control(&json!({"method": "PUT", "path": "^/site/team/index.html$", "status": 500, "times": 1000}));
    s3.publish(&folder).assert().code(1).stderr(contains("`s3://site/team/index.html`"));
    s3.control(&json!({"method": "PUT", "path": "team", "status": 503, "times": 3}));
    s3.publish(&folder).assert().success();
    assert_eq!(s3.objects(), built(&folder));
    let state = s3.state();
    let left: Vec<_> = state["objects"].as_object().expect("a table").keys().collect();
    assert!(!left.iter().any(|key| key.contains(".dash-new")), "{left:?}");
}

#[test]
fn what_dash_did_not_put_there_is_never_touched() {
    let (s3, folder) = (S3::start(), site());
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    s3.control(&json!({"key": "team/wrappers/routellm.html", "text": "mine"}));
    s3.publish(&folder).assert().code(1).stderr(contains("dash did not put `wrappers/routellm.html`"));
    assert_eq!(s3.objects().len(), 1);

    let target = Folder::new();
    target.write("www/index.html", "mine");
    let publish = |folder: &Folder| {
        let mut command = dash(folder);
        command.arg("publish").arg(target.path("www"));
        command
    };
    publish(&folder).assert().code(1).stderr(contains("dash did not put `index.html`"));
    assert_eq!(target.read("www/index.html"), "mine");
    fs::rename(target.path("www/index.html"), target.path("www/mine.html")).expect("it is there");
    publish(&folder).assert().success();
    dash(&folder).args(["build", "--now", LATER]).assert().success();
    publish(&folder).assert().success();
    assert_eq!(target.read("www/mine.html"), "mine");
}

#[test]
fn a_folder_gets_and_loses_the_same_as_the_output() {
    let (folder, target) = (site(), Folder::new());
    let www = target.path("www");
    snapshot(&folder, MOMENT);
    let publish = || {
        let mut command = dash(&folder);
        command.arg("publish").arg(&www);
        command
    };
    let there = || {
        let mut files = hashes(files_below(&www));
        files.remove(LEDGER).expect("it is what tells the files of dash");
        files
    };
    publish().assert().success();
    assert_eq!(there(), built(&folder));
    folder.write("dash.toml", "[archive]\nkeep = { all = '1h' }\n[publish]\ntarget = '../www'\n");
    snapshot(&folder, LATER);
    snapshot(&folder, "2026-01-25T15:00:00Z");
    snapshot(&folder, "2026-01-25T17:00:00Z");
    let log = folder.read("content/operations/sample.jsonl");
    folder.write("content/operations/sample.jsonl", log.replace("RouteLLM", "Router"));
    fs::remove_dir_all(folder.path(".dash")).expect("it is dash's");
    snapshot(&folder, "2026-01-25T17:01:00Z");
    assert!(there().contains_key("wrappers/routellm.html"));
    publish()
        .args(["--dry-run", "--replace"])
        .assert()
        .success()
        .stderr(contains("would remove `wrappers/routellm.html`"));
    assert!(there().contains_key("wrappers/routellm.html"));
    // All that was kept there has outlived its time here.
    publish().assert().code(1).stderr(contains("one kept snapshot").and(contains("--replace")));
    publish().arg("--replace").assert().success();
    assert_eq!(there(), built(&folder));
}

#[test]
fn what_is_missing_is_said_with_the_next_step() {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    let publish = |arguments: &[&str]| {
        let mut command = dash(&folder);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"] {
            command.env_remove(name);
        }
        command.arg("publish").args(arguments);
        command
    };
    publish(&[]).assert().code(1).stderr(contains("`[publish]`"));
    publish(&["www"]).assert().code(1).stderr(contains("run `dash build` first"));
    publish(&["s3://site"]).assert().code(1).stderr(contains("`AWS_ACCESS_KEY_ID`"));
    publish(&["s3://"]).assert().code(1).stderr(contains("`s3://bucket/prefix`"));
    publish(&["output"]).assert().code(1).stderr(contains("beside it"));
    dash(&folder).arg("build").assert().success();
    let secret = "not-to-be-seen";
    let mut away = publish(&["s3://site", "--endpoint", "http://127.0.0.1:1"]);
    away.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", secret);
    away.assert().code(1).stderr(contains("127.0.0.1:1").and(contains(secret).not()));

    let s3 = S3::start();
    let wrong = || {
        let mut command = s3.publish(&folder);
        command.env("AWS_SECRET_ACCESS_KEY", secret);
        command
    };
    wrong().assert().code(1).stderr(contains("SignatureDoesNotMatch").and(contains(secret).not()));
    let mut other = s3.publish(&folder);
    other.args(["--verbose", "--verbose"]);
    let said = other.assert().success().get_output().stderr.clone();
    assert!(!String::from_utf8_lossy(&said).contains(s3.server.text("secret")));
}

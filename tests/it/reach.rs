//! Feeds, badges and addresses of a site: absolute where they must be, and never markup from a log.

use std::process::Command;

use serde_json::json;

use crate::archive::{MOMENT, snapshot};
use crate::tools::{Folder, dash, files_below};

const HOME: &str = "https://status.example.org/team/";

fn site(settings: &str) -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.write("dash.toml", settings);
    let line = |minute: u32, status: &str| {
        let end = format!("2026-01-25T{:02}:{:02}:00Z", 9 + minute / 60, minute % 60);
        let record =
            json!({"wrapper_name": "<b>&\"ü", "end_time": end, "duration_ms": 250, "status": status});
        format!("{record}\n")
    };
    let log =
        (0..230).map(|minute| line(minute, if (100..130).contains(&minute) { "error" } else { "success" }));
    folder.write("content/operations/a.jsonl", log.collect::<String>());
    folder
}

/// Read by a parser that is not ours.
fn assert_xml(folder: &Folder, path: &str) {
    let check = "import sys, xml.etree.ElementTree as e; print(e.parse(sys.argv[1]).getroot().tag)";
    let run = Command::new("python3")
        .args(["-c", check])
        .arg(folder.path(path))
        .output()
        .expect("python3 is there");
    assert!(run.status.success(), "{path}: {}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn feeds_and_addresses_are_absolute() {
    let folder = site("[site]\ntitle = 'A & <B>'\nbase_url = 'https://status.example.org/team'\n");
    snapshot(&folder, MOMENT);
    let feed = folder.read("output/feed.xml");
    assert!(feed.contains("<title>A &amp; &lt;B&gt;</title>"), "{feed}");
    assert!(feed.contains("Healthy → Critical") || feed.contains("→ Critical"), "{feed}");
    assert!(
        feed.contains(&format!("<link rel=\"self\" type=\"application/atom+xml\" href=\"{HOME}feed.xml\"/>"))
    );
    let ids: Vec<_> =
        feed.split("<id>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default()).collect();
    assert!(ids.len() > 2 && ids.iter().all(|id| id.starts_with(HOME)), "{ids:?}");
    let snapshots = folder.read("output/archive/feed.xml");
    assert!(snapshots.contains(&format!("{HOME}archive/20260125T130000Z/index.html")), "{snapshots}");
    let sitemap = folder.read("output/sitemap.xml");
    assert!(
        sitemap.contains(&format!("<loc>{HOME}</loc>")) && sitemap.contains(&format!("<loc>{HOME}wrappers/"))
    );
    assert!(folder.read("output/robots.txt").contains(&format!("Sitemap: {HOME}sitemap.xml")));
    assert!(folder.read("output/index.html").contains(&format!("href=\"{HOME}feed.xml\"")));
    for path in ["output/feed.xml", "output/archive/feed.xml", "output/sitemap.xml"] {
        assert_xml(&folder, path);
    }
}

#[test]
fn badges_show_what_the_pages_show() {
    let folder = site("");
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    let badges = files_below(&folder.path("output/badges"));
    assert_eq!(badges.len(), 5, "{:?}", badges.keys());
    for path in badges.keys() {
        assert_xml(&folder, &format!("output/badges/{path}"));
    }
    let of = |name: &str| {
        let found =
            badges.iter().find(|(path, _)| path.contains('/') && path.ends_with(name)).expect("it is there");
        String::from_utf8(found.1.clone()).expect("text")
    };
    assert!(of("health.svg").contains("Healthy 100 %") && of("success-rate.svg").contains("100 %"));
    assert!(of("p95.svg").contains("&lt;b&gt;&amp;&quot;ü p95") && of("p95.svg").contains(" ms"));
    assert!(!folder.path("output/feed.xml").exists() && !folder.path("output/sitemap.xml").exists());
}

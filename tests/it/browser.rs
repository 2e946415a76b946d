//! The pages in a real browser: `node --test` in `tests/browser`, against a site and a daemon of this build.

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;

use crate::tools::{Folder, dash};

/// Two idle cores take a third of this.
const LIMIT: Duration = Duration::from_secs(400);

#[test]
fn the_pages_work_in_a_browser() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    for needed in [&tests.join("node_modules/playwright-core"), Path::new(&chromium)] {
        assert!(needed.exists(), "there is no `{}`; `tests/run` installs it", needed.display());
    }
    let site = Folder::new();
    dash(&site).arg("init").assert().success();
    site.sample(&["--days", "1", "--rate", "5/min", "--now", "2026-01-25T13:00:00Z"]);
    for moment in ["2026-01-25T12:00:00Z", "2026-01-25T13:00:00Z"] {
        dash(&site).args(["snapshot", "--now", moment]).assert().success();
    }
    let one_file = Folder::new();
    let diff = one_file.path("diff.html");
    dash(&site).args(["diff", "previous", "latest", "--html"]).arg(&diff).assert().success();
    one_file.copy(&site.path("output/archive/20260125T130000Z/report.html"), "report.html");
    one_file.copy(&site.path("output/archive/service/2026-01.html"), "service.html");
    let many = Folder::new();
    dash(&many).arg("init").assert().success();
    many.sample(&["--days", "1", "--rate", "20/min", "--wrappers", "1000", "--now", "2026-01-25T13:00:00Z"]);
    dash(&many).args(["build", "--now", "2026-01-25T13:00:00Z"]).assert().success();
    let run = Command::new("node")
        .arg("--test")
        .current_dir(tests)
        .env("DASH_SITE", site.path("output"))
        .env("DASH_MANY", many.path("output"))
        .env("DASH_ONE_FILE", one_file.path(""))
        .env("DASH_BIN", env!("CARGO_BIN_EXE_dash"))
        .timeout(LIMIT)
        .output()
        .expect("node can be run; `tests/run` says what is needed");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("skipped 0"), "{said}");
}

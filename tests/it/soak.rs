//! `benches/soak.py` for a few seconds: it is meant for hours, and finds here what is broken at once.

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;

/// A quarter of a minute, and what it may take until all is counted.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn nothing_is_lost_and_nothing_grows_under_everything_at_once() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/soak.py");
    Command::new("python3")
        .arg(script)
        .args(["--minutes", "0.2", "--clients", "20", "--binary", env!("CARGO_BIN_EXE_dash")])
        .timeout(LIMIT)
        .assert()
        .success();
}

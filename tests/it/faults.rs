//! What a machine does to a builder: no room on the disk, folders that cannot be written, others that build as well,
//! manifests that were cut short. What stood before stands, the message names the file, and the next build heals.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use predicates::str::contains;

use crate::archive::{ENTRY, MOMENT, assert_whole as assert_archive, site, snapshot};
use crate::crash::{assert_tidy, assert_whole};
use crate::tools::{Folder, dash, files_below, process};

const LATER: &str = "2026-01-25T14:00:00Z";

/// As on a full disk, without a disk and without being root: no file may grow beyond so many blocks of 512 bytes, and
/// who tries is told so.
fn without_room(folder: &Folder, blocks: u32, arguments: &str) -> std::process::Output {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {arguments}");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_dash")]).current_dir(folder.path(""));
    command.output().expect("a shell can be run")
}

#[test]
fn without_room_the_last_site_stands_and_the_next_build_heals() {
    let folder = site();
    snapshot(&folder, MOMENT);
    let (page, archive) = (folder.read("output/index.html"), files_below(&folder.path("output/archive")));
    let line = "{\"wrapper_name\":\"late\",\"end_time\":\"2026-01-25T13:30:00Z\",\"status\":\"error\"}\n";
    folder.append("content/operations/sample.jsonl", line);
    let mut failed = 0;
    for blocks in [0, 1, 8, 64, 128, 200, 300, 400, 600] {
        for command in ["build", "snapshot"] {
            let run = without_room(&folder, blocks, &format!("{command} --quiet --now {LATER}"));
            let said = String::from_utf8_lossy(&run.stderr);
            let context = format!("{command} with {blocks} blocks: {said}");
            assert_whole(&folder, &context);
            assert_archive(&folder.path("output/archive"), &context);
            assert!(!said.contains("panicked") && !said.contains("damaged"), "{context}");
            if !run.status.success() {
                failed += 1;
                assert!(said.starts_with("error: ") && said.contains('`'), "{context}");
            }
        }
    }
    assert!(failed > 6, "{failed}");
    assert!(archive.iter().filter(|(path, _)| path.starts_with("2026")).all(|(path, bytes)| {
        fs::read(folder.path("output/archive").join(path)).is_ok_and(|there| there == *bytes)
    }));
    snapshot(&folder, LATER);
    assert_whole(&folder, "at the end");
    assert_tidy(&folder);
    let fresh = site();
    fresh.append("content/operations/sample.jsonl", line);
    snapshot(&fresh, LATER);
    let healed = folder.read("output/index.html");
    assert!(healed == fresh.read("output/index.html") && healed != page);
}

/// A user who is not root, whom folders can be closed to.
const NOBODY: u32 = 65_534;

/// Gives all of a folder to that user.
fn hand_over(folder: &Path) {
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).expect("it can be read").flatten().map(|entry| entry.path()));
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_stays_as_it_is() {
    let folder = site();
    snapshot(&folder, MOMENT);
    let is_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("it is there")) == 0;
    // Root may write anywhere.
    let binary = folder.path("dash");
    fs::copy(env!("CARGO_BIN_EXE_dash"), &binary).expect("there is room");
    if is_root {
        hand_over(&folder.path(""));
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&binary);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let run = command.args(arguments).current_dir(folder.path("")).output().expect("it is there");
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let close = |path: &str, mode: u32| {
        fs::set_permissions(folder.path(path), fs::Permissions::from_mode(mode)).expect("it is there");
    };
    let before = files_below(&folder.path("output"));
    for (closed, command) in
        [("output", "build"), ("output/wrappers", "build"), ("output/archive", "snapshot")]
    {
        close(closed, 0o555);
        let (done, said) = run(&[command, "--quiet", "--now", LATER]);
        close(closed, 0o755);
        assert!(!done && said.contains("ermission denied") && said.contains("output/"), "{closed}: {said}");
        assert_whole(&folder, closed);
        assert_archive(&folder.path("output/archive"), closed);
    }
    assert!(
        files_below(&folder.path(ENTRY))
            .iter()
            .all(|(path, bytes)| { before.get(&format!("archive/20260125T130000Z/{path}")) == Some(bytes) })
    );
    let line = "{\"wrapper_name\":\"late\",\"end_time\":\"2026-01-25T13:30:00Z\",\"status\":\"error\"}\n";
    folder.append("content/operations/sample.jsonl", line);
    close(".dash/store.db", 0o444);
    let (done, said) = run(&["build", "--quiet", "--now", LATER]);
    close(".dash/store.db", 0o644);
    assert!(!done && said.contains(".dash/store.db"), "{said}");
    let (done, said) = run(&["build", "--quiet", "--now", LATER]);
    assert!(done, "{said}");
    assert_whole(&folder, "at the end");
    assert_tidy(&folder);
}

#[test]
fn of_many_builders_each_builds_or_says_who_does() {
    let folder = site();
    let builders: Vec<_> = (0..8)
        .map(|at| {
            let mut command = process(&folder);
            command.args([["build", "snapshot"][at % 2], "--quiet", "--now", MOMENT]);
            command.stderr(Stdio::piped()).spawn().expect("the binary is there")
        })
        .collect();
    let mut done = 0;
    for builder in builders {
        let run = builder.wait_with_output().expect("it is ours to wait for");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() || said.contains("another `dash` (process "), "{said}");
        done += usize::from(run.status.success());
    }
    assert!(done > 0);
    dash(&folder).args(["snapshot", "--now", MOMENT]).assert().success();
    assert_whole(&folder, "at the end");
    assert_tidy(&folder);
    let fresh = site();
    snapshot(&fresh, MOMENT);
    for path in ["index.html", "api/system/health.json", "archive/20260125T130000Z/manifest.json"] {
        assert!(folder.read(&format!("output/{path}")) == fresh.read(&format!("output/{path}")), "{path}");
    }
}

#[test]
fn manifests_that_were_cut_short_lose_nothing() {
    let folder = site();
    snapshot(&folder, MOMENT);
    let whole = folder.read("output/snapshot.json");
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        folder.write("output/snapshot.json", &whole[..length]);
        let target = folder.path("elsewhere");
        let publish = dash(&folder).arg("publish").arg(&target).assert().code(1);
        publish.stderr(contains("snapshot.json` is damaged; build the site again"));
        snapshot(&folder, MOMENT);
        assert_whole(&folder, &format!("after {length} bytes"));
    }
    let entry = folder.read(&format!("{ENTRY}/manifest.json"));
    folder.write(&format!("{ENTRY}/manifest.json"), &entry[..entry.len() / 2]);
    dash(&folder).arg("verify").assert().code(1).stdout(contains("20260125T130000Z"));
    snapshot(&folder, LATER);
    assert!(folder.path(ENTRY).join("index.html").exists(), "a damaged entry is no reason to remove it");
}

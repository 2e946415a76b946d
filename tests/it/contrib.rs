//! What `contrib/` has for those who run dash for months, run as it is run there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::archive::{ENTRY, site};
use crate::tools::Folder;

fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path)
}

/// The same command for a site of a test and the binary that is tested.
fn here(command: &str, folder: &Folder) -> String {
    let site = folder.path("").to_string_lossy().trim_end_matches('/').to_owned();
    command.replace("/usr/local/bin/dash", env!("CARGO_BIN_EXE_dash")).replace("/srv/dash", &site)
}

/// By a shell, in an environment as bare as cron's, in the user's home and not in the site.
fn by_cron(command: &str, home: &Folder) -> Output {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).current_dir(home.path("")).env_clear();
    shell
        .env("HOME", home.path(""))
        .env("LOGNAME", "dash")
        .env("SHELL", "/bin/sh")
        .env("PATH", "/usr/bin:/bin");
    shell.output().expect("there is a shell")
}

fn crontab() -> Vec<String> {
    let text = fs::read_to_string(contrib("crontab")).expect("it is there");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let command = |line: &str| {
        let (fields, command): (Vec<&str>, Vec<&str>) = {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[..5].to_vec(), words[5..].to_vec())
        };
        let is_time = |field: &&str| field.chars().all(|c| c.is_ascii_digit() || "*/,-".contains(c));
        assert!(fields.iter().all(is_time), "{line}");
        // Cron ends a command at the first of these.
        assert!(!line.contains('%'), "{line}");
        command.join(" ")
    };
    lines.map(command).collect()
}

#[test]
fn the_lines_of_the_crontab_work_and_are_silent() {
    let (folder, home) = (site(), Folder::new());
    let lines = crontab();
    assert!(lines.len() == 2, "{lines:?}");
    for line in &lines {
        let run = by_cron(&here(line, &folder), &home);
        // Whatever is written here, cron mails.
        assert_eq!((run.status.code(), run.stdout, run.stderr), (Some(0), vec![], vec![]), "{line}");
    }
    assert!(folder.path("output/index.html").exists());
    let kept = fs::read_dir(folder.path("output/archive")).expect("a snapshot is kept").flatten();
    assert!(kept.filter(|entry| entry.path().join("manifest.json").exists()).count() == 1);
    assert!(!folder.path(ENTRY).exists(), "it is of now");

    folder.write("dash.toml", "[site]\ntitel = 'x'\n");
    for line in &lines {
        let run = by_cron(&here(line, &folder), &home);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.code() == Some(1) && said.contains("`title`"), "{line}: {said}");
    }
}

#[test]
fn the_lines_for_cron_in_the_readme_work_by_cron_and_not_by_a_shell_called_dash() {
    let (folder, home) = (site(), Folder::new());
    let readme = fs::read_to_string(contrib("../README.md")).expect("it is there");
    let lines: Vec<&str> =
        readme.lines().filter_map(|line| line.trim().split_once(" * * *  ")).map(|(_, line)| line).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let place = folder.path("").to_string_lossy().into_owned();
    for line in lines {
        let bin = home.path(".cargo/bin");
        fs::create_dir_all(&bin).expect("ours");
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dash"), bin.join("dash"));
        let run = by_cron(&line.replace("/srv/mysite", &place), &home);
        assert_eq!((run.status.code(), run.stdout, run.stderr), (Some(0), vec![], vec![]), "{line}");
    }
    assert!(folder.path("output/archive").exists());
}

#[test]
fn what_threads_have_freed_is_given_back() {
    for (path, line) in
        [("systemd/dash.service", "Environment=MALLOC_ARENA_MAX=2"), ("Dockerfile", "ENV MALLOC_ARENA_MAX=2")]
    {
        let text = fs::read_to_string(contrib(path)).expect("it is there");
        assert!(text.lines().any(|found| found == line), "{path}");
    }
}

/// The value of a key of a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn analyze(arguments: &[&str]) -> String {
    let run = Command::new("systemd-analyze").args(arguments).output();
    let run = run.expect("`systemd-analyze` can be run; `tests/run` installs it");
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(run.status.success(), "{arguments:?}: {said}");
    said
}

#[test]
fn the_units_hold_and_what_they_start_works() {
    let (folder, units) = (site(), Folder::new());
    let mut timers = 0;
    for entry in fs::read_dir(contrib("systemd")).expect("it is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let unit = fs::read_to_string(entry.path()).expect("it is text");
        // A user of a machine that runs dash; here there is none.
        units.write(&name, here(&unit, &folder).replace("=dash\n", "=daemon\n"));
        for calendar in values(&unit, "OnCalendar") {
            assert!(analyze(&["calendar", calendar]).contains("Next elapse"), "{name}");
            timers += 1;
        }
    }
    assert_eq!(timers, 2);
    for (name, _) in crate::tools::files_below(&units.path("")) {
        let path = units.path(&name);
        let said = analyze(&["verify", "--man=no", path.to_str().expect("text")]);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(&name)).collect();
        assert!(ours.is_empty(), "{ours:?}");
        let unit = units.read(&name);
        if values(&unit, "Type") == ["oneshot"] {
            let command =
                format!("cd {} && {}", values(&unit, "WorkingDirectory")[0], values(&unit, "ExecStart")[0]);
            let run = by_cron(&command, &units);
            assert_eq!((run.status.code(), run.stdout, run.stderr), (Some(0), vec![], vec![]), "{name}");
        }
    }
}

//! Two loops, each on a thread of its own: one loads what is published, one has the site built again when
//! its sources change. They meet in the output folder only, as a build by cron or a copy by rsync would.
//!
//! The kernel tells of changes, and both loops look for themselves now and then: a folder may be deleted and
//! made again, lie on a network, or change more often than the kernel keeps up with.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, Metadata};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use crate::publish::manifest::MANIFEST;
use crate::serve::state::Current;
use crate::serve::status::Status;
use crate::serve::{Outcome, Rebuild, Rebuilt, ServeSettings};

/// How often the manifest is looked at, whatever the kernel says.
const MANIFEST_POLL: Duration = Duration::from_secs(1);
/// How often the sources are.
const SOURCES_POLL: Duration = Duration::from_secs(5);
/// A site is built this often at least: its windows end at its moment.
const TICK: Duration = Duration::from_secs(60);
/// Changes are acted on when there was none for this long …
const QUIET: Duration = Duration::from_millis(150);
/// … or, where the last build is a while ago, this long: a line that comes alone is shown at once …
const PAUSE: Duration = Duration::from_millis(20);
/// … or when the first of them is this old, which is a while, too.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after a build that failed, doubled with each one after it, up to the longest.
const RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Longest pause after a build. Up to it, a pause is as long as the build was, so that half of the time is free.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Most files, and levels of folders, that a look at the sources takes in.
const MOST_FILES: usize = 20_000;
const MOST_LEVELS: usize = 8;

/// What the loop that loads snapshots goes by.
#[derive(Debug)]
pub struct Follow {
    /// The manifest's state when the first was loaded.
    pub loaded: Option<State>,
    pub current: watch::Sender<Arc<Current>>,
    /// Becomes true when the daemon stops.
    pub stop: watch::Receiver<bool>,
    /// Wakes the loop of builds, where there is one.
    pub builder: Bell,
}

/// Loads each snapshot that lands in `output`, until the daemon stops. Where what stands there is deleted, it wants
/// another built.
pub fn follow_output(output: &Path, follow: Follow) {
    let Follow { mut loaded, current, stop, builder } = follow;
    let mut folders = Folders::new(vec![output.to_owned()], Concern::Manifest, bell());
    let mut trouble = Trouble::default();
    let mut gone = false;
    while !*stop.borrow() {
        folders.wait(MANIFEST_POLL);
        folders.arm();
        let state = manifest_state(output);
        if state == loaded {
            gone = false;
            continue;
        }
        if state.is_none() {
            let manifest = output.join(MANIFEST);
            trouble.met(&format!("`{}` is gone; still serving the last snapshot", manifest.display()));
            // Once: a build that fails is tried again by the loop of builds, ever later.
            if !std::mem::replace(&mut gone, true) {
                builder.insist();
            }
            continue;
        }
        gone = false;
        let before = Arc::clone(&current.borrow());
        match catch_unwind(AssertUnwindSafe(|| Current::load(output, Some(&before)))) {
            Ok(Ok(newest)) => {
                loaded = state;
                trouble.over("loading the site");
                if newest.manifest.id != before.manifest.id {
                    current.send_replace(Arc::new(newest));
                }
            }
            Ok(Err(error)) => trouble.met(&format!("still serving the last snapshot: {error:#}")),
            Err(_) => trouble.met("still serving the last snapshot: loading panicked; please report this"),
        }
    }
}

/// What the loop of builds goes by.
#[derive(Debug)]
pub struct Loop {
    pub status: Arc<Status>,
    /// The file of the settings: whoever has changed it waits for what comes of it.
    pub config: PathBuf,
    /// The settings as they were last read.
    pub settings: watch::Sender<ServeSettings>,
    /// Becomes true when the daemon stops.
    pub stop: watch::Receiver<bool>,
    /// Wakes the loop.
    pub bell: Bell,
    pub rung: Receiver<()>,
}

/// Rung when something may have changed.
#[derive(Clone, Debug)]
pub struct Bell {
    bell: SyncSender<()>,
    /// Whether someone wants a build, whatever has changed.
    insisted: Arc<AtomicBool>,
}

/// A bell, and where it is heard.
pub fn bell() -> (Bell, Receiver<()>) {
    let (bell, rung) = sync_channel(1);
    (Bell { bell, insisted: Arc::default() }, rung)
}

impl Bell {
    fn ring(&self) {
        // A full channel has the news already.
        let _ = self.bell.try_send(());
    }

    /// Wants a build now.
    pub fn insist(&self) {
        self.insisted.store(true, Ordering::SeqCst);
        self.ring();
    }

    fn take_insistence(&self) -> bool {
        self.insisted.swap(false, Ordering::SeqCst)
    }
}

/// What visitors are told while builds fail; why they do is the business of whoever reads the log.
const BUILD_FAILS: &str = "The newest data could not be shown: building the site fails, and what you see is the last \
                           that went well. The log of the daemon says why.";

/// The same while settings are wrong.
const SETTINGS_WRONG: &str = "The settings of this site were changed and are wrong; what you see follows those before. \
                              The log of the daemon says what is wrong.";

/// Has the site built again when something below `watched` changes and as time passes, until the daemon stops.
pub fn rebuild(watched: Vec<PathBuf>, output: &Path, mut build: Rebuild, around: Loop) {
    let Loop { status, config, settings, stop, bell, rung } = around;
    let concern = Concern::AllBut(fs::canonicalize(output).unwrap_or_else(|_| output.to_owned()));
    let mut folders = Folders::new(watched, concern, (bell.clone(), rung));
    let mut troubles = Troubles::default();
    let (mut seen, mut seen_config) = (folders.fingerprint(), State::at(&config));
    // What changed between the build before the daemon and this moment, nobody has seen.
    let (mut due, mut ended) = (Instant::now() + SOURCES_POLL, Instant::now());
    let mut failures = 0;
    while !*stop.borrow() {
        let told = folders.wait(due.saturating_duration_since(Instant::now()).min(SOURCES_POLL));
        if told {
            folders.settle(if ended.elapsed() < PATIENCE { QUIET } else { PAUSE });
        }
        folders.arm();
        let now = folders.fingerprint();
        let changed = now != seen || (told && now.is_none());
        // While builds fail, a busy log would have one fail after another: only time calls for the next, or
        // settings that may be corrected.
        let waits = (!changed || failures > 0) && Instant::now() < due;
        let now_config = State::at(&config);
        if (waits && now_config == seen_config && !bell.take_insistence()) || *stop.borrow() {
            continue;
        }
        (seen, seen_config) = (now, now_config);
        let built = Instant::now();
        due = built + TICK;
        let rebuilt = attempt(&mut build, &mut troubles);
        let outcome = rebuilt.as_ref().map(|rebuilt| rebuilt.outcome);
        let mut notice = outcome.is_none().then_some(BUILD_FAILS);
        if let Some(rebuilt) = rebuilt {
            notice = rebuilt.complaint.is_some().then_some(SETTINGS_WRONG);
            settings.send_if_modified(|known| std::mem::replace(known, rebuilt.settings) != *known);
            if rebuilt.watch != folders.paths {
                folders.paths = rebuilt.watch;
                seen = folders.fingerprint();
            }
        }
        match outcome {
            // Neither a success nor a failure: whatever was known before still is.
            Some(Outcome::Busy) => {
                tracing::debug!("another `dash` is building the site; trying again soon");
                due = Instant::now() + RETRY;
            }
            Some(_) => failures = 0,
            None => {
                failures += 1;
                due = Instant::now() + retry(failures);
            }
        }
        if matches!(outcome, Some(Outcome::Built) | None) {
            status.built(built.elapsed(), failures == 0);
        }
        if outcome != Some(Outcome::Busy) {
            status.notify(notice);
        }
        std::thread::sleep(built.elapsed().min(LONGEST_PAUSE));
        ended = Instant::now();
    }
}

/// What may go wrong with builds, each told by itself.
#[derive(Default)]
struct Troubles {
    settings: Trouble,
    build: Trouble,
}

/// Builds once; `None` where that failed, which the log then says.
fn attempt(build: &mut Rebuild, troubles: &mut Troubles) -> Option<Rebuilt> {
    match catch_unwind(AssertUnwindSafe(build)) {
        Ok(Ok(rebuilt)) => {
            match &rebuilt.complaint {
                Some(complaint) => troubles.settings.met(&format!("the last settings stand: {complaint}")),
                None => troubles.settings.over("reading the settings"),
            }
            if rebuilt.outcome != Outcome::Busy {
                troubles.build.over("building the site");
            }
            return Some(rebuilt);
        }
        Ok(Err(error)) => troubles.build.met(&format!("the last site stands: {error:#}")),
        Err(_) => troubles.build.met("the last site stands: the build panicked; please report this"),
    }
    None
}

/// How long to wait after so many failures in a row.
fn retry(failures: u32) -> Duration {
    RETRY.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_RETRY)
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    length: u64,
    modified_ns: i128,
    device: u64,
    inode: u64,
}

impl State {
    /// Of what is at a path; `None` where nothing is.
    pub fn at(path: &Path) -> Option<State> {
        fs::metadata(path).ok().map(|metadata| State::of(&metadata))
    }

    fn of(metadata: &Metadata) -> State {
        State {
            length: metadata.len(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The state of the manifest in `output`; `None` where there is none.
pub fn manifest_state(output: &Path) -> Option<State> {
    State::at(&output.join(MANIFEST))
}

/// Which changes matter.
#[derive(Clone, Debug)]
enum Concern {
    /// That of the manifest.
    Manifest,
    /// All but those below this folder, and of hidden files.
    AllBut(PathBuf),
}

impl Concern {
    /// Whether a change of `path` matters, `root` being the watched folder that it is in.
    fn matters(&self, root: &Path, path: &Path) -> bool {
        match self {
            Concern::Manifest => path.file_name().is_some_and(|name| name == MANIFEST),
            Concern::AllBut(folder) => {
                let inside = path.strip_prefix(root).unwrap_or(path);
                let mut names = inside.components().map(|part| part.as_os_str().as_encoded_bytes());
                !path.starts_with(folder) && !names.any(|name| name.starts_with(b"."))
            }
        }
    }
}

/// Folders and files, and the kernel's word on what happens in them.
struct Folders {
    paths: Vec<PathBuf>,
    concern: Concern,
    /// Device and inode of each path that the watcher watches.
    armed: Vec<Option<(u64, u64)>>,
    /// Kept alive; `None` where the kernel has no room for more, and only looking is left.
    watcher: Option<RecommendedWatcher>,
    bell: Bell,
    rung: Receiver<()>,
}

impl Folders {
    fn new(paths: Vec<PathBuf>, concern: Concern, (bell, rung): (Bell, Receiver<()>)) -> Folders {
        let mut folders = Folders { paths, concern, armed: Vec::new(), watcher: None, bell, rung };
        folders.arm();
        folders
    }

    /// Waits for a change; whether there was one.
    fn wait(&self, longest: Duration) -> bool {
        match self.rung.recv_timeout(longest) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the bell is kept beside its receiver"),
        }
    }

    /// Waits until there is no change for so long.
    fn settle(&self, quiet: Duration) {
        let first = Instant::now();
        while first.elapsed() < PATIENCE && self.wait(quiet) {}
    }

    /// Watches what stands at the paths now, where these are not the ones being watched.
    fn arm(&mut self) {
        let identity = |path: &PathBuf| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let found: Vec<_> = self.paths.iter().map(identity).collect();
        if found == self.armed {
            return;
        }
        let roots: Vec<_> = self.paths.iter().filter_map(|path| real(path)).collect();
        self.watcher = self.watch(&roots).inspect_err(|error| tracing::debug!("watching: {error}")).ok();
        self.armed = found;
    }

    fn watch(&self, roots: &[PathBuf]) -> notify::Result<RecommendedWatcher> {
        let (bell, concern, own_roots) = (self.bell.clone(), self.concern.clone(), roots.to_vec());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            let within =
                |root: &PathBuf, path: &PathBuf| path.starts_with(root) && concern.matters(root, path);
            let matters = |path: &PathBuf| own_roots.iter().any(|root| within(root, path));
            // Reading is no change, and our own reading would never end.
            let change = !matches!(event.kind, EventKind::Access(_));
            if change && (event.paths.is_empty() || event.paths.iter().any(matters)) {
                bell.ring();
            }
        })?;
        let (folders, files): (Vec<_>, Vec<_>) = roots.iter().partition(|root| root.is_dir());
        // A file is watched through its folder: one that is replaced would take its own watch with it.
        let beside = files.iter().filter_map(|file| file.parent());
        let beside = beside.filter(|beside| !folders.iter().any(|folder| beside.starts_with(folder)));
        let mode = match self.concern {
            Concern::Manifest => RecursiveMode::NonRecursive,
            Concern::AllBut(_) => RecursiveMode::Recursive,
        };
        let watches = folders.iter().map(|folder| (folder.as_path(), mode));
        for (path, mode) in watches.chain(beside.map(|beside| (beside, RecursiveMode::NonRecursive))) {
            if let Err(error) = watcher.watch(path, mode) {
                tracing::debug!("watching `{}`: {error}", path.display());
            }
        }
        Ok(watcher)
    }

    /// A hash of the state of all files that matter: different when one was written, added or removed.
    /// `None` where there are too many to look at, and only the kernel's word counts.
    fn fingerprint(&self) -> Option<u64> {
        let mut look = Look { concern: &self.concern, files: 0, whole: true, hasher: DefaultHasher::new() };
        for root in self.paths.iter().filter_map(|path| fs::canonicalize(path).ok()) {
            match fs::metadata(&root) {
                Ok(file) if file.is_file() => State::of(&file).hash(&mut look.hasher),
                _ => look.at(&root, &root, 0),
            }
        }
        look.whole.then(|| look.hasher.finish())
    }
}

/// The path without links. What is not there yet, or not now, is looked for where it will be.
fn real(path: &Path) -> Option<PathBuf> {
    let to_come = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(to_come)
}

/// A walk over the files of some folders.
struct Look<'a> {
    concern: &'a Concern,
    files: usize,
    /// Whether nothing was left out.
    whole: bool,
    hasher: DefaultHasher,
}

impl Look<'_> {
    fn at(&mut self, root: &Path, folder: &Path, level: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if self.files >= MOST_FILES || level >= MOST_LEVELS {
                self.whole = false;
                return;
            }
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if !self.concern.matters(root, &path) {
                continue;
            }
            self.files += 1;
            if metadata.is_dir() {
                self.at(root, &path, level + 1);
                continue;
            }
            path.hash(&mut self.hasher);
            State::of(&metadata).hash(&mut self.hasher);
        }
    }
}

/// A failure that lasts is told once, and so is its end.
#[derive(Default)]
struct Trouble {
    last: Option<String>,
}

impl Trouble {
    fn met(&mut self, message: &str) {
        if self.last.as_deref() != Some(message) {
            tracing::warn!("{message}");
            self.last = Some(message.to_owned());
        }
    }

    fn over(&mut self, what: &str) {
        if self.last.take().is_some() {
            tracing::info!("{what} works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_and_hidden_files_are_no_sources() {
        let concern = Concern::AllBut(PathBuf::from("/site/output"));
        let matters = |path: &str| concern.matters(Path::new("/site"), Path::new(path));
        assert!(matters("/site/logs/a.jsonl"));
        assert!(!matters("/site/output/index.html"));
        assert!(!matters("/site/.dash/store.db-wal"));
        assert!(!matters("/site/logs/.a.swp"));
        let hidden_root = concern.matters(Path::new("/home/.logs"), Path::new("/home/.logs/a.jsonl"));
        assert!(hidden_root);
    }

    #[test]
    fn failures_are_tried_again_less_and_less_often() {
        assert_eq!(retry(1), RETRY);
        assert_eq!(retry(3), RETRY * 4);
        assert_eq!(retry(u32::MAX), LONGEST_RETRY);
    }

    #[test]
    fn a_folder_made_again_is_watched_again() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let logs = home.path().join("logs");
        let concern = Concern::AllBut(home.path().join("output"));
        let mut folders = Folders::new(vec![logs.clone()], concern, bell());
        let mut seen = folders.fingerprint();
        for round in 0..2 {
            fs::create_dir(&logs).expect("free");
            folders.arm();
            fs::write(logs.join("a.jsonl"), round.to_string()).expect("writable");
            assert!(folders.wait(Duration::from_secs(10)), "round {round}");
            let now = folders.fingerprint();
            assert_ne!(now, seen);
            seen = now;
            fs::remove_dir_all(&logs).expect("ours");
            folders.arm();
            while folders.wait(Duration::from_millis(200)) {}
        }
    }

    #[test]
    fn a_file_is_watched_as_it_comes_is_replaced_and_goes_and_its_neighbours_are_not() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (file, other) = (home.path().join("dash.toml"), home.path().join("notes.txt"));
        let concern = Concern::AllBut(home.path().join("output"));
        let mut folders = Folders::new(vec![file.clone()], concern, bell());
        let mut seen = folders.fingerprint();
        for (round, goes) in [false, true, false].into_iter().enumerate() {
            fs::create_dir(home.path().join(round.to_string())).expect("free");
            fs::write(&other, round.to_string()).expect("writable");
            assert!(!folders.wait(Duration::from_millis(300)), "round {round}");
            assert_eq!(folders.fingerprint(), seen);
            fs::rename(&other, &file).expect("writable");
            assert!(folders.wait(Duration::from_secs(10)), "round {round}");
            assert_ne!(folders.fingerprint(), seen);
            folders.arm();
            if goes {
                fs::rename(&file, home.path().join("dash.toml.old")).expect("ours");
            }
            while folders.wait(Duration::from_millis(200)) {}
            folders.arm();
            seen = folders.fingerprint();
        }
    }
}

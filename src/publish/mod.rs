//! A finished site becomes the output folder: only what changed is written, each file whole, the manifest
//! last. Whoever watches `snapshot.json` sees whole snapshots and nothing between them.
//!
//! While files are being replaced, [`JOURNAL`] lists them. It is removed after the manifest stands; if the
//! builder dies in between, the next one finds it, knows these files as its own and writes them all again.
//! So at any instant every file is what the manifest says, or is in the journal.

pub mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::model::parallel;
use crate::model::time::rfc3339;
use crate::publish::manifest::{FileEntry, Found, MANIFEST, Manifest, SourceEntry};
use crate::report::site::{File, Site, is_plain};

/// Lists the files being replaced, one path a line, while that is under way.
pub const JOURNAL: &str = ".dash-publishing";

/// What a snapshot is called and dated by.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub moment_ms: i64,
    /// End of the newest operation.
    pub last_data_ms: Option<i64>,
    pub sources: Vec<SourceEntry>,
}

/// What publishing did.
#[derive(Clone, Debug)]
pub struct Published {
    pub manifest: Manifest,
    /// Files written, of how many in the site.
    pub written: usize,
    pub removed: usize,
}

impl Published {
    /// Nothing had to be done.
    pub fn unchanged(manifest: Manifest) -> Published {
        Published { manifest, written: 0, removed: 0 }
    }
}

/// An output folder as it stands before publishing.
#[derive(Debug)]
pub struct Standing {
    output: PathBuf,
    manifest: Option<Manifest>,
    /// When the manifest was written: after everything else of its snapshot.
    written: Option<SystemTime>,
    /// The paths that an earlier builder was replacing when it died.
    broken: BTreeSet<String>,
    interrupted: bool,
    /// Whether the manifest is damaged: then nothing tells which files are dash's, and all that the site
    /// has a file for are taken to be.
    damaged: bool,
    /// Whether all files are known to be as they were written.
    whole: bool,
}

/// A site whose files are made: those that changed lie beside their places.
#[derive(Debug)]
pub struct Begun<'s> {
    standing: &'s Standing,
    manifest: Manifest,
    dirty: Vec<String>,
    gone: BTreeSet<String>,
}

/// What is known of a file before it is made.
enum Turn<'s> {
    Stands(FileEntry),
    Comes(Coming<'s>),
}

/// A file that does not stand as it is, as far as is known.
struct Coming<'s> {
    path: &'s str,
    file: &'s File<'s>,
    /// Where it is made already.
    entry: Option<FileEntry>,
}

impl Standing {
    /// # Errors
    /// If `output` is something else than a folder, or cannot be read.
    pub fn look(output: &Path) -> Result<Standing> {
        if output.exists() && !output.is_dir() {
            bail!("`{}` is not a folder; move it away or choose another `--output`", output.display());
        }
        let found = manifest::find(output)?;
        let written = fs::metadata(output.join(MANIFEST)).and_then(|metadata| metadata.modified()).ok();
        let damaged = matches!(found, Found::Damaged);
        let manifest = if let Found::Whole(manifest) = found { Some(manifest) } else { None };
        let (broken, begun) = (journal(output)?, output.join(unfinished(JOURNAL)).exists());
        let interrupted = begun || output.join(JOURNAL).exists();
        let output = output.to_owned();
        Ok(Standing { output, manifest, written, broken, interrupted, damaged, whole: false })
    }

    /// The snapshot `id`, if it is the one that stands and all of its files are as they were written.
    pub fn snapshot(&mut self, id: &str) -> Option<&Manifest> {
        let manifest = self.manifest.as_ref().filter(|manifest| manifest.id == id && !self.interrupted)?;
        let files: Vec<_> = manifest.files.iter().collect();
        let stand = parallel::map(&files, |(path, entry)| self.stands(path, entry));
        self.whole = stand.into_iter().all(|stands| stands);
        self.manifest.as_ref().filter(|_| self.whole)
    }

    /// Writes a site here; the folder is created where it is missing.
    ///
    /// # Errors
    /// As [`Standing::begin`] and [`Begun::put`].
    pub fn publish(&self, site: &Site, stamp: &Stamp) -> Result<Published> {
        self.begin(site, stamp)?.put()
    }

    /// Makes the files of a site, and writes those beside their places that are not what stands there.
    ///
    /// # Errors
    /// If a path of the site is taken by a file that dash did not write, if a file cannot be made, or if something
    /// cannot be written. Nothing of it is left then.
    pub fn begin(&self, site: &Site, stamp: &Stamp) -> Result<Begun<'_>> {
        let output = &self.output;
        fs::create_dir_all(output).with_context(|| format!("creating the folder `{}`", output.display()))?;
        let content: Vec<_> = site.files().iter().collect();
        let looked_at = parallel::map(&content, |(path, file)| self.look_at(path, file));
        let (mut files, mut coming) = (BTreeMap::new(), Vec::new());
        for ((path, _), looked_at) in content.iter().zip(looked_at) {
            match looked_at? {
                Turn::Stands(entry) => drop(files.insert((*path).clone(), entry)),
                Turn::Comes(file) => coming.push(file),
            }
        }
        for path in site.kept() {
            let known = self.known(path);
            let entry = known.with_context(|| format!("`{path}` is to be kept, but was never published"))?;
            files.insert(path.clone(), entry.clone());
        }
        let gone = self.gone(|path| files.contains_key(path) || site.files().contains_key(path));
        // Before anything is written, beside its place or there.
        let paths = coming.iter().map(|file| file.path).chain(gone.iter().map(String::as_str));
        let journal: String = paths.flat_map(|path| [path, "\n"]).collect();
        write(output, JOURNAL, journal.as_bytes())?;
        let begun = self.begin_all(&coming, &mut files).and_then(|dirty| {
            let manifest = manifest(stamp, files, self.manifest.as_ref());
            let script = File::Made(snapshot_script(&manifest).into());
            self.check_owner(SNAPSHOT_SCRIPT, &script)?;
            Ok(Begun { standing: self, manifest, dirty, gone })
        });
        begun.inspect_err(|_| self.forget(&coming))
    }

    /// Finds out whether a file stands already, as far as that can be told before it is made.
    fn look_at<'s>(&self, path: &'s str, file: &'s File<'s>) -> Result<Turn<'s>> {
        let entry = match file {
            File::Made(bytes) => Some(FileEntry { size: bytes.len() as u64, sha256: sha256(bytes) }),
            File::Carried { bytes, sha256 } => {
                Some(FileEntry { size: bytes.len() as u64, sha256: (*sha256).to_owned() })
            }
            File::Later(_) => None,
        };
        match entry {
            Some(entry) if self.stands(path, &entry) => Ok(Turn::Stands(entry)),
            entry => {
                self.check_owner(path, file)?;
                Ok(Turn::Comes(Coming { path, file, entry }))
            }
        }
    }

    /// Makes files, and writes those beside their places that are not what stands there: the paths of these.
    fn begin_all(&self, coming: &[Coming], files: &mut BTreeMap<String, FileEntry>) -> Result<Vec<String>> {
        let mut dirty = Vec::new();
        for (Coming { path, .. }, begun) in
            coming.iter().zip(parallel::map(coming, |file| self.begin_one(file)))
        {
            let (entry, is_dirty) = begun?;
            dirty.extend(is_dirty.then(|| (*path).to_owned()));
            files.insert((*path).to_owned(), entry);
        }
        Ok(dirty)
    }

    fn begin_one(&self, Coming { path, file, entry }: &Coming) -> Result<(FileEntry, bool)> {
        let bytes = file.bytes().with_context(|| format!("making `{path}`"))?;
        if let Some(entry) = entry {
            begin(&self.output, path, &bytes)?;
            return Ok((entry.clone(), true));
        }
        let entry = FileEntry { size: bytes.len() as u64, sha256: sha256(&bytes) };
        let is_dirty = !self.stands(path, &entry);
        if is_dirty {
            begin(&self.output, path, &bytes)?;
        }
        Ok((entry, is_dirty))
    }

    /// Removes what was written beside its place by a publication that replaced nothing. What cannot be removed is
    /// named by the journal, which stays if it was there before.
    fn forget(&self, coming: &[Coming]) {
        for Coming { path, .. } in coming {
            let unfinished = self.output.join(unfinished(path));
            // Neither is there but where it was begun, and a folder that holds something stays.
            let _ = fs::remove_file(&unfinished);
            let _ = unfinished.parent().map(fs::remove_dir);
        }
        if !self.interrupted {
            let _ = fs::remove_file(self.output.join(JOURNAL));
        }
    }

    fn known(&self, path: &str) -> Option<&FileEntry> {
        self.manifest.as_ref()?.files.get(path)
    }

    /// Whether the file on disk is this one, by its size and because nobody has written to it since.
    fn stands(&self, path: &str, entry: &FileEntry) -> bool {
        let untouched = |found: &fs::Metadata| {
            let changed = found.modified().ok().zip(self.written);
            found.is_file() && found.len() == entry.size && changed.is_some_and(|(at, written)| at <= written)
        };
        let on_disk = || fs::symlink_metadata(self.output.join(path)).is_ok_and(|found| untouched(&found));
        self.known(path) == Some(entry) && (self.whole || !self.broken.contains(path) && on_disk())
    }

    /// Refuses to write over what dash did not write.
    fn check_owner(&self, path: &str, file: &File) -> Result<()> {
        // Neither manifest nor journal lists the script, which is written between the two.
        let script = path == SNAPSHOT_SCRIPT && (self.manifest.is_some() || self.interrupted);
        let ours = self.damaged || script || self.known(path).is_some() || self.broken.contains(path);
        if !ours && is_foreign(&self.output.join(path), file)? {
            let path = self.output.join(path);
            bail!("`{}` was not written by dash; move it away or choose another `--output`", path.display());
        }
        Ok(())
    }

    /// Files of the snapshot before that the next one does not have.
    fn gone(&self, is_next: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let known = self.manifest.iter().flat_map(|before| before.files.keys());
        let gone = known.chain(&self.broken).filter(|path| !is_next(path));
        gone.cloned().collect()
    }
}

impl Begun<'_> {
    /// Puts what is dirty in place, removes what is gone, and the manifest comes last.
    ///
    /// # Errors
    /// If something cannot be written; the journal tells the next builder what may be half done.
    pub fn put(self) -> Result<Published> {
        let Begun { standing: Standing { output, .. }, manifest, dirty, gone } = self;
        parallel::map(&dirty, |path| finish(output, path)).into_iter().collect::<Result<()>>()?;
        write(output, SNAPSHOT_SCRIPT, snapshot_script(&manifest).as_bytes())?;
        write(output, MANIFEST, &serde_json::to_vec_pretty(&manifest)?)?;
        for path in &gone {
            remove(output, path)?;
            remove(output, &unfinished(path))?;
        }
        remove(output, JOURNAL)?;
        Ok(Published { manifest, written: dirty.len(), removed: gone.len() })
    }
}

/// The script that tells every page which snapshot it belongs to, `file://` included.
pub const SNAPSHOT_SCRIPT: &str = "snapshot.js";

/// Its content.
pub fn snapshot_script(manifest: &Manifest) -> String {
    let facts = serde_json::json!({
        "id": manifest.id,
        "generated_at": manifest.generated_at,
        "last_data": manifest.last_data,
    });
    format!("window.dashSnapshot={facts};\n")
}

fn manifest(stamp: &Stamp, files: BTreeMap<String, FileEntry>, before: Option<&Manifest>) -> Manifest {
    let mut hasher = Sha256::new();
    for (path, entry) in &files {
        hasher.update(path.as_bytes());
        hasher.update([0]);
        hasher.update(entry.sha256.as_bytes());
    }
    let content = hex(&hasher.finalize());
    let generated_at = rfc3339(stamp.moment_ms);
    let changed = |path: &&String| before.is_none_or(|before| before.files.get(*path) != files.get(*path));
    let is_page = |path: &&String| path.ends_with(".html");
    let gone = before.iter().flat_map(|before| before.files.keys()).filter(|path| !files.contains_key(*path));
    let mut pages: Vec<String> = files.keys().filter(changed).chain(gone).filter(is_page).cloned().collect();
    pages.sort();
    let digits: String = generated_at.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    Manifest {
        id: format!("{digits}-{}", &content[..12]),
        generated_at,
        last_data: stamp.last_data_ms.map(rfc3339),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        previous: before.map(|before| before.id.clone()),
        changed: pages,
        sources: stamp.sources.clone(),
        files,
    }
}

/// The paths that an earlier builder was replacing when it died.
fn journal(output: &Path) -> Result<BTreeSet<String>> {
    let path = output.join(JOURNAL);
    match fs::read_to_string(&path) {
        // A path that leads out of the folder is not one that a builder wrote there.
        Ok(text) => Ok(text.lines().filter(|path| is_plain(path)).map(str::to_owned).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error).with_context(|| format!("reading `{}`", path.display())),
    }
}

/// Whether something else than this file lies at a path that dash has never written.
fn is_foreign(path: &Path, file: &File) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            let bytes = file.bytes()?;
            Ok(fs::read(path).map_or(true, |there| there != *bytes))
        }
        found => Ok(found.is_ok()),
    }
}

/// Puts a whole file in place: readers see the old one or the new one.
fn write(output: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    begin(output, path, bytes)?;
    finish(output, path)
}

/// Writes a file beside its place.
fn begin(output: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let unfinished = output.join(unfinished(path));
    let folder = unfinished.parent().expect("a path below the output folder has a parent");
    let written = match fs::write(&unfinished, bytes) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder).and_then(|()| fs::write(&unfinished, bytes))
        }
        written => written,
    };
    written.with_context(|| format!("writing `{}`", output.join(path).display()))
}

/// Puts what lies beside a place there.
fn finish(output: &Path, path: &str) -> Result<()> {
    let (unfinished, target) = (output.join(unfinished(path)), output.join(path));
    // Without the manifest nothing is known of the others, so it does not become less safe than they make it.
    let put = if path == MANIFEST { fs::rename(&unfinished, &target) } else { replace(&unfinished, &target) };
    put.with_context(|| format!("writing `{}`", target.display()))
}

/// Renames a file over another. On Linux both change places first: ext4 begins to write a file to the disk when it is
/// renamed over another (its `auto_da_alloc`), and to wait for that takes longer than all else here.
fn replace(new: &Path, old: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if fs::symlink_metadata(old).is_ok_and(|found| found.is_file()) {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        // Not every file system can.
        if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
            return fs::remove_file(new);
        }
    }
    fs::rename(new, old)
}

/// Where a file is written until it is whole: beside its place, and always the same, so that what a killed
/// builder left there is written over by the next.
fn unfinished(path: &str) -> String {
    let at = path.rfind('/').map_or(0, |slash| slash + 1);
    format!("{}.dash-new-{}", &path[..at], &path[at..])
}

fn remove(output: &Path, path: &str) -> Result<()> {
    let target = output.join(path);
    match fs::remove_file(&target) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", target.display()))
        }
        _ => Ok(()),
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("below sixteen");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;

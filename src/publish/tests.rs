use super::*;

fn site<'a>(pages: &[&str]) -> Site<'a> {
    let mut site = Site::default();
    pages.iter().for_each(|page| site.add(*page, "text").expect("the path is free"));
    site
}

fn look(output: &Path) -> Standing {
    Standing::look(output).expect("it can be looked at")
}

#[test]
fn what_a_killed_builder_left_of_a_page_that_is_gone_goes_too() {
    let output = tempfile::tempdir().expect("a temporary folder");
    let stamp = Stamp { moment_ms: 0, last_data_ms: None, sources: Vec::new() };
    let publish = |site: Site| look(output.path()).publish(&site, &stamp).expect("the folder is writable");
    publish(site(&["index.html"]));
    fs::create_dir(output.path().join("old")).expect("the folder is writable");
    for path in ["old/whole.html", "old/.dash-new-begun.html", "old/mine.html"] {
        fs::write(output.path().join(path), "left over").expect("the folder is writable");
    }
    fs::write(output.path().join(JOURNAL), "old/whole.html\nold/begun.html\n").expect("writable");
    publish(site(&["index.html"]));
    let left: Vec<_> = fs::read_dir(output.path().join("old")).expect("it is there").flatten().collect();
    assert_eq!(left.iter().map(fs::DirEntry::file_name).collect::<Vec<_>>(), ["mine.html"]);
    assert!(!output.path().join(JOURNAL).exists());
}

const STAMP: Stamp = Stamp { moment_ms: 0, last_data_ms: None, sources: Vec::new() };

fn published(pages: &[&str]) -> tempfile::TempDir {
    let output = tempfile::tempdir().expect("a temporary folder");
    look(output.path()).publish(&site(pages), &STAMP).expect("the folder is writable");
    output
}

#[test]
fn nothing_outside_of_the_folder_is_removed() {
    let outer = tempfile::tempdir().expect("a temporary folder");
    let output = outer.path().join("output");
    fs::create_dir(&output).expect("the folder is writable");
    fs::write(outer.path().join("victim"), "mine").expect("the folder is writable");
    fs::write(output.join(JOURNAL), "../victim\n").expect("the folder is writable");
    look(&output).publish(&site(&["index.html"]), &STAMP).expect("the folder is writable");
    let manifest = fs::read_to_string(output.join(MANIFEST)).expect("it was written");
    fs::write(output.join(MANIFEST), manifest.replace("index.html", "../victim")).expect("writable");
    look(&output).publish(&site(&["index.html"]), &STAMP).expect("a damaged manifest is written anew");
    assert!(outer.path().join("victim").exists());
}

#[test]
fn a_damaged_manifest_heals() {
    let output = published(&["index.html"]);
    fs::write(output.path().join(MANIFEST), "{\"id\": \"2026").expect("the folder is writable");
    assert!(look(output.path()).snapshot("2026").is_none());
    fs::write(output.path().join("index.html"), "changed").expect("the folder is writable");
    look(output.path()).publish(&site(&["index.html"]), &STAMP).expect("the files are taken to be dash's");
    assert_eq!(fs::read_to_string(output.path().join("index.html")).expect("it is there"), "text");
}

#[test]
fn a_file_that_was_written_to_since_is_written_again() {
    let output = published(&["index.html"]);
    let id = manifest::read(output.path()).expect("it was written").expect("it was written").id;
    assert!(look(output.path()).snapshot(&id).is_some());
    let page = output.path().join("index.html");
    fs::write(&page, "tex!").expect("the folder is writable");
    let later = SystemTime::now() + std::time::Duration::from_secs(5);
    fs::File::options().write(true).open(&page).and_then(|file| file.set_modified(later)).expect("writable");
    assert!(look(output.path()).snapshot(&id).is_none());
    look(output.path()).publish(&site(&["index.html"]), &STAMP).expect("the folder is writable");
    assert_eq!(fs::read_to_string(page).expect("it is there"), "text");
}

/// All that lies in a folder, by path.
fn content(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).expect("it is there").flatten() {
            let path = entry.path();
            let name = path.strip_prefix(folder).expect("it is in there").display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), String::new());
                folders.push(path);
            } else {
                found.insert(name, fs::read_to_string(&path).expect("it is text"));
            }
        }
    }
    found
}

#[test]
fn a_file_that_is_made_later_is_written_where_it_changed() {
    let output = tempfile::tempdir().expect("a temporary folder");
    let publish = |text: &'static str| {
        let mut site = site(&["index.html"]);
        site.later("data/a.bin", move || Ok(text)).expect("the path is free");
        site.later("data/b.bin", || Ok("b")).expect("the path is free");
        look(output.path()).publish(&site, &STAMP).expect("the folder is writable").written
    };
    assert_eq!([publish("a"), publish("a"), publish("other")], [3, 0, 1]);
    let content = content(output.path());
    assert_eq!((&*content["data/a.bin"], &*content["data/b.bin"]), ("other", "b"));
    assert_eq!(content.keys().filter(|path| path.contains(".dash-")).count(), 0, "{content:?}");
}

#[test]
fn a_publication_that_is_refused_leaves_nothing() {
    let foreign = |path: &str, make: fn() -> Result<&'static str>| {
        let output = tempfile::tempdir().expect("a temporary folder");
        let at = output.path().join(path);
        fs::create_dir_all(at.parent().expect("it is in the folder")).expect("the folder is writable");
        fs::write(&at, "mine").expect("the folder is writable");
        let before = content(output.path());
        let mut site = site(&["index.html"]);
        site.later("data/a.bin", || Ok("a")).expect("the path is free");
        site.later("data/b.bin", make).expect("the path is free");
        look(output.path()).publish(&site, &STAMP).expect_err("it is refused");
        assert_eq!(content(output.path()), before, "{path}");
    };
    for path in ["index.html", "data/b.bin", SNAPSHOT_SCRIPT] {
        foreign(path, || Ok("b"));
    }
    foreign("mine.html", || bail!("it cannot be made"));
}

#[test]
fn what_a_builder_began_and_was_killed_over_goes_too() {
    let output = published(&["index.html"]);
    fs::create_dir(output.path().join("data")).expect("the folder is writable");
    fs::write(output.path().join("data/.dash-new-a.bin"), "begun").expect("the folder is writable");
    fs::write(output.path().join(JOURNAL), "data/a.bin\n").expect("the folder is writable");
    look(output.path()).publish(&site(&["index.html"]), &STAMP).expect("the folder is writable");
    assert_eq!(content(&output.path().join("data")), BTreeMap::new());
}

#[test]
fn a_folder_in_the_place_of_a_file_stays() {
    let output = published(&["index.html"]);
    let page = output.path().join("index.html");
    fs::remove_file(&page).expect("it was written");
    fs::create_dir(&page).expect("the folder is writable");
    fs::write(page.join("mine"), "mine").expect("the folder is writable");
    assert!(look(output.path()).publish(&site(&["index.html"]), &STAMP).is_err());
    assert_eq!(fs::read_to_string(page.join("mine")).expect("it is there"), "mine");
}

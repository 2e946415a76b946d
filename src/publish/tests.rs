use super::*;

fn site(pages: &[&str]) -> Site {
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

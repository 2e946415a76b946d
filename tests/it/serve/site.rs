//! A made-up site: wrappers with awkward names, operations over five days, a few pages.

use std::path::Path;

use dash::analysis::facts::{Facts, Settings, WrapperFacts};
use dash::analysis::snapshot::snapshot;
use dash::model::bucket::{Bucket, PICO};
use dash::model::codec::{append, to_bytes};
use dash::model::history::{History, WrapperId};
use dash::model::operation::{Operation, Outcome, Tokens};
use dash::model::rollup::InFlight;
use dash::model::time::{DAY_MS, HOUR_MS, MINUTE_MS, day_of, hour_of, minute_of};
use dash::publish::{Stamp, Standing};
use dash::report::site::Site;
use dash::report::{SiteSettings, dataset, datasets};

/// Not on a whole minute: 2026-09-21T14:13:20.500Z.
pub const MOMENT_MS: i64 = 1_790_000_000_500;

/// A slash, spaces, Unicode, markup, a percent sign, a formula; sorted as the facts are.
pub const NAMES: [&str; 6] =
    ["=cmd|' /C calc'!A0", "RouteLLM", "a/b c%2F?", "metrics/metrics", "silent", "ü<b>"];

/// Publishes the site as it is `round` minutes after the first moment.
pub fn publish(output: &Path, round: u32) -> String {
    publish_facts(output, &facts(round))
}

pub fn publish_facts(output: &Path, facts: &Facts) -> String {
    let snapshot = snapshot(facts);
    let mut site = Site::default();
    let page = format!(
        "<!doctype html><title>{}</title>\n<link rel=\"stylesheet\" href=\"assets/s.css\">\n</head>{}",
        facts.moment_ms,
        "<p>filler</p>".repeat(200)
    );
    site.add("index.html", page).expect("free");
    for (path, text) in [
        ("about.html", "about"),
        ("404.html", "nothing here, styled"),
        ("archive/index.html", "archive"),
        ("assets/app.0123abcd.js", "var x = 1;"),
        ("assets/plain.js", "var y = 1;"),
        ("feeds/ü b.txt", "umlaut"),
    ] {
        site.add(path, text).expect("free");
    }
    datasets::add(&mut site, &snapshot).expect("it serialises");
    finish(site, output, facts)
}

/// A site of one page, with nothing that takes long to make.
pub fn publish_bare(output: &Path, facts: &Facts) -> String {
    publish_files(output, facts, &["index.html"])
}

/// The same of files at these paths, each of which says when it is of.
pub fn publish_files(output: &Path, facts: &Facts, paths: &[&str]) -> String {
    let mut site = Site::default();
    for path in paths {
        site.add(*path, facts.moment_ms.to_string()).expect("free");
    }
    finish(site, output, facts)
}

fn finish(site: Site, output: &Path, facts: &Facts) -> String {
    let settings = SiteSettings { title: "Made up".to_owned(), ..SiteSettings::default() };
    let minutes = |id: &WrapperId| {
        let wrapper = facts.wrappers.iter().find(|wrapper| wrapper.id == *id).expect("it is one of them");
        Ok(stored(&wrapper.history.minutes))
    };
    let mut site = site;
    dataset::add(&mut site, facts, &settings, &minutes).expect("it serialises");
    let stamp = Stamp { moment_ms: facts.moment_ms, last_data_ms: None, sources: Vec::new() };
    let standing = Standing::look(output).expect("it can be looked at");
    standing.publish(&site, &stamp).expect("it is written").manifest.id
}

/// One chunk, as the store has it.
fn stored(minutes: &[(i64, Bucket)]) -> Vec<u8> {
    let mut stored = Vec::new();
    append(&mut stored, &to_bytes(minutes));
    stored
}

pub fn facts(round: u32) -> Facts {
    let moment_ms = MOMENT_MS + i64::from(round) * MINUTE_MS;
    let mut wrappers: Vec<_> =
        NAMES.iter().enumerate().map(|(at, name)| wrapper(at, name, moment_ms)).collect();
    wrappers.sort_by(|a, b| a.id.name.cmp(&b.id.name));
    let in_flight = InFlight { wrapper: "RouteLLM".to_owned(), start_ms: moment_ms - 1000, ..in_flight() };
    Facts {
        moment_ms,
        settings: Settings { health: Default::default(), quiet_after_minutes: 60 },
        wrappers,
        in_flight: vec![in_flight],
        sources: Vec::new(),
        files: Vec::new(),
        reached: Default::default(),
        set_aside: Vec::new(),
    }
}

fn in_flight() -> InFlight {
    InFlight {
        key: 1,
        wrapper: String::new(),
        id: "x".to_owned(),
        operation_type: "default".to_owned(),
        model: String::new(),
        start_ms: 0,
    }
}

fn wrapper(at: usize, name: &str, moment_ms: i64) -> WrapperFacts {
    let id = WrapperId { name: name.to_owned(), slug: format!("w{at}") };
    // The silent one has been so for three days.
    let until = if name == "silent" { MOMENT_MS - 3 * DAY_MS } else { moment_ms };
    let step = MINUTE_MS * (2 + at as i64);
    let ends =
        (1..).map(|n| until - n * step - n % 7 * 1_777).take_while(|end| *end > MOMENT_MS - 5 * DAY_MS);
    let mut history = History::default();
    let mut ends: Vec<i64> = ends.collect();
    ends.sort_unstable();
    history.first_end_ms = ends[0];
    for end_ms in ends {
        let operation = operation(end_ms);
        let hours_old = (moment_ms - end_ms) / HOUR_MS;
        if hours_old <= 49 {
            add(&mut history.minutes, minute_of(end_ms), &operation);
        }
        add(&mut history.hours, hour_of(end_ms), &operation);
        add(&mut history.days, day_of(end_ms), &operation);
    }
    WrapperFacts::whole(id, history)
}

fn add(level: &mut Vec<(i64, Bucket)>, at: i64, operation: &Operation) {
    if level.last().is_none_or(|last| last.0 != at) {
        level.push((at, Bucket::default()));
    }
    level.last_mut().expect("pushed above").1.add(operation);
}

fn operation(end_ms: i64) -> Operation<'static> {
    let n = end_ms / 1000;
    let outcome = match n % 23 {
        0 => Outcome::Error,
        1 => Outcome::Timeout,
        2 | 3 => Outcome::Fallback,
        4 => Outcome::Cancelled,
        _ => Outcome::Success,
    };
    Operation {
        id: None,
        wrapper: "".into(),
        operation_type: "default".into(),
        model: "".into(),
        outcome,
        end_ms,
        duration_ns: Some(1_000_000 * (10 + n.unsigned_abs() % 500)),
        error_code: None,
        error_message: None,
        cost_pico: Some((0.002 * PICO) as i128),
        tokens: Tokens { prompt: 10, completion: 5, cached: 1, total: 15 },
    }
}

//! A finished site, looked at from outside: its links, its scripts, its escaping and its numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use dash::analysis::facts::Facts;
use dash::analysis::snapshot::{WrapperReport, snapshot};
use dash::report::charts::{Across, Chart, health, latency, marks_of, performance};
use dash::report::site::File;
use dash::report::{SiteSettings, Theme, render};
use serde_json::{Value, json};

use crate::seeded;

/// Written by whoever publishes the site, and linked to by every page.
const PUBLISHED: &str = "snapshot.js";

/// The files of a site by path, all of them made.
type Files = BTreeMap<String, Vec<u8>>;

fn site_of(facts: &Facts) -> Files {
    site_with(facts, &SiteSettings::default())
}

fn site_with(facts: &Facts, settings: &SiteSettings) -> Files {
    let theme = Theme::embedded().expect("the embedded theme is valid");
    let snapshot = snapshot(facts);
    let site = render(&snapshot, theme, settings).expect("every page can be rendered");
    let made = |file: &File| file.bytes().expect("every page renders").into_owned();
    site.files().iter().map(|(path, file)| (path.clone(), made(file))).collect()
}

fn text<'a>(site: &'a Files, path: &str) -> &'a str {
    let bytes = site.get(path).unwrap_or_else(|| panic!("the site has no `{path}`"));
    std::str::from_utf8(bytes).expect("text")
}

fn pages(site: &Files) -> impl Iterator<Item = (&str, &str)> {
    let paths = site.keys().filter(|path| path.ends_with(".html"));
    paths.map(|path| (path.as_str(), text(site, path)))
}

/// Values of an attribute, as the HTML has them.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The bodies of `<script>` elements with their opening tags.
fn scripts(html: &str) -> Vec<(&str, &str)> {
    let elements = html.split("<script").skip(1);
    elements
        .map(|rest| rest.split("</script>").next().unwrap_or(rest).split_once('>').expect("a tag ends"))
        .collect()
}

/// What a page's script is told of a chart.
fn data(html: &str, id: &str) -> Value {
    let tag = format!("id=\"data-{id}\"");
    let (_, json) =
        scripts(html).into_iter().find(|(open, _)| open.contains(&tag)).expect("the chart is there");
    serde_json::from_str(json).expect("JSON")
}

/// The values of each series in one view of a chart.
fn values(chart: &Value, range: &str) -> Vec<Vec<Option<f64>>> {
    let number = |text: &str| (!text.is_empty()).then(|| text.parse().expect("a number"));
    let cells = |text: &Value| text.as_str().expect("text").split(',').map(number).collect();
    chart["views"][range]["values"].as_array().expect("a row a series").iter().map(cells).collect()
}

fn drawn(chart: &Chart) -> Vec<Vec<Option<f64>>> {
    chart.series.iter().map(|series| series.values.clone()).collect()
}

/// The numbers of a trace's field.
fn numbers(trace: &Value, field: &str) -> Vec<Option<f64>> {
    trace[field].as_array().expect("a list").iter().map(Value::as_f64).collect()
}

#[test]
fn every_link_leads_to_a_file_of_the_site() {
    let site = site_of(&seeded::week());
    for (page, html) in pages(&site) {
        for link in attributes(html, "href").into_iter().chain(attributes(html, "src")) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match (path, page) {
                ("", page) => page.to_owned(),
                ("/", "404.html") => "index.html".to_owned(),
                ("data:,", "404.html") => continue,
                (path, "404.html") => path.trim_start_matches('/').to_owned(),
                (path, page) => resolve(page, path),
            };
            // Made beside the site, from what is kept.
            let beside = target == PUBLISHED || target == "archive/index.html";
            assert!(beside || site.contains_key(&target), "`{page}` links to `{link}`");
            if !fragment.is_empty() {
                assert!(text(&site, &target).contains(&format!("id=\"{fragment}\"")), "`{page}`: `{link}`");
            }
        }
    }
}

/// A relative link, followed from a page.
fn resolve(page: &str, link: &str) -> String {
    let mut segments: Vec<_> = page.split('/').collect();
    segments.pop();
    for segment in link.split('/') {
        match segment {
            "." => {}
            ".." => assert!(segments.pop().is_some(), "`{link}` leaves the site from `{page}`"),
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}

#[test]
fn nothing_asks_another_host() {
    let site = site_of(&seeded::week());
    for (path, bytes) in &site {
        if !path.ends_with(".html") && !path.ends_with(".css") {
            continue;
        }
        // Namespaces name a language; nothing is fetched from them.
        let text = String::from_utf8_lossy(bytes).replace("http://www.w3.org/2000/svg", "");
        let loaded = text.split("url(").skip(1).map(|rest| rest.trim_start_matches(['"', '\'']));
        for address in loaded {
            let address = address.split([')', '"']).next().unwrap_or_default();
            let own = address.starts_with("data:") || site.contains_key(&resolve(path, address));
            assert!(own, "`{path}` loads `{address}`");
        }
        if path.ends_with(".html") {
            assert!(!text.contains("http://") && !text.contains("https://"), "`{path}`");
            for link in attributes(&text, "href").into_iter().chain(attributes(&text, "src")) {
                assert!(!link.starts_with("//"), "`{path}` links to `{link}`");
                assert!(path == "404.html" || !link.starts_with('/'), "`{path}` links to `{link}`");
            }
        }
    }
}

#[test]
fn pages_run_no_script_but_files_of_the_site() {
    for (page, html) in pages(&site_of(&seeded::week())) {
        for (open, body) in scripts(html) {
            let data = open.contains("type=\"application/json\"");
            assert!(data || (open.contains(" src=\"") && body.is_empty()), "`{page}`: <script{open}>");
            if data {
                serde_json::from_str::<Value>(body).unwrap_or_else(|error| panic!("`{page}`: {error}"));
            }
        }
        // A handler would be an attribute of a real tag: what is quoted or escaped is text.
        for tag in html.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            let outside_quotes: String = tag.split('"').step_by(2).collect();
            assert!(!outside_quotes.contains(" on"), "`{page}`: <{tag}>");
        }
        assert!(!html.contains("javascript:"), "`{page}`");
    }
}

#[test]
fn hostile_names_are_text() {
    let site = site_of(&seeded::week());
    for (page, html) in pages(&site) {
        for raw in ["<script>alert", "<img", "<i>llama", "<b>no", "<b>{"] {
            assert!(!html.contains(raw), "`{page}` has `{raw}`");
        }
        assert!(!html.contains("60481729"), "`{page}` evaluated a name");
    }
    let index = text(&site, "index.html");
    assert!(index.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(index.contains("غلاف العربية"));
    assert!(index.contains("{{ 7777 * 7777 }}"));
    assert!(index.contains(&"long-".repeat(40)));
    let names: BTreeSet<_> = site.keys().filter(|path| path.starts_with("wrappers/")).collect();
    assert_eq!(names.len(), seeded::week().wrappers.len());
}

#[test]
fn scripts_and_styles_are_within_their_budget() {
    let site = site_of(&seeded::week());
    let is_code =
        |path: &str| path.starts_with("assets/") && (path.ends_with(".js") || path.ends_with(".css"));
    let packed = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).expect("memory takes it");
        packer.finish().expect("memory takes it").len()
    };
    let code: usize = site.iter().filter(|(path, _)| is_code(path)).map(|(_, bytes)| packed(bytes)).sum();
    assert!((100_000..=500_000).contains(&code), "{code} bytes, as gzip packs them");
}

#[test]
fn old_data_is_told_before_what_it_says() {
    let facts = seeded::week();
    let newest = snapshot(&facts).system.last_data_ms.expect("there are operations");
    let page = |minutes: i64, stale_minutes: u32| {
        let facts = Facts { moment_ms: newest + minutes * 60_000, ..facts.clone() };
        let settings = SiteSettings { stale_minutes, ..SiteSettings::default() };
        text(&site_with(&facts, &settings), "index.html").to_owned()
    };
    assert!(!page(14, 15).contains("Old data"));
    let old = page(21, 15);
    assert!(old.contains("Old data: the newest operation ended 21 minutes before this was built."));
    assert!(old.contains("needed attention") && !old.contains("need attention"));
    assert!(page(300, 15).contains("ended 5 hours before") && !page(300, 0).contains("Old data"));
}

#[test]
fn figures_are_those_of_the_snapshot() {
    let facts = seeded::week();
    let site = site_of(&facts);
    let wrapper = facts.wrapper("RouteLLM").expect("it is one of them");
    let html = text(&site, &format!("wrappers/{}.html", wrapper.id.slug));
    let report = &snapshot(&facts);
    let report = report.wrappers.iter().find(|report| report.summary.name == "RouteLLM").expect("reported");
    let activity = report.activity.clone();
    let report = report.detail.as_ref().expect("all facts are detailed");
    let marks = |at: usize| marks_of(&report.ranges[at], &activity);
    for (at, label) in ["1H", "24H", "7D", "30D"].into_iter().enumerate() {
        let dual = performance::dual(&report.ranges[at], marks(at));
        let written = data(html, "performance");
        assert_eq!(values(&written, label), drawn(&dual), "{label}");
        let Across::Time(span) = &dual.across else { panic!("it goes over time") };
        let times = [span.from_ms, span.to_ms, span.first_ms, span.step_ms];
        assert_eq!(written["views"][label]["time"], json!(times), "{label}");
        let tops = [dual.left.top, dual.right.as_ref().expect("two axes").top];
        assert_eq!(written["views"][label]["tops"], json!(tops), "{label}");
        let told =
            written["views"][label].get("marks").map_or(0, |marks| marks.as_array().expect("a list").len());
        assert_eq!(told, dual.marks.len(), "{label}");
        let percentiles = latency::percentiles(&report.ranges[at], marks(at));
        assert_eq!(values(&data(html, "percentiles"), label), drawn(&percentiles), "{label}");
    }
    let bars: f64 = values(&data(html, "distribution"), "24H")[0].iter().flatten().sum();
    assert_eq!(bars, report.ranges[1].total.total_operations as f64);
}

#[test]
fn a_few_wrappers_are_all_on_the_overview_s_charts_with_the_api_s_numbers() {
    let mut facts = seeded::week();
    facts.wrappers.truncate(4);
    let site = site_of(&facts);
    let index = text(&site, "index.html");
    for (label, hours) in [("1H", 1), ("24H", 24), ("7D", 168)] {
        let api = json!(performance::performance_all(&facts, hours));
        let traces = api["data"].as_array().expect("traces").iter();
        let api: Vec<_> = traces.map(|trace| numbers(trace, "y")).collect();
        assert_eq!(values(&data(index, "system"), label), api, "{label}");
    }
    // Plotly's bars go from below, a drawing's from above.
    let upwards = |list: &Value| list.as_array().expect("a list").iter().rev().cloned().collect::<Value>();
    let (page, api) = (data(index, "health"), &json!(health::health(&facts))["data"][0]);
    let scores: Vec<_> = values(&page, "")[0].iter().rev().copied().collect();
    assert_eq!(scores, numbers(api, "x"));
    assert_eq!(upwards(&page["views"][""]["texts"]), api["text"]);
    // The API's texts go to Plotly, which reads HTML in them.
    let plain = |name: &Value| {
        name.as_str().expect("a name").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    let names: Value = api["y"].as_array().expect("names").iter().map(plain).collect();
    assert_eq!(upwards(&page["views"][""]["names"]), names);
    assert!(!index.contains("busiest"));
}

#[test]
fn of_many_wrappers_charts_show_the_busiest_and_say_so() {
    let site = site_of(&seeded::week());
    let index = text(&site, "index.html");
    assert_eq!(values(&data(index, "system"), "24H").len(), 12);
    assert!(index.contains("The 12 busiest of 13 wrappers"));
}

#[test]
fn a_gap_is_empty_and_nothing_is_not_zero() {
    let facts = seeded::week();
    let site = site_of(&facts);
    let wrapper = facts.wrapper("RouteLLM").expect("it is one of them");
    let html = text(&site, &format!("wrappers/{}.html", wrapper.id.slug));
    // Nothing ever happens at nine.
    let performance = data(html, "performance");
    let [first, step] = [2, 3].map(|at| performance["views"]["7D"]["time"][at].as_i64().expect("a time"));
    assert_eq!(step, 3_600_000);
    let nine = (24 + 9 - usize::try_from(first / step).expect("after 1970") % 24) % 24;
    let rate = &values(&performance, "7D")[0];
    assert!(rate.iter().skip(nine).step_by(24).all(Option::is_none));
    assert!(rate.iter().filter(|value| value.is_none()).count() < 24);
    let health = data(text(&site, "index.html"), "health");
    let names = health["views"][""]["names"].as_array().expect("names");
    let at = names.iter().position(|name| name == "Quiet").expect("it is among the busiest");
    assert_eq!(values(&health, "")[0][at], None);
    assert_eq!(health["views"][""]["texts"][at], "No data");
}

#[test]
fn the_cards_compare_with_yesterday_and_last_week_where_there_was_one() {
    let compared = |facts: &Facts| {
        let site = site_of(facts);
        ["yesterday</p>", "last week</p>"].map(|then| text(&site, "index.html").matches(then).count())
    };
    let mut facts = seeded::week();
    assert_eq!(compared(&facts), [3, 0], "the week is not over");
    Arc::make_mut(&mut facts.wrappers[0].history).first_end_ms = 0;
    assert_eq!(compared(&facts), [3, 2]);
    assert_eq!(compared(&seeded::empty()), [0, 0]);
}

#[test]
fn an_empty_site_says_what_to_do() {
    let site = site_of(&seeded::empty());
    assert!(text(&site, "index.html").contains("content/operations/"));
    assert!(text(&site, "index.html").contains("No operations yet"));
    for page in ["activity.html", "data-quality.html", "404.html"] {
        assert!(text(&site, page).contains("</html>"), "`{page}`");
    }
    assert_eq!(text(&site, "live.json").trim(), "{\"live\":false}");
}

#[test]
fn a_wrapper_s_page_changes_only_with_its_data() {
    let facts = seeded::week();
    // Within the minute, every window is the same.
    let later = Facts { moment_ms: facts.moment_ms + 20_000, ..facts.clone() };
    let (before, after) = (site_of(&facts), site_of(&later));
    // What is happening at the very moment is dated by it.
    let now = |report: &&WrapperReport| report.activity.iter().any(|event| event.at_ms == facts.moment_ms);
    let settled: Vec<_> = snapshot(&facts).wrappers.into_iter().filter(|report| !now(&report)).collect();
    assert!(settled.len() > facts.wrappers.len() / 2);
    for report in settled {
        let page = format!("wrappers/{}.html", report.summary.slug);
        assert!(text(&before, &page) == text(&after, &page), "`{page}` differs");
    }
    assert!(text(&before, "index.html") != text(&after, "index.html"));
}

#[test]
fn the_same_facts_are_the_same_bytes() {
    assert!(site_of(&seeded::week()) == site_of(&seeded::week()));
}

#[test]
fn data_quality_says_where_and_why() {
    let site = site_of(&seeded::week());
    let html = text(&site, "data-quality.html");
    for wanted in ["Not JSON", ">17<", "expected `:` at column 12", "51,238", "no file matches"] {
        assert!(html.contains(wanted), "`{wanted}`");
    }
}

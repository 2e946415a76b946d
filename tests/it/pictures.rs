//! Charts as files: every chart of the table, in every kind, and `dash export chart`.

use dash::analysis::snapshot::{RANGES, snapshot};
use dash::report::SiteSettings;
use dash::report::charts::table::{OfSystem, OfWrapper, Row};
use dash::report::picture::files::{Kind, Wanted, chart};
use dash::report::picture::palette::Look;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

use crate::seeded;
use crate::tools::{Folder, dash, files_below};

const MOMENT: &str = "2026-01-25T13:00:00Z";

fn starts(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Svg => b"<svg ",
        Kind::Png => b"\x89PNG\r\n\x1a\n",
        Kind::Pdf => b"%PDF-",
        Kind::Csv => b"",
    }
}

fn named<S>(rows: &[Row<S>]) -> Vec<(&'static str, &'static str)> {
    rows.iter().map(|row| (row.name, row.title)).collect()
}

#[test]
fn every_chart_is_named_as_its_row_and_can_be_each_kind_of_file() {
    let facts = seeded::week();
    let snapshot = snapshot(&facts);
    let wrapper = snapshot.wrappers[0].summary.name.as_str();
    let (system, of_wrapper) = (named(&OfSystem::CHARTS), named(&OfWrapper::CHARTS));
    let all = system.iter().map(|row| (None, row)).chain(of_wrapper.iter().map(|row| (Some(wrapper), row)));
    for (at, (wrapper, &(name, title))) in all.enumerate() {
        for range in 0..RANGES.len() {
            let wanted = Wanted { name, wrapper, range };
            let drawn = chart(&snapshot, &wanted, &SiteSettings::default()).expect("the chart is there");
            assert_eq!((drawn.chart.name, drawn.chart.title.as_str()), (name, title));
            let rows = drawn.file(Kind::Csv, Look::Light).expect("numbers");
            let rows = csv::Reader::from_reader(&rows[..]).records().collect::<Result<Vec<_>, _>>();
            assert!(!rows.expect("each row is as long as the first").is_empty(), "{name} {range}");
            // Pictures take their time in a build for tests: each chart is drawn in one range, all ranges of one.
            if at == 0 || range == at % RANGES.len() {
                for kind in [Kind::Svg, Kind::Png, Kind::Pdf] {
                    let bytes = drawn.file(kind, Look::Dark).expect("it is drawn");
                    assert!(bytes.starts_with(starts(kind)), "{name} {kind:?}");
                }
            }
        }
    }
}

fn site() -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.sample(&["--days", "1", "--rate", "2/min", "--now", MOMENT]);
    folder
}

#[test]
fn a_chart_is_exported_by_its_name() {
    let folder = site();
    let export = |arguments: &[&str]| {
        let mut command = dash(&folder);
        command.args(["export", "chart", "--now", MOMENT]).args(arguments);
        command.assert()
    };
    export(&["system"]).success().stdout(starts_with("<svg ").and(contains("Success rate of each wrapper")));
    export(&["performance", "--wrapper", "RouteLLM", "--range", "7D", "--format", "csv"]).success().stdout(
        starts_with("time,\"Success rate, %\",\"Mean response time, ms\",\"p95 response time, ms\"\r\n"),
    );
    for (file, start) in [("a.png", &b"\x89PNG"[..]), ("b.PDF", b"%PDF"), ("c.svg", b"<svg")] {
        export(&["heat", "--wrapper", "RouteLLM", "--theme", "dark", "--to", file]).success().stdout("");
        assert!(files_below(&folder.path(""))[file].starts_with(start), "{file}");
    }
    // Nothing was built: only what was asked for is there.
    assert!(!folder.path("output").exists());
}

#[test]
fn a_chart_that_is_not_there_is_answered_with_those_that_are() {
    let folder = site();
    let failing = |arguments: &[&str], said: &str| {
        let mut command = dash(&folder);
        command.args(["export", "chart", "--now", MOMENT]).args(arguments);
        command.assert().failure().stdout("").stderr(contains(said));
    };
    failing(&["nothing"], "choose one of all wrappers: system, operations, health");
    failing(&["tokens"], "`--wrapper`");
    failing(&["system", "--wrapper", "RouteLLM"], "choose from: performance, percentiles");
    failing(&["tokens", "--wrapper", "routellm"], "known are: ");
    failing(&["system", "--range", "2h"], "24h");
    failing(&["system", "--format", "gif"], "svg");
    failing(&[], "NAME");
    failing(&["system", "--to", "there/is/no/folder.svg"], "there/is/no/folder.svg");
    dash(&Folder::new())
        .args(["export", "chart", "--list"])
        .assert()
        .success()
        .stdout(contains("heat").and(contains("Health score of each wrapper")));
}

#[test]
fn a_build_makes_the_files_that_the_settings_name() {
    let folder = site();
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    assert!(!folder.path("output/charts").exists(), "they are made where they are asked for");
    folder.write("dash.toml", "[site]\nchart_files = ['csv', 'pdf']\n");
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    let made = files_below(&folder.path("output/charts"));
    let wrappers = folder.json("output/data/site.json")["wrappers"].as_array().map_or(0, Vec::len);
    assert_eq!(made.len(), 2 * (OfSystem::CHARTS.len() + wrappers * OfWrapper::CHARTS.len()));
    assert!(made["health.pdf"].starts_with(b"%PDF"));
    let export = |arguments: &[&str]| {
        let mut command = dash(&folder);
        let command = command.args(["export", "chart", "--now", MOMENT, "--format", "csv"]).args(arguments);
        command.assert().success().get_output().stdout.clone()
    };
    assert_eq!(made["operations.csv"], export(&["operations"]));
    assert_eq!(made["routellm/heat.csv"], export(&["heat", "--wrapper", "RouteLLM"]));

    // Another line of one wrapper, within the minute: what is of others stands as it is.
    let line = "{\"wrapper_name\":\"RouteLLM\",\"end_time\":\"2026-01-25T12:59:00Z\",\"status\":\"error\"}\n";
    folder.append("content/operations/sample.jsonl", line);
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    let now = files_below(&folder.path("output/charts"));
    let changed: Vec<_> = now.keys().filter(|path| now[*path] != made[*path]).collect();
    assert!(changed.iter().any(|path| *path == "routellm/errors.csv"), "{changed:?}");
    assert!(changed.iter().all(|path| path.starts_with("routellm/") || !path.contains('/')), "{changed:?}");
    assert_eq!(now.len(), made.len());

    folder.write("dash.toml", "[site]\nchart_files = ['gif']\n");
    dash(&folder).arg("build").assert().failure().stderr(contains("gif").and(contains("svg")));
}

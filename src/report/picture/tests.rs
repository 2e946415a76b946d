use proptest::prelude::*;
use resvg::tiny_skia::{Pixmap, PremultipliedColorU8};

use crate::analysis::health::Status;
use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::{Across, Chart, Mark, Paint, Series, Shape, Span};
use crate::report::picture::drawing::Drawing;
use crate::report::picture::files::{Captioned, Kind};
use crate::report::picture::palette::Look;
use crate::report::picture::{Caption, picture};

const CELLS: usize = 24;

fn line(name: &str, at: usize, values: Vec<Option<f64>>) -> Series {
    Series {
        name: name.to_owned(),
        shape: Shape::Line,
        paint: Paint::Series(at),
        right: false,
        values,
        texts: vec![],
    }
}

fn lines(names: &[String], values: &[Option<f64>]) -> Chart {
    let span = Span { from_ms: 0, to_ms: 86_400_000, first_ms: 0, step_ms: 3_600_000, cells: CELLS };
    let series = names.iter().enumerate().map(|(at, name)| line(name, at, values.to_vec()));
    let largest = values.iter().flatten().copied().fold(0.0, f64::max);
    Chart {
        name: "x",
        title: "X".to_owned(),
        across: Across::Time(span),
        left: Axis::up_to(largest, Unit::Milliseconds, "Response time"),
        right: None,
        series: series.collect(),
        marks: vec![Mark { at_ms: 40_000_000, status: Status::Critical }],
    }
}

fn bars(names: Vec<String>) -> Chart {
    let statuses = vec![Status::Healthy; names.len()];
    let texts = vec!["97.5 % Healthy".to_owned(); names.len()];
    let series = Series {
        shape: Shape::Bar,
        paint: Paint::Statuses(statuses),
        texts,
        ..line("Health", 0, vec![Some(97.5); names.len()])
    };
    Chart {
        across: Across::Names(names),
        left: Axis::percent(""),
        series: vec![series],
        marks: vec![],
        ..lines(&[], &[])
    }
}

fn drawn(chart: &Chart, title: &str) -> Drawing {
    picture(chart, &Caption { title, note: "24 hours" }, Look::Light).expect("every chart is a picture")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn pixels(drawing: &Drawing) -> Pixmap {
    Pixmap::decode_png(&drawing.png(1.0).expect("it is drawn")).expect("it is PNG")
}

fn has_colour(pixels: &Pixmap, colour: (u8, u8, u8)) -> bool {
    pixels.pixels().iter().any(|pixel| (pixel.red(), pixel.green(), pixel.blue()) == colour)
}

#[test]
fn each_kind_of_file_is_one_and_always_the_same() {
    let chart = lines(&names(&["a", "b"]), &[Some(10.0); CELLS]);
    let captioned = Captioned { chart: chart.clone(), title: "T & T".to_owned(), note: "now".to_owned() };
    let starts: [(Kind, &[u8]); 4] = [
        (Kind::Svg, b"<svg "),
        (Kind::Png, b"\x89PNG\r\n\x1a\n"),
        (Kind::Pdf, b"%PDF-"),
        (Kind::Csv, b"time,\"a, ms\",\"b, ms\"\r\n1970-01-01T00:00:00Z,10,10\r\n"),
    ];
    for (kind, start) in starts {
        let file = || captioned.file(kind, Look::Light).expect("it is written");
        assert!(file().starts_with(start), "{kind:?}");
        assert_eq!(file(), file(), "{kind:?}");
    }
    let svg = String::from_utf8(drawn(&chart, "T & T").svg()).expect("SVG is text");
    assert!(svg.contains("<title>T &amp; T</title>"), "{svg}");
    // No reader needs the typeface, and nothing else is asked for.
    assert!(!svg.contains("<text") && !svg.contains("font") && !svg.contains("href"), "{svg}");
}

#[test]
fn a_png_shows_lines_marks_and_text() {
    let chart = lines(&names(&["a", "b"]), &[Some(10.0); CELLS]);
    let shown = pixels(&drawn(&chart, "Title"));
    assert_eq!(shown.width(), 960);
    // The second line lies on the first; the legend has both colours.
    assert!(has_colour(&shown, (0xd9, 0x82, 0x2b)) && has_colour(&shown, (0x3f, 0x7a, 0xd8)));
    // A mark is too thin to have its colour whole.
    let reddish =
        |p: &PremultipliedColorU8| p.red() > 180 && p.green() < 160 && p.green().abs_diff(p.blue()) < 9;
    assert!(shown.pixels().iter().any(reddish), "no mark");
    // The title is dark, and without one nothing is as dark.
    assert!(has_colour(&shown, (0x16, 0x1b, 0x22)), "no title");
    assert!(!has_colour(&pixels(&drawn(&chart, "")), (0x16, 0x1b, 0x22)), "what is dark is not the title");
    assert!(drawn(&chart, "").png(100.0).is_err());
}

#[test]
fn a_pdf_has_its_text_as_text_and_no_picture_of_points() {
    let pdf = drawn(&lines(&names(&["a", "b"]), &[Some(10.0); CELLS]), "Title").pdf().expect("it is written");
    let has = |text: &[u8]| pdf.windows(text.len()).any(|window| window == text);
    assert!(has(b"/FontDescriptor") && has(b"Inter-SemiBold") && has(b"/Title(Title)"));
    assert!(!has(b"/Subtype/Image"));
}

#[test]
fn a_dark_picture_is_dark() {
    let chart = bars(names(&["a"]));
    let caption = Caption { title: "", note: "" };
    let corner = |look| {
        let drawing = picture(&chart, &caption, look).expect("every chart is a picture");
        pixels(&drawing).pixel(0, 0).map(|pixel| (pixel.red(), pixel.green(), pixel.blue()))
    };
    assert_eq!(corner(Look::Light), Some((255, 255, 255)));
    assert_eq!(corner(Look::Dark), Some((0x16, 0x1b, 0x21)));
}

#[test]
fn what_a_picture_refers_to_is_not_opened() {
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:x=\"http://www.w3.org/1999/xlink\" width=\"9\" \
         height=\"9\"><image x:href=\"{}/docs/phone.png\" width=\"9\" height=\"9\"/></svg>",
        env!("CARGO_MANIFEST_DIR")
    );
    let shown = pixels(&Drawing::of("", &svg).expect("it is SVG"));
    assert!(shown.pixels().iter().all(|pixel| pixel.alpha() == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_names_and_values_are_a_picture(
        names in prop::collection::vec(prop_oneof!["\\PC{0,40}", "[<>&\"'\u{0}\u{ffff}\u{202e}🙂ض]{0,250}"], 0..13),
        values in prop::collection::vec(prop::option::of(prop_oneof![Just(0.0), 1e-9f64..1e15]), CELLS),
        title in "\\PC{0,300}",
    ) {
        drawn(&lines(&names, &values), &title);
        drawn(&bars(names), &title);
    }
}

//! What a mail says: subject, a body as plain text and as HTML with the key figures, the whole report attached.

use std::fmt::Write as _;

use crate::analysis::health::Status;
use crate::report::escape::markup;
use crate::report::format;
use crate::report::summary::Line;
use crate::send::report::Report;

/// Most wrappers that a body names; the attached report has all.
const WRAPPERS: usize = 30;

/// A mail without its addresses.
#[derive(Clone, Debug)]
pub struct Letter {
    pub subject: String,
    pub text: String,
    pub html: String,
    /// In the body's HTML as `cid:` and their name.
    pub pictures: Vec<Picture>,
    /// The name and content of what is attached.
    pub attachment: (String, Vec<u8>),
}

/// A chart as PNG.
#[derive(Clone, Debug)]
pub struct Picture {
    pub name: String,
    /// What it shows, for those who do not see it.
    pub title: String,
    pub png: Vec<u8>,
}

/// Writes the mail of a report.
pub fn letter(report: &Report, pictures: Vec<Picture>) -> Letter {
    let status = report.row.status.word();
    let score = report.row.score.map(|score| format!(" {}", format::percent(score))).unwrap_or_default();
    let time = format::time(report.moment_ms);
    Letter {
        subject: one_line(&format!("{status}{score}: {}, {time}", report.title)),
        text: text(report),
        html: html(report, &pictures),
        pictures,
        attachment: (format!("dash-{}.html", report.row.id), report.page.clone()),
    }
}

/// A subject is one line, whatever a title holds.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// Label and value of what a body begins with.
fn figures(report: &Report) -> Vec<(&'static str, String)> {
    let shown =
        |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| format::NOTHING.to_owned(), show);
    let row = &report.row;
    let mut figures = vec![
        ("Health", format!("{}, score {}", row.status.word(), shown(row.score, format::percent))),
        ("Operations in 24 hours", format::count(row.operations)),
        ("Success rate", shown(report.success_rate(), format::percent)),
        ("Errors", format::count(row.errors)),
    ];
    if let Some(cost) = report.cost() {
        figures.push(("Cost", format!("{} {}", format::money(cost), report.currency)));
    }
    if row.missed > 0 {
        figures.push(("Snapshots missed since the last", format::count(row.missed)));
    }
    figures
}

/// The cells of a wrapper, but for its name.
fn cells(line: &Line) -> [String; 5] {
    let shown =
        |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| format::NOTHING.to_owned(), show);
    [
        line.status.word().to_owned(),
        shown(line.score, format::percent),
        shown(line.day.success_rate, format::percent),
        shown(line.day.p95, format::duration),
        format::count(line.day.total_operations),
    ]
}

const HEADS: [&str; 6] = ["Wrapper", "Status", "Score", "Success", "p95", "Operations"];

fn more(report: &Report) -> Option<String> {
    let more = report.wrappers.len().checked_sub(WRAPPERS).filter(|more| *more > 0)?;
    Some(format!("and {} more, in the attached report", format::count(more as u64)))
}

fn text(report: &Report) -> String {
    let mut out = format!("{}, {}\n\n", one_line(&report.title), format::time(report.moment_ms));
    let mut line = |text: &str| {
        out += text;
        out.push('\n');
    };
    for (label, value) in figures(report) {
        line(&format!("{label}: {value}"));
    }
    line("");
    for wrapper in report.wrappers.iter().take(WRAPPERS) {
        let [status, score, success, p95, operations] = cells(wrapper);
        let name = one_line(&wrapper.name);
        line(&format!(
            "{name}: {status}, score {score}; {operations} operations, {success} succeeded, p95 {p95}"
        ));
    }
    more(report).iter().for_each(|more| line(more));
    line("");
    line("The attached page is the whole report; it needs no network.");
    report.address.iter().for_each(|address| line(address));
    out
}

/// Mail programs know tables and the styles of elements, and not much else.
fn html(report: &Report, pictures: &[Picture]) -> String {
    let (title, time) = (markup(&report.title), format::time(report.moment_ms));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n\
         <body style=\"margin:0;padding:16px;background:#fff;color:#1a1d21;font:15px/1.5 sans-serif\">\n\
         <h1 style=\"margin:0;font-size:20px\">{title}</h1>\n<p style=\"margin:0 0 16px;color:#565d66\">{time}</p>\n\
         <table role=\"presentation\" style=\"border-collapse:collapse;margin-bottom:16px\">\n"
    );
    for (label, value) in figures(report) {
        let mark = if label == "Health" { mark(report.row.status) } else { String::new() };
        let _ = writeln!(
            out,
            "<tr><td style=\"padding:2px 16px 2px 0;color:#565d66\">{label}</td>\
             <td style=\"padding:2px 0;font-weight:600\">{mark}{}</td></tr>",
            markup(&value)
        );
    }
    out += "</table>\n";
    for Picture { name, title, .. } in pictures {
        let (name, title) = (markup(name), markup(title));
        let _ = writeln!(
            out,
            "<p><img src=\"cid:{name}\" alt=\"{title}\" width=\"640\" style=\"max-width:100%;height:auto\"></p>"
        );
    }
    out += "<table style=\"border-collapse:collapse;font-size:14px\">\n<tr>";
    for head in HEADS {
        let _ = write!(out, "<th style=\"padding:4px 16px 4px 0;text-align:left;color:#565d66\">{head}</th>");
    }
    out += "</tr>\n";
    let cell = "<td style=\"padding:4px 16px 4px 0;border-top:1px solid #dee2e6\">";
    for wrapper in report.wrappers.iter().take(WRAPPERS) {
        let [status, rest @ ..] = cells(wrapper);
        let _ = write!(
            out,
            "<tr>{cell}<bdi>{}</bdi></td>{cell}{}{status}</td>",
            markup(&wrapper.name),
            mark(wrapper.status)
        );
        rest.iter().for_each(|value| {
            let _ = write!(out, "{cell}{}</td>", markup(value));
        });
        out += "</tr>\n";
    }
    out += "</table>\n";
    if let Some(more) = more(report) {
        let _ = writeln!(out, "<p>{more}</p>");
    }
    out += "<p>The attached page is the whole report; it needs no network.";
    if let Some(address) = &report.address {
        let _ = write!(out, " It is also kept <a href=\"{}\">at its site</a>.", markup(address));
    }
    out + "</p>\n</body></html>\n"
}

/// A dot in the colour of a status, beside its word.
fn mark(status: Status) -> String {
    let colour = match status {
        Status::Critical => "#b02a37",
        Status::Unhealthy => "#c2570c",
        Status::Degraded => "#b58900",
        Status::Healthy => "#1a7f4b",
        Status::NoData => "#6c757d",
    };
    format!("<span style=\"color:{colour}\">&#9679;</span> ")
}

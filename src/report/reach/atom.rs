//! Atom feeds (RFC 4287): what happened, for those who read feeds.

use std::fmt::Write as _;

use anyhow::Result;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::analysis::activity::{Event, EventKind};
use crate::analysis::snapshot::Snapshot;
use crate::model::time::rfc3339;
use crate::report::escape::markup;
use crate::report::site::Site;

/// The path of the feed of status changes in the site.
pub const FEED: &str = "feed.xml";

/// Most entries of a feed.
const ENTRIES: usize = 100;

/// A feed; addresses are absolute.
#[derive(Clone, Debug)]
pub struct Feed<'a> {
    pub title: &'a str,
    /// Of the feed itself, and of the page that it is about.
    pub address: String,
    pub page: String,
    /// RFC 3339; that of its newest entry, if it has any.
    pub updated: String,
    /// Newest first.
    pub entries: Vec<Entry>,
}

/// An entry of a feed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// An address that is the entry's for ever.
    pub id: String,
    pub page: String,
    pub title: String,
    /// RFC 3339.
    pub updated: String,
    pub text: String,
}

/// Adds the feed of status changes, recoveries, arrivals and silences. Errors are too many for it.
pub fn add(site: &mut Site, snapshot: &Snapshot, title: &str, home: &str) -> Result<()> {
    let of_wrappers = snapshot.wrappers.iter().flat_map(|wrapper| &wrapper.activity);
    let mut events: Vec<&Event> = of_wrappers.filter(|event| event.kind != EventKind::Error).collect();
    events.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.id.cmp(&b.id)));
    events.truncate(ENTRIES);
    let newest = events.first().map(|event| event.at_ms);
    let feed = Feed {
        title,
        address: format!("{home}{FEED}"),
        page: format!("{home}activity.html"),
        updated: rfc3339(newest.or(snapshot.system.last_data_ms).unwrap_or_default()),
        entries: events.into_iter().map(|event| entry(event, home)).collect(),
    };
    site.add(FEED, write(&feed))
}

fn entry(event: &Event, home: &str) -> Entry {
    let key = utf8_percent_encode(&event.id, NON_ALPHANUMERIC);
    Entry {
        id: format!("{home}activity.html#{key}"),
        page: format!("{home}wrappers/{}.html", event.slug),
        title: format!("{}: {}", event.wrapper, event.message),
        updated: event.timestamp.clone(),
        text: event.message.clone(),
    }
}

/// The feed as XML.
pub fn write(feed: &Feed) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n",
    );
    let (address, page) = (markup(&feed.address), markup(&feed.page));
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to memory");
    line(format!("<id>{address}</id>"));
    line(format!("<title>{}</title>", markup(feed.title)));
    line(format!("<updated>{}</updated>", feed.updated));
    line("<author><name>dash</name></author>".to_owned());
    line(format!("<link rel=\"self\" type=\"application/atom+xml\" href=\"{address}\"/>"));
    line(format!("<link rel=\"alternate\" type=\"text/html\" href=\"{page}\"/>"));
    for entry in &feed.entries {
        line("<entry>".to_owned());
        line(format!("<id>{}</id>", markup(&entry.id)));
        line(format!("<title>{}</title>", markup(&entry.title)));
        line(format!("<updated>{}</updated>", entry.updated));
        line(format!("<link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>", markup(&entry.page)));
        line(format!("<summary>{}</summary>", markup(&entry.text)));
        line("</entry>".to_owned());
    }
    out + "</feed>\n"
}

//! The whole feed.

use tera::Context;

use crate::analysis::activity::{FEED_ENTRIES, FEED_HOURS};
use crate::analysis::snapshot::Snapshot;
use crate::report::pages::built;

pub fn view(snapshot: &Snapshot) -> Context {
    let mut context = Context::new();
    built(snapshot, &mut context);
    context.insert("activity", &snapshot.activity);
    context.insert("feed_hours", &FEED_HOURS);
    context.insert("full", &(snapshot.activity.len() >= FEED_ENTRIES));
    context.insert("most", &FEED_ENTRIES);
    context
}

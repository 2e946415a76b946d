//! Telling of a kept snapshot, by mail and to a webhook: flags of `dash snapshot`.

use std::env;

use anyhow::{Result, bail};
use chrono::Utc;
use clap::Args;
use lettre::message::Mailbox;

use crate::analysis::snapshot::{DAY_HOURS, RANGES, snapshot};
use crate::archive::index::Row;
use crate::archive::{FOLDER, entry};
use crate::cli::site::Site;
use crate::pipeline::facts;
use crate::report::picture::files::{Kind, Wanted, chart};
use crate::report::picture::palette::Look;
use crate::send::letter::{Picture, letter};
use crate::send::mail;
use crate::send::report::Report;
use crate::send::webhook::{self, Hook, SECRET};
use crate::store::Store;

/// Whom to tell.
#[derive(Debug, Args)]
pub struct Tell {
    /// Send the report to these addresses, by the server of `[mail]`
    #[arg(long, value_name = "ADDRESS", num_args = 1.., value_parser = mail::address)]
    mail: Vec<Mailbox>,
    /// Post the summary as JSON to this address
    #[arg(long, value_name = "URL", env = "DASH_WEBHOOK_URL", hide_env_values = true)]
    webhook: Option<String>,
}

/// Charts in the body of a mail, by their names in the charts' table.
const PICTURES: [&str; 2] = ["system", "health"];

impl Tell {
    /// The charts that a mail shows, of what the store holds now; none where no mail is sent.
    ///
    /// # Errors
    /// If the store cannot be read or a chart not be drawn.
    pub fn pictures(&self, site: &Site, store: &Store) -> Result<Vec<Picture>> {
        if self.mail.is_empty() {
            return Ok(Vec::new());
        }
        let facts = facts::all(&site.plan(), store, Vec::new())?;
        let snapshot = snapshot(&facts);
        let range = RANGES.iter().position(|range| range.1 == DAY_HOURS).expect("a day is a range of charts");
        let picture = |name| {
            let chart = chart(&snapshot, &Wanted { name, wrapper: None, range }, &site.config.site)?;
            let png = chart.file(Kind::Png, Look::Light)?;
            Ok(Picture { name: format!("{name}.png"), title: chart.title, png })
        };
        PICTURES.into_iter().map(picture).collect()
    }

    /// Tells of a snapshot that is kept, whatever comes of telling.
    pub fn tell(&self, site: &Site, row: &Row, pictures: Result<Vec<Picture>>) -> Result<()> {
        if self.mail.is_empty() && self.webhook.is_none() {
            return Ok(());
        }
        let told = Report::read(&site.output, row, &site.config.site).map_or_else(
            |error| vec![Err(error)],
            |report| {
                vec![
                    pictures.and_then(|pictures| self.by_mail(site, &report, pictures)),
                    self.to_hook(&report),
                ]
            },
        );
        let failures: Vec<String> =
            told.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
        if failures.is_empty() {
            return Ok(());
        }
        let page = site.output.join(FOLDER).join(&row.id).join(entry::WHOLE);
        bail!(
            "the snapshot `{}` is kept, but not all were told of it: {}. `{}` is what would have been sent",
            row.id,
            failures.join("; "),
            page.display()
        )
    }

    fn by_mail(&self, site: &Site, report: &Report, pictures: Vec<Picture>) -> Result<()> {
        if self.mail.is_empty() {
            return Ok(());
        }
        let outside = (site.config.root.as_path(), variable as fn(&str) -> Option<String>);
        mail::send(letter(report, pictures), &self.mail, &site.config.mail, outside)
    }

    fn to_hook(&self, report: &Report) -> Result<()> {
        let Some(url) = self.webhook.as_deref() else { return Ok(()) };
        let secret = variable(SECRET).filter(|secret| !secret.is_empty());
        let moment_ms = Utc::now().timestamp_millis();
        webhook::send(report, &Hook { url, secret: secret.as_deref(), moment_ms })
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

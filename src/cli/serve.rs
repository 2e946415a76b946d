//! `dash serve`: build, serve, watch, rebuild, push.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use chrono::Utc;
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::archive::list;
use crate::cli::sample::{TrafficFlags, append_to, follow};
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::cli::{Common, build, init};
use crate::config::{DEFAULT_LOGS, FILE};
use crate::model::parallel;
use crate::model::time::DAY_MS;
use crate::pipeline::{self, Built};
use crate::sample::Generator;
use crate::serve::{Daemon, Outcome, Rebuild, Rebuilt, ServeSettings, address, bind, serve};
use crate::sources::{Progress, inbox};
use crate::store::lock::{Busy, PATIENCE};

#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Where to listen: `127.0.0.1:5000`, or `:5000` for short; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", env = "DASH_BIND", value_parser = address)]
    bind: Option<SocketAddr>,
    /// Let anyone look who reaches the address
    #[arg(long)]
    public: bool,
    /// Serve an output folder that something else builds, and push when it changes
    #[arg(long, conflicts_with = "sample")]
    no_build: bool,
    /// Make sample operations where there are none, and go on with live ones
    #[arg(long)]
    sample: bool,
    #[command(flatten)]
    traffic: TrafficFlags,
}

/// The log that `--sample` writes, in the folder of logs.
const SAMPLE_LOG: &str = "sample.jsonl";

/// Days of sample operations before now.
const SAMPLE_DAYS: i64 = 7;

pub fn run(arguments: &Serve, common: &Common, talk: &Talk) -> Result<()> {
    if arguments.sample && !common.config.exists() && common.config.file_name() == Some(FILE.as_ref()) {
        init::create(common.config.parent().unwrap_or(Path::new(".")))?;
    }
    let site = with_inbox(Site::open(common)?, common, arguments)?;
    let settings = arguments.settings(&site);
    let runtime = runtime()?;
    let listener = runtime.block_on(async { bind(&settings, &site.config.root) })?;
    if arguments.sample {
        start_sample(arguments, &site, talk)?;
    }
    let (root, output) = (site.config.root.clone(), site.output.clone());
    if !arguments.no_build {
        let begun = Instant::now();
        let built = build_site(&site, &talk.progress())?;
        build::summary(&built, begun.elapsed().as_secs_f64()).iter().for_each(|line| talk.say(line));
    }
    let watch = arguments.watched(&site, common);
    let rebuild = rebuild(arguments.clone(), common.clone(), site);
    let talk = *talk;
    let ready = Box::new(move |line: &str| talk.say(line));
    let (rebuild, config) = (Some(rebuild), common.config.clone());
    let daemon = Daemon { root, output, settings, rebuild, watch, config, ready };
    let ended = runtime.block_on(serve(listener, daemon, stopped()));
    // What is still being worked out is for nobody any more.
    runtime.shutdown_background();
    ended
}

/// The threads that answer. One answers a hundred thousand requests a second (`benches/serve.py`), and with fewer of
/// them, less time goes into waking each other up; half of the processors are for builds, and for who else is here.
fn runtime() -> Result<Runtime> {
    let half = parallel::threads().div_ceil(2);
    Builder::new_multi_thread().worker_threads(half).enable_all().build().context("starting the runtime")
}

/// The site with its folder for reports: there from the beginning, since a folder made later is not watched.
fn with_inbox(site: Site, common: &Common, arguments: &Serve) -> Result<Site> {
    let inbox = site.config.root.join(inbox::FOLDER);
    if arguments.no_build || inbox.exists() {
        return Ok(site);
    }
    fs::create_dir(&inbox).with_context(|| format!("making `{}`", inbox.display()))?;
    Site::open(common)
}

impl Serve {
    /// How to serve, with the flags laid over the settings.
    fn settings(&self, site: &Site) -> ServeSettings {
        let mut settings = site.config.serve.clone();
        if let Some(bind) = self.bind {
            settings.bind = bind;
        }
        settings.public |= self.public;
        let below_root = |path: PathBuf| site.config.root.join(path);
        settings.tls_certificate = settings.tls_certificate.map(below_root);
        settings.tls_key = settings.tls_key.map(below_root);
        settings
    }

    /// The settings, and the folders in which a change may mean new operations.
    fn watched(&self, site: &Site, common: &Common) -> Vec<PathBuf> {
        let sources = site.config.sources.iter().filter(|_| !self.no_build);
        let folders = sources.map(|source| source.watched(&site.config.root));
        folders.chain([common.config.clone()]).collect()
    }
}

/// Builds with the settings as they are at the time: someone may edit them, and whatever else builds the site
/// reads them anew, too. While they are wrong or gone, it goes on with the last that were not, `site` at first.
fn rebuild(arguments: Serve, common: Common, mut site: Site) -> Rebuild {
    Box::new(move || {
        let complaint = match Site::open(&common) {
            Ok(newest) => {
                site = newest;
                None
            }
            Err(error) => Some(format!("{error:#}")),
        };
        let outcome = match arguments.no_build {
            true => Outcome::Untouched,
            false => match build_site(&site, &|_| {}) {
                Ok(_) => Outcome::Built,
                Err(error) if error.is::<Busy>() => Outcome::Busy,
                Err(error) => {
                    return Err(match complaint {
                        Some(complaint) => error.context(format!("{complaint}; by the settings before")),
                        None => error,
                    });
                }
            },
        };
        let (watch, settings) = (arguments.watched(&site, &common), arguments.settings(&site));
        Ok(Rebuilt { watch, settings, complaint, outcome })
    })
}

/// The site, and the archive's page beside it.
fn build_site(site: &Site, progress: &(dyn Fn(Progress) + Sync)) -> Result<Built> {
    let plan = site.plan();
    let mut store = pipeline::open(&plan, PATIENCE)?;
    let built = pipeline::build(&mut store, &plan, progress)?;
    site.clean_inbox(&store)?;
    list::refresh(&site.output, built.theme, &site.config.site)?;
    Ok(built)
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        // Without a handler, the default action of the signal ends the process, which is as good.
        Err(_) => std::future::pending().await,
    }
}

/// Makes a week of operations where the log is missing or empty, and appends to it from now on.
fn start_sample(arguments: &Serve, site: &Site, talk: &Talk) -> Result<()> {
    let path = site.config.root.join(DEFAULT_LOGS).join(SAMPLE_LOG);
    let mut log = append_to(&path)?;
    let now = Utc::now().timestamp_millis();
    let length = log.metadata().with_context(|| format!("reading `{}`", path.display()))?.len();
    let from_ms = if length == 0 { now - SAMPLE_DAYS * DAY_MS } else { now };
    let mut generator = Generator::new(arguments.traffic.traffic(), from_ms);
    if length == 0 {
        talk.say(&format!("making {SAMPLE_DAYS} days of sample operations in `{}`", path.display()));
        let mut buffered = BufWriter::new(&mut log);
        generator.write_until(now, &mut buffered)?;
        buffered.flush()?;
    }
    std::thread::spawn(move || {
        if let Err(error) = follow(&mut generator, &mut log) {
            tracing::warn!("no more sample operations: {error:#}");
        }
    });
    Ok(())
}

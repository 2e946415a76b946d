//! How it looks: a snapshot becomes a [`site::Site`], paths and bytes, with nothing written yet.
//!
//! To add a chart: a file in [`charts`] and its place on a page. To add a page: a view in [`pages`], a
//! template of the theme, and its line in [`render`]. A page shows what its view says, and a view only picks
//! from the snapshot: whatever has to be computed is computed in the analysis.

pub mod site;
pub mod hosting;
pub mod escape;
pub mod format;
pub mod filters;
pub mod charts;
pub mod picture;
pub mod spark;
pub mod policy;
pub mod pages;
pub mod pieces;
pub mod dataset;
pub mod datasets;
pub mod summary;
pub mod reach;
pub mod export;
pub mod parquet;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Serialize};
use tera::{Context, Error, Kwargs, State, Tera, TeraResult, Value};

use crate::analysis::health::Status;
use crate::analysis::snapshot::Snapshot;
use crate::report::pages::View;
use crate::report::picture::files::{self, Kind};
use crate::report::site::Site;

const ICON: &str = "icon-app.svg";

/// What the build script gathered: `TEMPLATES`, `ASSETS`, `ICONS`, `FONTS`, and the `FINGERPRINT` of the first two.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// `[site]`: the settings that decide how it looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteSettings {
    pub title: String,
    /// Where the site will be found, for what cannot be a relative link.
    pub base_url: Option<String>,
    /// Name of the currency that costs are in.
    pub currency: String,
    /// How often a page on a plain file host looks for a newer snapshot; 0 is never.
    pub refresh_seconds: u32,
    /// From which age of the newest operation on the first page says that it is old; 0 is never.
    pub stale_minutes: u32,
    /// The files that each build makes of each chart.
    pub chart_files: BTreeSet<Kind>,
}

impl Default for SiteSettings {
    fn default() -> SiteSettings {
        SiteSettings {
            title: "dash".to_owned(),
            base_url: None,
            currency: "USD".to_owned(),
            refresh_seconds: 60,
            stale_minutes: 15,
            chart_files: BTreeSet::new(),
        }
    }
}

impl SiteSettings {
    /// The absolute address of the site's folder, with a slash at its end; `None` where `base_url` does not say.
    pub fn home(&self) -> Option<String> {
        self.address().map(|address| format!("{address}/"))
    }

    /// The same without the slash.
    fn address(&self) -> Option<&str> {
        let url = self.base_url.as_deref()?;
        Some(url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/'))
    }

    /// The path of the site on its host, with a slash at both ends; `/` where `base_url` does not say.
    fn base_path(&self) -> String {
        let url = self.base_url.as_deref().unwrap_or_default();
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = after_scheme.split_once('/').map_or("", |(_, path)| path);
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        if path.is_empty() { "/".to_owned() } else { format!("/{path}/") }
    }
}

/// Templates, and the files that pages link to by a name that changes with their content.
#[derive(Debug)]
pub struct Theme {
    tera: Tera,
    assets: Vec<Asset>,
}

/// A file that the theme brings along.
#[derive(Debug)]
pub struct Asset {
    /// In the site: a name that changes with the content.
    pub path: String,
    pub bytes: &'static [u8],
    sha256: &'static str,
}

impl Theme {
    /// The default theme, which the program carries: read when it is first asked for.
    ///
    /// # Errors
    /// If a template is not valid; says where.
    pub fn embedded() -> Result<&'static Theme> {
        static THEME: LazyLock<Result<Theme>> = LazyLock::new(Theme::read);
        THEME.as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    fn read() -> Result<Theme> {
        let mut paths = BTreeMap::new();
        let mut assets = Vec::new();
        for &(name, bytes, sha256) in embedded::ASSETS {
            let path = hashed_path(name, sha256);
            paths.insert(name, path.clone());
            assets.push(Asset { path, bytes, sha256 });
        }
        let mut tera = Tera::default();
        filters::register(&mut tera);
        tera.register_function("asset", move |kwargs: Kwargs, _: &State| -> TeraResult<Value> {
            let name = kwargs.must_get::<&str>("name")?;
            let path = paths.get(name).map(|path| Value::from(path.as_str()));
            path.ok_or_else(|| Error::message(format!("the theme has no asset `{name}`")))
        });
        tera.register_function("icon", icon);
        tera.add_raw_templates(embedded::TEMPLATES.iter().copied()).context("reading the default theme")?;
        Ok(Theme { tera, assets })
    }

    /// What pages link.
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// What [`Theme::embedded`] is known by: changes with every template and asset.
    pub fn fingerprint() -> &'static str {
        embedded::FINGERPRINT
    }

    /// A page besides those of [`render`]: for rooms that have something of their own to show.
    ///
    /// # Errors
    /// If the template fails, with its name and the place in it.
    pub fn page_of(&self, template: &str, place: &Place, view: Context) -> Result<String> {
        self.page(template, &frame(place.settings, place.root, place.section), view.into())
    }

    fn page(&self, template: &str, frame: &Frame, View { context, pieces }: View) -> Result<String> {
        let mut all = Context::from_serialize(frame).context("describing the site to its templates")?;
        all.extend(context);
        let html = self.tera.render(template, &all).with_context(|| format!("rendering `{template}`"))?;
        Ok(pieces.put_into(with_symbols(html)))
    }
}

/// The program's icon as an address that holds all of it, for a page that is not of a site.
pub fn icon_address() -> String {
    let (_, svg, _) = embedded::ASSETS.iter().find(|asset| asset.0 == ICON).expect("the theme has the icon");
    format!("data:image/svg+xml,{}", percent_encode(svg, NON_ALPHANUMERIC))
}

/// A reference to an icon's shape, which [`with_symbols`] brings along.
fn icon(kwargs: Kwargs, _: &State) -> TeraResult<Value> {
    let name = kwargs.must_get::<&str>("name")?;
    if !embedded::ICONS.iter().any(|icon| icon.0 == name) {
        return Err(Error::message(format!("there is no icon `{name}`; `build/main.rs` lists them")));
    }
    Ok(Value::safe_string(&format!(
        "<svg class=\"icon\" aria-hidden=\"true\" focusable=\"false\"><use href=\"#icon-{name}\"/></svg>"
    )))
}

/// The page with the shapes of the icons that it refers to, each once, at the end of `<main>`: scripts replace
/// what is in there, and a newer page may refer to others.
fn with_symbols(mut html: String) -> String {
    const MARK: &str = "\"#icon-";
    let marks = memchr::memmem::find_iter(html.as_bytes(), MARK);
    let named: HashSet<&str> = marks.filter_map(|at| html[at + MARK.len()..].split('"').next()).collect();
    let used = embedded::ICONS.iter().filter(|icon| named.contains(icon.0));
    let mut symbols = String::new();
    for (name, view_box, path) in used {
        writeln!(symbols, "<symbol id=\"icon-{name}\" viewBox=\"{view_box}\"><path d=\"{path}\"/></symbol>")
            .expect("writing to memory");
    }
    if symbols.is_empty() {
        return html;
    }
    let Some(end) = memchr::memmem::find(html.as_bytes(), b"</main>") else { return html };
    html.insert_str(end, &format!("<svg id=\"icons\" hidden>\n{symbols}</svg>\n"));
    html
}

/// `assets/app.1a2b3c4d.css`: a name that may be cached for ever.
fn hashed_path(name: &str, sha256: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("assets/{stem}.{}.{extension}", &sha256[..8])
}

/// Where a page is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Leads from the page to the site's folder: `./` or `../`.
    pub root: &'a str,
    /// Which entry of the navigation is the page's.
    pub section: &'a str,
    pub settings: &'a SiteSettings,
}

/// What every page is told.
#[derive(Clone, Copy, Debug, Serialize)]
struct Frame<'a> {
    /// Leads from the page to the site's folder: `./` or `../`.
    root: &'a str,
    /// Which entry of the navigation is the page's.
    section: &'a str,
    /// What the page's icon shows: the worst status of the page's wrappers, so that it is seen from afar.
    status: Status,
    /// How many wrappers of the page have a score and are not Healthy: what its title begins with.
    troubled: usize,
    site_title: &'a str,
    /// Where the site is, without a slash at its end; absent where that is not known.
    site_address: Option<&'a str>,
    currency: &'a str,
    refresh_seconds: u32,
    version: &'a str,
    /// See [`policy`].
    policy: &'a str,
}

/// For a page that is not about one moment.
fn frame<'a>(settings: &'a SiteSettings, root: &'a str, section: &'a str) -> Frame<'a> {
    Frame {
        root,
        section,
        status: Status::NoData,
        troubled: 0,
        site_title: &settings.title,
        site_address: settings.address(),
        currency: &settings.currency,
        refresh_seconds: settings.refresh_seconds,
        version: env!("CARGO_PKG_VERSION"),
        policy: policy::in_page(),
    }
}

/// For a page about all wrappers.
fn frame_of_all<'a>(snapshot: &Snapshot, place: Place<'a>) -> Frame<'a> {
    let statuses = snapshot.wrappers.iter().map(|wrapper| wrapper.summary.health.status);
    Frame {
        status: statuses.min().unwrap_or(Status::NoData),
        troubled: snapshot.system.unhealthy_wrappers,
        ..frame(place.settings, place.root, place.section)
    }
}

/// The pages, the assets, and the mark that says whether a daemon answers. Pages that show the snapshot are made when
/// their turn comes.
///
/// # Errors
/// If a template fails, with the template's name and the place in it.
pub fn render<'a>(snapshot: &'a Snapshot, theme: &'a Theme, settings: &'a SiteSettings) -> Result<Site<'a>> {
    let mut site = Site::default();
    let frame = move |section| frame_of_all(snapshot, Place { root: "./", section, settings });
    site.later("index.html", move || {
        theme.page("overview.html", &frame("overview"), pages::overview::view(snapshot, settings)?)
    })?;
    site.later("activity.html", move || {
        theme.page("activity.html", &frame("activity"), pages::activity::view(snapshot).into())
    })?;
    site.later("data-quality.html", move || {
        theme.page("quality.html", &frame("quality"), pages::quality::view(snapshot).into())
    })?;
    add_wrappers(&mut site, snapshot, theme, settings)?;
    // Shown at any depth, where no relative link holds.
    let base_path = settings.base_path();
    let lost = frame_of_all(snapshot, Place { root: &base_path, section: "", settings });
    site.add("404.html", theme.page("404.html", &lost, View::default())?)?;
    // Read by the browser itself: how the site is installed, and what of it opens without a network.
    site.add("site.webmanifest", theme.page("site.webmanifest", &frame(""), View::default())?)?;
    let mut context = Context::new();
    context.insert("assets", &theme.assets.iter().map(|asset| &asset.path).collect::<Vec<_>>());
    site.add("sw.js", theme.page("sw.js", &frame(""), context.into())?)?;
    // The daemon answers this path with `true`; see `live.js`.
    site.add("live.json", "{\"live\":false}\n")?;
    for Asset { path, bytes, sha256 } in &theme.assets {
        site.add_asset(path, bytes, sha256)?;
    }
    files::add(&mut site, snapshot, settings)?;
    reach::add(&mut site, snapshot, settings)?;
    Ok(site)
}

/// Adds the wrappers' own pages; those that stand as they are, are kept.
fn add_wrappers<'a>(
    site: &mut Site<'a>,
    snapshot: &'a Snapshot,
    theme: &'a Theme,
    settings: &'a SiteSettings,
) -> Result<()> {
    for (at, wrapper) in snapshot.wrappers.iter().enumerate() {
        let path = format!("wrappers/{}.html", wrapper.summary.slug);
        let Some(detail) = wrapper.detail.as_ref().filter(|_| !wrapper.stands) else {
            site.keep(path)?;
            continue;
        };
        site.later(path, move || {
            let status = wrapper.summary.health.status;
            let troubled = usize::from(status < Status::Healthy);
            let frame = Frame { status, troubled, ..frame(settings, "../", "wrappers") };
            let view = pages::wrapper::view(snapshot, at, detail, &settings.currency)?;
            theme.page("wrapper.html", &frame, view)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_base_path_is_what_follows_the_host() {
        let path = |url: &str| {
            SiteSettings { base_url: Some(url.to_owned()), ..SiteSettings::default() }.base_path()
        };
        assert_eq!(SiteSettings::default().base_path(), "/");
        assert_eq!(path("https://example.org"), "/");
        assert_eq!(path("https://example.org/"), "/");
        assert_eq!(path("https://example.org/team/dash"), "/team/dash/");
        assert_eq!(path("https://example.org/team/dash/?x#y"), "/team/dash/");
    }

    #[test]
    fn an_asset_s_name_follows_its_content() {
        for &(name, bytes, sha256) in embedded::ASSETS {
            assert_eq!(sha256, format!("{:x}", Sha256::digest(bytes)), "{name}");
        }
        assert_eq!(hashed_path("app.css", "ca978112ca1b"), "assets/app.ca978112.css");
    }

    #[test]
    fn the_typeface_lies_where_its_style_sheet_looks() {
        let (_, css, _) = embedded::ASSETS.iter().find(|asset| asset.0 == "font.css").expect("it is there");
        let css = String::from_utf8_lossy(css);
        let name = css.split_once("url(").expect("it names a file").1.split(')').next().unwrap_or_default();
        let theme = Theme::embedded().expect("it is valid");
        assert!(theme.assets().iter().any(|asset| asset.path == format!("assets/{name}")), "{name}");
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<SiteSettings>("titel = \"x\"").is_err());
        assert_eq!(toml::from_str::<SiteSettings>("").ok(), Some(SiteSettings::default()));
    }
}

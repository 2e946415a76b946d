//! `sitemap.xml` and `robots.txt`: which pages there are, for search engines.

use anyhow::Result;

use crate::report::escape::markup;
use crate::report::site::Site;

/// Most addresses of one sitemap (sitemaps.org).
const MOST: usize = 50_000;

/// Adds both. `home` is the absolute address of the site's folder, with a slash at its end.
pub fn add(site: &mut Site, home: &str) -> Result<()> {
    let is_page = |path: &&String| path.ends_with(".html") && *path != "404.html";
    let mut pages: Vec<&String> = site.files().keys().chain(site.kept()).filter(is_page).collect();
    pages.sort();
    let address = |path: &&String| {
        let path = path.strip_suffix("index.html").unwrap_or(path);
        format!("<url><loc>{}</loc></url>\n", markup(&format!("{home}{path}")))
    };
    let addresses: String = pages.iter().take(MOST).map(address).collect();
    let sitemap = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{addresses}</urlset>\n"
    );
    site.add("sitemap.xml", sitemap)?;
    site.add("robots.txt", robots(home))
}

/// Kept snapshots and answers for programs are not for search engines.
fn robots(home: &str) -> String {
    let path = home.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("User-agent: *\nDisallow: /{path}archive/\nDisallow: /{path}api/\nSitemap: {home}sitemap.xml\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_absolute_and_kept_pages_are_listed() {
        let mut site = Site::default();
        site.add("index.html", "").expect("free");
        site.add("404.html", "").expect("free");
        site.add("api/x.json", "").expect("free");
        site.keep("wrappers/a.html").expect("free");
        add(&mut site, "https://x.org/a&b/").expect("free");
        let sitemap = site.files()["sitemap.xml"].bytes().expect("it is made");
        let sitemap = std::str::from_utf8(&sitemap).expect("text");
        assert!(sitemap.contains("<loc>https://x.org/a&amp;b/</loc>"), "{sitemap}");
        assert!(sitemap.contains("<loc>https://x.org/a&amp;b/wrappers/a.html</loc>"), "{sitemap}");
        assert_eq!(sitemap.matches("<loc>").count(), 2);
        let robots = robots("https://x.org/a/");
        assert!(
            robots.contains("Disallow: /a/archive/\n")
                && robots.contains("Sitemap: https://x.org/a/sitemap.xml")
        );
    }
}

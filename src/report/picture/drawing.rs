//! A picture as a file: SVG, PNG or PDF.
//!
//! Text is set in the typeface that the program carries, so a picture is the same bytes on every machine. Only
//! letters that it lacks are looked for among the machine's fonts.

use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use krilla::Document;
use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt, SvgSettings};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{FontResolver, Options, Tree, WriteOptions};

use crate::report::embedded;
use crate::report::escape::markup;

/// The typeface of all text.
pub const FONT: &str = "Inter";

/// Pixels of a picture are points of a page at this scale.
const POINTS: f32 = 0.75;

/// A larger picture would take more memory than any reader has use for.
const MOST_PIXELS: f32 = 8192.0;

static OWN_FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    embedded::FONTS.iter().for_each(|font| fonts.load_font_data(font.to_vec()));
    Arc::new(fonts)
});

/// The program's own fonts, under the same ids, and those of the machine.
static ALL_FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = (**OWN_FONTS).clone();
    fonts.load_system_fonts();
    Arc::new(fonts)
});

/// A picture that is understood: its text is set, and its styles are applied.
#[derive(Debug)]
pub struct Drawing {
    title: String,
    tree: Tree,
}

impl Drawing {
    /// From SVG with a size. What it refers to outside of itself is left out.
    ///
    /// # Errors
    /// If it is no SVG, or one without a size.
    pub fn of(title: &str, svg: &str) -> Result<Drawing> {
        let resolver = FontResolver {
            select_fallback: Box::new(|letter, used, fonts| {
                let own = FontResolver::default_fallback_selector()(letter, used, fonts);
                own.or_else(|| {
                    fonts.clone_from(&ALL_FONTS);
                    FontResolver::default_fallback_selector()(letter, used, fonts)
                })
            }),
            ..FontResolver::default()
        };
        let options = Options {
            font_family: FONT.to_owned(),
            font_resolver: resolver,
            fontdb: OWN_FONTS.clone(),
            image_href_resolver: resvg::usvg::ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..Options::default()
        };
        let tree = Tree::from_str(svg, &options).context("reading a picture's SVG")?;
        Ok(Drawing { title: title.to_owned(), tree })
    }

    /// As SVG that needs no font: letters are shapes, and the title says what it shows.
    pub fn svg(&self) -> Vec<u8> {
        let options = WriteOptions { coordinates_precision: 2, ..WriteOptions::default() };
        let svg = self.tree.to_string(&options);
        let title = format!("<title>{}</title>", markup(&self.title));
        match svg.find('>') {
            Some(end) => [&svg[..=end], &title, &svg[end + 1..]].concat().into_bytes(),
            None => svg.into_bytes(),
        }
    }

    /// As PNG, of so many pixels to one of the picture.
    ///
    /// # Errors
    /// If that makes no picture, or one of more than 8192 pixels a side.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>> {
        let (width, height) = (self.tree.size().width() * scale, self.tree.size().height() * scale);
        let fits = (1.0..=MOST_PIXELS).contains(&width) && (1.0..=MOST_PIXELS).contains(&height);
        let pixels = fits.then(|| Pixmap::new(width.ceil() as u32, height.ceil() as u32)).flatten();
        let mut pixels = pixels.with_context(|| {
            format!("a picture of {width} by {height} pixels cannot be drawn; choose another scale")
        })?;
        resvg::render(&self.tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        pixels.encode_png().context("packing a picture as PNG")
    }

    /// As PDF of one page, with shapes as shapes and text as text.
    ///
    /// # Errors
    /// If a font cannot be made part of it.
    pub fn pdf(&self) -> Result<Vec<u8>> {
        let (width, height) = (self.tree.size().width() * POINTS, self.tree.size().height() * POINTS);
        let size = Size::from_wh(width, height).context("a picture without a size makes no page")?;
        let mut document = Document::new();
        let about =
            Metadata::new().title(self.title.clone()).language("en".to_owned()).creator("dash".to_owned());
        document.set_metadata(about);
        let mut page = document.start_page_with(PageSettings::new(size));
        let mut surface = page.surface();
        surface.draw_svg(&self.tree, size, SvgSettings::default()).context("drawing a picture as PDF")?;
        surface.finish();
        page.finish();
        document.finish().map_err(|error| anyhow::anyhow!("writing a picture as PDF: {error:?}"))
    }
}

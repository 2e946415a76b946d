//! The colours of a look, as the theme's style sheets say them: a picture has no page around it to give them.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::report::embedded;

/// Whose custom properties count.
const SHEET: &str = "style.css";
const DARK: &str = "[data-bs-theme=\"dark\"]";

/// On what ground a picture is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Look {
    #[default]
    Light,
    Dark,
}

impl Look {
    pub fn palette(self) -> &'static Palette {
        static LIGHT_AND_DARK: LazyLock<[Palette; 2]> = LazyLock::new(|| {
            let sheets = embedded::ASSETS.iter().filter(|asset| asset.0 == SHEET);
            let css: String = sheets.map(|asset| String::from_utf8_lossy(asset.1)).collect();
            [Palette::of(&css, false), Palette::of(&css, true)]
        });
        &LIGHT_AND_DARK[usize::from(self == Look::Dark)]
    }
}

/// Colours by the names of their custom properties, without the dashes.
#[derive(Debug)]
pub struct Palette(HashMap<String, String>);

impl Palette {
    /// The custom properties of `:root` in a style sheet, over them those of the dark theme where that is asked
    /// for. A name that comes twice counts as it is said last.
    fn of(css: &str, dark: bool) -> Palette {
        let mut colours = HashMap::new();
        // What opened the innermost block, whether or not more blocks are open around it.
        let mut before = "";
        for block in css.split('{').skip(1).zip(css.split('{')) {
            let (inside, selector) = (block.0.split('}').next().unwrap_or_default(), block.1);
            before = selector.rsplit(['}', ';']).next().unwrap_or(before);
            let is_dark = before.contains(DARK);
            if !(before.contains(":root") || is_dark && dark) {
                continue;
            }
            for line in inside.split(';') {
                let property = line.trim().strip_prefix("--").and_then(|line| line.split_once(':'));
                if let Some((name, value)) = property {
                    colours.insert(name.trim().to_owned(), value.trim().to_owned());
                }
            }
        }
        Palette(colours)
    }

    /// The colour of that name; that of labels where the theme has none.
    pub fn colour(&self, name: &str) -> &str {
        let known = self.0.get(name).or_else(|| self.0.get("chart-text"));
        known.map_or("#808080", String::as_str)
    }

    /// Names and colours, sorted.
    pub fn starting_with(&self, start: &str) -> Vec<(&str, &str)> {
        let mut named: Vec<_> =
            self.0.iter().filter(|(name, _)| name.starts_with(start)).map(|(n, c)| (&**n, &**c)).collect();
        named.sort_unstable();
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::health::Status;
    use crate::report::charts::{COLOURS, HEAT, status_colour, status_paint};

    #[test]
    fn dark_is_said_over_light() {
        let css = ":root,\n[data-bs-theme] { --a: #111; --b: red; }\n.x { --a: no; }\n\
                   @media screen { [data-bs-theme=\"dark\"] { --a: #222; } }\n.y { --b: no; }";
        let (light, dark) = (Palette::of(css, false), Palette::of(css, true));
        assert_eq!((light.colour("a"), light.colour("b")), ("#111", "red"));
        assert_eq!((dark.colour("a"), dark.colour("b")), ("#222", "red"));
    }

    #[test]
    fn light_colours_are_those_of_the_figures_for_the_api() {
        let palette = Look::Light.palette();
        for (at, colour) in COLOURS.iter().enumerate() {
            assert_eq!(palette.colour(&format!("series-{at}")), *colour);
        }
        for (at, colour) in HEAT.iter().enumerate().skip(1) {
            assert_eq!(palette.colour(&format!("heat-{at}")), *colour);
        }
        for status in [Status::Healthy, Status::Degraded, Status::Critical, Status::NoData] {
            assert_eq!(palette.colour(status_paint(status)), status_colour(status));
        }
    }

    #[test]
    fn every_colour_of_a_picture_is_one() {
        for look in [Look::Light, Look::Dark] {
            for name in ["panel", "muted", "chart-text", "chart-grid", "chart-gap", "bs-body-color"] {
                assert!(look.palette().colour(name).starts_with('#'), "{look:?} {name}");
            }
        }
        assert_ne!(Look::Light.palette().colour("panel"), Look::Dark.palette().colour("panel"));
    }
}

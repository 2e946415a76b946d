//! Embeds the default theme: its templates, styles and scripts, and the third-party files that it names.
//!
//! The third-party files come from npm, pinned by `themes/default/package-lock.json`, once per lock file and
//! into `OUT_DIR`. `DASH_ASSETS_DIR` points to a folder laid out like `node_modules` to build without npm.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use std::{env, fs, io};

/// (name in the site, path in `node_modules`).
const VENDORED: [(&str, &str); 3] = [
    ("bootstrap.min.css", "bootstrap/dist/css/bootstrap.min.css"),
    ("idiomorph.min.js", "idiomorph/dist/idiomorph.min.js"),
    ("plotly-basic.min.js", "plotly.js-basic-dist-min/plotly-basic.min.js"),
];

/// The typeface, as `font.css` carries it: Latin letters of every weight. Others come from the system.
const FONT: &str = "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2";

/// The shape of a status, by the end of its style class.
const SHAPES: [(&str, &str); 5] = [
    ("healthy", "circle-check"),
    ("degraded", "triangle-exclamation"),
    ("unhealthy", "circle-exclamation"),
    ("critical", "square-xmark"),
    ("no-data", "circle-minus"),
];

const ICON_FOLDER: &str = "@fortawesome/fontawesome-free/svgs/solid";

/// Font Awesome icons that templates may ask for by name.
const ICONS: [&str; 24] = [
    "arrow-trend-up",
    "bars",
    "bell-slash",
    "bolt",
    "chart-line",
    "chevron-left",
    "chevron-right",
    "circle-check",
    "circle-exclamation",
    "circle-half-stroke",
    "circle-minus",
    "clock",
    "cubes",
    "database",
    "gauge-high",
    "heart-pulse",
    "list-ul",
    "magnifying-glass",
    "moon",
    "seedling",
    "square-xmark",
    "sun",
    "triangle-exclamation",
    "wave-square",
];

/// (package, its licence file); shown together as one text in the site.
const LICENCES: [(&str, &str); 5] = [
    ("Bootstrap", "bootstrap/LICENSE"),
    ("Font Awesome Free (icons)", "@fortawesome/fontawesome-free/LICENSE.txt"),
    ("Idiomorph", "idiomorph/LICENSE"),
    ("Inter (typeface)", "@fontsource-variable/inter/LICENSE"),
    ("plotly.js", "plotly.js-basic-dist-min/LICENSE"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DASH_ASSETS_DIR");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let theme = root.join("themes/default");
    for part in ["package.json", "package-lock.json", "templates", "assets"] {
        println!("cargo::rerun-if-changed={}", theme.join(part).display());
    }
    if let Err(problem) = embed(&theme, &out) {
        println!("cargo::error={problem}");
    }
}

fn embed(theme: &Path, out: &Path) -> Result<(), String> {
    let packages = match env::var_os("DASH_ASSETS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => install(theme, &out.join("npm"))?,
    };
    let vendor = out.join("vendor");
    fs::create_dir_all(&vendor).map_err(|error| describe("creating", &vendor, &error))?;
    let mut assets = files(&theme.join("assets"))?;
    for (name, path) in VENDORED {
        let text = read(&packages.join(path))?;
        assets.push((name.to_owned(), write(&vendor.join(name), &without_source_map(&text))?));
    }
    let font =
        fs::read(packages.join(FONT)).map_err(|error| describe("reading", &packages.join(FONT), &error))?;
    let style = font_face(&font) + &shapes(&packages)?;
    assets.push(("vendor.css".to_owned(), write(&vendor.join("vendor.css"), &style)?));
    let mut licences = String::new();
    for (package, path) in LICENCES {
        let text = read(&packages.join(path))?;
        write!(licences, "{package}\n\n{}\n\n\n", text.trim()).expect("writing to memory");
    }
    assets.push(("licences.txt".to_owned(), write(&vendor.join("licences.txt"), &licences)?));

    let mut code = String::new();
    code.push_str("pub const TEMPLATES: &[(&str, &str)] = &[\n");
    for (name, path) in files(&theme.join("templates"))? {
        writeln!(code, "    ({name:?}, include_str!({path:?})),").expect("writing to memory");
    }
    // The hashes of two megabytes at every start would be a good part of a build with little news.
    code.push_str("];\npub const ASSETS: &[(&str, &[u8], &str)] = &[\n");
    for (name, path) in assets {
        let bytes = fs::read(&path).map_err(|error| describe("reading", &path, &error))?;
        let sha256 = format!("{:x}", Sha256::digest(bytes));
        writeln!(code, "    ({name:?}, include_bytes!({path:?}), {sha256:?}),").expect("writing to memory");
    }
    code.push_str("];\n");
    code.push_str("pub const ICONS: &[(&str, &str, &str)] = &[\n");
    for name in ICONS {
        let (view_box, path) = icon(&packages, name)?;
        writeln!(code, "    ({name:?}, {view_box:?}, {path:?}),").expect("writing to memory");
    }
    code.push_str("];\n");
    write(&out.join("embedded.rs"), &code).map(drop)
}

/// Brings in the locked packages, unless those of the very same lock file are there. Returns `node_modules`.
fn install(theme: &Path, folder: &Path) -> Result<PathBuf, String> {
    let packages = folder.join("node_modules");
    let done = folder.join("installed-lock.json");
    let lock = read(&theme.join("package-lock.json"))?;
    if packages.is_dir() && fs::read_to_string(&done).is_ok_and(|installed| installed == lock) {
        return Ok(packages);
    }
    fs::create_dir_all(folder).map_err(|error| describe("creating", folder, &error))?;
    write(&folder.join("package.json"), &read(&theme.join("package.json"))?)?;
    write(&folder.join("package-lock.json"), &lock)?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--omit=peer", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "the scripts and styles of the default theme come from npm, which is \
                not installed; install Node.js, or point `DASH_ASSETS_DIR` to a folder that has them, laid out \
                like `node_modules`"
                .to_owned(),
            _ => format!("running `npm ci`: {error}"),
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().replace('\n', "; ");
        return Err(format!("`npm ci` for the default theme failed, in `{}`: {said}", folder.display()));
    }
    write(&done, &lock)?;
    Ok(packages)
}

/// The files of a folder as (name, path), sorted; folders in it are left out.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let entries = fs::read_dir(folder).map_err(|error| describe("reading", folder, &error))?;
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| !name.starts_with('.') && !name.ends_with('~'))
        .collect();
    files.sort();
    Ok(files)
}

/// A style that brings its typeface along: text is never drawn in another one first, and a page that is opened
/// as a file has it too.
fn font_face(woff2: &[u8]) -> String {
    format!(
        "@font-face {{\n  font-family: Inter;\n  font-weight: 100 900;\n  font-display: block;\n  \
         src: url(data:font/woff2;base64,{}) format(\"woff2\");\n  unicode-range: U+0000-00FF, U+0131, \
         U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, U+2191, U+2193, \
         U+2212, U+2215, U+FEFF, U+FFFD;\n}}\n",
        base64(woff2)
    )
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let six = bits >> (18 - 6 * place) & 63;
            text.push(if place > group.len() { '=' } else { LETTERS[six as usize] as char });
        }
    }
    text
}

/// Without the comment that would make a browser's developer tools ask for a file that is not there.
fn without_source_map(text: &str) -> String {
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("sourceMappingURL=")).collect();
    kept.join("\n")
}

/// The parts of an icon that matter: its view box and its path.
fn icon(packages: &Path, name: &str) -> Result<(String, String), String> {
    let svg = read(&packages.join(ICON_FOLDER).join(format!("{name}.svg")))?;
    let between = |start: &str| Some(svg.split_once(start)?.1.split_once('"')?.0.to_owned());
    between("viewBox=\"")
        .zip(between(" d=\""))
        .ok_or_else(|| format!("the icon `{name}` is not an SVG with a view box and one path"))
}

/// The shapes of statuses as styles: a table of a thousand rows is moved about much faster than with a picture
/// in each.
fn shapes(packages: &Path) -> Result<String, String> {
    let mut style = String::new();
    for (class, name) in SHAPES {
        let (view_box, path) = icon(packages, name)?;
        let svg = format!(
            "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='{view_box}'%3E%3Cpath d='{path}'/%3E%3C/svg%3E"
        );
        writeln!(style, ".status-{class} {{ --shape: url(\"data:image/svg+xml,{svg}\"); }}")
            .expect("writing to memory");
    }
    Ok(style)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| describe("reading", path, &error))
}

fn write(path: &Path, text: &str) -> Result<PathBuf, String> {
    fs::write(path, text).map_err(|error| describe("writing", path, &error))?;
    Ok(path.to_owned())
}

fn describe(doing: &str, path: &Path, error: &io::Error) -> String {
    format!("{doing} `{}`: {error}", path.display())
}

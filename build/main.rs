//! Embeds the default theme: its templates, styles and scripts, and the third-party files that it names.
//!
//! The third-party files come from npm, pinned by `themes/default/package-lock.json`, once per lock file and
//! into `OUT_DIR`. `DASH_ASSETS_DIR` points to a folder laid out like `node_modules` to build without npm.

mod styles;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use resvg::{tiny_skia, usvg};
use sha2::{Digest, Sha256};

const BOOTSTRAP: &str = "bootstrap/dist/css/bootstrap.min.css";
const IDIOMORPH: &str = "idiomorph/dist/idiomorph.min.js";
const PLOTLY: &str = "plotly.js-basic-dist-min/plotly-basic.min.js";

/// What `style.css` is made of besides Bootstrap and the shapes of statuses, in this order: a page draws nothing
/// before its style sheets are there, and one comes sooner than many.
const STYLES: [&str; 4] = ["colours.css", "app.css", "tables.css", "charts.css"];

/// What `script.js` is made of after Idiomorph, in this order.
const SCRIPTS: [&str; 7] = ["time.js", "table.js", "figure.js", "save.js", "charts.js", "live.js", "app.js"];

/// The typeface: Latin letters of every weight. Others come from the system.
const FONT: &str = "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2";

/// The same typeface for pictures, in its two weights and with all its letters: what draws them reads no WOFF2.
const PICTURE_FONTS: [&str; 2] = [
    "@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf",
    "@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf",
];

/// The shape of a status, by the end of its style class; old data is told over any status.
const SHAPES: [(&str, &str); 6] = [
    ("healthy", "circle-check"),
    ("degraded", "triangle-exclamation"),
    ("unhealthy", "circle-exclamation"),
    ("critical", "square-xmark"),
    ("no-data", "circle-minus"),
    ("stale", "clock"),
];

/// The icon of an installed site, and the pixels a side of its PNGs: systems that install sites read no SVG.
const APP_ICON: &str = "icon-app.svg";
const APP_ICON_SIZES: [u32; 3] = [180, 192, 512];

const ICON_FOLDER: &str = "@fortawesome/fontawesome-free/svgs/solid";

/// Font Awesome icons that templates may ask for by name.
const ICONS: [&str; 25] = [
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
    "download",
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
    println!("cargo::rerun-if-changed=build");
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
    let (parts, mut assets): (Vec<_>, Vec<_>) = files(&theme.join("assets"))?
        .into_iter()
        .partition(|(name, _)| STYLES.contains(&name.as_str()) || SCRIPTS.contains(&name.as_str()));
    if parts.len() != STYLES.len() + SCRIPTS.len() {
        return Err(
            "`build/main.rs` names a style or script that `themes/default/assets` does not have".into()
        );
    }
    for (name, text) in [
        ("style.css", style(theme, &packages)?),
        ("script.js", script(theme, &packages)?),
        ("plotly-basic.min.js", without_source_map(&read(&packages.join(PLOTLY))?)),
    ] {
        assets.push((name.to_owned(), write(&vendor.join(name), &text)?));
    }
    let font = packages.join(FONT);
    assets.push(("font.css".to_owned(), write(&vendor.join("font.css"), &font_face(&font)?)?));
    assets.push(("inter.woff2".to_owned(), font));
    for size in APP_ICON_SIZES {
        let name = format!("icon-{size}.png");
        let path = vendor.join(&name);
        fs::write(&path, app_icon(theme, size)?).map_err(|error| describe("writing", &path, &error))?;
        assets.push((name, path));
    }
    let mut licences = String::new();
    for (package, path) in LICENCES {
        let text = read(&packages.join(path))?;
        write!(licences, "{package}\n\n{}\n\n\n", text.trim()).expect("writing to memory");
    }
    assets.push(("licences.txt".to_owned(), write(&vendor.join("licences.txt"), &licences)?));

    let (mut code, mut all) = (String::new(), Sha256::new());
    code.push_str("pub const TEMPLATES: &[(&str, &str)] = &[\n");
    for (name, path) in files(&theme.join("templates"))? {
        all.update(&name);
        all.update(read(&path)?);
        writeln!(code, "    ({name:?}, include_str!({path:?})),").expect("writing to memory");
    }
    // The hashes of two megabytes at every start would be a good part of a build with little news.
    code.push_str("];\npub const ASSETS: &[(&str, &[u8], &str)] = &[\n");
    for (name, path) in assets {
        let bytes = fs::read(&path).map_err(|error| describe("reading", &path, &error))?;
        let sha256 = format!("{:x}", Sha256::digest(bytes));
        all.update(&sha256);
        writeln!(code, "    ({name:?}, include_bytes!({path:?}), {sha256:?}),").expect("writing to memory");
    }
    code.push_str("];\n");
    code.push_str("pub const ICONS: &[(&str, &str, &str)] = &[\n");
    for name in ICONS {
        let (view_box, path) = icon(&packages, name)?;
        writeln!(code, "    ({name:?}, {view_box:?}, {path:?}),").expect("writing to memory");
    }
    code.push_str("];\npub const FONTS: &[&[u8]] = &[\n");
    for path in PICTURE_FONTS {
        let path = packages.join(path);
        fs::metadata(&path).map_err(|error| describe("reading", &path, &error))?;
        writeln!(code, "    include_bytes!({:?}),", path.display().to_string()).expect("writing to memory");
    }
    code.push_str("];\n");
    writeln!(code, "pub const FINGERPRINT: &str = \"{:x}\";", all.finalize()).expect("writing to memory");
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

/// The style sheet of all pages: of Bootstrap what they use, the shapes of statuses, and the theme's own.
fn style(theme: &Path, packages: &Path) -> Result<String, String> {
    let mut pages = String::new();
    for (_, path) in files(&theme.join("templates"))?.iter().chain(&files(&theme.join("assets"))?) {
        if path.extension().is_some_and(|extension| extension == "html" || extension == "js") {
            pages += &read(path)?;
        }
    }
    let words: HashSet<&str> = pages.split(|letter| !styles::is_name(letter)).collect();
    let mut style = styles::only_used(&read(&packages.join(BOOTSTRAP))?, &words) + &shapes(packages)?;
    for name in STYLES {
        style += &styles::without_comments(&read(&theme.join("assets").join(name))?);
    }
    Ok(style)
}

/// The typeface for pages without scripts; with them, `theme.js` brings it in. It lies beside this style sheet, by
/// the name that the report gives it.
fn font_face(woff2: &Path) -> Result<String, String> {
    let bytes = fs::read(woff2).map_err(|error| describe("reading", woff2, &error))?;
    let sha256 = format!("{:x}", Sha256::digest(bytes));
    Ok(format!(
        "@font-face {{ font-family: Inter; font-weight: 100 900; src: url(inter.{}.woff2) format(\"woff2\"); }}\n",
        &sha256[..8]
    ))
}

/// The script of all pages that need not run before they are drawn.
fn script(theme: &Path, packages: &Path) -> Result<String, String> {
    let mut script = without_source_map(&read(&packages.join(IDIOMORPH))?) + "\n;window.dash ??= {};";
    for name in SCRIPTS {
        script = script + "\n;" + &read(&theme.join("assets").join(name))?;
    }
    Ok(script)
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
/// in each. They are one picture, below each other: a browser takes longer to make one than to find its parts.
fn shapes(packages: &Path) -> Result<String, String> {
    let mut places = String::new();
    let mut picture = String::new();
    for (at, (class, name)) in SHAPES.iter().enumerate() {
        let (view_box, path) = icon(packages, name)?;
        let below = 512 * at;
        write!(
            picture,
            "<svg y='{below}' width='512' height='512' viewBox='{view_box}'><path d='{path}'/></svg>"
        )
        .expect("writing to memory");
        let place = 100.0 * at as f64 / (SHAPES.len() - 1) as f64;
        writeln!(places, ".status-{class} {{ --shape: {place}%; }}").expect("writing to memory");
    }
    let height = 512 * SHAPES.len();
    let picture =
        format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 512 {height}'>{picture}</svg>");
    let picture = picture.replace('<', "%3C").replace('>', "%3E");
    Ok(format!(
        ".shape, .status::before {{ mask: url(\"data:image/svg+xml,{picture}\") 0 var(--shape) / 100% {}00%; }}\n{places}",
        SHAPES.len()
    ))
}

/// The app's icon as PNG.
fn app_icon(theme: &Path, size: u32) -> Result<Vec<u8>, String> {
    let path = theme.join("assets").join(APP_ICON);
    let tree = usvg::Tree::from_str(&read(&path)?, &usvg::Options::default())
        .map_err(|error| format!("reading `{}`: {error}", path.display()))?;
    let mut pixels = tiny_skia::Pixmap::new(size, size).expect("every size is more than none");
    let scale = size as f32 / tree.size().width();
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| format!("packing `{APP_ICON}` as PNG: {error}"))
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

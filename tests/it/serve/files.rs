//! Published files: what is served, how, and above all what is not.

use std::fs;

use super::{Server, site};

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_found_under_clean_addresses() {
    let server = Server::start().await;
    let table = [
        ("/about", "about"),
        ("/about.html", "about"),
        ("/archive/", "archive"),
        ("/archive/index.html", "archive"),
        ("/feeds/%C3%BC%20b.txt", "umlaut"),
        ("/about?query=ignored", "about"),
    ];
    for (target, body) in table {
        let answer = server.get(target).await;
        assert_eq!((answer.status, answer.text()), (200, body), "{target}");
    }
    assert!(server.get("/").await.text().starts_with("<!doctype html>"));
    let folder = server.get("/archive").await;
    assert_eq!((folder.status, folder.header("location")), (308, "./archive/"));
    let nothing = server.get("/nothing").await;
    assert_eq!((nothing.status, nothing.text()), (404, "nothing here, styled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_carries_the_security_headers() {
    let server = Server::start().await;
    for target in ["/", "/nothing", "/api/system/health", "/api/nothing", "/ws", "/assets/app.0123abcd.js"] {
        let answer = server.get(target).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert!(
            answer.header("content-security-policy").starts_with("default-src 'self'; script-src 'self';")
        );
        assert!(!answer.header("referrer-policy").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_of_a_file_carries_them_too() {
    let server = Server::start().await;
    let tag = server.get("/").await.header("etag").to_owned();
    for (status, method, header) in [
        (200, "HEAD", ("accept", "*/*")),
        (200, "GET", ("accept-encoding", "gzip")),
        (206, "GET", ("range", "bytes=0-4")),
        (304, "GET", ("if-none-match", tag.as_str())),
        (405, "POST", ("accept", "*/*")),
        (412, "GET", ("if-match", "\"other\"")),
        (413, "GET", ("content-length", "99999999")),
        (416, "GET", ("range", "bytes=99999999-")),
    ] {
        // Twice: the first may have to be packed.
        for _ in 0..2 {
            let answer = server.ask(method, "/", &[header]).await;
            assert_eq!(answer.status, status, "{method} {header:?}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{status}");
            assert!(answer.header("content-security-policy").contains("default-src 'self'"), "{status}");
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_takes_the_place_of_what_the_daemon_answers() {
    let server = Server::start().await;
    let own = [
        ("/api/system/health", 200),
        ("/api/operations", 405),
        ("/health", 200),
        ("/health/", 404),
        ("/metrics", 200),
        ("/live.json", 200),
        ("/ws", 426),
        ("/ws/", 426),
        ("/sign-in", 200),
        ("/sign-out", 303),
        ("/sign-in.css", 200),
    ];
    let mut paths = vec!["index.html".to_owned()];
    for (target, _) in own {
        let path = target.trim_matches('/');
        paths.extend(["", ".html", "/index.html"].map(|ending| format!("{path}{ending}")));
    }
    paths.sort();
    paths.dedup();
    // What is a file cannot be a folder, too.
    let folder = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
    let paths: Vec<&str> = paths.iter().filter(|path| !folder(path)).map(String::as_str).collect();
    let facts = site::facts(1);
    site::publish_files(&server.output(), &facts, &paths);
    let file = facts.moment_ms.to_string();
    server.until("/", |answer| answer.text() == file).await;
    for (target, status) in own {
        let answer = server.get(target).await;
        assert_eq!(answer.status, status, "{target}");
        assert_ne!(answer.text(), file, "{target}");
    }
    assert_eq!(server.get("/health.html").await.text(), file);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_once_and_compressed() {
    let server = Server::start().await;
    let plain = server.get("/").await;
    assert_eq!(plain.header("content-type"), "text/html; charset=utf-8");
    assert_eq!((plain.header("content-encoding"), plain.header("cache-control")), ("", "no-cache"));
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    assert_eq!(plain.header("link"), "<assets/s.css>; rel=preload; as=style");

    let packed = server.ask("GET", "/", &[("accept-encoding", "br;q=0.5, gzip;q=0.8")]).await;
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "accept-encoding"));
    assert!(packed.body.len() < plain.body.len() / 2);
    let mut unpacked = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(packed.body.as_slice()), &mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);
    let best = server.ask("GET", "/", &[("accept-encoding", "gzip, deflate, br, zstd")]).await;
    assert_eq!(best.header("content-encoding"), "br");
    let mut unpacked = Vec::new();
    brotli::BrotliDecompress(&mut best.body.as_slice(), &mut unpacked).expect("brotli");
    assert_eq!(unpacked, plain.body);
    let refused = server.ask("GET", "/", &[("accept-encoding", "gzip;q=0, zstd")]).await;
    assert_eq!(refused.header("content-encoding"), "");
    let small = server.ask("GET", "/about", &[("accept-encoding", "gzip")]).await;
    assert_eq!(small.header("content-encoding"), "");

    let tags = [plain.header("etag"), packed.header("etag"), best.header("etag")];
    assert!(tags[0] != tags[1] && tags[1] != tags[2], "a strong tag stands for one body: {tags:?}");
    for (accepted, tag) in [("identity", tags[0]), ("gzip", tags[1]), ("br", tags[2])] {
        let known = [("accept-encoding", accepted), ("if-none-match", tag)];
        let answer = server.ask("GET", "/", &known).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("etag")), (304, 0, tag));
    }
    let since = [("if-modified-since", plain.header("last-modified"))];
    assert_eq!(server.ask("GET", "/", &since).await.status, 304);
    let head = server.ask("HEAD", "/", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), plain.header("content-length"));
    let hashed = server.get("/assets/app.0123abcd.js").await;
    assert_eq!(hashed.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(server.get("/assets/plain.js").await.header("cache-control"), "no-cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_files_can_be_asked_for() {
    let server = Server::start().await;
    let whole = server.get("/").await;
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let length = whole.body.len();
    let part = server.ask("GET", "/", &[("range", "bytes=5-9"), ("accept-encoding", "br")]).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[5..10]));
    assert_eq!(part.header("content-range"), format!("bytes 5-9/{length}"));
    assert_eq!((part.header("content-encoding"), part.header("content-length")), ("", "5"));
    let end = server.ask("GET", "/", &[("range", "bytes=-7")]).await;
    assert_eq!((end.status, end.body.as_slice()), (206, &whole.body[length - 7..]));
    let beyond = server.ask("GET", "/", &[("range", "bytes=99999999-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, format!("bytes */{length}").as_str()));
    let stale = server.ask("GET", "/", &[("range", "bytes=0-4"), ("if-range", "\"old\"")]).await;
    assert_eq!((stale.status, stale.body.len()), (200, length));
    let fresh = server.ask("GET", "/", &[("range", "bytes=0-4"), ("if-range", whole.header("etag"))]).await;
    assert_eq!((fresh.status, fresh.body.len()), (206, 5));
    let missing = server.ask("GET", "/nothing", &[("range", "bytes=0-4")]).await;
    assert_eq!((missing.status, missing.text()), (404, "nothing here, styled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_a_link_is_not_followed() {
    let server = Server::start().await;
    let (output, elsewhere) = (server.output(), server.home.path().join("elsewhere"));
    fs::rename(output.join("archive"), &elsewhere).expect("ours");
    std::os::unix::fs::symlink(&elsewhere, output.join("archive")).expect("free");
    let settings = dash::serve::ServeSettings::default();
    let root = server.home.path().to_owned();
    let (watch, ready) = (Vec::new(), Box::new(|_: &str| {}));
    let daemon =
        dash::serve::Daemon { config: root.clone(), root, output, settings, rebuild: None, watch, ready };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let error = dash::serve::serve(listener, daemon, std::future::pending()).await.expect_err("it is a link");
    assert!(format!("{error:#}").contains("reached by a link"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_is_served_too() {
    let server = Server::start().await;
    let manifest = server.get("/snapshot.json").await;
    let on_disk = fs::read(server.output().join("snapshot.json")).expect("published");
    assert_eq!(manifest.body, on_disk);
    let script = server.get("/snapshot.js").await;
    assert!(script.text().starts_with("window.dashSnapshot={"));
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
}

/// Ways out of the folder, and to files in it that are not part of the site.
const ATTACKS: [&str; 38] = [
    "/../secret.txt",
    "/../../secret.txt",
    "/./../secret.txt",
    "/archive/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/..%c0%afsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/..;/secret.txt",
    "/%2e%2e%5csecret.txt",
    "/%2e%2e;/secret.txt",
    "/.%2e/secret.txt",
    "/..%00/secret.txt",
    "/..%252fsecret.txt",
    "/%25252e%25252e%25252fsecret.txt",
    "/%c0%ae%c0%ae%c0%afsecret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/%u002e%u002e/secret.txt",
    "/archive/%2e%2e/%2e%2e/secret.txt",
    "/%2fetc%2fpasswd",
    "//secret.txt",
    "///etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "/file:///etc/passwd",
    "/link.txt",
    "/linked/secret.txt",
    "/.dash-publishing",
    "/.hidden.txt",
    "/unlisted.txt",
    "/unlisted.txt%00.html",
    "/index.html%00/../unlisted.txt",
    "/api/../unlisted.txt",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_site_is_ever_served() {
    let server = Server::start().await;
    let (home, output) = (&server.home, &server.output());
    for name in ["unlisted.txt", ".hidden.txt", ".dash-publishing"] {
        fs::write(output.join(name), "SECRET").expect("writable");
    }
    fs::write(home.path().join("secret.txt"), "SECRET").expect("writable");
    std::os::unix::fs::symlink(home.path().join("secret.txt"), output.join("link.txt")).expect("free");
    std::os::unix::fs::symlink(home.path(), output.join("linked")).expect("free");
    let archive = output.join("archive");
    fs::write(archive.join(".hidden.txt"), "SECRET").expect("writable");
    std::os::unix::fs::symlink(home.path().join("secret.txt"), archive.join("link.txt")).expect("free");
    std::os::unix::fs::symlink(home.path(), archive.join("linked")).expect("free");
    for attack in ATTACKS {
        for prefix in ["", "/api", "/api/v1", "/assets", "/archive"] {
            let line =
                format!("GET {prefix}{attack} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = server.raw(line.as_bytes()).await.expect("an answer");
            assert!(matches!(answer.status, 400 | 404), "{line}: {}", answer.status);
            let body = String::from_utf8_lossy(&answer.body);
            assert!(!body.contains("SECRET") && !body.contains("root:"), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_snapshots_are_served_as_they_are_on_the_disk() {
    let server = Server::start().await;
    let entry = server.output().join("archive/20260125T130000Z");
    fs::create_dir_all(entry.join("wrappers")).expect("writable");
    fs::create_dir_all(server.output().join("archive/assets")).expect("writable");
    fs::write(entry.join("index.html"), "<p>kept</p>".repeat(500)).expect("writable");
    fs::write(entry.join("wrappers/a b.html"), "wrapper").expect("writable");
    fs::write(server.output().join("archive/assets/a.0123abcd.css"), "a{}").expect("writable");

    let page = server.get("/archive/20260125T130000Z/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let target = "/archive/20260125T130000Z/index.html";
    let packed = server.ask("GET", target, &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let again = server.ask("GET", target, &[("if-none-match", page.header("etag"))]).await;
    assert_eq!(again.status, 304);
    assert_eq!(server.get("/archive/20260125T130000Z/wrappers/a%20b.html").await.text(), "wrapper");
    let folder = server.get("/archive/20260125T130000Z").await;
    assert_eq!((folder.status, folder.header("location")), (308, "./20260125T130000Z/"));
    assert!(server.get("/archive/assets/a.0123abcd.css").await.header("cache-control").contains("immutable"));
    for nothing in
        ["/archive/20260125T130000Z/wrappers/", "/archive/20260125T130000Z/none.html", "/archive/x/"]
    {
        assert_eq!(server.get(nothing).await.status, 404, "{nothing}");
    }
    fs::write(entry.join("index.html"), "another").expect("writable");
    assert_eq!(server.get(target).await.text(), "another");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_do_no_harm() {
    let server = Server::start().await;
    let odd: [&[u8]; 9] = [
        b"GET * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET http://elsewhere/etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET http://elsewhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET ? HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET /about\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ];
    for bytes in odd {
        if let Some(answer) = server.raw(bytes).await {
            assert!(answer.status < 500, "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(server.get("/about").await.status, 200, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_below_a_path_is_only_there() {
    let server = Server::with(|settings| settings.base_path = "/team/dash".to_owned(), |_| None).await;
    for target in ["/team/dash/about", "/team/dash/api/system/health", "/team/dash/health", "/team/dash/"] {
        assert_eq!(server.get(target).await.status, 200, "{target}");
    }
    let bare = server.get("/team/dash").await;
    assert_eq!((bare.status, bare.header("location")), (308, "./dash/"));
    for target in ["/", "/about", "/team", "/team/dashabout", "/api/system/health", "/team/dash/../about"] {
        assert_eq!(server.get(target).await.status, 404, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_kept_files_are_sent_from_the_disk_with_all_that_http_asks() {
    let server = Server::start().await;
    let folder = server.output().join("archive/20260125T130000Z");
    fs::create_dir_all(&folder).expect("writable");
    let bytes: Vec<u8> = (0..5_u32 << 20).map(|at| (at / 7 % 251) as u8).collect();
    fs::write(folder.join("large.csv"), &bytes).expect("writable");
    let ask = async |method, headers: &[(&str, &str)]| {
        server.ask(method, "/archive/20260125T130000Z/large.csv", headers).await
    };
    let whole = ask("GET", &[("accept-encoding", "gzip")]).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert!(whole.body == bytes && whole.header("content-length") == bytes.len().to_string());
    let head = ask("HEAD", &[]).await;
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, whole.header("content-length"))
    );
    assert_eq!(head.header("etag"), whole.header("etag"));
    let known = ask("GET", &[("if-none-match", whole.header("etag"))]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let part = ask("GET", &[("range", "bytes=1000000-2000000")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &bytes[1_000_000..=2_000_000]));
    let last = ask("GET", &[("range", "bytes=-3")]).await;
    assert_eq!((last.status, &last.body[..]), (206, &bytes[bytes.len() - 3..]));
    assert_eq!(ask("GET", &[("range", "bytes=99999999-")]).await.status, 416);

    // Written anew: another version.
    fs::write(folder.join("large.csv"), &bytes[1..]).expect("writable");
    let next = ask("GET", &[("if-none-match", whole.header("etag"))]).await;
    assert!(next.status == 200 && next.body == bytes[1..]);
}

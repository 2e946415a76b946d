//! Who is let in, to what, and for how long.

use dash::access::Role;
use dash::access::accounts::{Accounts, FILE};
use dash::serve::ServeSettings;
use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Answer, LIMIT, Server};

const PASSWORD: &str = "correct horse";

/// Tokens of a server with users, by role.
struct Tokens {
    viewer: String,
    operator: String,
    admin: String,
}

/// A daemon with the user `ana`, an admin, and a token of each role.
async fn guarded(change: impl FnOnce(&mut ServeSettings)) -> (Server, Tokens) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut accounts = Accounts::default();
    accounts.set_user("ana", PASSWORD, Role::Admin).expect("valid");
    let mut bearer = |role: Role| {
        let token = accounts.add_token(role.word(), role.word(), role).expect("free");
        format!("Bearer {token}")
    };
    let tokens =
        Tokens { viewer: bearer(Role::Viewer), operator: bearer(Role::Operator), admin: bearer(Role::Admin) };
    accounts.write(&home.path().join(FILE)).expect("writable");
    (Server::at(home, change, |_| None).await, tokens)
}

async fn sign_in(server: &Server, name: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    let form = format!("name={name}&password={}&to=wrappers/x.html", password.replace(' ', "+"));
    let headers = [headers, &[("content-type", "application/x-www-form-urlencoded")]].concat();
    server.post("/sign-in", &headers, form.as_bytes()).await
}

/// The cookie that an answer sets, as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

const EVERYTHING: [&str; 10] = [
    "/",
    "/about",
    "/assets/app.0123abcd.js",
    "/snapshot.json",
    "/api/system/health",
    "/api/v1/metrics/export?format=csv",
    "/api/openapi.json",
    "/health",
    "/metrics",
    "/live.json",
];

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_nothing_and_are_told_how_to_come_in() {
    let (server, tokens) = guarded(|_| {}).await;
    for target in EVERYTHING {
        let stranger = server.get(target).await;
        assert_eq!(stranger.status, 401, "{target}");
        assert!(stranger.header("www-authenticate").starts_with("Bearer"), "{target}");
        assert!(stranger.header("content-security-policy").contains("default-src 'self'"));
        let known = server.ask("GET", target, &[("authorization", &tokens.viewer)]).await;
        assert_eq!(known.status, 200, "{target}");
        assert!(known.header("cache-control").starts_with("private, "), "{target}");
    }
    assert_eq!(server.get("/api/system/health").await.json()["error"]["code"], "unauthorized");
    let page = server.ask("GET", "/wrappers/x.html?a=b", &[("accept", "text/html,*/*")]).await;
    assert_eq!((page.status, page.header("content-type")), (401, "text/html; charset=utf-8"));
    assert!(page.text().contains("action=\"./../sign-in\""), "{}", page.text());
    assert!(page.text().contains("name=\"to\" value=\"wrappers/x.html?a=b\""), "{}", page.text());
    let markup = server.ask("GET", "/?%22%3E<script>", &[("accept", "text/html")]).await;
    assert!(!markup.text().contains("<script"), "{}", markup.text());
    assert_eq!(server.get("/sign-in").await.status, 200);
    assert_eq!(server.get("/sign-in.css").await.status, 200);
    for encoded in ["/%73ign-in", "/sign-in/../about", "/sign-in/", "//sign-in", "/sign-in%2f..%2fabout"] {
        assert_eq!(server.get(encoded).await.status, 401, "{encoded}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_a_session_and_signing_out_ends_it() {
    let (server, _) = guarded(|_| {}).await;
    let wrong = sign_in(&server, "ana", "wrong horse", &[]).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    assert!(wrong.text().contains("value=\"ana\"") && !wrong.text().contains("wrong"), "{}", wrong.text());
    let markup = sign_in(&server, "%22%3E%3Cscript%3E", "wrong horse", &[]).await;
    assert!(markup.text().contains("value=\"&quot;&gt;&lt;script&gt;\""), "{}", markup.text());
    let answer = sign_in(&server, "ana", PASSWORD, &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "./wrappers/x.html"));
    let set = answer.header("set-cookie");
    assert!(set.contains("; HttpOnly; SameSite=Lax") && !set.contains("Secure"), "{set}");
    let cookie = cookie(&answer);
    let with = [("cookie", cookie.as_str())];
    assert_eq!(server.ask("GET", "/about", &with).await.status, 200);
    let mark = server.ask("GET", "/live.json", &with).await.json();
    assert_eq!((&mark["users"], &mark["user"]), (&true.into(), &"ana".into()));
    assert!(server.ask("GET", "/sign-in", &with).await.text().contains("<strong>ana</strong>"));

    let kept = std::fs::read_to_string(server.home.path().join(".dash/sessions.json")).expect("it is kept");
    let secret = cookie.split_once('=').expect("a pair").1;
    assert!(!kept.contains(secret), "what is kept lets nobody in");
    let digest = kept.split('"').nth(1).expect("a digest").to_owned();
    let forged = format!("dash-session={digest}");
    assert_eq!(server.ask("GET", "/about", &[("cookie", &forged)]).await.status, 401);

    let sessions = server.ask("GET", "/api/sessions", &with).await.json();
    assert_eq!(sessions["data"][0]["user"], "ana");
    let out = server.post("/sign-out", &with, b"").await;
    assert_eq!((out.status, out.header("location")), (303, "./sign-in"));
    assert_eq!(server.ask("GET", "/about", &with).await.status, 401, "a replayed cookie lets nobody in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_daemon_but_not_its_user() {
    let (server, _) = guarded(|_| {}).await;
    let cookie = cookie(&sign_in(&server, "ana", PASSWORD, &[]).await);
    let Server { home, stop, task, .. } = server;
    stop.send(()).expect("it runs");
    task.await.expect("no panic").expect("no error");
    let server = Server::at(home, |_| {}, |_| None).await;
    let with = [("cookie", cookie.as_str())];
    assert_eq!(server.ask("GET", "/about", &with).await.status, 200);

    let path = server.home.path().join(FILE);
    let mut accounts = Accounts::read(&path).expect("readable");
    accounts.remove_user("ana");
    accounts.write(&path).expect("writable");
    let out = async {
        while server.ask("GET", "/about", &with).await.status != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, out).await.expect("the daemon follows the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_bound_what_one_may_do() {
    let (server, tokens) = guarded(|_| {}).await;
    let status = async |method: &str, target: &str, token: &str| {
        server.ask(method, target, &[("authorization", token)]).await.status
    };
    for (token, sessions) in [(&tokens.viewer, 403), (&tokens.operator, 403), (&tokens.admin, 200)] {
        assert_eq!(status("GET", "/api/sessions", token).await, sessions);
        assert_eq!(status("GET", "/api/v1/sessions", token).await, sessions);
        assert_eq!(status("DELETE", "/api/sessions?user=ana", token).await, sessions);
    }
    for path in ["/api/operations", "/api/operations/", "/api/v1/operations/", "/api/sessions/"] {
        assert_eq!(status("POST", path, &tokens.viewer).await, 403, "{path}");
    }
    let report = br#"{"wrapper_name":"forged","end_time":"2026-01-25T12:00:00Z"}"#;
    for path in ["/api/operations//", "/api//operations", "//api/operations", "/api/v1//operations"]
        .into_iter()
        .chain(["/api/%6fperations", "/%61pi/operations", "/api/operations/.", "/api/x/../operations"])
    {
        let headers = [("authorization", tokens.viewer.as_str()), ("content-type", "application/json")];
        let status = server.post(path, &headers, report).await.status;
        assert!(matches!(status, 403..=405), "{path}: {status}");
    }
    let cookie = cookie(&sign_in(&server, "ana", PASSWORD, &[]).await);
    let ended = server.ask("DELETE", "/api/sessions?user=ana", &[("authorization", &tokens.admin)]).await;
    assert_eq!(ended.json()["data"]["ended"], 1);
    assert_eq!(server.ask("GET", "/about", &[("cookie", &cookie)]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_and_cookies_let_nobody_in() {
    let (server, tokens) = guarded(|_| {}).await;
    let token = tokens.admin.strip_prefix("Bearer ").expect("a bearer");
    let cookie = cookie(&sign_in(&server, "ana", PASSWORD, &[]).await);
    let secret = cookie.split_once('=').expect("a pair").1;
    let swapped = |text: &str| {
        let (start, last) = text.split_at(text.len() - 1);
        format!("{start}{}", if last == "a" { "b" } else { "a" })
    };
    let forged = [
        ("authorization", String::new()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", token.to_owned()),
        ("authorization", format!("Basic {token}")),
        ("authorization", format!("Bearer {}", &token[..token.len() - 1])),
        ("authorization", format!("Bearer {}", swapped(token))),
        ("authorization", format!("Bearer {}", token.to_ascii_uppercase())),
        ("authorization", format!("Bearer {token}, {token}")),
        ("authorization", format!("Bearer {secret}")),
        ("cookie", "dash-session".to_owned()),
        ("cookie", "dash-session=".to_owned()),
        ("cookie", format!("dash-session={}", swapped(secret))),
        ("cookie", format!("dash-session={token}")),
        ("cookie", format!("dash-session=\"{secret}\"")),
        ("cookie", format!("DASH-SESSION={secret}")),
        ("x-forwarded-user", "ana".to_owned()),
    ];
    for (name, value) in &forged {
        for target in ["/about", "/api/system/health"] {
            let status = server.ask("GET", target, &[(name, value)]).await.status;
            // After a few, attempts are not even looked at.
            assert!(matches!(status, 401 | 429), "{name}: {value}: {status}");
        }
    }
    assert_eq!(server.ask("GET", "/about", &[("authorization", &tokens.viewer)]).await.status, 200);
    assert_eq!(server.ask("GET", "/about", &[("cookie", &cookie)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_and_a_socket_lose_what_their_user_may_no_longer_do() {
    let (server, _) = guarded(|_| {}).await;
    let cookie = cookie(&sign_in(&server, "ana", PASSWORD, &[]).await);
    let with = [("cookie", cookie.as_str())];
    assert_eq!(server.ask("GET", "/api/sessions", &with).await.status, 200);
    let socket = connect(&server, ("cookie", &cookie)).await.expect("it upgrades");
    let path = server.home.path().join(FILE);
    let mut accounts = Accounts::read(&path).expect("readable");
    accounts.set_user("ana", PASSWORD, Role::Viewer).expect("valid");
    accounts.write(&path).expect("writable");
    assert_eq!(closed(socket).await, 1008);
    assert_ne!(server.ask("GET", "/api/sessions", &with).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_nowhere_else() {
    let (server, _) = guarded(|_| {}).await;
    for to in [
        "//evil.example",
        "https://evil.example",
        "%5c%5cevil.example",
        "/%5cevil.example",
        "javascript:alert(1)",
        "a%0d%0aset-cookie:%20a=b",
        "%00",
        "../../evil.example",
    ] {
        let body = format!("name=ana&password={}&to={to}", PASSWORD.replace(' ', "+"));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = server.post("/sign-in", &form, body.as_bytes()).await;
        // What begins so has neither scheme nor host, whatever follows.
        assert!(answer.status == 303 && answer.header("location").starts_with("./"), "{to}: {answer:?}");
        assert!(answer.header("set-cookie").starts_with("dash-session="), "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let (server, tokens) = guarded(|_| {}).await;
    for _ in 0..5 {
        assert_eq!(server.ask("GET", "/about", &[("authorization", "Bearer dash_guess")]).await.status, 401);
        assert_eq!(sign_in(&server, "nobody", "wrong horse", &[]).await.status, 401);
    }
    // A token that holds is not locked out by guesses from the same address.
    assert_eq!(server.ask("GET", "/about", &[("authorization", &tokens.viewer)]).await.status, 200);
    for answer in [
        sign_in(&server, "ana", PASSWORD, &[]).await,
        server.ask("GET", "/about", &[("authorization", "Bearer dash_guess")]).await,
    ] {
        assert_eq!(answer.status, 429);
        let wait: u32 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=301).contains(&wait), "{wait}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_one_password_guesses_no_faster_at_another() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut accounts = Accounts::default();
    for name in ["ana", "vic"] {
        accounts.set_user(name, PASSWORD, Role::Viewer).expect("valid");
    }
    accounts.write(&home.path().join(FILE)).expect("writable");
    let server = Server::at(home, |_| {}, |_| None).await;
    for guess in 0..10 {
        assert_eq!(sign_in(&server, "ana", "wrong horse", &[]).await.status, 401, "{guess}");
        sign_in(&server, "vic", PASSWORD, &[]).await;
    }
    assert_eq!(sign_in(&server, "ana", PASSWORD, &[]).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_sign_nobody_in_or_out() {
    let (server, _) = guarded(|_| {}).await;
    for headers in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        assert_eq!(sign_in(&server, "ana", PASSWORD, &[headers]).await.status, 403, "{headers:?}");
    }
    let own = format!("http://{}", server.address);
    assert_eq!(sign_in(&server, "ana", PASSWORD, &[("origin", &own)]).await.status, 303);
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(server: &Server, header: (&'static str, &str)) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/ws", server.address).into_client_request().expect("valid");
    request.headers_mut().insert(header.0, header.1.parse().expect("a header"));
    let stream = TcpStream::connect(server.address).await.expect("it listens");
    client_async(request, stream).await.map(|(socket, _)| socket)
}

/// The code with which a socket is closed, which is told of no snapshot before.
async fn closed(mut socket: Socket) -> u16 {
    let close = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.expect("with its reason").code.into(),
                Some(Ok(Message::Text(text))) => assert!(!text.contains("refresh"), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(LIMIT, close).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_for_those_who_may_look_and_end_with_their_session() {
    let (server, tokens) = guarded(|_| {}).await;
    match connect(&server, ("cookie", "dash-session=forged")).await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 401),
        other => panic!("{other:?}"),
    }
    let cookie = cookie(&sign_in(&server, "ana", PASSWORD, &[]).await);
    let socket = connect(&server, ("cookie", &cookie)).await.expect("it upgrades");
    assert_eq!(server.post("/sign-out", &[("cookie", cookie.as_str())], b"").await.status, 303);
    server.publish(1);
    assert_eq!(closed(socket).await, 1008);

    // Those of a user and of a token that are removed end by themselves, whether anyone asks or nothing changes.
    let cookie = self::cookie(&sign_in(&server, "ana", PASSWORD, &[]).await);
    let session = connect(&server, ("cookie", &cookie)).await.expect("it upgrades");
    let script = connect(&server, ("authorization", &tokens.viewer)).await.expect("it upgrades");
    let path = server.home.path().join(FILE);
    let mut accounts = Accounts::read(&path).expect("readable");
    accounts.remove_user("ana");
    accounts.remove_token("viewer");
    accounts.write(&path).expect("writable");
    let begun = std::time::Instant::now();
    assert_eq!((closed(session).await, closed(script).await), (1008, 1008));
    assert!(begun.elapsed().as_secs() < 10, "well before the next ping");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_anyone_may_look_only_the_known_may_do_more() {
    let (server, tokens) = guarded(|settings| settings.public = true).await;
    assert_eq!(server.get("/about").await.status, 200);
    assert!(!server.get("/about").await.header("cache-control").contains("private"));
    assert_eq!(server.get("/api/sessions").await.status, 401);
    assert_eq!(server.ask("GET", "/api/sessions", &[("authorization", &tokens.admin)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_secure_behind_a_proxy_that_is_trusted() {
    let trusting = |settings: &mut ServeSettings| {
        settings.trusted_proxies = vec!["127.0.0.1".parse().expect("valid")];
    };
    let by_tls = [("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.7")];
    let (server, _) = guarded(trusting).await;
    assert!(sign_in(&server, "ana", PASSWORD, &by_tls).await.header("set-cookie").contains("; Secure"));
    let (server, _) = guarded(|_| {}).await;
    assert!(!sign_in(&server, "ana", PASSWORD, &by_tls).await.header("set-cookie").contains("; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_sites_may_ask_and_others_may_not_read() {
    let origin = "https://friend.example";
    let server = Server::with(|settings| settings.cors = vec![origin.to_owned()], |_| None).await;
    let friend = server.ask("GET", "/api/system/health", &[("origin", origin)]).await;
    assert_eq!((friend.status, friend.header("access-control-allow-origin")), (200, origin));
    assert!(friend.header("vary").contains("origin"), "{}", friend.header("vary"));
    let page = server.ask("GET", "/about", &[("origin", origin)]).await;
    assert_eq!((page.header("access-control-allow-origin"), page.header("vary")), (origin, "origin"));
    let other = server.ask("GET", "/api/system/health", &[("origin", "https://evil.example")]).await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, ""));
    let asked = [("origin", origin), ("access-control-request-method", "POST")];
    let preflight = server.ask("OPTIONS", "/api/operations", &asked).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, origin));
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(preflight.header("access-control-allow-credentials"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits() {
    let limited = |settings: &mut ServeSettings| {
        settings.requests_per_second = Some(1);
        settings.trusted_proxies = vec!["127.0.0.1".parse().expect("valid")];
    };
    let server = Server::with(limited, |_| None).await;
    for (target, address) in [("/api/system/health", "192.0.2.7"), ("/about", "192.0.2.8")] {
        let from = async |address: &str| server.ask("GET", target, &[("x-forwarded-for", address)]).await;
        let mut refused = 0;
        for _ in 0..15 {
            let answer = from(address).await;
            if answer.status == 429 {
                refused += 1;
                assert!(answer.text().contains("too many requests"), "{}", answer.text());
                assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
            }
        }
        assert!(refused >= 3, "{refused}");
        assert_eq!(from("192.0.2.9").await.status, 200, "others are not held up");
    }
}

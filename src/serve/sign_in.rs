//! Signing in and out, for people: a page with a form, and a cookie.

use std::sync::Arc;

use warp::http::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::access::Identity;
use crate::access::sessions::LASTS_MS;
use crate::report::escape::markup;
use crate::report::hosting::HTML;
use crate::report::icon_address;
use crate::serve::answer::{TEXT, form_value, plain};
use crate::serve::client::Client;
use crate::serve::keeper::{Keeper, Pass, Refusal};

/// Below the base path.
pub const SIGN_IN: &str = "sign-in";
pub const SIGN_OUT: &str = "sign-out";
pub const STYLE: &str = "sign-in.css";

pub const COOKIE_NAME: &str = "dash-session";

/// Most bytes of a filled-in form.
pub const MOST_BYTES: u64 = 8 << 10;

/// A request to one of the pages above.
#[derive(Debug)]
pub struct Visit {
    pub method: Method,
    pub client: Client,
    /// What the client came in by.
    pub pass: Option<Pass>,
    /// `None` where it did not arrive.
    pub body: Option<Vec<u8>>,
}

/// What a form asks for, or what stands instead of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Where to go afterwards, below the base path.
    pub to: &'a str,
    /// How deep below the base path the page is shown.
    pub depth: usize,
    pub problem: Option<&'a str>,
    /// The name that was filled in.
    pub name: &'a str,
}

/// Shows the form, or signs in by what it was filled in with.
pub async fn sign_in(keeper: Arc<Keeper>, visit: Visit) -> Response {
    if visit.method != Method::POST {
        return match &visit.pass {
            Some(pass) => signed_in(&pass.identity),
            None => form(StatusCode::OK, &Asked::default()),
        };
    }
    let Some(body) = &visit.body else {
        return plain(StatusCode::REQUEST_TIMEOUT, TEXT, "the form did not arrive in time\n");
    };
    let value = |name| std::str::from_utf8(body).ok().and_then(|body| form_value(body, name));
    let (name, to) = (value("name").unwrap_or_default(), value("to").unwrap_or_default());
    let password = value("password").unwrap_or_default();
    let asked = Asked { to: &to, name: &name, ..Asked::default() };
    match keeper.sign_in(&name, password, visit.client.address).await {
        Ok(secret) => {
            let mut response = see_other(&to);
            set_cookie(&mut response, &secret, LASTS_MS / 1000, visit.client.https);
            response
        }
        Err(Refusal::Wrong) => {
            let problem = Some("Nobody of that name has that password.");
            form(StatusCode::UNAUTHORIZED, &Asked { problem, ..asked })
        }
        Err(Refusal::Wait(time)) => {
            let problem = Some("Too many attempts; try again in a few minutes.");
            let mut response = form(StatusCode::TOO_MANY_REQUESTS, &Asked { problem, ..asked });
            response.headers_mut().insert(RETRY_AFTER, (time.as_secs() + 1).into());
            response
        }
    }
}

/// Ends the session.
pub async fn sign_out(keeper: Arc<Keeper>, visit: Visit) -> Response {
    if visit.method != Method::POST {
        return see_other(SIGN_IN);
    }
    if let Some(pass) = &visit.pass {
        keeper.sign_out(pass).await;
    }
    let mut response = see_other(SIGN_IN);
    set_cookie(&mut response, "", 0, visit.client.https);
    response
}

/// The secret of the session in a request.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.to_owned())
}

fn set_cookie(response: &mut Response, secret: &str, seconds: i64, https: bool) {
    // Without a path of ours in it, the cookie holds behind proxies that take a prefix away.
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE_NAME}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

/// To a page of the site, whatever `to` says: after `./`, nothing is the name of a host, and nothing leads up.
fn see_other(to: &str) -> Response {
    let mut response = plain(StatusCode::SEE_OTHER, TEXT, "");
    let to = if leads_up(to) { "" } else { to.trim_start_matches('/') };
    let location = HeaderValue::from_str(&format!("./{to}"));
    let location = location.unwrap_or(HeaderValue::from_static("./"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// Whether a browser could find a way up in this: it takes `\` for `/` and `%2e` for a dot, and leaves out blanks
/// at the end, and tabs and line breaks anywhere.
fn leads_up(to: &str) -> bool {
    let path = to.split(['?', '#']).next().unwrap_or_default();
    let dots = |segment: &str| segment.trim().to_ascii_lowercase().replace("%2e", ".") == "..";
    to.contains(char::is_control) || path.split(['/', '\\']).any(dots)
}

/// The form, at whatever address it is needed.
pub fn form(status: StatusCode, asked: &Asked) -> Response {
    let (up, to, name) = ("../".repeat(asked.depth), markup(asked.to), markup(asked.name));
    // Whoever has a name there goes on with the password.
    let (first, second) = if name.is_empty() { (" autofocus", "") } else { ("", " autofocus") };
    let problem =
        asked.problem.map(|problem| format!("<p role=\"alert\">{problem}</p>\n")).unwrap_or_default();
    let main = format!(
        "<h1>Sign in</h1>\n{problem}<form method=\"post\" action=\"./{up}{SIGN_IN}\">\n\
         <input type=\"hidden\" name=\"to\" value=\"{to}\">\n\
         <label for=\"name\">Name</label>\n\
         <input id=\"name\" name=\"name\" value=\"{name}\" autocomplete=\"username\" autocapitalize=\"none\" required{first}>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{second}>\n\
         <button>Sign in</button>\n</form>\n"
    );
    page(status, &up, &main)
}

fn signed_in(identity: &Identity) -> Response {
    let (name, role) = (markup(&identity.name), identity.role.word());
    let main = format!(
        "<h1>Signed in</h1>\n<p>You are <strong>{name}</strong>, {role}. <a href=\"./\">To the site</a></p>\n\
         <form method=\"post\" action=\"./{SIGN_OUT}\">\n<button>Sign out</button>\n</form>\n"
    );
    page(StatusCode::OK, "", &main)
}

/// `up` leads to the base path.
fn page(status: StatusCode, up: &str, main: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>Sign in</title>\n\
         <link rel=\"icon\" href=\"{}\">\n<link rel=\"stylesheet\" href=\"./{up}{STYLE}\">\n</head>\n<body>\n<main>\n{main}</main>\n</body>\n</html>\n",
        icon_address()
    );
    plain(status, HTML, html)
}

/// The look of the page.
pub fn style() -> Response {
    plain(StatusCode::OK, "text/css; charset=utf-8", CSS)
}

const CSS: &str = "\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { width: min(20rem, calc(100vw - 2rem)); }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
label { display: block; margin-top: .75rem; font-size: .9rem; }
input, button { box-sizing: border-box; width: 100%; padding: .6rem .7rem; font: inherit; border-radius: .4rem; border: 1px solid color-mix(in srgb, currentColor 35%, transparent); }
button { margin-top: 1.25rem; cursor: pointer; background: #1d4ed8; border-color: #1d4ed8; color: #fff; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid #3b82f6; outline-offset: 2px; }
[role=alert] { margin: 0; padding: .5rem .7rem; border-left: 4px solid #dc2626; background: color-mix(in srgb, #dc2626 12%, transparent); }
";

/// Whether a client would show a page: others are told in the words of the API.
pub fn takes_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(warp::http::header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html")) && !headers.contains_key(CONTENT_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_never_leads_to_another_host() {
        let location = |to: &str| see_other(to).headers()[LOCATION].to_str().expect("text").to_owned();
        assert_eq!(location("wrappers/x.html?a=b"), "./wrappers/x.html?a=b");
        assert_eq!(location("//evil.example"), "./evil.example");
        assert_eq!(location("https://evil.example"), "./https://evil.example");
        assert_eq!(location("a\r\nset-cookie: x=y"), "./");
        let up = [
            "..",
            "../../x",
            "/../x",
            "a/../../x",
            "..\\x",
            "%2e%2E/x",
            ".%2e/x",
            ".\t./x",
            ".. ",
            "..?a",
            "..#a",
        ];
        for to in up {
            assert_eq!(location(to), "./", "{to:?}");
        }
        assert_eq!(location("?from=../x"), "./?from=../x");
        assert_eq!(location("a..b/...html"), "./a..b/...html");
    }

    #[test]
    fn cookies_are_found_among_others() {
        let headers = |value: &str| HeaderMap::from_iter([(COOKIE, value.parse().expect("a header"))]);
        assert_eq!(cookie(&headers("a=b; dash-session=x; c=d")), Some("x".to_owned()));
        assert_eq!(cookie(&headers("xdash-session=x")), None);
        assert_eq!(cookie(&HeaderMap::new()), None);
    }
}

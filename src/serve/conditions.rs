//! What a request makes an answer depend on: its codings, validators and ranges (RFC 9110, 12.5.3, 13 and 14).

use std::ops::Range;
use std::time::{Duration, SystemTime};

use warp::http::header::{
    ACCEPT_ENCODING, AsHeaderName, HeaderMap, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// The better ones first.
    pub const ALL: [Coding; 2] = [Coding::Brotli, Coding::Gzip];

    pub fn word(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }
}

/// All values of a list header, in order.
fn list(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The coding that a client likes best; `None` is the plain body. Whoever names nothing gets that.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    let (mut brotli, mut gzip, mut identity, mut any) = (None, None, None, None);
    for item in list(headers, ACCEPT_ENCODING) {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").or_else(|| weight.trim().strip_prefix("Q="));
        let weight = weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0));
        match name.trim() {
            "*" => any = Some(weight),
            name if name.eq_ignore_ascii_case("br") => brotli = Some(weight),
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                gzip = Some(weight);
            }
            name if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
            _ => {}
        }
    }
    let weight = |named: Option<f32>| named.or(any).unwrap_or(0.0);
    let plain = identity.unwrap_or(0.0);
    let liked = |weight: f32| weight > 0.0 && weight >= plain;
    match (weight(brotli), weight(gzip)) {
        (brotli, gzip) if liked(brotli) && brotli >= gzip => Some(Coding::Brotli),
        (_, gzip) if liked(gzip) => Some(Coding::Gzip),
        _ => None,
    }
}

/// What identifies one version of a body.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// A strong entity tag, quotes included.
    pub etag: &'a str,
    pub modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// The client has this version: 304.
    NotModified,
    /// The client wanted another version: 412.
    Failed,
}

impl Version<'_> {
    /// Weighs the conditions of a `GET` or `HEAD`, in the order of RFC 9110, 13.2.2.
    pub fn verdict(&self, headers: &HeaderMap) -> Verdict {
        let strong = |tag: &str| tag == "*" || tag == self.etag;
        let weak = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag;
        let unchanged_since = |name| Some(self.modified? <= date(headers.get(name)?)?);
        if headers.contains_key(IF_MATCH) {
            if !list(headers, IF_MATCH).any(strong) {
                return Verdict::Failed;
            }
        } else if unchanged_since(IF_UNMODIFIED_SINCE) == Some(false) {
            return Verdict::Failed;
        }
        let known = match headers.contains_key(IF_NONE_MATCH) {
            true => list(headers, IF_NONE_MATCH).any(weak),
            false => unchanged_since(IF_MODIFIED_SINCE) == Some(true),
        };
        if known { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether a range of this version is wanted, and not of another that the client has a part of.
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        let Some(meant) = headers.get(IF_RANGE) else { return true };
        let same_date = || date(meant).is_some_and(|date| Some(date) == self.modified);
        meant.to_str().is_ok_and(|tag| tag == self.etag) || same_date()
    }
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// To whole seconds, as the headers tell it.
pub fn whole_seconds(time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since.as_secs()))
}

/// Which part of a body is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// 206.
    Range(Range<u64>),
    /// 416: there is no such part.
    Nowhere,
}

/// The part that a request asks for, of `length` bytes. Several ranges at once, and units other than bytes, get
/// the whole: a server may always do so.
pub fn part(headers: &HeaderMap, version: &Version, length: u64) -> Part {
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large for the number is beyond any body.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let found = match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => first..length,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (None, Some(newest)) if first.is_empty() => length.saturating_sub(newest)..length,
        _ => return Part::Whole,
    };
    match found {
        _ if !version.is_meant(headers) => Part::Whole,
        found if found.start < found.end => Part::Range(found),
        _ => Part::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use warp::http::header::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn the_coding_is_the_one_that_weighs_most() {
        use Coding::{Brotli, Gzip};
        let table = [
            ("", None),
            ("gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("br;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("br; q=0.8 , GZIP ;q=0.8", Some(Brotli)),
            ("gzip;q=0", None),
            ("gzip;q=0.000, br;q=0", None),
            ("*", Some(Brotli)),
            ("*;q=0.1, br;q=0", Some(Gzip)),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip", Some(Gzip)),
            ("identity;q=1, gzip;q=0.5", None),
            ("gzip;q=x", None),
            ("x-gzip", Some(Gzip)),
            (";;;,,,q=", None),
        ];
        for (accepted, expected) in table {
            assert_eq!(coding(&headers(&[("accept-encoding", accepted)])), expected, "{accepted}");
        }
        let twice = headers(&[("accept-encoding", "gzip"), ("accept-encoding", "br")]);
        assert_eq!((coding(&twice), coding(&HeaderMap::new())), (Some(Brotli), None));
    }

    #[test]
    fn conditions_are_weighed_in_their_order() {
        let modified = httpdate::parse_http_date("Mon, 21 Sep 2026 14:13:20 GMT").ok();
        let version = Version { etag: "\"a\"", modified };
        let (before, same) = ("Mon, 21 Sep 2026 14:13:19 GMT", "Mon, 21 Sep 2026 14:13:20 GMT");
        use Verdict::{Failed, NotModified, Send};
        let table: [(&[(&str, &str)], Verdict); 15] = [
            (&[], Send),
            (&[("if-none-match", "\"b\", W/\"a\"")], NotModified),
            (&[("if-none-match", "\"b\"")], Send),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "a")], Send),
            (&[("if-modified-since", same)], NotModified),
            (&[("if-modified-since", before)], Send),
            (&[("if-modified-since", "yesterday")], Send),
            (&[("if-none-match", "\"b\""), ("if-modified-since", same)], Send),
            (&[("if-match", "\"a\"")], Send),
            (&[("if-match", "W/\"a\"")], Failed),
            (&[("if-match", "\"b\", *")], Send),
            (&[("if-unmodified-since", before)], Failed),
            (&[("if-unmodified-since", same)], Send),
            (&[("if-match", "\"a\""), ("if-unmodified-since", before)], Send),
        ];
        for (conditions, expected) in table {
            let conditions: Vec<_> = conditions.iter().map(|(name, value)| (*name, *value)).collect();
            let names: Vec<(&'static str, &str)> = conditions;
            assert_eq!(version.verdict(&headers(&names)), expected, "{names:?}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_body() {
        let version = Version { etag: "\"a\"", modified: None };
        let table = [
            ("bytes=0-4", Part::Range(0..5)),
            ("bytes=5-", Part::Range(5..10)),
            ("bytes=-3", Part::Range(7..10)),
            ("bytes=-99", Part::Range(0..10)),
            ("bytes=0-99999999999999999999999", Part::Range(0..10)),
            ("bytes=9-9", Part::Range(9..10)),
            ("bytes=10-", Part::Nowhere),
            ("bytes=-0", Part::Nowhere),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=0-4", Part::Whole),
        ];
        for (asked, expected) in table {
            assert_eq!(part(&headers(&[("range", asked)]), &version, 10), expected, "{asked}");
        }
        let asked = |tag| part(&headers(&[("range", "bytes=0-4"), ("if-range", tag)]), &version, 10);
        assert_eq!((asked("\"a\""), asked("\"b\"")), (Part::Range(0..5), Part::Whole));
        assert_eq!(asked("W/\"a\""), Part::Whole);
        assert_eq!(part(&headers(&[("range", "bytes=0-")]), &version, 0), Part::Nowhere);
    }

    proptest! {
        #[test]
        fn no_header_leads_out_of_the_body(range in "bytes=[0-9, -]{0,12}|.{0,20}", length in 0_u64..50) {
            let Ok(value) = HeaderValue::from_str(&range) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, value.clone());
            headers.insert(ACCEPT_ENCODING, value);
            coding(&headers);
            let version = Version { etag: "\"a\"", modified: None };
            if let Part::Range(range) = part(&headers, &version, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}

//! Who asks, and from where: the address of a client, whether it came by TLS, and which page sent it.
//!
//! A proxy tells of its clients in `X-Forwarded-For` and `X-Forwarded-Proto`, and so can anyone: only those of the
//! proxies that the settings name are believed.

use std::net::IpAddr;
use std::str::FromStr;

use warp::http::Method;
use warp::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// An address, or all that begin with the same bits: `127.0.0.1`, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let problem = || format!("`{text}` is not an address or a network, like `127.0.0.1` or `10.0.0.0/8`");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(problem)?;
        Ok(Network { address, bits })
    }
}

impl Network {
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address.to_canonical(), other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same_start(u128::from(own.to_bits()) << 96, u128::from(other.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same_start(own.to_bits(), other.to_bits(), self.bits),
            _ => false,
        }
    }
}

fn same_start(one: u128, other: u128, bits: u32) -> bool {
    (one ^ other).checked_shr(128 - bits).unwrap_or(0) == 0
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// Whether what it sends travels by TLS.
    pub https: bool,
}

impl Client {
    /// Who a request is of that came over a connection from `peer`, by TLS or not.
    pub fn of(peer: Client, headers: &HeaderMap, trusted: &[Network]) -> Client {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(peer.address) {
            return peer;
        }
        let values = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        // Each proxy appends whom it heard from: what stands before the last stranger is hearsay.
        let mut address = peer.address;
        for hop in hops.iter().rev() {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            address = hop;
            if !is_trusted(hop) {
                break;
            }
        }
        let proto = headers.get(FORWARDED_PROTO).and_then(|proto| proto.to_str().ok());
        let https = proto.map_or(peer.https, |proto| proto.trim().eq_ignore_ascii_case("https"));
        Client { address: address.to_canonical(), https }
    }
}

/// Whether a page of this site, or no page at all, sent a request. Browsers name the page's origin, and no page
/// can change that.
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    matches!((host, own), (Some(host), Some(own)) if host.eq_ignore_ascii_case(own))
}

/// The origin of a request, if the settings list it.
pub fn listed_origin<'a>(headers: &'a HeaderMap, listed: &[String]) -> Option<&'a str> {
    let origin = headers.get(ORIGIN)?.to_str().ok()?;
    listed.iter().any(|known| known.eq_ignore_ascii_case(origin)).then_some(origin)
}

/// Whether a page sent a request that is neither of this site nor of one that the settings list.
pub fn is_of_stranger(headers: &HeaderMap, listed: &[String]) -> bool {
    !same_origin(headers) && listed_origin(headers, listed).is_none()
}

/// Whether a request would change something on behalf of a page of another site.
pub fn is_cross_site(method: &Method, headers: &HeaderMap, listed: &[String]) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    if headers.contains_key(ORIGIN) {
        return is_of_stranger(headers, listed);
    }
    let site = headers.get(SEC_FETCH_SITE).and_then(|site| site.to_str().ok());
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().expect("a header"));
        }
        headers
    }

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    #[test]
    fn networks_hold_what_begins_alike() {
        let address = |text: &str| text.parse::<IpAddr>().expect(text);
        assert!(network("10.0.0.0/8").contains(address("10.255.1.2")));
        assert!(!network("10.0.0.0/8").contains(address("11.0.0.0")));
        assert!(network("127.0.0.1").contains(address("::ffff:127.0.0.1")));
        assert!(!network("127.0.0.1").contains(address("127.0.0.2")));
        assert!(network("0.0.0.0/0").contains(address("1.2.3.4")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(network("2001:db8::/32").contains(address("2001:db8:1::1")));
        for text in ["", "10.0.0.0/33", "10.0.0", "::/129", "10.0.0.0/", "10.0.0.0/-1", "x"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [network("127.0.0.1"), network("10.0.0.0/8")];
        let told = |peer: &str, forwarded: &str| {
            let peer = Client { address: peer.parse().expect("valid"), https: false };
            let headers = headers(&[("x-forwarded-for", forwarded), ("x-forwarded-proto", "https")]);
            let client = Client::of(peer, &headers, &trusted);
            (client.address.to_string(), client.https)
        };
        assert_eq!(told("9.9.9.9", "1.2.3.4"), ("9.9.9.9".to_owned(), false));
        assert_eq!(told("127.0.0.1", "1.2.3.4"), ("1.2.3.4".to_owned(), true));
        assert_eq!(told("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.1.1"), ("1.2.3.4".to_owned(), true));
        assert_eq!(told("127.0.0.1", "6.6.6.6, nonsense"), ("127.0.0.1".to_owned(), true));
        assert_eq!(told("127.0.0.1", "10.1.1.1"), ("10.1.1.1".to_owned(), true));
    }

    #[test]
    fn other_sites_change_nothing() {
        let listed = ["https://friend.example".to_owned()];
        let cross = |method: Method, pairs: &[(&'static str, &str)]| {
            let mut own = vec![("host", "dash.example:5000")];
            own.extend(pairs);
            is_cross_site(&method, &headers(&own), &listed)
        };
        assert!(!cross(Method::POST, &[]));
        assert!(!cross(Method::POST, &[("origin", "https://dash.example:5000")]));
        assert!(!cross(Method::POST, &[("origin", "https://friend.example")]));
        assert!(!cross(Method::GET, &[("origin", "https://evil.example")]));
        assert!(cross(Method::POST, &[("origin", "https://evil.example")]));
        assert!(cross(Method::POST, &[("origin", "null")]));
        assert!(cross(Method::POST, &[("origin", "https://dash.example")]), "another port is another origin");
        assert!(cross(Method::DELETE, &[("sec-fetch-site", "cross-site")]));
        assert!(!cross(Method::POST, &[("sec-fetch-site", "same-origin")]));
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(forwarded in ".{0,60}", origin in ".{0,30}") {
            let mut odd = HeaderMap::new();
            for (name, value) in [(FORWARDED_FOR, forwarded), (ORIGIN, origin)] {
                if let Ok(value) = value.parse() {
                    odd.insert(name, value);
                }
            }
            let peer = Client { address: IpAddr::from([127, 0, 0, 1]), https: false };
            Client::of(peer, &odd, &[network("0.0.0.0/0")]);
            is_cross_site(&Method::POST, &odd, &[]);
        }
    }
}

//! What a page may do: the content-security-policy that each page carries. A server may send the same for the
//! pages of the site.

/// Nothing but the site's own files, no script in a page, and no style in a page either.
///
/// - The hash is that of an empty text: Plotly puts an empty `<style>` into the page and fills it by script.
/// - `data:` is for what styles carry themselves (the shapes of statuses) and, with `blob:`, for charts that are
///   saved as pictures.
/// - `ws:` and `wss:` are for browsers that do not count the socket of the same host as `'self'`.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; font-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self' ws: wss:; manifest-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// For a page that has all that it needs written into it, and asks nobody for anything.
pub const SELF_CONTAINED: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    font-src data:; img-src data: blob:; base-uri 'none'; form-action 'none'";

/// How the line of a page begins that states its policy; templates and this file agree on it.
pub const STATED: &str = "<meta http-equiv=\"Content-Security-Policy\"";

/// The policy as a page can state it: who may frame it, only a server can say.
pub fn in_page() -> &'static str {
    POLICY.rsplit_once("; frame-ancestors").expect("it is the last directive").0
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn a_page_states_all_but_who_may_frame_it() {
        assert!(in_page().ends_with("form-action 'none'"));
        assert!(!in_page().contains("unsafe"));
    }

    #[test]
    fn the_hash_is_that_of_nothing() {
        let hex = format!("{:x}", Sha256::digest(""));
        // The same in base64 begins with `47DE`: e3b0c4 in groups of six bits.
        assert!(hex.starts_with("e3b0c4") && POLICY.contains("'sha256-47DE"));
    }
}

//! The page on which operators see what goes through the gateway, and the data that it shows.
//!
//! A browser that opens a page has no way to send a key along. So the page itself is served to everyone who reaches it: it is the same for all, and
//! has nothing in it. It asks for a key, keeps it for as long as its tab is open, and sends it with each request for data, which is for keys with
//! the role `admin` only. No cookie is set, so that no other site can use it in the operator's name.

use super::access::{admit, identify};
use super::status::status;
use super::step::{Host, Reply, Step};
use crate::config::{Config, Page};
use crate::error::{Cause, Error};
use crate::names::PAGE_DATA;

/// What to answer, if the request is for the page, or for something below it.
pub(super) fn answer(config: &Config, host: &dyn Host, method: &str, path: &str) -> Option<Result<Step, Error>> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let below = below(config.page.as_ref()?, path)?;
    Some(match (below, method) {
        ("", "GET" | "HEAD") => Ok(page()),
        (PAGE_DATA, "GET") => data(config, host, path),
        ("" | PAGE_DATA, _) => {
            let message = format!("Not allowed to {method} on {path} (expected GET).");
            Err(Error::new(Cause::MethodNotAllowed, message))
        }
        _ => Err(Error::new(Cause::UnknownEndpoint, format!("There is nothing at {path}."))),
    })
}

fn below<'p>(page: &Page, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(&page.path)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn page() -> Step {
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", format!("{POLICY}; script-src '{SCRIPT}'; style-src '{STYLE}'")),
        ("referrer-policy", "no-referrer".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ];
    Reply { status: 200, headers, body: PAGE.to_owned() }.into()
}

fn data(config: &Config, host: &dyn Host, path: &str) -> Result<Step, Error> {
    let key = identify(config, host)?;
    admit(key.as_deref(), path)?;
    if key.is_none_or(|key| !key.role.admin) {
        let message = "Your API key may not see this: it is for keys with the role `admin`.";
        return Err(Error::new(Cause::Forbidden, message));
    }
    let headers = vec![("cache-control", "no-store".to_owned())];
    Ok(Reply { status: 200, headers, body: status(config, host) }.into())
}

const PAGE: &str = include_str!("page.html");
/// What the page may do: run its one script, look as its one style sheet says, ask where it came from.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
/// By their SHA-256, which a test compares.
const SCRIPT: &str = "sha256-mLGsuqcRetOel7NpJpC2/2Yxq1rC3raUJz2DSVfWFqM=";
const STYLE: &str = "sha256-DbiuBKBWmuXRnCTReAIM+tgUaOaEohocTUf2TvQn59g=";

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::{PAGE, Page, SCRIPT, STYLE, below};

    /// RFC 4648, section 4.
    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
            let six = |at: usize| char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]);
            text.extend((0..4).map(|at| if at <= three.len() { six(at) } else { '=' }));
        }
        text
    }

    fn hash(element: &str) -> String {
        let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
        let (_, rest) = PAGE.split_once(&begin).unwrap();
        let (content, rest) = rest.split_once(&end).unwrap();
        assert!(!rest.contains(&begin), "more than one <{element}>");
        format!("sha256-{}", base64(&Sha256::digest(content)))
    }

    #[test]
    fn the_policy_lets_the_page_run_what_is_in_it() {
        assert_eq!(base64(b"\0\xff\x10a"), "AP8QYQ==");
        assert_eq!((hash("script").as_str(), hash("style").as_str()), (SCRIPT, STYLE), "copy them from the left");
    }

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        assert!(PAGE.len() <= 25 * 1024, "{} bytes", PAGE.len());
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "localStorage",
            "cookie",
            " style=",
            "onclick",
        ] {
            assert!(!PAGE.contains(word), "`{word}` in the page");
        }
        let addresses = PAGE.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
        assert!(
            addresses.clone().all(|rest| rest.starts_with("://www.w3.org/2000/svg")),
            "{:?}",
            addresses.collect::<Vec<_>>()
        );
    }

    #[test]
    fn only_what_is_below_the_path_is_the_pages() {
        let page = Page { path: "/gateway".to_owned() };
        for (path, expected) in [
            ("/gateway", Some("")),
            ("/gateway/", Some("")),
            ("/gateway/status.json", Some("status.json")),
            ("/gatewayx", None),
            ("/", None),
        ] {
            assert_eq!(below(&page, path), expected, "{path}");
        }
    }
}

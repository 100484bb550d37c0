//! Where a provider's interface begins.

use core::net::Ipv6Addr;
use core::str::FromStr;

/// `http[s]://HOST[:PORT][/PATH]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether the scheme is `https`.
    pub tls: bool,
    /// Host name or address, an IPv6 address without its brackets.
    pub host: String,
    /// Port, the scheme's own if none was given.
    pub port: u16,
    /// What every path begins with; empty, or with a slash at its start and none at its end.
    pub path: String,
}

impl BaseUrl {
    /// `HOST` or `HOST:PORT`, for `:authority`.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether a request that was addressed to this one is good for `other` too. Over TLS a server looks at the name.
    pub(super) fn serves_as(&self, other: &Self) -> bool {
        self.tls == other.tls && self.path == other.path && (!self.tls || self.host == other.host)
    }
}

impl FromStr for BaseUrl {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a URL such as `https://api.example.com/v1` or `http://127.0.0.1:8000/v1`";
        let (scheme, rest) = url.split_once("://").ok_or(EXPECTED)?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(EXPECTED),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if url.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || b"\"<>\\^`{|}".contains(&byte)) {
            return Err("a URL cannot have spaces, control characters, braces or quotes in it");
        }
        if url.contains(['?', '#']) {
            return Err("a base URL has no query and no fragment");
        }
        if authority.contains('@') {
            return Err("a base URL has no user and no password; credentials belong in `api_key`");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| EXPECTED)?),
            _ => (authority, default_port(tls)),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match address {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        let host = address.unwrap_or(host);
        if !valid || port == 0 {
            return Err(EXPECTED);
        }
        Ok(Self { tls, host: host.to_owned(), port, path: path.trim_end_matches('/').to_owned() })
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::BaseUrl;

    #[test]
    fn reads_what_an_operator_writes() {
        for (url, authority, path, tls) in [
            ("https://api.openai.com/v1", "api.openai.com", "/v1", true),
            ("https://api.openai.com:443/v1/", "api.openai.com", "/v1", true),
            ("http://10.0.0.7:8000", "10.0.0.7:8000", "", false),
            ("http://[::1]:8000/a/b", "[::1]:8000", "/a/b", false),
            ("http://[::1]/", "[::1]", "", false),
        ] {
            let parsed: BaseUrl = url.parse().unwrap();
            assert_eq!(
                (parsed.authority().as_str(), parsed.path.as_str(), parsed.tls),
                (authority, path, tls),
                "{url}"
            );
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for url in [
            "",
            "api.openai.com",
            "ftp://x",
            "https://",
            "http://:80",
            "http://x:99999",
            "http://x:0",
            "http://a b",
            "http://u:p@x",
            "http://x/v1?key=1",
            "http://x#y",
            "http://x/${KEY}",
            "http://[::1:]:5",
            "http://[example.com]/",
            "http://a,b",
        ] {
            assert!(url.parse::<BaseUrl>().is_err(), "{url}");
        }
    }
}

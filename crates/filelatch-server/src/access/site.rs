//! Where a request comes from: the name it calls the server by, and the page that sends it.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use crate::problem::{Problem, Result};

const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";

/// The names that a server has.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    /// Where it listens.
    pub(crate) address: Option<SocketAddr>,
    /// Further names: `NAME` or `NAME:PORT`.
    pub(crate) allowed: &'a [String],
}

impl Names<'_> {
    /// The name by which the request calls the server, if it is one of its own.
    ///
    /// A port does not matter: it is what a forwarded connection makes of it. A name does, and an address that is not a name can't be
    /// turned to another one.
    pub(crate) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (uri.authority(), hosts.next(), hosts.next()) {
            (_, _, Some(_)) => return Err(Problem::malformed("there are several `Host` headers")),
            (Some(authority), ..) => Some(authority.clone()),
            (None, Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
            (None, None, None) => None,
        };
        let host = host.filter(|host| !host.as_str().contains('@'));
        let host = host.ok_or_else(|| Problem::malformed("the `Host` header is missing, or is none"))?;
        if self.is_own(&host) {
            return Ok(host);
        }
        let detail = format!("this server is not `{host}`");
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail)
            .hint("nothing was done; if it is to be called by this name, start it with `--allow-host`"))
    }

    fn is_own(&self, host: &Authority) -> bool {
        let name = host.host().trim_end_matches('.');
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let listens = |address: IpAddr| match self.address {
            Some(own) => {
                own.ip() == address || own.ip().is_unspecified() || (own.ip().is_loopback() && address.is_loopback())
            }
            None => address.is_loopback(),
        };
        name.eq_ignore_ascii_case("localhost") || address.is_some_and(listens) || self.is_allowed(host)
    }

    fn is_allowed(&self, host: &Authority) -> bool {
        let whole = host.as_str();
        self.allowed.iter().any(|name| name.eq_ignore_ascii_case(whole) || name.eq_ignore_ascii_case(host.host()))
    }

    /// What is known of the page that sends the request. Another site's is refused.
    pub(crate) fn check_origin(&self, host: &Authority, method: &Method, headers: &HeaderMap) -> Result<Origin> {
        let refuse =
            |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail).hint("nothing was done"));
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(_), Some(_)) => return Err(Problem::malformed("there are several `Origin` headers")),
            (Some(origin), None) => {
                let text = String::from_utf8_lossy(origin.as_bytes());
                let own = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
                let own = own.and_then(|own| own.parse::<Authority>().ok());
                let own = own.filter(|own| same(own, host) || self.is_allowed(own));
                return if own.is_some() {
                    Ok(Origin::Own)
                } else {
                    refuse(format!("a page of `{text}` may not use this server"))
                };
            }
            (None, _) => {}
        }
        let word = |name: &str| headers.get(name).map(axum::http::HeaderValue::as_bytes);
        match word(SITE) {
            Some(b"same-origin") => Ok(Origin::Own),
            // The user typed the address, or followed a link: nobody's page gets the answer.
            Some(b"none") | None => Ok(Origin::Untold),
            Some(_) if word(MODE) == Some(b"navigate") && *method == Method::GET => Ok(Origin::Untold),
            Some(_) => refuse("a page of another site may not use this server".to_owned()),
        }
    }
}

fn same(a: &Authority, b: &Authority) -> bool {
    a.as_str().eq_ignore_ascii_case(b.as_str())
}

/// What is known of the page that sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is our own.
    Own,
    /// Nothing: a program, or a link that was followed.
    Untold,
}

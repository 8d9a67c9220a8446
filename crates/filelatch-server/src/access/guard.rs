//! The check that every request passes before its handler.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, COOKIE, UPGRADE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use filelatch::store::{OwnStore, Scope};

use super::caller::{Known, unknown};
use super::site::{Names, Origin};
use crate::page;
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::Work;

/// What the cookie of a login is called.
pub(crate) const COOKIE_NAME: &str = "filelatch";
/// Longer texts are no tokens.
const LONGEST: usize = 256;

/// Lets a request through to its handler, with what is known of its sender.
pub(crate) async fn guard(state: &State, request: &mut Request) -> Result<()> {
    match known(state, request.method(), request.uri(), request.headers()).await? {
        Some(known) => {
            // Without access control nobody is known.
            let by = known.name.as_deref().or(known.login.as_ref().map(|_| "login"));
            if let Some(by) = by {
                tracing::Span::current().record("by", by);
            }
            request.extensions_mut().insert(known);
            Ok(())
        }
        None if is_open(request.uri().path()) => Ok(()),
        None => Err(unknown()),
    }
}

/// What everybody may ask for. The page's own files are no secret.
fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/healthz" | "/login") || page::has(path)
}

pub(super) async fn known(state: &State, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Option<Known>> {
    let names = Names { address: state.address(), allowed: &state.options().allow_hosts };
    let host = names.check_host(uri, headers)?;
    let origin = names.check_origin(&host, method, headers)?;
    if state.options().no_auth {
        return Ok(Some(Known { name: None, scopes: vec![Scope::Admin], login: None }));
    }
    let mut given = headers.get_all(AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (Some(_), Some(_)) => Err(Problem::malformed("there are several `Authorization` headers")),
        // A wrong token is not made good by a cookie.
        (Some(value), None) => bearer(state, value.as_bytes()).await,
        (None, _) => by_cookie(state, method, headers, origin),
    }
}

async fn bearer(state: &State, value: &[u8]) -> Result<Option<Known>> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST {
        return Err(unknown());
    }
    let token = token.to_owned();
    let verified = state.blocking(Work::Look, "", move |call| {
        let tokens = call.state().tokens(call.latch())?;
        Ok(match tokens {
            Some(tokens) => tokens.verify(&token)?,
            None => None,
        })
    });
    let verified = verified.await?.ok_or_else(unknown)?;
    Ok(Some(Known { name: Some(verified.name), scopes: verified.scopes, login: None }))
}

fn by_cookie(state: &State, method: &Method, headers: &HeaderMap, origin: Origin) -> Result<Option<Known>> {
    let found = cookies(headers).find_map(|cookie| Some((cookie, state.logins().session(&**state.host(), cookie)?)));
    let Some((cookie, scopes)) = found else { return Ok(None) };
    let looks = matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key(UPGRADE);
    if !looks && origin != Origin::Own {
        let detail = "a change by a browser's login must say which page it comes from (`Origin` or `Sec-Fetch-Site`)";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail)
            .hint("nothing was done; programs use a token: `Authorization: Bearer TOKEN`"));
    }
    Ok(Some(Known { name: None, scopes, login: Some(cookie.to_owned()) }))
}

/// The values of our cookie; a browser may send several.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, value)| *name == COOKIE_NAME && value.len() <= LONGEST).map(|(_, value)| value)
}

impl State {
    /// The tokens of the workspace; `None`: there is none. On a thread for blocking work.
    pub(crate) fn tokens(
        &self,
        latch: &filelatch::Filelatch,
    ) -> Result<Option<filelatch::store::Tokens>, filelatch::Error> {
        if !self.has_workspace() {
            return Ok(None);
        }
        self.opened_tokens(|| {
            let path = latch.own_store(self.root(), OwnStore::Tokens, true)?;
            latch.tokens(path)
        })
        .map(Some)
    }
}

//! What a long conversation was let in by, to be shown again.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use filelatch::store::Scope;

use super::guard::known;
use crate::problem::Problem;
use crate::state::State;

/// The credentials of a request.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    uri: Uri,
    headers: HeaderMap,
}

impl FromRequestParts<State> for Pass {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Pass, Problem> {
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE, HOST, ORIGIN, UPGRADE] {
            for value in parts.headers.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        Ok(Pass { uri: parts.uri.clone(), headers })
    }
}

impl Pass {
    /// Would it still be let in? What can't be found out now is not held against it.
    pub(crate) async fn holds(&self, state: &State) -> bool {
        match known(state, &Method::GET, &self.uri, &self.headers).await {
            Ok(known) => known.is_some_and(|known| known.scopes.iter().any(|scope| *scope >= Scope::Read)),
            Err(problem) => problem.status() != StatusCode::UNAUTHORIZED,
        }
    }
}

//! Who asks, as handlers see it: the type of the argument says which scope the route needs.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use filelatch::store::Scope;

use crate::extract::session_name;
use crate::problem::{Problem, Result};
use crate::state::State;

/// Names the session of a writer, unless the body does.
const SESSION: &str = "filelatch-session";

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the token is called, if it came with one.
    pub(crate) name: Option<String>,
    /// What is allowed.
    pub(crate) scopes: Vec<Scope>,
    /// The name of the writer.
    pub(crate) session: String,
    /// It is the server's default: nobody has chosen it.
    pub(crate) is_default: bool,
    /// The browser's login, if it came by one.
    pub(crate) login: Option<String>,
}

impl Caller {
    /// May it do what needs this scope?
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|own| *own >= scope)
    }

    /// What is allowed.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The name that it writes as: the header's, else the token's, else the server's default.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The name that it writes as, if it or its token gives one.
    pub fn own_session(&self) -> Option<&str> {
        (!self.is_default).then_some(&*self.session)
    }

    /// The name that it writes as, when the body may give one.
    pub fn session_or(&self, given: Option<&str>) -> Result<String> {
        given.map_or(Ok(self.session()), session_name).map(str::to_owned)
    }

    fn needs(self, scope: Scope) -> Result<Caller> {
        if self.allows(scope) {
            return Ok(self);
        }
        let who = self.name.as_ref().map_or_else(|| "this login".to_owned(), |name| format!("the token `{name}`"));
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", format!("{who} does not have the scope `{scope}`")).hint(
            format!("nothing was changed; `filelatch token create NAME --scope {scope}` makes a token that has it"),
        ))
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Caller> {
        let known = parts.extensions.get::<Known>().cloned();
        let Known { name, scopes, login } = known.ok_or_else(unknown)?;
        let session = match parts.headers.get(SESSION) {
            Some(given) => {
                let text = std::str::from_utf8(given.as_bytes()).unwrap_or_default();
                session_name(text)?.to_owned()
            }
            None => name.clone().unwrap_or_else(|| state.options().session.clone()),
        };
        let is_default = name.is_none() && !parts.headers.contains_key(SESSION);
        Ok(Caller { name, scopes, session, is_default, login })
    }
}

/// What the check of a request's credentials leaves for the handlers.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: Option<String>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) login: Option<String>,
}

/// 401.
pub(crate) fn unknown() -> Problem {
    use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "the request has no valid token and no login")
        .hint("send `Authorization: Bearer TOKEN`; `filelatch token create NAME` makes a token")
        .hint("a browser logs in by the link that the server printed when it started")
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

macro_rules! needs {
    ($name:ident, $scope:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug)]
        pub struct $name(pub Caller);

        impl Deref for $name {
            type Target = Caller;

            fn deref(&self) -> &Caller {
                &self.0
            }
        }

        impl FromRequestParts<State> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<$name> {
                Caller::from_request_parts(parts, state).await?.needs($scope).map($name)
            }
        }
    };
}

needs!(Reader, Scope::Read, "Somebody who may look.");
needs!(Writer, Scope::Write, "Somebody who may change files.");
needs!(Admin, Scope::Admin, "Somebody who may change what others may do.");

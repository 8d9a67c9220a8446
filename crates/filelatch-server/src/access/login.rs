//! Logging a browser in and out, and telling who one is.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue, LOCATION, SET_COOKIE};
use axum::response::{Html, IntoResponse, Response};
use filelatch::show::time;
use filelatch::store::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::{Admin, Caller, Reader};
use super::guard::COOKIE_NAME;
use super::logins::CODE_TIME;
use crate::extract::{Json, Query};
use crate::problem::{Problem, Result};
use crate::state::State;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(logout)).routes(routes!(me)).routes(routes!(link))
}

/// What somebody who logs in by the link that the server prints may do.
const SCOPES: [Scope; 1] = [Scope::Write];

impl State {
    /// A link that logs a browser in, once, within ten minutes.
    pub fn login_link(&self) -> std::io::Result<String> {
        let code = self.logins().code(&**self.host(), &SCOPES)?;
        Ok(format!("{}/login?code={code}", self.url()))
    }
}

#[derive(Debug, Deserialize)]
struct Code {
    code: Option<String>,
}

/// Logs a browser in: sets a cookie and leads to the page.
#[utoipa::path(
    get, path = "/login", tag = "access", security(()), params(("code" = Option<String>, Query, description = "From the link that the server printed")),
    responses((status = 303, description = "Logged in"), (status = 403, description = "The code was used, or is none"))
)]
async fn login(state: State, Query(query): Query<Code>) -> Result<Response> {
    let code = query.code.unwrap_or_default();
    let redeemed = state.logins().redeem(&**state.host(), &code);
    let redeemed = redeemed.map_err(|e| {
        state.problem(&filelatch::Error::Internal {
            path: state.root().to_owned(),
            message: format!("no random bytes: {e}"),
        })
    })?;
    let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let Some(session) = redeemed else {
        return Ok((StatusCode::FORBIDDEN, [no_store], Html(REFUSED)).into_response());
    };
    let cookie = cookie(&state, &session, "");
    let headers = [no_store, (SET_COOKIE, cookie), (LOCATION, HeaderValue::from_static("/"))];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

fn cookie(state: &State, value: &str, more: &str) -> HeaderValue {
    let secure = if state.is_secure() { "; Secure" } else { "" };
    let text = format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const REFUSED: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>filelatch: not logged in</title>\
<h1>This link does not log you in</h1>\
<p>It was used before, is older than ten minutes, or is not complete. A link works once.</p>\
<p>Start the server again, or ask it for a new link with a token that has the scope <code>admin</code>: \
<code>POST /api/login-links</code>.</p></html>";

#[derive(Debug, Serialize, ToSchema)]
struct LoggedOut {
    success: bool,
}

/// Ends the login of this browser.
#[utoipa::path(post, path = "/api/logout", tag = "access", responses((status = 200, body = LoggedOut)))]
async fn logout(state: State, caller: Caller) -> Response {
    if let Some(session) = &caller.login {
        state.logins().end(session);
    }
    let headers = [(SET_COOKIE, cookie(&state, "", "; Max-Age=0"))];
    (headers, axum::Json(LoggedOut { success: true })).into_response()
}

/// Who asks, and what is allowed.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// The name that it writes as.
    session: String,
    /// `read`, `write`, `admin`.
    scopes: Vec<&'static str>,
    /// The served folder's name.
    root: String,
    version: &'static str,
    /// Is there a workspace: history, stored conflicts, tokens?
    workspace: bool,
}

/// Who asks, and what is allowed.
#[utoipa::path(get, path = "/api/me", tag = "access", responses((status = 200, body = Me), (status = 401, body = Problem, content_type = "application/problem+json")))]
async fn me(state: State, caller: Reader) -> axum::Json<Me> {
    let all = [Scope::Read, Scope::Write, Scope::Admin];
    axum::Json(Me {
        session: caller.session().to_owned(),
        scopes: all.into_iter().filter(|scope| caller.allows(*scope)).map(Scope::word).collect(),
        root: state.root_name(),
        version: env!("CARGO_PKG_VERSION"),
        workspace: state.has_workspace(),
    })
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLink {
    /// What who logs in by it may do; `read` and `write` if nothing is said.
    scopes: Option<Vec<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Link {
    url: String,
    expires_at: String,
}

/// A link that logs a browser in, once.
#[utoipa::path(
    post, path = "/api/login-links", tag = "access", request_body = NewLink,
    responses((status = 201, body = Link), (status = 403, body = Problem, content_type = "application/problem+json"))
)]
async fn link(state: State, _: Admin, Json(body): Json<NewLink>) -> Result<Response> {
    let scopes = body.scopes.map_or_else(
        || Ok(SCOPES.to_vec()),
        |words| words.iter().map(|word| word.parse::<Scope>()).collect::<Result<Vec<_>, _>>(),
    );
    let scopes = scopes.map_err(Problem::malformed)?;
    let code = state.logins().code(&**state.host(), &scopes).map_err(|e| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-random-bytes", format!("the system has no random bytes: {e}"))
    })?;
    let url = format!("{}/login?code={code}", state.url());
    let expires_at = time(state.host().now() + CODE_TIME);
    Ok((StatusCode::CREATED, axum::Json(Link { url, expires_at })).into_response())
}

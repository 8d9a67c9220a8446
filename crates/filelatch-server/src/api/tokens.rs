//! Tokens: who may do what. For those who may do all.

use std::time::SystemTime;

use axum::http::StatusCode;
use filelatch::show::time;
use filelatch::store::{Scope, TokenInfo, Tokens};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Admin;
use crate::extract::{Json, Param};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// What is known of a token; never the token itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenView {
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    /// `live`, `expired` or `revoked`.
    state: &'static str,
    created: String,
    expires: Option<String>,
    revoked: Option<String>,
    last_used: Option<String>,
}

impl From<&TokenInfo> for TokenView {
    fn from(token: &TokenInfo) -> TokenView {
        TokenView {
            id: token.id.clone(),
            name: token.name.clone(),
            scopes: token.scopes.iter().map(|scope| scope.word()).collect(),
            state: token.state.word(),
            created: time(token.created),
            expires: token.expires.map(time),
            revoked: token.revoked.map(time),
            last_used: token.last_used.map(time),
        }
    }
}

/// All tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    tokens: Vec<TokenView>,
}

/// What token is wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRequest)]
pub(crate) struct Wanted {
    /// For people.
    name: String,
    /// `read`, `write`, `admin`.
    scopes: Vec<String>,
    /// When it ends: a time (RFC 3339), or a length of time such as `30d`.
    expires: Option<String>,
}

/// A new token.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NewToken)]
pub(crate) struct Made {
    id: String,
    /// The token: nobody can show it again.
    token: String,
}

fn tokens(call: &Call) -> Result<Tokens, Failure> {
    let found = call.state().tokens(call.latch())?;
    found.ok_or_else(|| {
        let path = call.state().root().to_owned();
        filelatch::Error::NoWorkspace { path, without: "there are no tokens" }.into()
    })
}

/// All tokens, also those that are not good any more.
#[utoipa::path(
    get, path = "/api/tokens", tag = "tokens",
    responses(
        (status = 200, body = TokenList),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(state: State, caller: Admin) -> Result<axum::Json<TokenList>> {
    let call = |call: &Call| {
        let list = tokens(call)?.list()?;
        Ok(TokenList { tokens: list.iter().map(TokenView::from).collect() })
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

/// Makes a token. It is shown this once.
#[utoipa::path(
    post, path = "/api/tokens", tag = "tokens", request_body = Wanted,
    responses(
        (status = 201, body = Made),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn create(state: State, caller: Admin, Json(ask): Json<Wanted>) -> Result<(StatusCode, axum::Json<Made>)> {
    let wrong = |what: String| Problem::malformed(what).hint("nothing was changed");
    let scopes: Vec<Scope> = ask
        .scopes
        .iter()
        .map(|scope| scope.parse().map_err(|_| wrong("`scopes` are of `read`, `write` and `admin`".to_owned())))
        .collect::<Result<_>>()?;
    let expires = ask.expires.as_deref().map(|text| moment(&state, text)).transpose()?;
    let call = move |call: &Call| {
        let made = tokens(call)?.create(&ask.name, &scopes, expires, &call.lock(None))?;
        let token = made.token.expose_text().unwrap_or_default().to_owned();
        Ok(Made { id: made.id, token })
    };
    Ok((StatusCode::CREATED, axum::Json(state.blocking(Work::Change, caller.session(), call).await?)))
}

fn moment(state: &State, text: &str) -> Result<SystemTime> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.into());
    }
    let after = text.parse::<filelatch::Period>().ok().and_then(|length| state.host().now().checked_add(length.0));
    after.ok_or_else(|| Problem::malformed("`expires` is a time (RFC 3339) or a length of time such as `30d`"))
}

/// Revokes a token: it is refused from now on.
#[utoipa::path(
    delete, path = "/api/tokens/{id}", tag = "tokens", params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = TokenView),
        Refusals,
    )
)]
async fn revoke(state: State, caller: Admin, Param(id): Param) -> Result<axum::Json<TokenView>> {
    let call = move |call: &Call| Ok(TokenView::from(&tokens(call)?.revoke(&id, &call.lock(None))?));
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

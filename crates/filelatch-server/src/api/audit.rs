//! The audit log.

use filelatch::audit::AuditFilter;
use filelatch::store::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Reader;
use crate::extract::Query;
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::{Call, Work};

/// Records that are read unless it is said, and at most.
const LAST: (usize, usize) = (100, 10_000);

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(records))
}

#[derive(Clone, Debug, Deserialize)]
struct Ask {
    last: Option<usize>,
    path: Option<String>,
}

/// Records of the audit log.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditRecords)]
pub(crate) struct Records {
    /// In the order of the log. Of files that are hidden nothing is told, and of processes and machines only to who may do all.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Value>,
}

/// The newest records of the audit log.
#[utoipa::path(
    get, path = "/api/audit", tag = "server",
    params(
        ("last" = Option<usize>, Query, description = "How many; 100"),
        ("path" = Option<String>, Query, description = "A glob: only of these files"),
    ),
    responses(
        (status = 200, body = Records),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn records(state: State, caller: Reader, Query(ask): Query<Ask>) -> Result<axum::Json<Records>> {
    let mut filter = AuditFilter::new().last(ask.last.unwrap_or(LAST.0).min(LAST.1));
    if let Some(glob) = &ask.path {
        filter = filter.path(glob).map_err(|e| Problem::malformed(format!("`path`: {e}")))?;
    }
    let whole = caller.allows(Scope::Admin);
    let call = move |call: &Call| {
        let audit = call.latch().audit(call.state().root())?;
        let records = audit.records(&filter)?.records;
        let shown = records
            .iter()
            .filter(|record| record.path().is_none_or(|path| call.state().shown(&audit.root().join(path)).is_some()));
        let records = shown.map(|record| if whole { record.to_json() } else { record.for_remote().to_json() });
        Ok(Records { records: records.collect() })
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

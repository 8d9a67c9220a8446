//! What clients read by URI: the state of the root, and stored conflicts. JSON.

use rmcp::model::{
    ErrorData, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::asker::Asker;
use crate::refusal::Refusal;
use crate::state::Server;
use crate::tools::{conflicts, status};
use crate::work::{Call, Work};

const STATUS: &str = "filelatch://status";
const CONFLICTS: &str = "filelatch://conflicts/";
const JSON: &str = "application/json";
/// Conflicts that are listed as resources; the tool lists more.
const MOST: usize = 100;

/// The status, and the open conflicts.
pub(crate) async fn list(
    server: &Server,
    asker: Asker,
    ended: CancellationToken,
) -> Result<ListResourcesResult, ErrorData> {
    let mut status = Resource::new(STATUS, "status").with_mime_type(JSON);
    status.title = Some("Who holds what".to_owned());
    status.description = Some("The root, its locks and leases, and how many conflicts are open.".to_owned());
    let mut all = vec![status];
    let open = server.look(asker, ended, |call| conflicts::open(call, None)).await.map_err(|e| error(&e))?;
    all.extend(open.iter().take(MOST).map(|conflict| {
        let (id, path) = conflict.names();
        let mut resource = Resource::new(format!("{CONFLICTS}{id}"), format!("conflict-{id}")).with_mime_type(JSON);
        resource.title = Some(format!("Conflict in {path}"));
        resource
    }));
    Ok(ListResourcesResult::with_all_items(all))
}

/// Conflicts, by their ids.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let mut template = ResourceTemplate::new(format!("{CONFLICTS}{{id}}"), "conflict").with_mime_type(JSON);
    template.title = Some("A stored conflict".to_owned());
    template.description = Some("Both versions, what they were made from, and what they were merged to.".to_owned());
    ListResourceTemplatesResult::with_all_items(vec![template])
}

/// One of them.
pub(crate) async fn read(
    server: &Server,
    uri: &str,
    asker: Asker,
    ended: CancellationToken,
) -> Result<ReadResourceResult, ErrorData> {
    let value = if uri == STATUS {
        server.look(asker, ended, |call| told(&status::status(call, None)?)).await
    } else if let Some(id) = uri.strip_prefix(CONFLICTS).map(str::to_owned) {
        let show = move |call: &Call| {
            let (conflict, contents) = conflicts::told(call, &id)?;
            told(&json!({"conflict": conflict, "contents": contents}))
        };
        server.look(asker, ended, show).await
    } else {
        let message = format!("there is no resource `{uri}`; there are {STATUS} and {CONFLICTS}{{id}}");
        return Err(ErrorData::resource_not_found(message, None));
    };
    let text = value.map_err(|e| error(&e))?.to_string();
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}

fn told(value: &impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|e| Refusal::new("internal", format!("it cannot be written down: {e}")))
}

fn error(refusal: &Refusal) -> ErrorData {
    let data = serde_json::to_value(refusal).ok();
    match refusal.kind.as_str() {
        "no-such-conflict" | "hidden" => ErrorData::resource_not_found(refusal.message.clone(), data),
        _ => ErrorData::internal_error(refusal.message.clone(), data),
    }
}

impl Server {
    /// Looks at something for a client.
    async fn look<T: Send + 'static>(
        &self,
        asker: Asker,
        ended: CancellationToken,
        look: impl FnOnce(&Call) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let gone = || Refusal::new("internal", "the server could not finish the call").not_done("nothing was read");
        let permit = self.pool().admit(Work::Look).await.ok_or_else(gone)?;
        let call = Call::new(self, asker, None);
        let cancel = call.cancel().clone();
        let mut work = self.tasks().spawn_blocking(move || {
            let seen = look(&call);
            drop(permit);
            seen
        });
        let done = tokio::select! {
            done = &mut work => done,
            () = ended.cancelled() => {
                cancel.cancel();
                work.await
            }
        };
        done.map_err(|_| gone())?
    }
}

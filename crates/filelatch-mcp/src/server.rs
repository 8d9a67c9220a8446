//! What rmcp asks of a server: who it is, its tools, and calls of them.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer};

use crate::asker::{Asker, Caller, narrowed};
use crate::progress::Progress;
use crate::resources;
use crate::state::Server;
use crate::tools;

/// Bytes of a session's name in an attribution (P6).
const SESSION: usize = 12;

const INSTRUCTIONS: &str = "Files that several agents and people change at the same time. Change files with these tools, not with others: \
edits go to the newest content, so two agents that edit different places of a file both succeed. Keep the `hash` of an answer and give it as \
`base_hash` or `known_hash` of the next call. A refusal changed nothing unless it says so; `next` names the call to make. Paths are relative to the root.";

/// What answers one client. Cheap to clone; clones are the same client's.
#[derive(Clone, Debug)]
pub struct Connection {
    server: Server,
    session: Arc<OnceLock<Arc<str>>>,
    roots: Arc<tokio::sync::Mutex<Option<Roots>>>,
    /// What names clients of HTTP apart that say nothing of themselves.
    http: Option<u64>,
}

/// What a client's roots narrow the root to.
type Roots = Option<Arc<[String]>>;

/// How long a client has to tell its roots.
const TELLS: Duration = Duration::from_secs(2);

impl Connection {
    pub(crate) fn new(server: Server) -> Connection {
        Connection { server, session: Arc::default(), roots: Arc::default(), http: None }
    }

    /// One that comes and goes with its requests.
    pub(crate) fn over_http(self, chance: u64) -> Connection {
        Connection { http: Some(chance), ..self }
    }

    /// Who makes a call.
    async fn asker(&self, context: &RequestContext<RoleServer>) -> Asker {
        let caller = parts(context).map(|parts| parts.extensions.get::<Caller>().cloned().unwrap_or_default());
        let may_write = caller.as_ref().is_none_or(|caller| caller.may_write);
        let session = match caller.and_then(|caller| caller.session) {
            Some(name) => name.into(),
            None => self.session(context),
        };
        Asker { session, may_write, roots: self.roots(context).await }
    }

    /// What the client's roots narrow the root to, asked for once, and again when they have changed. A client that does not tell has none.
    async fn roots(&self, context: &RequestContext<RoleServer>) -> Roots {
        // Since 2026-07-28 servers ask clients nothing.
        let legacy = context.meta.client_capabilities().is_none();
        let has = context.peer.peer_info().is_some_and(|client| client.capabilities.roots.is_some());
        if !has || !legacy {
            return None;
        }
        let mut known = self.roots.lock().await;
        if let Some(roots) = &*known {
            return roots.clone();
        }
        let uris = uris(context).await;
        let prefixes: Vec<_> = self.server.prefixes().map(Path::to_owned).collect();
        let roots = uris.and_then(|uris| narrowed(&uris, self.server.root().path(), &prefixes));
        *known = Some(roots.clone());
        roots
    }

    /// The name that this client writes under: the server's, or its own with something that tells it from others of that name.
    fn session(&self, context: &RequestContext<RoleServer>) -> Arc<str> {
        let name = self.session.get_or_init(|| {
            if let Some(name) = &self.server.options().session {
                return name.as_str().into();
            }
            let client = context.client_info().map(|client| client.name).unwrap_or_default();
            let chance = match (self.http, parts(context)) {
                (Some(chance), Some(parts)) => parts.headers.get(SESSION_ID).map_or(chance, |id| digits(id.as_bytes())),
                (Some(chance), None) => chance,
                (None, _) => self.server.host().random(),
            };
            named(&client, chance).into()
        });
        Arc::clone(name)
    }
}

/// The client's roots, if it tells them in time.
#[expect(deprecated, reason = "newer protocols have no roots; clients of the older ones do")]
async fn uris(context: &RequestContext<RoleServer>) -> Option<Vec<String>> {
    let told = tokio::time::timeout(TELLS, context.peer.list_roots()).await.ok()?.ok()?;
    Some(told.roots.into_iter().map(|root| root.uri).collect())
}

/// The header that names a client's session.
const SESSION_ID: &str = "mcp-session-id";

/// The HTTP request that a request came with.
fn parts(context: &RequestContext<RoleServer>) -> Option<&::http::request::Parts> {
    context.extensions.get::<::http::request::Parts>()
}

fn digits(id: &[u8]) -> u64 {
    let hash = blake3::hash(id);
    u64::from(hash.as_bytes()[0]) << 8 | u64::from(hash.as_bytes()[1])
}

/// A name of at most 12 bytes: letters and digits of the client's name, and four digits of chance.
fn named(client: &str, chance: u64) -> String {
    let plain = client.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
    let name: String = plain.take(SESSION - 5).collect();
    let name = if name.is_empty() { "agent" } else { name.trim_end_matches('-') };
    format!("{name}-{:04x}", chance & 0xffff)
}

impl ServerHandler for Connection {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build());
        info.server_info = Implementation::new("filelatch", env!("CARGO_PKG_VERSION")).with_title("filelatch");
        info.with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let reads = parts(&context)
            .is_some_and(|parts| !parts.extensions.get::<Caller>().is_some_and(|caller| caller.may_write));
        let offered = tools::offered(reads || self.server.options().read_only);
        Ok(ListToolsResult::with_all_items(offered.map(|tool| tool.described.clone()).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::find(name).map(|tool| tool.described.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tools::find(&request.name) else {
            let names: Vec<_> =
                tools::offered(self.server.options().read_only).map(|tool| &*tool.described.name).collect();
            let message = format!("there is no tool `{}`; there are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let asker = self.asker(&context).await;
        let arguments = request.arguments.unwrap_or_default();
        let token = context.meta.get_progress_token();
        let progress = token.map(|token| Arc::new(Progress::new(context.peer, token)));
        Ok(self.server.call(tool, arguments, asker, progress, context.ct).await.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let asker = self.asker(&context).await;
        resources::list(&self.server, asker, context.ct).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let asker = self.asker(&context).await;
        resources::read(&self.server, &request.uri, asker, context.ct).await.map(Into::into)
    }

    async fn on_roots_list_changed(&self, _: NotificationContext<RoleServer>) {
        *self.roots.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-7: names of sessions fit into an attribution, whatever the client calls itself.
    #[test]
    fn sessions() {
        assert_eq!(named("claude-code", 0x1_2345), "claude-2345");
        assert_eq!(named("Visual Studio Code", 7), "VisualS-0007");
        assert_eq!(named("é\u{0}\n", 0xbeef), "agent-beef");
        assert_eq!(named("", 1), "agent-0001");
        for client in ["a", "-----------", "x".repeat(100).as_str()] {
            assert!(named(client, u64::MAX).len() <= SESSION, "{client}");
        }
    }
}

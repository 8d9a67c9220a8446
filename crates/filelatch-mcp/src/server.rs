//! What rmcp asks of a server: who it is, its tools, and calls of them.

use std::sync::{Arc, OnceLock};

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};

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
}

impl Connection {
    pub(crate) fn new(server: Server) -> Connection {
        Connection { server, session: Arc::default() }
    }

    /// The server that it is of.
    #[allow(dead_code, reason = "for the tools that follow")]
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The name that this client writes under: the server's, or its own with something that tells it from others of that name.
    fn session(&self, context: &RequestContext<RoleServer>) -> Arc<str> {
        let name = self.session.get_or_init(|| match &self.server.options().session {
            Some(name) => name.as_str().into(),
            None => {
                let client = context.client_info().map(|client| client.name).unwrap_or_default();
                named(&client, self.server.host().random()).into()
            }
        });
        Arc::clone(name)
    }
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
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("filelatch", env!("CARGO_PKG_VERSION")).with_title("filelatch");
        info.with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let offered = tools::offered(self.server.options().read_only);
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
        let session = self.session(&context);
        let arguments = request.arguments.unwrap_or_default();
        Ok(self.server.call(tool, arguments, session, context.ct).await.into())
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

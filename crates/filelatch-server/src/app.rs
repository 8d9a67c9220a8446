//! All routes in one table.

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::access::{self, Known};
use crate::api;
use crate::front::FrontLayer;
use crate::page;
use crate::problem::{MEDIA_TYPE, Problem};
use crate::state::State;

/// Each area's routes. A new area is a module in `api/` and a line here.
fn table() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(description())
        .merge(api::health::routes())
        .merge(access::routes())
        .merge(api::raw::routes())
        .merge(api::files::routes())
        .merge(api::documents::routes())
        .merge(api::tree::routes())
        .merge(api::writes::routes())
        .merge(crate::events::routes())
        .merge(api::locks::routes())
        .merge(api::merge::routes())
        .merge(api::conflicts::routes())
        .merge(api::history::routes())
        .merge(api::queues::routes())
        .merge(api::sessions::routes())
        .merge(api::tokens::routes())
        .merge(api::audit::routes())
        .merge(api::status::routes())
}

fn description() -> OpenApi {
    use utoipa::openapi::{InfoBuilder, OpenApiBuilder};
    let info = InfoBuilder::new()
        .title("filelatch")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Many writers, one file, nothing lost."));
    OpenApiBuilder::new().info(info.build()).build()
}

/// The description of all routes. Paths of files are one parameter that may have slashes.
pub fn open_api() -> OpenApi {
    let mut api = table().split_for_parts().1;
    // The router's wildcard is an ordinary parameter to everybody else.
    let paths = std::mem::take(&mut api.paths.paths);
    api.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for (path, item) in &mut api.paths.paths {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for (method, operation) in [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)] {
            let Some(operation) = operation else { continue };
            // Functions of several modules have the same names.
            operation.operation_id =
                Some(format!("{method}{}", path.replace(|c: char| !c.is_ascii_alphanumeric(), "_")));
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let refused = ResponseBuilder::new().description("Refused").content(MEDIA_TYPE, problem).build();
            operation.responses.responses.entry("default".to_owned()).or_insert(refused.into());
        }
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    api.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    api
}

/// The server's routes, for [`serve`](crate::serve()) and for tests.
pub fn app(state: State) -> Router {
    let (router, _) = table().split_for_parts();
    router
        .route("/", get(index))
        .merge(api::documents::own_routes(state.documents()))
        .merge(crate::mount::routes(&state.mounted()))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(FrontLayer::new(state.clone()))
        .with_state(state)
}

async fn index(known: Option<Extension<Known>>, headers: HeaderMap) -> Response {
    page::index(known.is_some(), &headers)
}

async fn no_route(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if matches!(method, Method::GET | Method::HEAD)
        && let Some(file) = page::file(uri.path(), &headers)
    {
        return file;
    }
    Problem::not_found("no-route", format!("there is nothing at `{}`", uri.path()))
        .hint("`/openapi.json` lists what there is")
        .into_response()
}

async fn no_method(method: Method, uri: Uri) -> Response {
    let detail = format!("`{}` does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail).into_response()
}

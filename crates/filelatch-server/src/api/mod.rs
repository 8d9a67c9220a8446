//! The routes, by area. Each module gives an [`OpenApiRouter`](utoipa_axum::router::OpenApiRouter) of its own, and `app` puts them together.

pub(crate) mod audit;
pub(crate) mod conflicts;
pub(crate) mod documents;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod locks;
pub(crate) mod merge;
pub(crate) mod queues;
pub(crate) mod raw;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod tokens;
pub(crate) mod tree;
pub(crate) mod writes;

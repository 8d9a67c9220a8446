//! A listener, answered until the server ends.

use std::future::IntoFuture as _;

use tokio::net::TcpListener;

use crate::app::app;
use crate::state::State;

/// Answers what arrives at a listener until [`State::ending`] is cancelled; then until what was begun is done.
pub async fn serve(state: State, listener: TcpListener) -> std::io::Result<()> {
    let ending = state.ending().clone();
    let answers = axum::serve(listener, app(state.clone()));
    answers.with_graceful_shutdown(async move { ending.cancelled().await }).into_future().await?;
    state.tasks().close();
    state.tasks().wait().await;
    Ok(())
}

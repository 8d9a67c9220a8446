//! Who may do what: where a request may come from, who sends it, and what that one is allowed.
//!
//! # Promise
//! - A request must call the server by a name it has (`Host`): a page of another site whose name was turned to this address (DNS rebinding)
//!   is refused with 421.
//! - A request of another site's page (`Origin`, `Sec-Fetch-Site`) is refused with 403, also a web socket's. A change by cookie must prove that
//!   it is not: a request that says nothing of where it comes from is not one of our page.
//! - Without a token or a login there is nothing but `/healthz`, the page's own files, and `/login`.
//! - Tokens are compared in constant time, and looked up on each request: a revoked one is refused from then on.
//!
//! # Order
//! `Host` → `Origin` → credentials → the scope that the route asks for by the type of its argument ([`Reader`], [`Writer`], [`Admin`]).

mod caller;
mod guard;
mod login;
mod logins;
mod pass;
mod site;

pub(crate) use caller::Known;
pub use caller::{Admin, Caller, Reader, Writer};
pub(crate) use guard::guard;
pub(crate) use login::routes;
pub(crate) use logins::Logins;
pub(crate) use pass::Pass;

//! Who may do what.

mod caller;

pub(crate) use caller::Known;
pub use caller::{Admin, Caller, Reader, Writer};

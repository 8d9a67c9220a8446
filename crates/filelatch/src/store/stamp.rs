//! Points in time as stores write them: RFC 3339, UTC, to the millisecond. What is none is read as `None`.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serializer};

use crate::parts::{parse_rfc3339, rfc3339};

#[expect(clippy::ref_option, reason = "serde gives what it is asked to write by reference")]
pub(super) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.map(rfc3339).unwrap_or_default())
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    Ok(parse_rfc3339(&String::deserialize(deserializer)?))
}

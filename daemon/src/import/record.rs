//! What every connector's records of changes have in common. Pure.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A change, as far as it is looked at here.
#[derive(Deserialize)]
pub(super) struct Change<S> {
    pub(super) op: String,
    pub(super) source: S,
}

/// With its schema, or without.
#[derive(Deserialize)]
#[serde(bound = "S: DeserializeOwned")]
struct Value<S> {
    payload: Option<Change<S>>,
    #[serde(flatten)]
    plain: Option<Change<S>>,
}

/// The change that a record tells; `None` where it is of something else.
pub(super) fn change<S: DeserializeOwned>(value: &[u8]) -> Option<Change<S>> {
    let Value { payload, plain } = serde_json::from_slice(value).ok()?;
    payload.or(plain)
}

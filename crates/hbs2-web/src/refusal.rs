//! Why a request is not answered with what it asked for: a status and one line of text.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hbs2_core::tree::walk::WalkError;
use hbs2_core::{Hash, SignPublicKey};
use hbs2_rpc::{ClientError, Fault};

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path")]
    NoRoute,
    #[error("{text} is no hash")]
    NoHash { text: String },
    #[error("{text} is no public key")]
    NoKey { text: String },
    #[error("block {hash} is not here")]
    Absent { hash: Hash },
    #[error("block {block} of tree {root} is not here")]
    Incomplete { root: Hash, block: Hash },
    #[error("{hash} is no tree with metadata")]
    Bare { hash: Hash },
    #[error("tree {hash} is sealed")]
    Sealed { hash: Hash },
    #[error("tree {root} cannot be served: {reason}")]
    Unreadable { root: Hash, reason: Cow<'static, str> },
    #[error("tree {root} has no part {part}")]
    NoPart { root: Hash, part: String },
    #[error("no value is known of {key}")]
    NoValue { key: SignPublicKey },
    #[error("writing over HTTP is off; http-token-file in the config of the peer switches it on")]
    WritingOff,
    #[error("this needs the header 'Authorization: Bearer TOKEN' with the token of the peer")]
    NoToken,
    #[error("a body has at most {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body cannot be read: {reason}")]
    Body { reason: String },
    #[error("the body is no reflog entry: {reason}")]
    Malformed { reason: String },
    #[error("the peer refused: {reason}")]
    Refused { reason: String },
    #[error("the request took too long")]
    Late,
    #[error("too many requests at once")]
    Busy,
    #[error("the peer does not answer")]
    Peer(#[from] ClientError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute
            | Self::NoHash { .. }
            | Self::NoKey { .. }
            | Self::Absent { .. }
            | Self::Incomplete { .. }
            | Self::Bare { .. }
            | Self::Sealed { .. }
            | Self::Unreadable { .. }
            | Self::NoPart { .. }
            | Self::NoValue { .. } => StatusCode::NOT_FOUND,
            Self::WritingOff => StatusCode::FORBIDDEN,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body { .. } | Self::Malformed { .. } | Self::Refused { .. } => StatusCode::BAD_REQUEST,
            Self::Late | Self::Peer(ClientError::Timeout { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy | Self::Peer(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What a walk over the tree `root` met.
    pub(crate) fn of_walk(root: Hash, error: WalkError<ClientError>) -> Self {
        match error {
            WalkError::Missing { hash } => Self::Incomplete { root, block: hash },
            WalkError::Source(error) => Self::Peer(error),
            other => Self::Unreadable { root, reason: other.to_string().into() },
        }
    }

    /// What came of a write: what the peer refuses is the client's mistake.
    pub(crate) fn of_write(error: ClientError) -> Self {
        match error {
            ClientError::Refused { fault: Fault::Failed { reason }, .. } => Self::Refused { reason },
            ClientError::Refused { fault, .. } => Self::Refused { reason: fault.to_string() },
            other => Self::Peer(other),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Self::Peer(error) = &self {
            tracing::warn!("http: {error}");
        }
        let mut response = (self.status(), format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::NoToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

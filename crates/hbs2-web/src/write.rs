//! The two requests that change something: storing a block, and posting a reflog entry.
//!
//! They are off unless the config names a file with a token, and want that token. The file is read at each such
//! request, so the token is in memory no longer than that, and a new one holds at once.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Decode, Hash};
use hbs2_rpc::api::reflog::Post;
use hbs2_rpc::api::storage::PutBlock;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::refusal::Refusal;
use crate::routes::{Web, text};

/// Body of a request, in bytes, as in the original.
pub(crate) const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bodies that are taken in at once: 32 MiB of them.
const BODIES_MAX: usize = 8;

/// Shortest token, in characters. Whoever can reach the port may guess; 22 random letters are 128 bits, and nobody
/// guesses 16.
const TOKEN_CHARS_MIN: usize = 16;

/// File of a token that is read, in bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

/// Permission bits that nobody but the owner should have.
const OTHERS: u32 = 0o077;

/// Who may write.
pub(crate) struct Gate {
    token_file: Option<PathBuf>,
    bodies: Semaphore,
}

/// Why a file has no token.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("cannot read the token {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the token in {} is shorter than {TOKEN_CHARS_MIN} characters", path.display())]
    Short { path: PathBuf },
}

impl Gate {
    /// Lets in who has the token in `token_file`; nobody without it. What is wrong with the file is logged.
    pub(crate) fn new(token_file: Option<PathBuf>) -> Self {
        if let Some(path) = &token_file {
            match read_token(path) {
                Ok(_) => warn_of_mode(path),
                Err(error) => tracing::warn!("http: nobody can write: {error}"),
            }
        }
        Self { token_file, bodies: Semaphore::new(BODIES_MAX) }
    }

    /// Whether a request may write.
    async fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let path = self.token_file.clone().ok_or(Refusal::WritingOff)?;
        let given = bearer(headers).ok_or(Refusal::NoToken)?;
        let read = tokio::task::spawn_blocking(move || read_token(&path)).await.map_err(|_| Refusal::Busy)?;
        let token = read.map_err(|error| {
            tracing::warn!("http: nobody can write: {error}");
            Refusal::WritingOff
        })?;
        // Of equal length whatever the client sends, so that the time says nothing about the token.
        let (given, token) = (Hash::of(given.as_bytes()), Hash::of(token.as_bytes()));
        if bool::from(given.as_bytes().ct_eq(token.as_bytes())) { Ok(()) } else { Err(Refusal::NoToken) }
    }

    /// The body of a request that may write.
    async fn body(&self, request: Request) -> Result<Bytes, Refusal> {
        self.check(request.headers()).await?;
        let _place = self.bodies.try_acquire().map_err(|_| Refusal::Busy)?;
        let too_large = Refusal::TooLarge { bytes_max: BODY_BYTES_MAX };
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if length
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64)
        {
            return Err(too_large);
        }
        read_body(request.into_body(), too_large).await
    }
}

async fn read_body(body: Body, too_large: Refusal) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large),
        Err(error) => Err(Refusal::Body { reason: error.to_string() }),
    }
}

/// The token that a client shows.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, TokenError> {
    let failed = |source| TokenError::Read { path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::new());
    File::open(path).map_err(failed)?.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let token = Zeroizing::new(text.trim().to_owned());
    if token.chars().count() < TOKEN_CHARS_MIN {
        return Err(TokenError::Short { path: path.to_owned() });
    }
    Ok(token)
}

fn warn_of_mode(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & OTHERS != 0 {
        let mode = mode & 0o777;
        tracing::warn!("the token {} has mode {mode:o}: others can read it, chmod 600", path.display());
    }
}

/// `PUT /`: the body is a block; the answer is its hash, when the block is on stable storage.
pub(crate) async fn put_block(State(web): State<Arc<Web>>, request: Request) -> Result<Response, Refusal> {
    let block = web.gate.body(request).await?;
    let hash = web.link.ask::<PutBlock>(block).await.map_err(Refusal::of_write)?;
    let hash = hash.ok_or_else(|| Refusal::Refused { reason: "the block was not stored".to_owned() })?;
    Ok(text(hash.to_string(), "no-store"))
}

/// `POST /reflog`: the body is a reflog entry, which is checked, kept and passed on.
pub(crate) async fn post_reflog(State(web): State<Arc<Web>>, request: Request) -> Result<Response, Refusal> {
    let body = web.gate.body(request).await?;
    let update =
        ReflogUpdate::from_bytes(&body).map_err(|error| Refusal::Malformed { reason: error.to_string() })?;
    web.link.ask::<Post>(update).await.map_err(Refusal::of_write)?;
    Ok(text(String::new(), "no-store"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_is_shown_as_a_bearer() {
        for (line, expected) in
            [("Bearer abc", Some("abc")), ("bearer  abc ", Some("abc")), ("Basic abc", None), ("abc", None)]
        {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(line))]);
            assert_eq!(bearer(&headers), expected, "{line}");
        }
    }

    #[test]
    fn a_short_token_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "fifteen-letters\n").unwrap();
        assert!(matches!(read_token(file.path()), Err(TokenError::Short { .. })));
        fs::write(file.path(), " sixteen-letters.\n").unwrap();
        assert_eq!(*read_token(file.path()).unwrap(), "sixteen-letters.");
        assert!(matches!(read_token(Path::new("/nowhere")), Err(TokenError::Read { .. })));
    }
}

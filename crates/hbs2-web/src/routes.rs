//! The requests there are, and what they answer.
//!
//! The original's, with what HTTP promises its clients beside: `HEAD`, entity tags, ranges. Hashes name what never
//! changes, so it may be kept for ever; what a reference points at may be kept for five minutes.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use hbs2_core::{AnnotatedTree, Crypt, Decode, Hash, Meta, SignPublicKey};
use hbs2_rpc::api::lwwref::{self, LwwKey};
use hbs2_rpc::api::node::Annotation;
use hbs2_rpc::api::peer::Poke;
use hbs2_rpc::api::reflog;
use hbs2_rpc::api::storage::{GetBlock, HasBlock};

use crate::conditions::{self, Span, Verdict};
use crate::content::{Plan, Source};
use crate::link::Link;
use crate::metrics::{self, Metrics};
use crate::refusal::Refusal;
use crate::server::Limits;
use crate::site::{Site, Target};
use crate::write::{self, Gate};

/// How long what a hash names may be kept: a year, the longest that caches understand.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// How long what a reference points at may be kept, in the words of the original.
const FOR_MINUTES: &str = "public, max-age=300";

/// Trees, references and parts looked at for one request, at most: a site, the part it shows, what that part is.
const HOPS_MAX: usize = 4;

/// Metadata that is read, in bytes. A site with a thousand parts takes a tenth of it.
const META_BYTES_MAX: usize = 1024 * 1024;

/// What a page that may run scripts is allowed. It comes from a stranger and would otherwise be of one origin with
/// everything else that is served here.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-popups allow-scripts";

/// The kind of content that does not say its own.
const BYTES: &str = "application/octet-stream";

const TEXT: &str = "text/plain; charset=utf-8";

/// What the requests share.
pub(crate) struct Web {
    pub(crate) link: Link,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
}

type Shared = State<Arc<Web>>;
type Answer = Result<Response, Refusal>;

/// All requests.
pub(crate) fn router(web: Arc<Web>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics::metrics))
        .route("/metadata", get(metadata))
        .route("/size/{hash}", get(size))
        .route("/cat/{hash}", get(cat))
        .route("/tree/{hash}", get(tree))
        .route("/tree/{hash}/", get(tree))
        .route("/tree/{hash}/{*part}", get(tree_part))
        .route("/ref/{key}", get(reference))
        .route("/ref/{key}/", get(reference))
        .route("/ref/{key}/{*part}", get(reference_part))
        .route("/reflog/{key}", get(reflog))
        .route("/reflog", post(write::post_reflog))
        .route("/", put(write::put_block))
        .fallback(|| async { Refusal::NoRoute })
        .layer(middleware::from_fn_with_state(Arc::clone(&web), metrics::guard))
        .with_state(web)
}

async fn healthz(State(web): Shared) -> Answer {
    web.link.ask::<Poke>(()).await?;
    Ok(text("ok\n".to_owned(), "no-store"))
}

async fn metadata(State(web): Shared) -> Answer {
    let annotation = web.link.ask::<Annotation>(()).await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor"), (header::CACHE_CONTROL, "no-cache")], annotation)
        .into_response())
}

async fn size(State(web): Shared, Path(hash): Path<String>) -> Answer {
    let hash = hash_of(&hash)?;
    let size = web.link.ask::<HasBlock>(hash).await?.ok_or(Refusal::Absent { hash })?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, size.to_string()).into_response())
}

async fn reflog(State(web): Shared, Path(key): Path<String>) -> Answer {
    let key = key_of(&key)?;
    let value = web.link.ask::<reflog::Get>(key).await?.ok_or(Refusal::NoValue { key })?;
    Ok(text(value.to_string(), "no-cache"))
}

async fn cat(State(web): Shared, Path(hash): Path<String>, asked: Conditions) -> Answer {
    let hash = hash_of(&hash)?;
    let page = Page { source: Source::Block(hash), tag: hash, site: Site::default(), cache: FOR_EVER };
    send(&web, page, &asked.0).await
}

async fn tree(State(web): Shared, Path(hash): Path<String>, asked: Conditions) -> Answer {
    show(&web, Target::Tree(hash_of(&hash)?), None, &asked.0).await
}

async fn tree_part(
    State(web): Shared,
    Path((hash, part)): Path<(String, String)>,
    asked: Conditions,
) -> Answer {
    show(&web, Target::Tree(hash_of(&hash)?), Some(part), &asked.0).await
}

async fn reference(State(web): Shared, Path(key): Path<String>, asked: Conditions) -> Answer {
    show(&web, Target::Ref(key_of(&key)?), None, &asked.0).await
}

async fn reference_part(
    State(web): Shared,
    Path((key, part)): Path<(String, String)>,
    asked: Conditions,
) -> Answer {
    show(&web, Target::Ref(key_of(&key)?), Some(part), &asked.0).await
}

/// The headers of a request that say what of the content it wants.
struct Conditions(HeaderMap);

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut headers = std::mem::take(&mut parts.headers);
        // Ranges mean something to GET only.
        if parts.method != Method::GET {
            headers.remove(header::RANGE);
        }
        Ok(Self(headers))
    }
}

fn hash_of(text: &str) -> Result<Hash, Refusal> {
    text.parse().map_err(|_| Refusal::NoHash { text: short(text) })
}

fn key_of(text: &str) -> Result<SignPublicKey, Refusal> {
    text.parse().map_err(|_| Refusal::NoKey { text: short(text) })
}

/// As much of what a client wrote as an error repeats.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    text.chars().take(CHARS_MAX).collect()
}

/// A line of text.
pub(crate) fn text(text: String, cache: &'static str) -> Response {
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, cache)], text).into_response()
}

/// Some content, and what is said about it.
struct Page {
    source: Source,
    tag: Hash,
    site: Site,
    cache: &'static str,
}

/// Answers with a tree or one of its parts, or sends the client elsewhere.
async fn show(web: &Web, first: Target, part: Option<String>, headers: &HeaderMap) -> Answer {
    let (mut target, mut part, mut cache) = (first, part, FOR_EVER);
    for _ in 0..HOPS_MAX {
        let root = match target {
            Target::Tree(root) => root,
            Target::Ref(key) => {
                cache = FOR_MINUTES;
                let value = web.link.ask::<lwwref::Get>(LwwKey(key)).await?;
                value.ok_or(Refusal::NoValue { key })?.value
            }
            Target::Redirect(place) => return redirect(&place, cache),
        };
        let site = site_of(web, root).await?;
        let own = part.is_none() || part == site.file_name;
        let named = part.as_deref().or(site.root.as_deref()).and_then(|name| site.part(name));
        target = match named {
            Some(named) => named.clone(),
            None if !own => return Err(Refusal::NoPart { root, part: short(&part.unwrap_or_default()) }),
            None => match &site.redirect {
                Some(place) => return redirect(place, cache),
                None => {
                    return send(web, Page { source: Source::Tree(root), tag: root, site, cache }, headers)
                        .await;
                }
            },
        };
        part = None;
    }
    Err(Refusal::NoRoute)
}

/// The metadata of a tree that is in clear and has some.
async fn site_of(web: &Web, root: Hash) -> Result<Site, Refusal> {
    let block = web.link.ask::<GetBlock>(root).await?.ok_or(Refusal::Absent { hash: root })?;
    let tree = AnnotatedTree::from_bytes(&block).map_err(|_| Refusal::Bare { hash: root })?;
    if tree.crypt != Crypt::None {
        return Err(Refusal::Sealed { hash: root });
    }
    let text = match tree.meta {
        Meta::None => return Err(Refusal::Bare { hash: root }),
        Meta::Short(text) => text,
        Meta::Block(hash) => {
            let block = web.link.ask::<GetBlock>(hash).await?;
            let block = block.ok_or(Refusal::Incomplete { root, block: hash })?;
            String::from_utf8_lossy(&block).into_owned()
        }
    };
    if text.len() > META_BYTES_MAX {
        return Err(Refusal::Unreadable { root, reason: Cow::Borrowed("its metadata is too long") });
    }
    Ok(Site::read(&text))
}

/// Sends the client elsewhere on the web, and never to another kind of place.
fn redirect(place: &str, cache: &'static str) -> Answer {
    let scheme = place.split(['/', '?', '#']).next().and_then(|start| start.split_once(':'));
    let fits =
        scheme.is_none_or(|(scheme, _)| ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()));
    match HeaderValue::from_str(place) {
        Ok(place) if fits => {
            let cache = HeaderValue::from_static(cache);
            Ok((StatusCode::FOUND, [(header::LOCATION, place), (header::CACHE_CONTROL, cache)])
                .into_response())
        }
        _ => Err(Refusal::NoRoute),
    }
}

/// Answers with content, or with as much of it as the client asked for.
async fn send(web: &Web, page: Page, headers: &HeaderMap) -> Answer {
    let tag = conditions::tag(&page.tag);
    let verdict = conditions::verdict(headers, &tag);
    let mut answer = Response::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, page.cache);
    let status = match verdict {
        Verdict::Go => None,
        Verdict::Unchanged => Some(StatusCode::NOT_MODIFIED),
        Verdict::Failed => Some(StatusCode::PRECONDITION_FAILED),
    };
    if let Some(status) = status {
        return Ok(built(answer.status(status).body(Body::empty())));
    }
    let source = page.source;
    let plan = {
        let link = web.link.clone();
        let planned = tokio::task::spawn_blocking(move || Plan::of(source, &link)).await;
        planned.map_err(|_| Refusal::Busy)??
    };
    let bytes = plan.bytes();
    let (from, to) = match conditions::span(headers, &tag, bytes) {
        Span::Whole => (0, bytes),
        Span::Part { from, to } => {
            let range = format!("bytes {from}-{}/{bytes}", to - 1);
            answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
            (from, to)
        }
        Span::Outside => {
            let answer = Response::builder().status(StatusCode::RANGE_NOT_SATISFIABLE);
            let answer = answer.header(header::CONTENT_RANGE, format!("bytes */{bytes}"));
            return Ok(built(answer.body(Body::empty())));
        }
    };
    answer = answer.header(header::ACCEPT_RANGES, "bytes").header(header::CONTENT_LENGTH, to - from);
    let mut answer = built(answer.body(Body::from_stream(plan.read(from, to, &web.link))));
    describe(&page.site, answer.headers_mut());
    Ok(answer)
}

fn built(answer: Result<Response, axum::http::Error>) -> Response {
    answer.expect("tags, numbers and constants make valid headers")
}

/// The headers that the metadata of a tree gives.
fn describe(site: &Site, headers: &mut HeaderMap) {
    let given = site.mime.as_deref().filter(|mime| is_mime(mime)).unwrap_or(BYTES);
    let mime = HeaderValue::from_str(given).unwrap_or(HeaderValue::from_static(BYTES));
    headers.insert(header::CONTENT_TYPE, mime);
    let runs = given.to_ascii_lowercase();
    if ["html", "xml", "svg"].iter().any(|kind| runs.contains(kind)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    }
    if let Some(encoding) = &site.encoding
        && is_token(encoding)
        && let Ok(encoding) = HeaderValue::from_str(encoding)
    {
        headers.insert(header::CONTENT_ENCODING, encoding);
    }
    if let Some(name) = &site.file_name
        && let Ok(disposition) = HeaderValue::from_str(&disposition(name))
    {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
}

/// Whether a text may stand as a kind: a type, a slash, a subtype and maybe parameters.
fn is_mime(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.split_once('/').is_some_and(|(one, two)| is_token(one) && is_token(two))
}

/// Whether a text is a token of RFC 9110.
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// The name of a file as RFC 6266 wants it: in plain letters for old programs, in full for the others.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if (' '..='~').contains(&c) && !"\"\\/%".contains(c) { c } else { '_' })
        .collect();
    if plain == name {
        return format!("inline; filename=\"{plain}\"");
    }
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let full: String = name
        .bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("inline; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_stand_in_plain_letters_and_in_full() {
        for (name, expected) in [
            ("a b.txt", "inline; filename=\"a b.txt\""),
            ("a\"b", "inline; filename=\"a_b\"; filename*=UTF-8''a%22b"),
            ("имя", "inline; filename=\"___\"; filename*=UTF-8''%D0%B8%D0%BC%D1%8F"),
            ("a\r\nb", "inline; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ] {
            assert_eq!(disposition(name), expected);
        }
    }

    #[test]
    fn only_places_on_the_web_are_gone_to() {
        for (place, expected) in [
            ("https://example.org/?a=b:c", true),
            ("HTTP://example.org", true),
            ("/tree/x", true),
            ("next", true),
            ("a/b:c", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("a\nb", false),
        ] {
            assert_eq!(redirect(place, FOR_EVER).is_ok(), expected, "{place:?}");
        }
    }

    #[test]
    fn what_is_no_kind_is_called_bytes() {
        let kind = |mime: &str| {
            let mut headers = HeaderMap::new();
            describe(&Site::read(&format!("mime-type: {mime}")), &mut headers);
            let page = headers.contains_key(header::CONTENT_SECURITY_POLICY);
            (headers[header::CONTENT_TYPE].to_str().unwrap().to_owned(), page)
        };
        assert_eq!(kind("text/plain; charset=us-ascii"), ("text/plain; charset=us-ascii".to_owned(), false));
        assert_eq!(kind("TEXT/HTML"), ("TEXT/HTML".to_owned(), true));
        assert_eq!(kind("image/svg+xml"), ("image/svg+xml".to_owned(), true));
        for odd in ["", "text", "text/", "a b/c", "text/plain\u{7f}"] {
            assert_eq!(kind(odd), (BYTES.to_owned(), false), "{odd:?}");
        }
    }
}

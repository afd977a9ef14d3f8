//! What a monitor sees: the figures of the daemon, and what this server has done (spec: cli 4.6; OpenMetrics).
//!
//! Names follow the conventions of Prometheus: `hbs2_` before, the unit behind, `_total` at the end of a count.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hbs2_rpc::api::node::{Figure, Figures};
use hyper::body::{Frame, SizeHint};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::refusal::Refusal;
use crate::routes::Web;

/// How monitors know the form of the answer.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Paths that are answered also when no more requests are taken: those who look what is wrong.
const ALWAYS: [&str; 2] = ["/healthz", "/metrics"];

/// Stands for every path that is none of ours.
const OTHER: &str = "other";

/// What this server counts, and the places for its requests.
pub(crate) struct Metrics {
    requests: Family<Labels, Counter>,
    open: Gauge,
    body_bytes: Counter,
    /// Connections refused because there were too many.
    pub(crate) refused: Counter,
    places: Arc<Semaphore>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    path: String,
    code: u16,
}

impl Metrics {
    /// Counts from zero, with places for `requests_max` requests.
    pub(crate) fn new(requests_max: usize) -> Self {
        Self {
            requests: Family::default(),
            open: Gauge::default(),
            body_bytes: Counter::default(),
            refused: Counter::default(),
            places: Arc::new(Semaphore::new(requests_max)),
        }
    }

    fn registry(&self, figures: Vec<Figure>) -> Registry {
        let mut registry = Registry::with_prefix("hbs2");
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "Version of the program", Info::new(version));
        registry.register("http_requests", "Requests answered, by path and status", self.requests.clone());
        registry.register("http_requests_open", "Requests being answered", self.open.clone());
        registry.register("http_body_bytes", "Bytes of bodies sent", self.body_bytes.clone());
        registry.register("http_connections_refused", "Connections beyond the limit", self.refused.clone());
        registry.register_collector(Box::new(Snapshot(figures)));
        registry
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(State(web): State<Arc<Web>>) -> Result<Response, Refusal> {
    let figures = web.link.ask::<Figures>(()).await?;
    let mut text = String::new();
    encode(&mut text, &web.metrics.registry(figures)).expect("a string takes all that is written");
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// The figures of the daemon at one moment.
#[derive(Debug)]
struct Snapshot(Vec<Figure>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for figure in &self.0 {
            let name = unit_last(&figure.name);
            let meaning = format!("{}.", figure.meaning.trim_end_matches('.'));
            let value: &dyn Encoding = if figure.counts {
                &ConstCounter::new(figure.value)
            } else {
                &ConstGauge::new(i64::try_from(figure.value).unwrap_or(i64::MAX))
            };
            value.encode_as(&name, &meaning, &mut encoder)?;
        }
        Ok(())
    }
}

/// A figure that can be written.
trait Encoding {
    fn encode_as(&self, name: &str, meaning: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result;
}

impl<M: EncodeMetric> Encoding for M {
    fn encode_as(&self, name: &str, meaning: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode(encoder.encode_descriptor(name, meaning, None, self.metric_type())?)
    }
}

/// The name with its unit at the end: `block_bytes_served` is `block_served_bytes`.
fn unit_last(name: &str) -> String {
    const UNIT: &str = "bytes";
    let mut words: Vec<&str> = name.split('_').collect();
    if let Some(at) = words.iter().position(|word| *word == UNIT) {
        words.remove(at);
        words.push(UNIT);
    }
    words.join("_")
}

/// Stands around every request: a place for it, a deadline until its answer begins, and its count.
pub(crate) async fn guard(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or(OTHER, MatchedPath::as_str).to_owned();
    let place = Arc::clone(&web.metrics.places).try_acquire_owned().ok();
    let open = Open::new(&web.metrics.open, place);
    let mut response = if open.place.is_none() && !ALWAYS.contains(&path.as_str()) {
        Refusal::Busy.into_response()
    } else {
        let answered = timeout(web.limits.answer_wait, next.run(request)).await;
        answered.unwrap_or_else(|_| Refusal::Late.into_response())
    };
    let labels = Labels { path, code: response.status().as_u16() };
    web.metrics.requests.get_or_create(&labels).inc();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    let sent = web.metrics.body_bytes.clone();
    response.map(|body| Body::new(Counted { body, sent, _open: open }))
}

/// A request until the end of its answer.
struct Open {
    count: Gauge,
    place: Option<OwnedSemaphorePermit>,
}

impl Open {
    fn new(count: &Gauge, place: Option<OwnedSemaphorePermit>) -> Self {
        count.inc();
        Self { count: count.clone(), place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.dec();
    }
}

/// A body that keeps the place of its request and counts what is sent of it.
struct Counted {
    body: Body,
    sent: Counter,
    _open: Open,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(outcome)) = &polled {
            match outcome {
                Ok(frame) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.sent.inc_by(bytes as u64);
                }
                Err(error) => tracing::warn!("http: an answer ends early: {}", causes(error)),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut causes: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.dedup();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_stand_last_and_counts_end_in_total() {
        let figure = |name: &str, counts| Figure {
            name: name.to_owned(),
            meaning: "What it is".to_owned(),
            counts,
            value: 7,
        };
        let figures = vec![figure("block_bytes_served", true), figure("peers", false)];
        let mut text = String::new();
        encode(&mut text, &Metrics::new(1).registry(figures)).unwrap();
        for line in [
            "# HELP hbs2_block_served_bytes What it is.",
            "# TYPE hbs2_block_served_bytes counter",
            "hbs2_block_served_bytes_total 7",
            "# TYPE hbs2_peers gauge",
            "hbs2_peers 7",
            "hbs2_http_requests_open 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }
}

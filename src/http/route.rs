//! From a request to its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::metrics::Metrics;
use super::view::Viewer;
use super::{api, health, host, metrics};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const INDEX: &str = "\
wattkeeper
  /metrics       for Prometheus
  /api/v1/state  the site, every device, the last decision and why, as JSON
  /healthz       200 while every loop turns
  /readyz        200 once there is something to show
";

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// What the paths lead to. Cheap to clone.
#[derive(Clone)]
pub(super) struct Routes {
    listen: SocketAddr,
    viewer: Viewer,
    metrics: Metrics,
    /// One big answer is made at a time: many askers cost time, not memory.
    press: Arc<Semaphore>,
}

impl Routes {
    pub(super) fn new(listen: SocketAddr, viewer: Viewer) -> prometheus::Result<Self> {
        let metrics = Metrics::new(viewer.clone())?;
        Ok(Self { listen, viewer, metrics, press: Arc::new(Semaphore::new(1)) })
    }

    /// Answers a request. Its body, if any, is not read.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        let authority = request.uri().authority().map(hyper::http::uri::Authority::as_str);
        let named = authority.or_else(|| request.headers().get(HOST).and_then(|host| host.to_str().ok()));
        match named {
            None => return plain(StatusCode::BAD_REQUEST, "the request names no host\n"),
            Some(authority) if !host::is_ours(authority, self.listen) => {
                let text = "this server answers to localhost and its own address only\n";
                return plain(StatusCode::MISDIRECTED_REQUEST, text);
            }
            Some(_) => {}
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "this server is read only: GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match request.uri().path() {
            "/" => plain(StatusCode::OK, INDEX),
            "/metrics" => {
                let metrics = self.metrics.clone();
                self.print(metrics::CONTENT_TYPE, move || metrics.render().ok()).await
            }
            "/api/v1/state" => {
                let viewer = self.viewer.clone();
                self.print(JSON, move || api::state(&viewer.view()).ok()).await
            }
            "/healthz" => verdict(&health::alive(&self.viewer.view())),
            "/readyz" => verdict(&health::ready(&self.viewer.view())),
            _ => plain(StatusCode::NOT_FOUND, "no such page; / lists them\n"),
        }
    }

    /// Makes a big answer on a thread of its own, so that no loop of the daemon waits for it.
    async fn print(&self, kind: &'static str, make: impl FnOnce() -> Option<String> + Send + 'static) -> Answer {
        // Never closed.
        let turn = self.press.acquire().await;
        let made = tokio::task::spawn_blocking(make).await;
        drop(turn);
        match made {
            Ok(Some(body)) => respond(StatusCode::OK, kind, body),
            Ok(None) | Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "could not be rendered\n"),
        }
    }
}

fn verdict(faults: &health::Faults) -> Answer {
    if faults.is_empty() {
        return plain(StatusCode::OK, "ok\n");
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n")
}

/// An answer as plain text.
pub(super) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    respond(status, TEXT, body)
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

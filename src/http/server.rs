//! The accept loop. One request a connection, and each connection has an end: nobody holds one for long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::HttpPorts;
use super::route::Routes;
use super::view::Viewer;
use crate::config::HttpConfig;

/// How much a client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait in the listener's queue.
    pub connections: usize,
    /// The whole header must be there by then.
    pub header: Duration,
    /// The whole exchange must be over by then.
    pub exchange: Duration,
    /// At the end, running answers have so long.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            header: Duration::from_secs(5),
            exchange: Duration::from_secs(15),
            farewell: Duration::from_secs(1),
        }
    }
}

/// A listener that stands.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    listen: SocketAddr,
    /// How much a client may cost.
    pub limits: Limits,
}

impl Listener {
    /// Where it listens; the port is the real one where the config says 0.
    pub const fn address(&self) -> SocketAddr {
        self.listen
    }
}

/// Listens, before anything is served: a taken port is an error of the start.
///
/// # Errors
/// When the address cannot be listened on; the message names it.
pub async fn bind(config: &HttpConfig) -> io::Result<Listener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("[http] listen {}: {error}", config.listen));
    let listener = TcpListener::bind(config.listen).await.map_err(named)?;
    let listen = listener.local_addr().map_err(named)?;
    Ok(Listener { listener, listen, limits: Limits::default() })
}

/// Serves until stopped.
///
/// # Errors
/// When the table of metrics contradicts itself.
pub async fn run(listener: Listener, mut ports: HttpPorts) -> io::Result<()> {
    let viewer = Viewer::new(&ports);
    let routes = Arc::new(Routes::new(listener.listen, viewer.clone()).map_err(io::Error::other)?);
    let limits = listener.limits;
    let mut connections = JoinSet::new();
    let mut control_lives = true;
    loop {
        tokio::select! {
            () = ports.stop.cancelled() => break,
            accepted = listener.listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&routes), limits));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: give some back before trying again.
                    tracing::debug!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            changed = ports.decision.changed(), if control_lives => match changed {
                Ok(()) => viewer.observe(&ports.decision.borrow_and_update().clone()),
                Err(_) => control_lives = false,
            },
        }
    }
    drop(listener);
    let finished = timeout(limits.farewell, async { while connections.join_next().await.is_some() {} });
    // Whoever is still there then is cut off when the set is dropped.
    let _ = finished.await;
    Ok(())
}

async fn serve(stream: TcpStream, routes: Arc<Routes>, limits: Limits) {
    // An answer goes out in one piece anyway; a failure to say so does no harm.
    let _ = stream.set_nodelay(true);
    exchange(stream, routes, limits).await;
}

/// One request, one answer, within the limits.
async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, routes: Arc<Routes>, limits: Limits) {
    let service = service_fn(move |request| {
        let routes = Arc::clone(&routes);
        async move { Ok::<_, Infallible>(routes.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // What a client does wrong is its own affair, and a time-out ends it by dropping the connection.
    let _ = timeout(limits.exchange, connection).await;
}

#[cfg(test)]
mod tests;

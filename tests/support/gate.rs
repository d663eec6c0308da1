//! A door before a server: the client's address stays, what is behind it comes and goes.

#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a port while it leads somewhere; else hangs up at once.
pub struct Gate {
    pub port: u16,
    to: watch::Sender<Option<u16>>,
    tries: Arc<AtomicUsize>,
}

impl Gate {
    /// On this port (0: any), shut.
    pub async fn at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, leads) = watch::channel(None);
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                counted.fetch_add(1, SeqCst);
                let Some(port) = *leads.borrow() else { continue };
                tokio::spawn(async move {
                    if let Ok(mut outside) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
        });
        Self { port, to, tries }
    }

    /// Leads new connections to this port, or nowhere.
    pub fn lead(&self, to: Option<u16>) {
        self.to.send_replace(to);
    }

    /// Connections that came so far.
    pub fn tries(&self) -> usize {
        self.tries.load(SeqCst)
    }
}

//! A way to a server that is closed at times: connections are refused then, and those that were open end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The way, as long as the runtime runs.
#[derive(Clone)]
pub struct Outlet {
    pub address: SocketAddr,
    closed: Arc<Mutex<Vec<Closed>>>,
}

/// When it was closed, and opened again.
type Closed = (Instant, Option<Instant>);

impl Outlet {
    /// To `server`, with a way that `open` says the times of: how long it is open, then closed, and so on.
    pub async fn new(server: SocketAddr, open: impl Fn(u64) -> (Duration, Duration) + Send + 'static) -> Self {
        let listener = TcpListener::bind(super::free_address()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let outlet = Self { address, closed: Arc::default() };
        tokio::spawn(outlet.clone().serve(server, listener, open));
        outlet
    }

    /// Whether it was closed, or about to be, at any time from then to then.
    pub fn was_closed(&self, from: Instant, to: Instant) -> bool {
        self.closed.lock().unwrap().iter().any(|(since, until)| *since <= to && until.is_none_or(|until| until >= from))
    }

    async fn serve(
        self,
        server: SocketAddr,
        listener: TcpListener,
        open: impl Fn(u64) -> (Duration, Duration) + Send + 'static,
    ) {
        let mut listener = Some(listener);
        for turn in 0.. {
            let (stays, rests) = open(turn);
            if let Some(listener) = listener.take() {
                let mut connections = JoinSet::new();
                let end = tokio::time::sleep(stays);
                tokio::pin!(end);
                loop {
                    tokio::select! {
                        () = &mut end => break,
                        accepted = listener.accept() => {
                            let Ok((client, _)) = accepted else { continue };
                            connections.spawn(forward(client, server));
                        }
                    }
                }
                self.closed.lock().unwrap().push((Instant::now(), None));
                drop(listener);
                connections.shutdown().await;
            }
            tokio::time::sleep(rests).await;
            listener = TcpListener::bind(self.address).await.ok();
            if listener.is_some()
                && let Some((_, until)) = self.closed.lock().unwrap().last_mut()
            {
                *until = Some(Instant::now());
            }
        }
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if tokio::io::copy_bidirectional(&mut client, &mut server).await.is_err() {
        // One of them was reset: so is the other.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

//! Simulated providers, `model-gateway mock`.
//!
//! They answer as the real ones do, and refuse what the real ones refuse, so that a mistake of the gateway shows as the
//! provider's own 400. What they are told by [directives](directives) makes them fail in every way a provider has been
//! seen to fail. What they received, and what they sent, is told under `/mock/`.
//!
//! A request runs down these files: [`server`] reads it, a [`dialect`] checks it and takes from it a
//! [`model::Prompt`], the [`model`] makes a [`model::Reply`] of that, the dialect writes the reply as JSON or events, the
//! [`plan`] bends it to the directives, and the [`playback`] sends it while the [`record`] watches.
//!
//! A new dialect is one file or folder with an `impl Dialect` and one row of [`dialect::DIALECTS`].

mod anthropic;
mod bedrock;
mod clock;
mod cohere;
mod dialect;
mod directives;
mod embedding;
mod gemini;
mod instance;
mod json;
mod model;
mod ollama;
mod openai;
mod plan;
mod playback;
mod random;
mod record;
mod server;
mod wire;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use record::State;
pub use server::serve;

/// The options of `model-gateway mock`.
#[derive(clap::Args)]
pub struct Args {
    /// Where to listen; may be given several times, and port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    listen: Vec<SocketAddr>,

    /// What the failures of the `rate=` directive are drawn from
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Listens until the process is ended.
pub fn run(args: &Args) -> ExitCode {
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(listen(args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mock: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(args: &Args) -> io::Result<()> {
    let state = Arc::new(State::new(args.seed));
    let mut servers = JoinSet::new();
    for address in &args.listen {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        // Flushed line by line, and a reader that went away is no reason to stop serving.
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "mock listens on http://{}", listener.local_addr()?).and_then(|()| out.flush());
        drop(out);
        servers.spawn(serve(listener, Arc::clone(&state)));
    }
    servers.join_all().await;
    Ok(())
}

//! `model-gateway run`: serves a file, and what becomes of it.
//!
//! All that is said goes to standard error; standard output has the access log and nothing else.

mod admin;
mod bundled;
mod directory;
mod envoy;
mod follow;
mod gateway;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use model_gateway::config::Jwks;
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use self::bundled::{Bundled, bundled};
use self::follow::Follow;
use self::gateway::Gateway;
pub use self::gateway::Parts;
use crate::load::{self, KeysFile, Loaded};
use crate::{Outcome, mock};

/// What takes the place of the file's own.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Addresses {
    /// Where clients connect to, whatever the file says; port 0 takes a free port.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where Envoy's admin interface is, whatever the file says; port 0 takes a free port.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

/// Serves the file at `file`, or the bundled configuration, until told to end.
///
/// # Errors
/// It cannot serve, or Envoy ended by itself.
pub fn run(file: Option<&Path>, addresses: Addresses, parts: Parts) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        match file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                let mut source = Source { file: Follow::new(file, text.clone()), beside: Vec::new(), addresses };
                let loaded = source.check(&text)?;
                serve(parts, &loaded, Some(source)).await
            }
            None => {
                let Bundled { mut loaded, told } =
                    bundled(simulate().await?, |variable| variable_of(variable).is_some())?;
                for line in told {
                    eprintln!("{line}");
                }
                addresses.replace(&mut loaded);
                serve(parts, &loaded, None).await
            }
        }
    })
}

/// Where configuration comes from.
struct Source {
    file: Follow,
    /// The files beside it: of keys, and of keys of issuers.
    beside: Vec<Follow>,
    addresses: Addresses,
}

impl Source {
    /// What is to be served now, if anything has changed.
    fn look(&mut self) -> Option<String> {
        let changed = self.beside.iter_mut().filter_map(|file| file.look().map(drop)).count() > 0;
        let text = self.file.look().map(str::to_owned);
        text.or_else(|| changed.then(|| self.file.known().to_owned()))
    }

    /// What `text` means, or every mistake in it, the variables that it needs among them.
    fn check(&mut self, text: &str) -> Result<Loaded, String> {
        let name = self.file.path().display().to_string();
        let mut loaded = load::check(&name, text).map_err(|mistakes| mistakes.to_string())?;
        loaded.check_variables(|variable| std::env::var(variable).ok()).map_err(|mistakes| mistakes.to_string())?;
        self.addresses.replace(&mut loaded);
        let keys = loaded.file.keys_file.as_ref().map(|keys| KeysFile::path(self.file.path(), keys));
        let issuers = loaded.config.keys.issuers.iter().filter_map(|issuer| match &issuer.jwks {
            Jwks::File(path) => Some(PathBuf::from(path)),
            Jwks::Url(_) => None,
        });
        let beside = keys.into_iter().chain(issuers);
        self.beside =
            beside.map(|path| Follow::new(&path, std::fs::read_to_string(&path).unwrap_or_default())).collect();
        Ok(loaded)
    }
}

impl Addresses {
    fn replace(self, loaded: &mut Loaded) {
        let config = &mut loaded.config;
        config.listen = self.listen.unwrap_or(config.listen);
        config.admin = self.admin.unwrap_or(config.admin);
    }
}

fn variable_of(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Starts simulated providers in this process.
async fn simulate() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(|error| format!("simulated providers: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("simulated providers: {error}"))?;
    tokio::spawn(mock::serve(listener, Arc::new(mock::State::new(0))));
    Ok(address)
}

async fn serve(parts: Parts, loaded: &Loaded, mut source: Option<Source>) -> Outcome {
    let mut stop = Stop::new()?;
    let started = tokio::select! {
        started = Gateway::start(parts, loaded) => started,
        // Dropping what was begun ends Envoy.
        _ = stop.asked() => return Ok(ExitCode::SUCCESS),
    };
    let mut gateway = started?;
    greet(&gateway, loaded).await;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            signal = stop.asked() => return Ok(gateway.end(signal).await),
            status = gateway.envoy.ended() => {
                let status = status.map_or_else(String::new, |status| format!(": {status}"));
                return Err(format!("Envoy ended by itself{status}"));
            }
            _ = looks.tick() => {}
        }
        if let Some(source) = &mut source
            && let Some(text) = source.look()
        {
            let asked = tokio::select! {
                told = change(&mut gateway, source, &text) => {
                    eprintln!("{told}");
                    None
                }
                signal = stop.asked() => Some(signal),
            };
            if let Some(signal) = asked {
                return Ok(gateway.end(signal).await);
            }
        }
    }
}

/// Serves `text` if it can be served; says what came of it.
async fn change(gateway: &mut Gateway, source: &mut Source, text: &str) -> String {
    let name = source.file.path().display().to_string();
    let loaded = match source.check(text) {
        Ok(loaded) => loaded,
        Err(mistakes) => return format!("{mistakes}\n{name}: refused; the configuration before it keeps serving"),
    };
    if let Err(reason) = gateway.change(&loaded).await {
        return format!("{name}: refused by Envoy; the configuration before it keeps serving: {reason}");
    }
    let told = format!("{name}: reloaded; {}", summary(&loaded));
    match gateway.needs_restart(&loaded.config) {
        Some(what) => format!("{told}; {what} will change with a restart only"),
        None => told,
    }
}

async fn greet(gateway: &Gateway, loaded: &Loaded) {
    let listens = gateway.envoy.listens().await.unwrap_or(loaded.config.listen);
    let scheme = if loaded.file.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", reachable(listens));
    eprintln!(
        "serving on {url} ({}); Envoy's admin interface is on http://{}",
        summary(loaded),
        gateway.envoy.admin.address()
    );
    if let Some(model) = loaded.config.models.names().first() {
        let body = serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "Say hello" }] });
        eprintln!("try:\n  curl {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'");
    }
}

fn summary(loaded: &Loaded) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!("{}, {}", count(loaded.config.providers.len(), "provider"), count(loaded.config.models.len(), "model"))
}

/// An address at which this machine reaches a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The signals that end the command.
struct Stop {
    interrupt: Signals,
    terminate: Signals,
}

impl Stop {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn asked(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
        }
    }
}

const LOOK: Duration = Duration::from_millis(500);

//! An Envoy that serves a configuration, and takes another while it serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use model_gateway::config::Config;
use rustix::process::Signal;
use serde_json::Value;

use super::admin::Followed;
use super::directory::Directory;
use super::envoy::{Envoy, Options};
use crate::load::Loaded;
use crate::render::{BOOTSTRAP, Files, Render};

/// Where the things are that a gateway is made of.
pub struct Parts {
    /// The module.
    pub module: PathBuf,
    /// Envoy's executable.
    pub envoy: PathBuf,
    /// The certificate authorities to trust.
    pub authorities: PathBuf,
    /// Google's metadata server.
    pub metadata: String,
}

/// A gateway that serves.
pub struct Gateway {
    parts: Parts,
    /// The child process.
    pub envoy: Envoy,
    files: Files,
    // Removed when all of this is dropped, Envoy first.
    _directory: Directory,
    /// What only a restart changes.
    fixed: Fixed,
    generation: u32,
    current: Current,
}

/// Settings that Envoy reads once.
#[derive(Debug, PartialEq, Eq)]
struct Fixed {
    admin: SocketAddr,
    workers: Option<u32>,
}

/// What Envoy follows at present.
struct Current {
    version: String,
    listeners: Vec<Value>,
    clusters: Vec<Value>,
}

impl Gateway {
    /// Starts one, and waits until it serves.
    ///
    /// # Errors
    /// It does not come to that; why.
    pub async fn start(parts: Parts, loaded: &Loaded) -> Result<Self, String> {
        let directory = Directory::create()?;
        let files = Files::create(directory.path())?;
        let render = render(&parts, files.folder(), loaded);
        files.write_all(&render, "1")?;
        let current = Current { version: "1".to_owned(), listeners: render.listeners(), clusters: render.clusters() };
        let options = Options {
            binary: &parts.envoy,
            bootstrap: &files.path(BOOTSTRAP),
            admin_file: &directory.path().join("admin"),
            workers: loaded.config.workers,
            // No connection outlasts its listener by more than a request that had just begun.
            drain: Duration::from_millis(render.longest().as_millis().saturating_mul(2)),
        };
        let envoy = Envoy::start(&options).await?;
        let fixed = Fixed::of(&loaded.config);
        let gateway = Self { parts, envoy, files, _directory: directory, fixed, generation: 1, current };
        for followed in [Followed::Clusters, Followed::Listeners] {
            gateway.envoy.takes(followed, &gateway.current.version, 0).await?;
        }
        Ok(gateway)
    }

    /// Whether `config` can only be served in full after a restart; what stays as it was until then.
    pub fn needs_restart(&self, config: &Config) -> Option<&'static str> {
        let wanted = Fixed::of(config);
        match (wanted.admin != self.fixed.admin, wanted.workers != self.fixed.workers) {
            (true, true) => Some("`admin` and `workers`"),
            (true, false) => Some("`admin`"),
            (false, true) => Some("`workers`"),
            (false, false) => None,
        }
    }

    /// Serves `loaded` from now on.
    ///
    /// # Errors
    /// Envoy refuses it, and goes on as before; why.
    pub async fn change(&mut self, loaded: &Loaded) -> Result<(), String> {
        self.generation += 1;
        let version = self.generation.to_string();
        let render = render(&self.parts, self.files.folder(), loaded);
        self.files.put_secrets(&render)?;
        let (listeners, mut clusters) = (render.listeners(), render.clusters());
        let name = |cluster: &Value| cluster.get("name").cloned();
        let fresh = clusters.len();
        // Requests that began before may still be on their way to a provider that is gone now. Its cluster stays
        // until the change after this one.
        let gone = self.current.clusters.iter().filter(|old| !clusters.iter().any(|new| name(new) == name(old)));
        let gone: Vec<Value> = gone.cloned().collect();
        clusters.extend(gone);
        let outcome = self.offer(&version, &listeners, &clusters).await;
        if outcome.is_ok() {
            clusters.truncate(fresh);
            self.current = Current { version, listeners, clusters };
        } else {
            let Current { version, listeners, clusters } = &self.current;
            self.files.put_clusters(version, clusters.clone())?;
            self.files.put_listeners(version, listeners.clone())?;
        }
        outcome
    }

    /// Passes `signal` on to Envoy, and waits for its end; the code that it ended with.
    pub async fn end(&mut self, signal: Signal) -> ExitCode {
        self.envoy.signal(signal);
        let code = self.envoy.ended().await.and_then(|status| status.code());
        code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
    }

    /// Where requests can go comes before what sends them there.
    async fn offer(&self, version: &str, listeners: &[Value], clusters: &[Value]) -> Result<(), String> {
        let rejected = self.envoy.rejected(Followed::Clusters).await;
        self.files.put_clusters(version, clusters.to_vec())?;
        self.envoy.takes(Followed::Clusters, version, rejected).await?;
        let rejected = self.envoy.rejected(Followed::Listeners).await;
        self.files.put_listeners(version, listeners.to_vec())?;
        self.envoy.takes(Followed::Listeners, version, rejected).await
    }
}

impl Fixed {
    fn of(config: &Config) -> Self {
        Self { admin: config.admin, workers: config.workers }
    }
}

fn render<'a>(parts: &'a Parts, folder: &'a Path, loaded: &'a Loaded) -> Render<'a> {
    let Parts { module, authorities, metadata, .. } = parts;
    let Loaded { file, config, .. } = loaded;
    Render { file, config, module: Path::new(module), authorities, metadata, secrets: Some(folder) }
}

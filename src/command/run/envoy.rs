//! Envoy, as a child process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep};

use super::admin::{Admin, Followed};
use super::bundled::MOCK_KEY;

/// An Envoy that was started.
pub struct Envoy {
    child: Child,
    /// Its admin interface.
    pub admin: Admin,
    said: Said,
}

/// What an Envoy is started with.
pub struct Options<'a> {
    /// The executable.
    pub binary: &'a Path,
    /// The bootstrap.
    pub bootstrap: &'a Path,
    /// Where Envoy writes the address of its admin interface.
    pub admin_file: &'a Path,
    /// Worker threads; `None` for one per core.
    pub workers: Option<u32>,
    /// How long connections to a listener that was replaced may last.
    pub drain: Duration,
}

/// The last complaint of Envoy about configuration, for a person.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl Envoy {
    /// Starts one, and waits until it serves.
    ///
    /// # Errors
    /// It does not start, or ends before it serves.
    pub async fn start(options: &Options<'_>) -> Result<Self, String> {
        let mut command = Command::new(options.binary);
        command.arg("--config-path").arg(options.bootstrap);
        command.arg("--admin-address-path").arg(options.admin_file);
        // Hot restart would claim memory that all Envoys of a machine share; there is only ever this one.
        command.args(["--disable-hot-restart", "--log-level", "warning", "--file-flush-interval-msec", "1000"]);
        // Connections to a replaced listener are asked to close with their next answer, and have this long to do so.
        command.args(["--drain-strategy", "immediate", "--drain-time-s", &options.drain.as_secs().to_string()]);
        if let Some(workers) = options.workers {
            command.args(["--concurrency", &workers.to_string()]);
        }
        command.env(MOCK_KEY, std::env::var_os(MOCK_KEY).unwrap_or_else(|| "mock".into()));
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let started = command.spawn();
        let mut child = started.map_err(|error| format!("{}: {error}", options.binary.display()))?;
        let said = Said::default();
        if let Some(lines) = child.stderr.take() {
            tokio::spawn(said.clone().listen(lines));
        }
        let admin = loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("Envoy ended before it served: {status}"));
            }
            match Admin::find(options.admin_file) {
                Some(admin) if admin.is_ready().await => break admin,
                _ => sleep(POLL).await,
            }
        };
        Ok(Self { child, admin, said })
    }

    /// Waits until Envoy runs on `version` of `followed`, and all of it is ready.
    ///
    /// # Errors
    /// Envoy refuses it, which it has done `rejected` times before; its reason.
    pub async fn takes(&self, followed: Followed, version: &str, rejected: u64) -> Result<(), String> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(progress) = self.admin.progress(followed).await {
                if progress.rejected > rejected {
                    // It complains just before or just after it counts.
                    sleep(POLL).await;
                    return Err(self.said.text());
                }
                if progress.version == version && progress.warming == 0 {
                    return Ok(());
                }
            }
            sleep(POLL).await;
        }
        Err(format!("Envoy has not made up its mind within {} s", PATIENCE.as_secs()))
    }

    /// How often Envoy refused what it follows.
    pub async fn rejected(&self, followed: Followed) -> u64 {
        self.admin.progress(followed).await.map_or(0, |progress| progress.rejected)
    }

    /// Where clients connect to.
    pub async fn listens(&self) -> Option<SocketAddr> {
        self.admin.listens().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Asks it to end.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            // It has ended already, at worst.
            let _ = kill_process(id, signal);
        }
    }
}

impl Said {
    /// Passes on what Envoy says, and keeps its reasons.
    async fn listen(self, lines: ChildStderr) {
        let mut lines = BufReader::new(lines).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("{line}");
            if line.contains("update rejected: ") {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        }
    }

    /// Without what stands before it: `[time][thread][level][component] [file.cc:line] `.
    fn text(&self) -> String {
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text =
            line.split_once(".cc:").and_then(|(_, rest)| rest.split_once("] ")).map_or(&**line, |(_, text)| text);
        text.trim_start_matches("Filesystem config update rejected: ").to_owned()
    }
}

const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

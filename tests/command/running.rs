//! Commands that run for as long as a test does.

#![allow(clippy::unwrap_used, missing_docs)] // Tests may, and their helpers with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The command, in `folder`.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
    command.current_dir(folder);
    command
}

/// The module that `make build` made; `None` skips the test, except in CI.
pub fn module() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_model-gateway")).ancestors().nth(2)?;
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let places = [project.as_path(), built].map(|target| target.join("wasm32-wasip1/release/model_gateway.wasm"));
    found("the module", "make build", places.into_iter().find(|path| path.is_file()))
}

/// Envoy: the environment's `ENVOY`, the one on PATH, the one that `make setup` installed.
pub fn envoy() -> Option<PathBuf> {
    let given = std::env::var_os("ENVOY").filter(|given| !given.is_empty()).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut on_path = std::env::split_paths(&path).map(|folder| folder.join("envoy"));
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/envoy");
    let found_here = given.or_else(|| on_path.find(|path| path.is_file())).unwrap_or(installed);
    found("Envoy", "make setup", Some(found_here).filter(|path| path.is_file()))
}

fn found(what: &str, how: &str, path: Option<PathBuf>) -> Option<PathBuf> {
    if path.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is not there: `{how}`");
        eprintln!("skipped: {what} is not there; `{how}` makes it");
    }
    path
}

/// A folder for one test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("model-gateway-test-{}-{count}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// Moves a fresh file into the place of the one there is.
    pub fn replace(&self, name: &str, text: &str) {
        self.write("fresh", text);
        fs::rename(self.0.join("fresh"), self.0.join(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A command that serves.
pub struct Running {
    child: Mutex<Child>,
    log: PathBuf,
    url: String,
    agent: ureq::Agent,
    _folder: Folder,
}

impl Running {
    /// Simulated providers.
    pub fn mock() -> Option<Self> {
        Some(Self::start(command(Path::new(".")), &["mock", "--listen", "127.0.0.1:0"], "mock listens on "))
    }

    /// The gateway, serving a file; `None` where the test is to be skipped.
    pub fn gateway(folder: &Folder, file: &str) -> Option<Self> {
        let mut run = command(folder.path());
        run.arg("--module").arg(module()?).arg("--envoy").arg(envoy()?).env("MOCK_API_KEY", "any");
        Some(Self::start(run, &["run", file], "serving on "))
    }

    /// The gateway, serving what it does without a file.
    pub fn bundled() -> Option<Self> {
        let mut run = command(Path::new("."));
        run.arg("--module").arg(module()?).arg("--envoy").arg(envoy()?);
        for variable in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MOCK_API_KEY"] {
            run.env_remove(variable);
        }
        Some(Self::start(run, &["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], "serving on "))
    }

    /// Waits until the command has said where it is, after `announced`.
    fn start(mut command: Command, arguments: &[&str], announced: &str) -> Self {
        let folder = Folder::new("log");
        let log = folder.path().join("log");
        let file = File::create(&log).unwrap();
        command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = Mutex::new(command.spawn().unwrap());
        let settings = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = settings.timeout_global(Some(PATIENCE)).build().into();
        let mut running = Self { child, log, url: String::new(), agent, _folder: folder };
        running.wait(announced, 1);
        let said = running.said();
        let (_, rest) = said.split_once(announced).unwrap();
        running.url = rest.split_whitespace().next().unwrap().to_owned();
        running
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has said `what` so many times.
    pub fn wait(&self, what: &str, times: usize) {
        self.poll(what, || self.said().matches(what).count() >= times);
    }

    /// Waits until something is so.
    pub fn poll(&self, what: &str, mut so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !so() {
            assert!(begin.elapsed() < PATIENCE, "waited in vain for: {what}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks `model` for an answer; the status.
    pub fn chat(&self, model: &str) -> u16 {
        let body = serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "Say hello" }] });
        let mut response = self.agent.post(format!("{}/v1/chat/completions", self.url)).send_json(body).unwrap();
        let answer: serde_json::Value = response.body_mut().read_json().unwrap();
        let status = response.status().as_u16();
        assert_eq!(answer.get("choices").is_some(), status == 200, "{answer}");
        assert_eq!(answer.get("error").is_some(), status != 200, "{answer}");
        status
    }

    /// Ends its Envoy behind its back.
    pub fn quit_envoy(&self) {
        let said = self.said();
        let admin = said.split_once("admin interface is on ").unwrap().1.split_whitespace().next().unwrap();
        self.agent.post(format!("{admin}/quitquitquit")).send_empty().unwrap();
    }

    /// Asks it to end; its code.
    pub fn stop(&self) -> Option<i32> {
        let id = self.child.lock().unwrap().id();
        kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
        self.ended()
    }

    /// Waits for its end; its code.
    pub fn ended(&self) -> Option<i32> {
        self.child.lock().unwrap().wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.child.lock().is_ok_and(|mut child| child.try_wait().is_ok_and(|status| status.is_some()));
        if !ended {
            self.stop();
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(120);

//! What end-to-end tests need: the mock, the gateway on a real Envoy, and a client that sees what is on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

pub mod browser;
pub mod failures;
pub mod front;
pub mod load;
pub mod outlet;
pub mod scrape;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take to come about, two Envoys that start on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process of the command, stopped by its id when dropped.
pub struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Process {
    /// The command.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The command, with more in its environment.
    pub fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
        command.args(arguments).env("MOCK_KEY", "sk-mock-key").env("BAD_KEY", "bad-key");
        command.envs(variables.iter().copied());
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let output = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let output = output.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    output.lock().unwrap().push_str(&(line + "\n"));
                }
            });
        }
        Self { child, output }
    }

    /// Nanoseconds for which the processes that it started, Envoy among them, have been on a processor.
    pub fn cpu_time_of_children(&self) -> u64 {
        let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().map_while(Result::ok);
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        // After the name, which may have anything in it: the state, and the parent.
        let parent = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
        let own = entries(Path::new("/proc"))
            .filter(|entry| parent(&read(entry.path().join("stat"))) == Some(self.child.id()));
        let tasks = own.flat_map(|entry| entries(&entry.path().join("task")));
        let times =
            tasks.filter_map(|task| read(task.path().join("schedstat")).split_whitespace().next()?.parse::<u64>().ok());
        times.sum()
    }

    /// By what the system knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has printed.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// What `find` finds in the output, once it does.
    pub fn wait_for<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let output = self.output.clone();
        let child = &mut self.child;
        poll(what, || {
            let output = output.lock().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended with {status} before {what}:\n{output}");
            }
            find(&output)
        })
    }

    pub fn stop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let since = Instant::now();
            while self.child.try_wait().ok().flatten().is_none() && since.elapsed() < Duration::from_secs(10) {
                std::thread::yield_now();
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks until there is an answer.
pub fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Simulated providers.
pub struct Mock {
    pub process: Process,
    pub address: String,
}

impl Mock {
    pub fn start() -> Self {
        let mut process = Process::start(&["mock", "--listen", "127.0.0.1:0"]);
        let address = process.wait_for("the mock's address", |output| {
            Some(output.split_once("http://")?.1.split_once('\n')?.0.trim().to_owned())
        });
        Self { process, address }
    }

    /// A row for each request that it was asked.
    pub fn rows(&self) -> Vec<Value> {
        self.told("ledger/rows")["rows"].as_array().unwrap().clone()
    }

    /// What it was asked under a request id.
    pub fn requests(&self, id: &str) -> Vec<Value> {
        self.told(&format!("requests?id={id}")).as_array().unwrap().clone()
    }

    /// What it tells under `/mock/`.
    pub fn told(&self, path: &str) -> Value {
        let url = format!("http://{}/mock/{path}", self.address);
        let mut answer = ureq::get(&url).call().unwrap();
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        serde_json::from_str(&body).unwrap()
    }
}

/// The gateway: `model-gateway run` with the real Envoy.
pub struct Gateway {
    pub process: Process,
    pub address: String,
    pub admin: String,
    pub file: PathBuf,
    _folder: Folder,
}

impl Gateway {
    /// Starts it on `config`, to which the addresses are added, and waits until it serves.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same, with more in its environment.
    pub fn start_with(config: &str, variables: &[(&str, &str)]) -> Self {
        // Without a key, which it may ask for.
        Self::start_when(config, variables, |address| {
            let answer = ureq::get(&format!("http://{address}/v1/models")).call();
            matches!(answer, Ok(_) | Err(ureq::Error::StatusCode(401)))
        })
    }

    /// The same; it serves once `ready` at its address.
    pub fn start_when(config: &str, variables: &[(&str, &str)], ready: impl Fn(&str) -> bool) -> Self {
        let folder = Folder::new();
        let file = folder.0.join("gateway.yaml");
        let (address, admin) = (free_address(), free_address());
        std::fs::write(&file, format!("listen: {address}\nadmin: {admin}\n{config}")).unwrap();
        let mut process = Process::start_with(&["run", file.to_str().unwrap()], variables);
        process.wait_for("the gateway to serve", |_| ready(&address).then_some(()));
        Self { process, address, admin, file, _folder: folder }
    }

    /// An Envoy of its own on the configuration in `file`, with what stands for addresses and files replaced.
    pub fn of_envoy(file: &str, replaced: &[(&str, &str)], variable: (&str, &str)) -> Self {
        let folder = Folder::new();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let (address, admin) = (free_address(), free_address());
        let mut config = std::fs::read_to_string(root.join(file)).unwrap();
        for (port, address) in [("8080", &address), ("9901", &admin)] {
            config = config.replace(
                &format!("port_value: {port}"),
                &format!("port_value: {}", address.rsplit_once(':').unwrap().1),
            );
        }
        for (text, replacement) in replaced {
            config = config.replace(text, replacement);
        }
        let file = folder.0.join("envoy.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = envoy(&file);
        command.current_dir(root).env(variable.0, variable.1);
        let mut process = Process::spawn(command);
        let url = format!("http://{address}/v1/models");
        process.wait_for("Envoy to serve", |_| ureq::get(&url).call().ok());
        Self { process, address, admin, file, _folder: folder }
    }

    /// Envoy's statistics whose name has `part` in it.
    pub fn stats(&self, part: &str) -> Vec<(String, u64)> {
        let body =
            ureq::get(&format!("http://{}/stats", self.admin)).call().unwrap().body_mut().read_to_string().unwrap();
        let stats = body.lines().filter_map(|line| line.split_once(": "));
        stats
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// The module has not failed, and nothing in the log says so.
    pub fn assert_sound(&self) {
        let output = self.process.output();
        for sign in ["panicked", "proxy_on_", "Envoy refused", "[critical]"] {
            assert!(!output.contains(sign), "`{sign}` in the log:\n{output}");
        }
        let stats = self.stats("wasm.");
        assert!(!stats.is_empty(), "Envoy tells nothing of the module");
        for (name, value) in stats {
            let bad = name.contains("failed") || name.contains("crash") || name.contains("vm_reload");
            assert!(!bad || value == 0, "{name}: {value}");
        }
    }
}

/// An Envoy on this configuration.
pub fn envoy(file: &Path) -> Command {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/envoy");
    let mut command = Command::new(if own.exists() { own } else { PathBuf::from("envoy") });
    command.args(["--use-dynamic-base-id", "-l", "warn", "-c"]).arg(file);
    command
}

/// A folder of its own, gone when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("model-gateway-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An address that nobody listens on. It is none of those that a system takes for connections that somebody opens, from port 32768 on:
/// until a server has started, one of these could be gone.
pub fn free_address() -> String {
    const FIRST: u32 = 10_000;
    // Tests that run at once are processes, each with ports of its own.
    const EACH: u32 = 50;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = FIRST + std::process::id() % 400 * EACH;
    let free = (0..EACH).find_map(|_| {
        let address = format!("127.0.0.1:{}", first + GIVEN.fetch_add(1, Ordering::Relaxed) % EACH);
        TcpListener::bind(&address).is_ok().then_some(address)
    });
    free.expect("a free port")
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The connection broke before the answer's end.
    pub broken: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of a stream's events.
    pub fn events(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
    }

    /// The text of the first choice, streamed or not; the stream must be complete.
    pub fn text(&self) -> String {
        if !self.body.starts_with("data: ") {
            return self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
        let events = self.events();
        assert_eq!(events.last(), Some(&"[DONE]"), "{self:?}");
        let deltas = events[..events.len() - 1].iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
        deltas.map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Posts `body` to the gateway's chat completions.
pub fn chat(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> Answer {
    post(gateway, "/v1/chat/completions", headers, body)
}

/// Posts `body` to the gateway.
pub fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build(),
    );
    let url = format!("http://{}{path}", gateway.address);
    let mut request = agent.post(&url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(body.to_string()).unwrap();
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let (status, headers) = (response.status().as_u16(), headers.collect());
    let mut bytes = Vec::new();
    let broken = response.body_mut().as_reader().read_to_end(&mut bytes).is_err();
    Answer { status, headers, body: String::from_utf8(bytes).unwrap(), broken }
}

//! Envoy's side of the module: the host calls that it makes, on an interpreter. All others trap.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

mod calls;
pub mod meter;

use std::collections::BTreeMap;
use std::path::PathBuf;

use model_gateway::names;
use serde_json::{Value, json};
use wasmi::{Engine, Error, ExternType, Instance, Module, Store, TypedFunc};

use self::calls::{Call, linker};
use crate::scripted::filters::{Action, Event, Filters, Half, Held, State};

/// The module with its roots, in one VM.
pub struct Wasm {
    module: Module,
    store: Store<Host>,
    instance: Instance,
    roots: BTreeMap<String, i32>,
    configurations: Vec<(String, String)>,
    last: i32,
}

struct Host {
    held: Held,
    state: State,
    configuration: Vec<u8>,
    environment: Vec<u8>,
    variables: u32,
    log: Vec<String>,
    /// What the module counts: names, and what they have come to.
    statistics: Vec<(String, u64)>,
    calls: BTreeMap<&'static str, u64>,
}

impl Host {
    fn new(environment: Vec<u8>, variables: u32) -> Self {
        Self {
            held: Held::new(Half::Request, None),
            state: State::default(),
            configuration: Vec::new(),
            environment,
            variables,
            log: Vec::new(),
            statistics: Vec::new(),
            calls: BTreeMap::new(),
        }
    }
}

/// The module, or None (said once) where it was not built.
pub fn module() -> Option<Vec<u8>> {
    let built = "target/wasm32-wasip1/release/model_gateway.wasm";
    let path = std::env::var_os("MODEL_GATEWAY_MODULE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(built), PathBuf::from);
    let read = std::fs::read(&path);
    if let Err(error) = &read {
        let how = "cargo build --release --target wasm32-wasip1 --lib";
        let why = format!("{}: {error}; build it: {how}", path.display());
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
        eprintln!("SKIPPED: {why}");
    }
    read.ok()
}

impl Wasm {
    /// A VM that sees these environment variables.
    pub fn new(module: &[u8], environment: &[(&str, &str)]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, module).unwrap();
        let variables = u32::try_from(environment.len()).unwrap();
        let environment = environment.iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes());
        let mut store = Store::new(&engine, Host::new(environment.collect(), variables));
        let instance = instance(&module, &mut store);
        let mut wasm = Self { module, store, instance, roots: BTreeMap::new(), configurations: Vec::new(), last: 0 };
        wasm.call::<(), ()>("_initialize", ());
        wasm
    }

    /// With every root of `config`, in one VM.
    pub fn with_roots(module: &[u8], config: &Value, environment: &[(&str, &str)]) -> Self {
        let mut wasm = Self::new(module, environment);
        for position in [names::GATEWAY_ROOT, "single"] {
            wasm.configure(position, &json!({"position": position, "config": config}).to_string()).unwrap();
        }
        for name in config["providers"].as_object().unwrap().keys() {
            let module = json!({"position": "provider", "provider": name, "config": config});
            let root = format!("{}{name}", names::PROVIDER_ROOT_PREFIX);
            wasm.configure(&root, &module.to_string()).unwrap();
        }
        wasm
    }

    /// What Envoy does with a filter's configuration: its own words if the module refuses it.
    pub fn configure(&mut self, root: &str, configuration: &str) -> Result<(), String> {
        self.last += 1;
        let id = self.last;
        self.call::<_, ()>("proxy_on_context_create", (id, 0));
        assert_eq!(self.call::<_, i32>("proxy_on_vm_start", (id, 0)), 1);
        self.store.data_mut().configuration = configuration.into();
        self.store.data_mut().log.clear();
        let good = self.call::<_, i32>("proxy_on_configure", (id, i32::try_from(configuration.len()).unwrap()));
        self.roots.insert(root.to_owned(), id);
        self.configurations.push((root.to_owned(), configuration.to_owned()));
        if good == 1 { Ok(()) } else { Err(self.store.data().log.join("\n")) }
    }

    /// Time passes for this root.
    pub fn tick(&mut self, root: &str) {
        self.call::<_, ()>("proxy_on_tick", self.roots[root]);
    }

    /// Envoy gives this root up.
    pub fn give_up(&mut self, root: &str) {
        assert_eq!(self.call::<_, i32>("proxy_on_done", self.roots[root]), 1);
    }

    /// What it has cost so far: calls of the host by name, and where [`meter::metered`] made the module, instructions of each
    /// function.
    pub fn cost(&self) -> (BTreeMap<&'static str, u64>, Vec<u64>) {
        let counts = (0..).map_while(|number: usize| self.counter(&number.to_string()));
        (self.store.data().calls.clone(), counts.collect())
    }

    /// What is in the global with that name, if there is one.
    pub fn counter(&self, name: &str) -> Option<u64> {
        let global = self.instance.get_global(&self.store, name)?;
        Some(global.get(&self.store).i64().unwrap().cast_unsigned())
    }

    /// In bytes.
    pub fn memory(&self) -> usize {
        self.instance.get_memory(&self.store, "memory").unwrap().data_size(&self.store)
    }

    /// The context that was opened last.
    pub fn last(&self) -> u32 {
        self.last.unsigned_abs()
    }

    /// What the module has logged since it was configured last.
    pub fn log(&self) -> &[String] {
        &self.store.data().log
    }

    /// What the module has counted: names, and what they have come to.
    pub fn statistics(&self) -> &[(String, u64)] {
        &self.store.data().statistics
    }

    fn call<P: wasmi::WasmParams, R: wasmi::WasmResults>(&mut self, name: &str, params: P) -> R {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&self.store, name).unwrap();
        let result = function.call(&mut self.store, params);
        result.unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.log().join("\n")))
    }

    fn exchange(&mut self, held: &mut Held, state: &mut State) {
        let host = self.store.data_mut();
        core::mem::swap(&mut host.held, held);
        core::mem::swap(&mut host.state, state);
    }
}

fn instance(module: &Module, store: &mut Store<Host>) -> Instance {
    let mut linker = linker(module.engine()).unwrap();
    for import in module.imports() {
        if let ExternType::Func(ty) = import.ty() {
            let name = import.name().to_owned();
            let trap = move |_: Call<'_>, _: &[_], _: &mut [_]| Err(Error::new(format!("{name} is not there")));
            // Refused for what is there already.
            let _ = linker.func_new(import.module(), import.name(), ty.clone(), trap);
        }
    }
    linker.instantiate_and_start(store, module).unwrap()
}

impl Filters for Wasm {
    fn renew(&mut self) {
        let before = self.store.data_mut();
        let (environment, log) = (core::mem::take(&mut before.environment), core::mem::take(&mut before.log));
        self.store = Store::new(self.module.engine(), Host::new(environment, before.variables));
        self.instance = instance(&self.module, &mut self.store);
        self.call::<(), ()>("_initialize", ());
        for (root, configuration) in core::mem::take(&mut self.configurations) {
            self.configure(&root, &configuration).unwrap();
        }
        self.store.data_mut().log = log;
    }

    fn open(&mut self, root: &str) -> u32 {
        self.last += 1;
        self.call::<_, ()>("proxy_on_context_create", (self.last, self.roots[root]));
        self.last.unsigned_abs()
    }

    fn call(&mut self, context: u32, event: Event, held: &mut Held, state: &mut State) -> Action {
        let id = context.cast_signed();
        let size = held.body.as_ref().map_or(0, |body| i32::try_from(body.len()).unwrap());
        let half = if held.half == Half::Request { "request" } else { "response" };
        self.exchange(held, state);
        let action: i32 = match event {
            Event::Headers { end } => self.call(&format!("proxy_on_{half}_headers"), (id, 0, i32::from(end))),
            Event::Body { end } => self.call(&format!("proxy_on_{half}_body"), (id, size, i32::from(end))),
            Event::Trailers => self.call(&format!("proxy_on_{half}_trailers"), (id, 0)),
        };
        self.exchange(held, state);
        if action == 0 { Action::Continue } else { Action::Pause }
    }

    fn close(&mut self, context: u32, state: &mut State) {
        let id = context.cast_signed();
        let mut held = Held::new(Half::Response, None);
        self.exchange(&mut held, state);
        // Envoy writes the log, and so asks, for the filter before the router only.
        if self.store.data().state.ending.is_some() {
            self.call::<_, ()>("proxy_on_log", id);
        }
        assert_eq!(self.call::<_, i32>("proxy_on_done", id), 1);
        self.call::<_, ()>("proxy_on_delete", id);
        self.exchange(&mut held, state);
    }
}

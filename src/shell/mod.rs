//! The only part that knows Envoy: reads the host, asks the machine, does what it says.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>
//!
//! Envoy loads the module once per worker and calls it for every filter that names it; a filter's configuration says at
//! which position it stands.

mod abi;
mod glances;
mod host;
mod idle;
mod metrics;
mod pool;
mod queue;
mod stream;

use std::collections::BTreeMap;
use std::rc::Rc;

use log::{error, info};

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};

use self::host::{Call, Half, Seen};
use self::stream::Stream;
use crate::config::{Config, Mistake, Module, Position, Provider};
use crate::exchange::{Attempt, Gateway, Ledger, Queue, Single, Tally, Upstream};

#[allow(unsafe_code)] // The macro exports the module's entry point.
mod entry {
    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(super::Root { role: None }));
    }}
}

thread_local! {
    /// One for all filters of the VM.
    static LEDGER: Rc<Ledger> = Rc::default();
    static QUEUE: Rc<Queue> = Rc::default();
    static TALLY: Rc<Tally> = Rc::default();
}

fn ledger() -> Rc<Ledger> {
    LEDGER.with(Rc::clone)
}

fn queue() -> Rc<Queue> {
    QUEUE.with(Rc::clone)
}

fn tally() -> Rc<Tally> {
    TALLY.with(Rc::clone)
}

/// One filter of Envoy's configuration.
struct Root {
    role: Option<Role>,
}

enum Role {
    Gateway(Rc<Config>),
    Provider(Rc<Upstream>),
    Single(Rc<Config>, Rc<BTreeMap<String, Rc<Upstream>>>),
}

impl Context for Root {
    /// It is given up: for another configuration, or as Envoy ends.
    fn on_done(&mut self) -> bool {
        count();
        true
    }
}

impl RootContext for Root {
    /// `false` makes Envoy refuse the configuration, and keep the one before.
    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::buffer(BufferType::PluginConfiguration, 0, size);
        match configure(&json) {
            Ok(role) => {
                if let Role::Gateway(config) | Role::Single(config, _) = &role {
                    let idle = idle::period(config.idle_timeout.as_millis());
                    self.set_tick_period(queue::period(config).map_or(idle, |period| period.min(idle)));
                }
                self.role = Some(role);
                true
            }
            Err(reasons) => {
                for reason in reasons {
                    error!("model-gateway: {reason}");
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(Role::Gateway(config) | Role::Single(config, _)) = &self.role {
            idle::end_silent(config.idle_timeout.as_millis());
            queue::look();
            count();
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match self.role.as_ref()? {
            Role::Gateway(config) => {
                Box::new(Stream::new(Gateway::new(config.clone(), ledger(), queue(), &tally()), id))
            }
            Role::Provider(upstream) => Box::new(Stream::new(Attempt::new(upstream.clone(), ledger()), id)),
            Role::Single(config, upstreams) => {
                let single = Single::new(config.clone(), upstreams.clone(), ledger(), queue(), &tally());
                Box::new(Stream::new(single, id))
            }
        })
    }
}

/// Counts what requests have left to be counted.
fn count() {
    let headers = Seen::default();
    metrics::change(&tally().count(&Call::new(Half::Response, 0, &headers)));
}

fn configure(json: &[u8]) -> Result<Role, Vec<String>> {
    let module: Module =
        serde_json::from_slice(json).map_err(|error| vec![format!("plugin configuration: {error}")])?;
    let config = Config::check(&module.config).map_err(|mistakes| mistakes.iter().map(describe).collect::<Vec<_>>())?;
    metrics::set_off(!config.metrics);
    let upstream = |provider: &Provider| {
        let upstream = Upstream::new(&config, provider, |variable| std::env::var(variable).ok());
        upstream.map(|upstream| Rc::new(upstream.mirrored(module.mirrored))).map_err(|mistake| vec![describe(&mistake)])
    };
    info!("model-gateway: {} models, {} providers", config.models.len(), config.providers.len());
    Ok(match module.position {
        Position::Gateway => Role::Gateway(Rc::new(config)),
        Position::Provider => {
            let name = module.provider.unwrap_or_default();
            let provider = config.providers.get(&name);
            Role::Provider(upstream(
                provider.ok_or_else(|| vec![format!("provider: `{name}` is not in config.providers")])?,
            )?)
        }
        Position::Single => {
            // The header that a file's content comes in is a client's to set where no route takes it away.
            if let Some(provider) = config.providers.values().find(|provider| is_in_file(provider)) {
                let name = &provider.name;
                return Err(vec![format!("config.providers.{name}.api_key: position single does not know files")]);
            }
            let named = |(name, provider): (&String, &Provider)| Ok((name.clone(), upstream(provider)?));
            let upstreams = config.providers.iter().map(named).collect::<Result<_, Vec<String>>>()?;
            Role::Single(Rc::new(config), Rc::new(upstreams))
        }
    })
}

fn is_in_file(provider: &Provider) -> bool {
    provider.api_key.as_ref().is_some_and(|key| key.file().is_some())
}

fn describe(mistake: &Mistake) -> String {
    format!("config.{}: {}", mistake.path, mistake.message)
}

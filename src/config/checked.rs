//! From the operator's document to what the machines run on. Every mistake is found in one go.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::base_url::BaseUrl;

use super::api_keys::ApiKey;
use super::file::{File, ProviderFile, Timeouts};
use super::keys::Keys;
use super::labels::Labels;
use super::limits::Limit;
use super::log::Sink;
use super::models::{MAX_ATTEMPTS, Model, Models};
use super::page::Page;
use super::payloads::Payloads;
use super::rules::{Mirror, Rule, Way};
use super::scope::Group;
use super::secret::SecretRef;
use super::shared::RateLimitService;
use super::suggest::unknown;
use super::tracing::Tracing;
use super::units::{Bytes, Duration};
use crate::price::{Price, UnknownPrice};
use crate::providers::{self, Kind, Settings};

/// A configuration in which every rule holds.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect to.
    pub listen: SocketAddr,
    /// Where Envoy's admin interface is.
    pub admin: SocketAddr,
    /// Worker threads of Envoy; `None` for one per core.
    pub workers: Option<u32>,
    /// Where the access log goes.
    pub log: Vec<Sink>,
    /// Which labels clients may give their requests.
    pub labels: Labels,
    /// Traces of requests.
    pub tracing: Option<Tracing>,
    /// Which requests and answers are logged as a whole.
    pub payloads: Option<Payloads>,
    /// Whether metrics are counted.
    pub metrics: bool,
    /// Largest request body, in bytes.
    pub body_limit: u64,
    /// Longest silence in the middle of an answer.
    pub idle_timeout: Duration,
    /// Headers of clients that go on to providers, in lower case; `*` at the end of one stands for anything.
    pub forward_headers: Vec<String>,
    /// By name.
    pub providers: BTreeMap<String, Provider>,
    /// Who may call.
    pub keys: Keys,
    /// How much may be used, wherever configuration says it.
    pub limits: Vec<Rc<Limit>>,
    /// The same, together where they are kept together.
    pub groups: Vec<Rc<Group>>,
    /// The service that is asked about those that are shared.
    pub rate_limit_service: Option<RateLimitService>,
    /// What targets cost, by their ids, as far as that is known before a request comes.
    pub prices: BTreeMap<String, Rc<Price>>,
    /// What becomes of requests whose price is not known.
    pub unknown_price: UnknownPrice,
    /// What clients may ask for.
    pub models: Models,
    /// Which requests go elsewhere: the first that matches is followed.
    pub rules: Vec<Rule>,
    /// Whether clients may ask how their targets were chosen.
    pub debug: bool,
    /// The page for operators, if there is to be one.
    pub page: Option<Page>,
}

/// Where requests can go.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name, and that of its Envoy cluster.
    pub name: String,
    /// What it speaks.
    pub kind: &'static dyn Kind,
    /// Where its credential is.
    pub api_key: Option<SecretRef>,
    /// The credentials that the module itself knows: that one, or several; each in a variable.
    pub keys: Vec<ApiKey>,
    /// Longest time to connect to it.
    pub connect_timeout: Duration,
    /// Its servers, at least one; they differ in host and port only.
    pub servers: Vec<BaseUrl>,
    /// What its kind has to be told besides.
    pub settings: Settings,
}

/// Something in the operator's document that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key's path: `models.gpt-4o.targets[0].provider`.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// A worker's VM holds a body whole.
const MAX_BODY_LIMIT: Bytes = Bytes(256 << 20);
const MIN_ANSWER_LIMIT: u64 = 16 << 20;
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);
const DEFAULT_BODY_LIMIT: Bytes = Bytes(32 << 20);
const DEFAULT_CONNECT: Duration = Duration::from_millis(5_000);
const DEFAULT_IDLE: Duration = Duration::from_millis(300_000);

impl Config {
    /// The largest answer that an attempt may hold whole, in bytes. Images come base64-encoded.
    pub fn answer_limit(&self) -> u64 {
        self.body_limit.max(MIN_ANSWER_LIMIT)
    }

    /// Every model that requests can go to, those of rules among them.
    pub fn ways(&self) -> impl Iterator<Item = &Model> {
        let own = self.rules.iter().filter_map(|rule| match &rule.way {
            Way::Targets(model) => Some(model.as_ref()),
            Way::Asked | Way::Use(_) => None,
        });
        self.models.iter().map(|(_, model)| model).chain(own)
    }

    /// Every target that gets copies of requests.
    pub fn mirrors(&self) -> impl Iterator<Item = &Mirror> {
        let models = self.models.iter().filter_map(|(_, model)| model.mirror.as_ref());
        models.chain(self.rules.iter().filter_map(|rule| rule.mirror.as_ref()))
    }

    /// Checks `file`.
    ///
    /// # Errors
    /// Every mistake in it, in the order of its keys.
    pub fn check(file: &File) -> Result<Self, Vec<Mistake>> {
        let mut check = Check { file, mistakes: Vec::new() };
        let mut config = check.config();
        let targets = config.ways().flat_map(|model| &model.targets);
        let priced = targets.filter_map(|target| Some((target.id.clone(), target.price.clone()?)));
        config.prices = priced.collect();
        config.groups = Group::all(&config.limits);
        if check.mistakes.is_empty() { Ok(config) } else { Err(check.mistakes) }
    }
}

pub(super) struct Check<'f> {
    pub file: &'f File,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    fn config(&mut self) -> Config {
        let file = self.file;
        let listen = self.address("listen", file.listen.as_deref(), DEFAULT_LISTEN);
        let admin = self.address("admin", file.admin.as_deref(), DEFAULT_ADMIN);
        if file.workers == Some(0) {
            self.mistake("workers", "expected at least 1; leave it out for one per core");
        }
        self.attempts("attempts", file.attempts);
        let body_limit = file.body_limit.unwrap_or(DEFAULT_BODY_LIMIT);
        if body_limit > MAX_BODY_LIMIT || body_limit == Bytes(0) {
            self.mistake("body_limit", format!("expected between `1B` and `{MAX_BODY_LIMIT}`"));
        }
        self.timeout("timeouts.connect", [file.timeouts.connect], DEFAULT_CONNECT);
        Config {
            listen,
            admin,
            workers: file.workers,
            log: self.sinks("log", file.log.as_ref()),
            labels: self.labels(),
            tracing: self.tracing(),
            payloads: self.payloads(),
            metrics: file.metrics.unwrap_or(true),
            body_limit: body_limit.0,
            idle_timeout: self.timeout("timeouts.idle", [file.timeouts.idle], DEFAULT_IDLE),
            forward_headers: self.forward_headers(),
            providers: self.providers(),
            keys: self.keys(),
            limits: self.limits(),
            groups: Vec::new(),
            rate_limit_service: self.rate_limit_service(),
            prices: BTreeMap::new(),
            unknown_price: file.unknown_price,
            models: self.models(),
            rules: self.rules(),
            debug: file.debug,
            page: self.page(),
        }
    }

    fn address(&mut self, key: &str, given: Option<&str>, default: SocketAddr) -> SocketAddr {
        let Some(address) = given.map(str::parse) else { return default };
        address.unwrap_or_else(|_| {
            self.mistake(key, format!("expected ADDRESS:PORT, for example `{default}`"));
            default
        })
    }

    fn forward_headers(&mut self) -> Vec<String> {
        // With these a client could speak in the gateway's name, or break the request's framing.
        const REFUSED: &[&str] =
            &["authorization", "x-api-key", "api-key", "x-goog-api-key", "content-length", "transfer-encoding", "host"];
        let mut names = Vec::new();
        for (index, name) in self.file.forward_headers.iter().enumerate() {
            let name = name.to_ascii_lowercase();
            let plain = name.strip_suffix('*').unwrap_or(&name);
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let path = format!("forward_headers[{index}]");
            if plain.is_empty() || !plain.bytes().all(allowed) {
                self.mistake(
                    path,
                    "expected a header's name such as `x-tenant`, or its beginning such as `x-tenant-*`",
                );
            } else if REFUSED
                .iter()
                .any(|refused| *refused == name || name.ends_with('*') && refused.starts_with(plain))
            {
                self.mistake(path, "would let clients use credentials or framing of their own at the provider");
            }
            names.push(name);
        }
        names
    }

    fn providers(&mut self) -> BTreeMap<String, Provider> {
        let file = self.file;
        if file.providers.is_empty() {
            self.mistake("providers", "no provider; write at least one, for example `openai: { kind: openai, api_key: \"${OPENAI_API_KEY}\" }`");
        }
        let mut providers = BTreeMap::new();
        for (name, provider) in &file.providers {
            if let Some(checked) = self.provider(name, provider) {
                providers.insert(name.clone(), checked);
            }
        }
        providers
    }

    fn provider(&mut self, name: &str, file: &ProviderFile) -> Option<Provider> {
        let path = format!("providers.{name}");
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(allowed) {
            self.mistake(&path, "a provider's name may have letters, digits, `-`, `_` and `.` only");
        }
        let kind = providers::find(&file.kind);
        if let Some(key) = &file.api_key {
            self.secret(&format!("{path}.api_key"), key, kind);
        }
        if kind.is_none() {
            let known = providers::KINDS.iter().map(|kind| kind.name());
            self.mistake(format!("{path}.kind"), unknown("kind", &file.kind, known));
        }
        let settings = self.settings(&path, file, kind);
        let servers = self.servers(&path, file, kind, &settings);
        let keys = self.api_keys(&path, file);
        let connect_timeout = self.connect_timeout(&path, file);
        let (name, api_key) = (name.to_owned(), file.api_key.clone());
        Some(Provider { name, kind: kind?, api_key, keys, connect_timeout, servers, settings })
    }

    fn connect_timeout(&mut self, path: &str, file: &ProviderFile) -> Duration {
        let (own, common) = (file.timeouts, self.file.timeouts);
        if own != (Timeouts { connect: own.connect, ..Timeouts::default() }) {
            // Envoy has one timer for all of a request's attempts, and the gateway no clock of its own while it waits.
            self.mistake(
                format!("{path}.timeouts"),
                "only `connect` can be set for a provider; `first_token`, `answer` and `whole` belong to a model, `idle` to the top level",
            );
        }
        match own.connect {
            Some(_) => self.timeout(format!("{path}.timeouts.connect"), [own.connect], DEFAULT_CONNECT),
            None => common.connect.unwrap_or(DEFAULT_CONNECT),
        }
    }

    fn secret(&mut self, path: &str, secret: &SecretRef, kind: Option<&dyn Kind>) {
        let plain = |byte: u8| byte != b'/' && !byte.is_ascii_control();
        match secret.file() {
            Some(file) if !file.starts_with('/') || !file.bytes().next_back().is_some_and(plain) => {
                let message = "expected the absolute path of a file: `{ file: /run/secrets/key }`";
                self.mistake(format!("{path}.file"), message);
            }
            Some(_) => {}
            None if secret.is_gcp() => {
                if let Some(kind) = kind.filter(|kind| !kind.takes_gcp_tokens()) {
                    self.mistake(path, format!("the kind `{}` does not take access tokens of Google's", kind.name()));
                }
            }
            None if secret.variable().is_none() => self.mistake(
                path,
                "expected `${NAME}` of an environment variable, or `{ file: PATH }`; a key itself must not stand here",
            ),
            None => {}
        }
    }

    /// Each becomes part of a host name or of a path.
    fn settings(&mut self, path: &str, file: &ProviderFile, kind: Option<&dyn Kind>) -> Settings {
        let given = [("api_version", &file.api_version), ("project", &file.project), ("region", &file.region)];
        for (key, value) in given {
            let path = format!("{path}.{key}");
            let asked = kind.map(|kind| kind.settings().iter().find(|setting| setting.key == key));
            match (asked, value) {
                (Some(None), Some(_)) => self.mistake(path, format!("the kind `{}` knows nothing of it", file.kind)),
                (Some(Some(setting)), None) if setting.required => {
                    self.mistake(path, format!("the kind `{}` needs it", file.kind));
                }
                (_, Some(value)) => {
                    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
                    if value.is_empty() || !value.bytes().all(allowed) {
                        self.mistake(path, "expected letters, digits, `-`, `_`, `.` and `:` only");
                    }
                }
                _ => {}
            }
        }
        Settings { api_version: file.api_version.clone(), project: file.project.clone(), region: file.region.clone() }
    }

    fn servers(
        &mut self,
        path: &str,
        file: &ProviderFile,
        kind: Option<&dyn Kind>,
        settings: &Settings,
    ) -> Vec<BaseUrl> {
        if file.base_url.is_some() && !file.base_urls.is_empty() {
            self.mistake(format!("{path}.base_urls"), "give `base_url` or `base_urls`, not both");
        }
        let mut given: Vec<(String, &str)> = match &file.base_url {
            Some(url) => vec![(format!("{path}.base_url"), url)],
            None => {
                let path = |index| format!("{path}.base_urls[{index}]");
                file.base_urls.iter().enumerate().map(|(index, url)| (path(index), url.as_str())).collect()
            }
        };
        let own = kind.and_then(|kind| kind.home(settings));
        match (&own, given.is_empty()) {
            (Some(own), true) => given.push((format!("{path}.kind"), own)),
            (None, true) if kind.is_some() => {
                self.mistake(
                    format!("{path}.base_url"),
                    format!("the kind `{}` needs it: there is no one place where it is", file.kind),
                );
            }
            _ => {}
        }
        let mut servers: Vec<BaseUrl> = Vec::new();
        for (path, url) in given {
            match url.parse::<BaseUrl>() {
                Ok(url) if servers.first().is_none_or(|first| first.serves_as(&url)) => servers.push(url),
                Ok(_) => {
                    self.mistake(path, "all of `base_urls` need the same scheme and path, and with https the same host")
                }
                Err(reason) => self.mistake(path, reason),
            }
        }
        servers
    }

    pub fn attempts(&mut self, path: impl Into<String>, attempts: Option<u32>) {
        if attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS).contains(&attempts)) {
            self.mistake(path, format!("expected between 1 and {MAX_ATTEMPTS}"));
        }
    }

    /// The first that is given, or the default.
    pub fn timeout<const N: usize>(
        &mut self,
        path: impl Into<String>,
        given: [Option<Duration>; N],
        default: Duration,
    ) -> Duration {
        let timeout = given.into_iter().flatten().next().unwrap_or(default);
        if timeout == Duration::from_millis(0) {
            self.mistake(path, "expected more than 0");
        }
        timeout
    }

    pub fn mistake(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { path: path.into(), message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn check(file: serde_json::Value, expected: &[(&str, &str)]) {
        let file = serde_json::from_value(file).unwrap();
        let mistakes = Config::check(&file).err().unwrap_or_default();
        let found: Vec<_> = mistakes.iter().map(|mistake| (mistake.path.as_str(), mistake.message.as_str())).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((path, message), (expected_path, expected_message)) in found.into_iter().zip(expected) {
            assert_eq!(path, *expected_path);
            assert!(message.contains(expected_message), "{path}: {message}");
        }
    }

    #[test]
    fn targets_of_rules_have_their_prices_too() {
        let target = |model: &str| serde_json::json!({"provider": "a", "model": model, "price": {"input": 1}});
        let file = serde_json::json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"m": {"targets": [target("own")]}},
            "rules": [{"when": {"stream": true}, "targets": [target("ruled")]}],
        });
        let config = Config::check(&serde_json::from_value(file).unwrap()).unwrap();
        assert_eq!(config.prices.keys().collect::<Vec<_>>(), ["a/own", "a/ruled"]);
    }

    #[test]
    fn a_good_file_has_defaults() {
        let file = serde_json::json!({
            "providers": {"openai": {"kind": "openai", "api_key": "${OPENAI_API_KEY}"}},
            "models": {"gpt-4o": {"targets": [{"provider": "openai"}]}}
        });
        let config = Config::check(&serde_json::from_value(file).unwrap()).unwrap();
        assert_eq!(config.body_limit, 32 << 20);
        let model = config.models.get("gpt-4o").unwrap();
        assert_eq!((model.targets[0].model.as_str(), model.targets[0].weight), ("gpt-4o", 1));
        assert_eq!(config.providers["openai"].servers[0].authority(), "api.openai.com");
    }

    #[test]
    fn parameters_of_a_target_are_spoken_of_once() {
        let target = |edits: serde_json::Value| {
            let mut target = serde_json::json!({"provider": "a"});
            target.as_object_mut().unwrap().extend(edits.as_object().unwrap().clone());
            serde_json::json!({"providers": {"a": {"kind": "openai"}}, "models": {"m": {"targets": [target]}}})
        };
        let good = serde_json::json!({
            "set": {"top_k": 5}, "default": {"b": {}}, "rename": {"a": "b"}, "drop": ["stream_options"]
        });
        let config = Config::check(&serde_json::from_value(target(good)).unwrap()).unwrap();
        assert!(config.models.get("m").unwrap().targets[0].edits.is_some());
        check(
            target(serde_json::json!({
                "drop": ["model", "a"],
                "rename": {"": "x", "b": "stream", "c": "x"},
                "default": {"a": 1, "stream_options": {}},
                "set": {"messages": []}
            })),
            &[
                ("models.m.targets[0].drop[0]", "decides on `model`"),
                ("models.m.targets[0].rename.", "a parameter's name"),
                ("models.m.targets[0].default.a", "twice"),
                ("models.m.targets[0].default.stream_options", "decides on"),
                ("models.m.targets[0].set.messages", "decides on"),
                ("models.m.targets[0].rename.b", "decides on `stream`"),
                ("models.m.targets[0].rename.c", "already renamed to `x`"),
            ],
        );
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let file = serde_json::json!({
            "listen": "8080",
            "workers": 0,
            "attempts": 99,
            "body_limit": "1GiB",
            "timeouts": {"idle": "0s"},
            "providers": {
                "a": {"kind": "openia", "api_key": "sk-secret"},
                "a2": {"kind": "openai", "api_key": {"file": "key"}},
                "a3": {"kind": "openai", "api_key": "gcp"},
                "b b": {"kind": "openai", "base_url": "ftp://x", "base_urls": ["http://y"]},
                "c": {"kind": "openai", "base_urls": ["http://x/v1", "http://x/v2"]}
            },
            "models": {
                "m": {"targets": [{"provider": "d"}], "fallbacks": ["n", "o"], "timeouts": {"connect": "1s"}},
                "n": {"targets": [], "fallbacks": ["m"], "attempts": 0},
                "w": {"targets": [{"provider": "c", "weight": 0}], "fallbacks": ["w"]}
            }
        });
        check(
            file,
            &[
                ("listen", "ADDRESS:PORT"),
                ("workers", "at least 1"),
                ("attempts", "between 1 and 16"),
                ("body_limit", "256MiB"),
                ("timeouts.idle", "more than 0"),
                ("providers.a.api_key", "environment variable"),
                ("providers.a.kind", "did you mean `openai`"),
                ("providers.a2.api_key.file", "absolute path"),
                ("providers.a3.api_key", "does not take access tokens"),
                ("providers.b b", "letters, digits"),
                ("providers.b b.base_urls", "not both"),
                ("providers.b b.base_url", "http://"),
                ("providers.c.base_urls[1]", "same scheme and path"),
                ("models.m.targets[0].provider", "unknown provider `d`"),
                ("models.m.fallbacks[1]", "unknown model `o`"),
                ("models.m.timeouts.connect", "top-level"),
                ("models.m.fallbacks", "m → n → m"),
                ("models.n.targets", "no target"),
                ("models.n.attempts", "between 1 and 16"),
                ("models.n.fallbacks", "n → m → n"),
                ("models.w.targets", "weight 0"),
                ("models.w.fallbacks", "w → w"),
            ],
        );
    }
}

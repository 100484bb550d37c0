//! Where logs and traces go. Checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::base_url::BaseUrl;
use super::checked::Check;
use super::secret::SecretRef;

/// Where a log goes: one place, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `stdout`, `off`, a path, `{ otlp: URL }`, `{ grpc: URL }`, `properties`, or a list of these"
)]
pub enum LogFile {
    /// `stdout`, `off`, `properties`, or a path.
    Word(String),
    /// Several. Before a place, which could be read from a list of its members.
    Several(Vec<LogFile>),
    /// A place about which there is more to say.
    Place(LogPlace),
}

/// One place that a log goes to: one of `file`, `otlp` and `grpc`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPlace {
    /// A file, by its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// An OpenTelemetry collector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// A service that takes Envoy's own access log by gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// Headers for it: values, or `${NAME}` of environment variables of Envoy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// One place that a log goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// The file with this path.
    File(String),
    /// An OpenTelemetry collector.
    Otlp(Collector),
    /// A service that takes Envoy's own access log.
    Grpc(Collector),
    /// Properties of the request, for a log of the operator's own.
    Properties,
}

impl Sink {
    /// Whether it takes lines of text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Stdout | Self::File(_))
    }
}

/// A server that takes logs or traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Where it is.
    pub url: BaseUrl,
    /// Whether it speaks gRPC, else HTTP.
    pub grpc: bool,
    /// Headers for it; values, or environment variables that have them.
    pub headers: Vec<(String, Header)>,
}

/// A header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// As it is.
    Value(String),
    /// What this environment variable of Envoy has.
    Variable(String),
}

impl Check<'_> {
    /// The places that `given` names; standard output, if it is nothing.
    pub(super) fn sinks(&mut self, path: &str, given: Option<&LogFile>) -> Vec<Sink> {
        match given {
            None => vec![Sink::Stdout],
            Some(LogFile::Word(word)) if word == "off" => Vec::new(),
            Some(LogFile::Several(several)) => {
                let mut sinks = Vec::new();
                for (index, one) in several.iter().enumerate() {
                    sinks.extend(self.sink(&format!("{path}[{index}]"), one));
                }
                sinks
            }
            Some(one) => self.sink(path, one).into_iter().collect(),
        }
    }

    fn sink(&mut self, path: &str, one: &LogFile) -> Option<Sink> {
        const EXPECTED: &str = "expected `stdout`, a path, `{ otlp: URL }`, `{ grpc: URL }` or `properties`";
        match one {
            LogFile::Word(word) if word == "stdout" => Some(Sink::Stdout),
            LogFile::Word(word) if word == "properties" => Some(Sink::Properties),
            LogFile::Word(word) if word == "off" => {
                self.mistake(path, "`off` stands alone: leave it out, or the others");
                None
            }
            LogFile::Word(file) if !file.is_empty() => Some(Sink::File(file.clone())),
            LogFile::Place(LogPlace { file: Some(file), otlp: None, grpc: None, headers }) if !file.is_empty() => {
                if !headers.is_empty() {
                    self.mistake(format!("{path}.headers"), "a file takes no headers");
                }
                Some(Sink::File(file.clone()))
            }
            LogFile::Place(LogPlace { file: None, otlp: Some(url), grpc: None, headers }) => {
                Some(Sink::Otlp(self.collector(path, "otlp", url, headers)?))
            }
            LogFile::Place(LogPlace { file: None, otlp: None, grpc: Some(url), headers }) => {
                let collector = self.collector(path, "grpc", url, headers)?;
                if !collector.grpc {
                    self.mistake(format!("{path}.grpc"), "expected `grpc://HOST:PORT`, or `grpcs://` with TLS");
                }
                Some(Sink::Grpc(collector))
            }
            LogFile::Word(_) | LogFile::Place(_) | LogFile::Several(_) => {
                self.mistake(path, EXPECTED);
                None
            }
        }
    }

    /// The server at `url`, which is the member `key` at `path`.
    pub(super) fn collector(
        &mut self,
        path: &str,
        key: &str,
        url: &str,
        headers: &BTreeMap<String, String>,
    ) -> Option<Collector> {
        let headers = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), self.header(path, name, value)));
        let headers: Vec<(String, Header)> = headers.collect();
        let same = url.strip_prefix("grpc").map(|rest| format!("http{rest}"));
        match same.as_deref().unwrap_or(url).parse() {
            Ok(url) => {
                let variable = headers.iter().find(|(_, value)| matches!(value, Header::Variable(_)));
                if let Some((name, _)) = variable.filter(|_| same.is_some()) {
                    // Envoy 1.40 sends `%ENVIRONMENT(NAME)%` by gRPC as it stands.
                    let message = "Envoy puts in environment variables over HTTP only: use `http://` or `https://`";
                    self.mistake(format!("{path}.headers.{name}"), message);
                }
                Some(Collector { url, grpc: same.is_some(), headers })
            }
            Err(reason) => {
                let expected =
                    "expected a URL such as `http://127.0.0.1:4318` (OTLP over HTTP) or `grpc://127.0.0.1:4317`";
                self.mistake(format!("{path}.{key}"), format!("{expected}: {reason}"));
                None
            }
        }
    }

    fn header(&mut self, path: &str, name: &str, value: &str) -> Header {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            self.mistake(format!("{path}.headers.{name}"), "expected a header's name such as `x-api-key`");
        }
        let variable = SecretRef::Word(value.to_owned());
        if let Some(variable) = variable.variable() {
            return Header::Variable(variable.to_owned());
        }
        // A `%` begins what Envoy puts something in place of.
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'%') || value.contains("${") {
            let message = "expected a value in plain letters without `%`, or `${NAME}` of an environment variable";
            self.mistake(format!("{path}.headers.{name}"), message);
        }
        Header::Value(value.to_owned())
    }
}

/// By hand: one schema with several types is what the command can hold a document against.
#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for LogFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LogFile".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let headers = serde_json::json!({
            "description": "Headers for it: values, or `${NAME}` of environment variables of Envoy.",
            "type": "object",
            "additionalProperties": { "type": "string" },
        });
        let place = serde_json::json!({
            "file": { "description": "A file, by its path.", "type": "string" },
            "otlp": {
                "description": "An OpenTelemetry collector: `http://HOST:4318` (to which `/v1/logs` is added), or `grpc://HOST:4317`; `https://` and `grpcs://` with TLS.",
                "type": "string",
            },
            "grpc": { "description": "A service that takes Envoy's own access log: `grpc://HOST:PORT`.", "type": "string" },
            "headers": headers,
        });
        schemars::json_schema!({
            "title": "Log",
            "description": "Where a log goes: `stdout`, `off`, a path, `{ otlp: URL }`, `{ grpc: URL }`, `properties` for a log of your own, or a list of these.",
            "type": ["string", "object", "array"],
            "properties": place,
            "additionalProperties": false,
            "items": { "type": ["string", "object"], "properties": place, "additionalProperties": false },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Config, Sink};

    fn check(more: Value) -> Result<Config, Vec<(String, String)>> {
        let mut file =
            json!({"providers": {"a": {"kind": "openai"}}, "models": {"m": {"targets": [{"provider": "a"}]}}});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file = serde_json::from_value(file).unwrap();
        Config::check(&file).map_err(|all| all.into_iter().map(|mistake| (mistake.path, mistake.message)).collect())
    }

    #[test]
    fn a_log_goes_to_one_place_or_several() {
        let log = |log: Value| check(json!({"log": log})).unwrap().log;
        assert_eq!(check(json!({})).unwrap().log, [Sink::Stdout]);
        assert_eq!(log(json!("off")), []);
        assert_eq!(log(json!("/a")), [Sink::File("/a".to_owned())]);
        assert_eq!(log(json!(["properties", "stdout"])), [Sink::Properties, Sink::Stdout]);
        let several =
            log(json!(["stdout", {"file": "/a"}, {"otlp": "grpcs://c:4317", "headers": {"A": "b", "c": "d"}}]));
        let [Sink::Stdout, Sink::File(_), Sink::Otlp(collector)] = &several[..] else { panic!("{several:?}") };
        assert!(collector.grpc && collector.url.tls && collector.url.port == 4317);
        let Sink::Grpc(plain) = &log(json!({"grpc": "grpc://10.0.0.1:9000"}))[0] else { panic!() };
        assert!(plain.grpc && !plain.url.tls && collector.headers.len() == 2);
    }

    #[test]
    fn payloads_are_of_models_and_keys_that_there_can_be() {
        let payloads =
            json!({"log": "/p", "models": ["m", "alias", "m*", "x/of-a-pattern", "*/y"], "keys": ["of-a-token"]});
        let target = json!([{"provider": "a", "model": "*"}]);
        let models = json!({"m": {"targets": [{"provider": "a"}], "aliases": ["alias"]}, "x/*": {"targets": target}});
        let jwt = json!({"jwt": [{"issuer": "https://login.acme.test", "audiences": ["a"], "jwks": "https://login.acme.test/keys"}]});
        let checked = check(json!({"payloads": payloads, "models": models, "keys": [], "auth": jwt}));
        checked.unwrap();
    }

    #[test]
    fn mistakes_are_told_with_a_remedy() {
        let payloads = |more: Value| {
            let mut payloads = json!({"log": "/p"});
            payloads.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"payloads": payloads, "keys": []})
        };
        for (more, path, message) in [
            (json!({"log": ""}), "log", "expected `stdout`"),
            (json!({"log": {}}), "log", "expected `stdout`"),
            (json!({"log": {"file": "/a", "otlp": "http://a"}}), "log", "expected `stdout`"),
            (json!({"log": {"file": "/a", "headers": {"a": "b"}}}), "log.headers", "takes no headers"),
            (json!({"log": ["stdout", "off"]}), "log[1]", "stands alone"),
            (json!({"log": [["stdout"]]}), "log[0]", "expected `stdout`"),
            (json!({"log": {"otlp": "collector:4318"}}), "log.otlp", "http://127.0.0.1:4318"),
            (json!({"log": {"grpc": "http://a"}}), "log.grpc", "grpc://HOST:PORT"),
            (json!({"log": {"otlp": "http://a", "headers": {"a b": "c"}}}), "log.headers.a b", "header's name"),
            (json!({"log": {"otlp": "http://a", "headers": {"a": "%REQ(b)%"}}}), "log.headers.a", "without `%`"),
            (json!({"log": {"otlp": "grpc://a", "headers": {"a": "${B}"}}}), "log.headers.a", "over HTTP only"),
            (json!({"tracing": {"otlp": "http://a", "sample": 101}}), "tracing.sample", "between 0 and 100"),
            (json!({"tracing": {"otlp": "udp://a"}}), "tracing.otlp", "expected a URL"),
            (json!({"tracing": {"otlp": "http://a", "service_name": ""}}), "tracing.service_name", "a name"),
            (json!({"labels": {"headers": ["a:b"]}}), "labels.headers[0]", "letters, digits"),
            (json!({"labels": {"metadata": ["x".repeat(65)]}}), "labels.metadata[0]", "at most 64"),
            (
                json!({"labels": {"headers": (0..33).map(|n| n.to_string()).collect::<Vec<_>>()}}),
                "labels",
                "at most 32",
            ),
            (
                json!({"limits": [{"requests": 1, "per": "day", "by": ["client_label:a"]}]}),
                "limits[0].by[0]",
                "lets them",
            ),
            (payloads(json!({"keys": ["a"]})), "payloads.keys[0]", "no key `a`"),
            (payloads(json!({"models": ["m*", "nobody's"]})), "payloads.models[1]", "no model `nobody's`"),
            (
                json!({"payloads": {"log": "/p", "models": ["p/*", "*-x", "p/*-x*", "q/*"]}, "models": {"p/*": {"targets": [{"provider": "a", "model": "*"}]}}}),
                "payloads.models[3]",
                "no model `q/*`",
            ),
            (payloads(json!({"max_bytes": "2MiB"})), "payloads.max_bytes", "`1MiB`"),
            (payloads(json!({"redact": [{"pattern": "("}]})), "payloads.redact[0].pattern", "not a regular"),
            (payloads(json!({"redact": [{"pattern": "a*"}]})), "payloads.redact[0].pattern", "everywhere"),
            (payloads(json!({"redact": [{}]})), "payloads.redact[0]", "either"),
            (payloads(json!({"redact": [{"member": "a..b"}]})), "payloads.redact[0]", "either"),
        ] {
            let mistakes = check(more.clone()).unwrap_err();
            let [(found, told)] = &mistakes[..] else { panic!("{more}: {mistakes:?}") };
            assert_eq!(found, path, "{more}");
            assert!(told.contains(message), "{more}: {told}");
        }
    }
}

//! The operator's file: read, checked, every mistake told with its line.

mod keys;
mod shape;
pub mod yaml;
mod zones;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use model_gateway::config::{Config, File, Mistake};
use serde_json::Value;

pub use self::keys::KeysFile;
use self::shape::Shape;
use self::yaml::Data;

/// A file without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// As it is written.
    pub file: File,
    /// What it means.
    pub config: Config,
    name: String,
    lines: BTreeMap<String, usize>,
}

/// All that is wrong with a file, and the one of keys beside it, in the order of their lines.
#[derive(Debug)]
pub struct Mistakes {
    mistakes: Vec<(Place, Mistake)>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    name: String,
    line: usize,
}

impl Place {
    fn new(name: &str, line: usize) -> Self {
        Self { name: name.to_owned(), line }
    }
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Mistakes> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => check(&name, &text),
        Err(error) => Err(Mistakes::one(&name, 1, format!("cannot be read: {error}"))),
    }
}

/// Checks `text`, which `name` stands for.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(name: &str, text: &str) -> Result<Loaded, Mistakes> {
    let node = yaml::parse(text).map_err(|error| Mistakes::one(name, error.line, error.message))?;
    match node.data {
        Data::Map(_) => {}
        Data::Null => return Err(Mistakes::one(name, 1, "nothing in it; write `providers` and `models`")),
        _ => return Err(Mistakes::one(name, node.line, "expected a mapping, with `providers` and `models`")),
    }
    let schema = schema();
    let (shape, value) = Shape::check(&node, &schema);
    let at = |line| Place::new(name, line);
    let mut mistakes: Vec<_> = shape.mistakes.iter().map(|(line, mistake)| (at(*line), mistake.clone())).collect();
    let mut file = match serde_json::from_value::<File>(value) {
        Ok(file) => file,
        Err(error) => {
            mistakes.push((at(1), Mistake { path: String::new(), message: error.to_string() }));
            return Err(Mistakes::sorted(mistakes));
        }
    };
    let before = file.keys.as_ref().map_or(0, Vec::len);
    let mut more = None;
    if let Some(keys_file) = &file.keys_file {
        match KeysFile::read(&KeysFile::path(Path::new(name), keys_file)) {
            Ok(found) => {
                file.keys.get_or_insert_default().extend(found.keys.iter().cloned());
                more = Some(found);
            }
            Err(found) => mistakes.extend(found.mistakes),
        }
    }
    zones::resolve(&mut file);
    match Config::check(&file) {
        Ok(config) if mistakes.is_empty() => {
            return Ok(Loaded { file, config, name: name.to_owned(), lines: shape.lines });
        }
        Ok(_) => {}
        Err(found) => {
            // What stands in the place of a mistake is none itself.
            let own = found.into_iter().filter(|mistake| !shape.is_set_aside(&mistake.path));
            mistakes.extend(own.map(|mistake| {
                let elsewhere = more.as_ref().and_then(|more| more.own(&mistake, before));
                elsewhere.unwrap_or_else(|| (at(shape.line(&mistake.path)), mistake))
            }));
        }
    }
    Err(Mistakes::sorted(mistakes))
}

/// The JSON Schema of the operator's file.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

impl Loaded {
    /// What `file` means, which `name` stands for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of(name: &str, file: File) -> Result<Self, Mistakes> {
        match Config::check(&file) {
            Ok(config) => Ok(Self { file, config, name: name.to_owned(), lines: BTreeMap::new() }),
            Err(mistakes) => {
                Err(Mistakes::sorted(mistakes.into_iter().map(|mistake| (Place::new(name, 1), mistake)).collect()))
            }
        }
    }

    /// Checks that every environment variable that the file names has a value.
    ///
    /// # Errors
    /// Those that have none.
    pub fn check_variables(&self, value: impl Fn(&str) -> Option<String>) -> Result<(), Mistakes> {
        let mut mistakes = Vec::new();
        let providers = self.config.providers.values();
        for (provider, key) in providers.flat_map(|provider| provider.keys.iter().map(move |key| (provider, key))) {
            let (variable, path) = (&key.variable, format!("providers.{}.{}", provider.name, key.place));
            let line = self.lines.get(&path).copied().unwrap_or(1);
            let what = match value(variable) {
                None => "is not set",
                Some(value) if value.trim().is_empty() => "is empty",
                Some(_) => continue,
            };
            let message = format!("the environment variable {variable} {what}; set it, or leave the key out");
            mistakes.push((Place::new(&self.name, line), Mistake { path, message }));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes::sorted(mistakes)) }
    }
}

impl Mistakes {
    fn one(name: &str, line: usize, message: impl Into<String>) -> Self {
        Self::sorted(vec![(Place::new(name, line), Mistake { path: String::new(), message: message.into() })])
    }

    fn sorted(mut mistakes: Vec<(Place, Mistake)>) -> Self {
        mistakes.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { mistakes }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (Place { name, line }, Mistake { path, message })) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match path.as_str() {
                "" => write!(f, "{name}:{line}: {message}")?,
                path => write!(f, "{name}:{line}: {path}: {message}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{check, schema};

    /// Each line of `expected` is `LINE: key.path: part of the message`.
    #[track_caller]
    fn mistakes(text: &str, expected: &[&str]) {
        let told = check("f", text).map_or_else(|mistakes| mistakes.to_string(), |_| String::new());
        let found: Vec<&str> = told.lines().collect();
        assert_eq!(found.len(), expected.len(), "{told}");
        for (found, expected) in found.into_iter().zip(expected) {
            let (place, part) = expected.rsplit_once(": ").unwrap();
            let found = found.strip_prefix("f:").unwrap();
            assert!(found.starts_with(&format!("{place}: ")) && found.contains(part), "{found}\nexpected {expected}");
        }
    }

    #[test]
    fn a_document_that_is_none_is_refused_as_a_whole() {
        for (text, expected) in [
            ("", "1: nothing in it"),
            ("# only a comment\n", "1: nothing in it"),
            ("\n- a\n", "2: expected a mapping"),
            ("a: b: c\n", "1: not YAML, at column 5"),
            ("providers: {}\n---\nmodels: {}\n", "3: a second document"),
        ] {
            mistakes(text, &[expected]);
        }
    }

    #[test]
    fn a_mistake_hides_none_and_begets_none() {
        // What stands in the place of `kind`, of a target and of a list makes no mistake of its own.
        mistakes(
            "providers:\n  a: { base_url: x }\n  b: text\nmodels:\n  m:\n    targets: [a, { provider: b }]\n    fallbacks: [1, n]\n",
            &[
                "2: providers.a.kind: missing",
                "2: providers.a.base_url: expected a URL",
                "3: providers.b: found text",
                "6: models.m.targets[0]: found text",
                "7: models.m.fallbacks[0]: put it in quotes",
                "7: models.m.fallbacks[1]: unknown model `n`",
            ],
        );
        // A key that is nearly right is taken for the right one, so that what it holds is looked at.
        mistakes(
            "provider: { a: { kind: openai } }\nmodels:\n  m: { targets: [{ provider: a, wieght: -1 }] }\n",
            &[
                "1: provider: did you mean `providers`",
                "3: models.m.targets[0].wieght: did you mean `weight`",
                "3: models.m.targets[0].weight: at least 0",
            ],
        );
        mistakes("models: { m: { targets: [{ provider: a }] } }\n", &["1: providers: no provider"]);
    }

    #[test]
    fn a_word_is_one_of_those_that_there_are() {
        let text = |strategy: &str| {
            format!(
                "providers: {{ a: {{ kind: openai }} }}\nmodels:\n  m: {{ strategy: {strategy}, targets: [{{ provider: a }}] }}\n"
            )
        };
        for strategy in ["weighted", "latency", "least_busy", "sticky"] {
            mistakes(&text(strategy), &[]);
        }
        mistakes(&text("least-busy"), &["3: models.m.strategy: did you mean `least_busy`"]);
        mistakes(&text("fastest"), &["3: models.m.strategy: unknown strategy `fastest`; there are: weighted, latency"]);
        mistakes(&text("7"), &["3: models.m.strategy: put it in quotes"]);
    }

    #[test]
    fn parameters_may_have_any_value() {
        let text = "providers: { a: { kind: openai } }\nmodels:\n  m:\n    targets:\n      - provider: a\n        set: { top_k: 5, x: [1.5, { y: ~ }] }\n";
        let loaded = check("f", text).unwrap();
        let set = &loaded.file.models["m"].targets[0].set;
        assert_eq!(serde_json::to_string(set).unwrap(), r#"{"top_k":5,"x":[1.5,{"y":null}]}"#);
    }

    #[test]
    fn rules_are_read_and_their_mistakes_have_lines() {
        let models = "providers: { a: { kind: openai } }\nmodels: { m: { targets: [{ provider: a }] } }\n";
        let good = "rules:\n  - when:\n      header: { x-tier: { in: [free, 2, true] } }\n      parameter: { temperature: { gt: 1.5 }, user: u }\n      not: { model: x* }\n    use: m\n    share: 0.5\n";
        let loaded = check("f", &format!("{models}{good}")).unwrap();
        assert_eq!(loaded.config.rules.len(), 1);
        let written = serde_json::to_string(&loaded.file.rules).unwrap();
        assert!(written.contains(r#""in":["free",2,true]"#) && written.contains(r#""gt":1.5"#), "{written}");
        mistakes(
            &format!(
                "{models}rules:\n  - when:\n      header: {{ a: {{ prefx: x }}, b: [c], c: {{ zzzzzzzzz: 1 }} }}\n      prompt_tokens: {{ gt: lots }}\n      stream: 1\n    use: n\n  - share: much\n    targets: [{{ provider: a, model: x }}]\n"
            ),
            &[
                "5: rules[0].when.header.a.prefx: did you mean `prefix`",
                "5: rules[0].when.header.b: expected a value, or operators",
                "5: rules[0].when.header.c.zzzzzzzzz: unknown key",
                "6: rules[0].when.prompt_tokens.gt: expected a number, found text",
                "7: rules[0].when.stream: expected true or false",
                "8: rules[0].use: unknown model `n`",
                "9: rules[1].share: expected a number, found text",
            ],
        );
    }

    #[test]
    fn a_key_without_a_value_is_left_out_if_it_may_be() {
        mistakes("timeouts:\nlog:\nproviders:\n  a:\n    kind: openai\n    base_urls:\n", &[]);
        mistakes("providers:\n  a:\n    kind:\n", &["3: providers.a.kind: found nothing"]);
    }

    #[test]
    fn names_with_dots_and_aliases_keep_their_lines() {
        mistakes(
            "providers:\n  a: &a\n    kind: opena\n  b: *a\nmodels:\n  gpt-4.1:\n    attempts: 99\n    targets: [{ provider: a }]\n",
            &["3: providers.a.kind: unknown", "3: providers.b.kind: unknown", "7: models.gpt-4.1.attempts: between"],
        );
    }

    #[test]
    fn a_variable_without_a_value_is_told_with_its_line() {
        let text = "providers:\n  a: { kind: openai, api_key: \"${A}\" }\n  b: { kind: openai, api_key: \"${B}\" }\n";
        let loaded = check("f", text).unwrap();
        let told = loaded.check_variables(|name| (name == "A").then(String::new)).unwrap_err().to_string();
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(told.contains("f:2: providers.a.api_key: the environment variable A is empty"), "{told}");
        assert!(told.contains("f:3: providers.b.api_key: the environment variable B is not set"), "{told}");
    }

    #[test]
    fn each_of_several_keys_has_its_line() {
        let text = "providers:\n  a:\n    kind: openai\n    api_keys:\n      - \"${A}\"\n      - { key: \"${B}\", weight: 3, name: eu }\n";
        let told = check("f", text).unwrap().check_variables(|name| (name == "A").then(|| "k".into())).unwrap_err();
        let told = told.to_string();
        assert!(told.contains("f:6: providers.a.api_keys[1]: the environment variable B is not set"), "{told}");
        mistakes(
            "providers:\n  a:\n    kind: openai\n    api_keys:\n      - sk-secret\n      - { key: \"${B}\", wieght: 3 }\n      - { name: eu }\n      - 7\n    timeouts: { answer: 1s }\n",
            &[
                "5: providers.a.api_keys[0]: expected `${NAME}`",
                "6: providers.a.api_keys[1].wieght: unknown key `wieght`; did you mean `weight`?",
                "7: providers.a.api_keys[2].key: missing",
                "8: providers.a.api_keys[3]: expected `${NAME}`",
                "9: providers.a.timeouts: only `connect`",
            ],
        );
    }

    #[test]
    fn every_part_of_the_schema_is_described_and_there() {
        let schema = schema();
        let mut parts = vec![("", &schema)];
        while let Some((name, part)) = parts.pop() {
            if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
                assert!(schema.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{name}: {reference}");
            }
            if let Some(Value::Object(properties)) = part.get("properties") {
                assert_eq!(part["additionalProperties"], false, "{name}");
                for (name, property) in properties {
                    assert!(property.get("description").is_some(), "{name} has no description");
                    parts.push((name, property));
                }
                for required in part.get("required").and_then(Value::as_array).into_iter().flatten() {
                    assert!(properties.contains_key(required.as_str().unwrap()), "{name}: {required}");
                }
            }
            let below = ["items", "additionalProperties"].map(|key| part.get(key)).into_iter().flatten();
            parts.extend(below.filter(|part| part.is_object()).map(|part| (name, part)));
            if let Some(Value::Object(parts_of)) = part.get("$defs") {
                parts.extend(parts_of.iter().map(|(name, part)| (name.as_str(), part)));
            }
        }
        let kinds = schema.pointer("/$defs/ProviderFile/properties/kind/enum").unwrap();
        assert!(kinds.as_array().unwrap().iter().any(|kind| kind == "anthropic"));
    }
}

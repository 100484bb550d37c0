//! Whether a document has the members that its JSON Schema says, and what is left of it without those that it does not.
//!
//! Only what schemars makes of [`File`](model_gateway::config::File) is understood: `$ref`, `anyOf` of something and
//! null, `true`, `oneOf` some words, `type`, `properties`, `required`, `additionalProperties`, `items`, `minimum`, `format: uint32`. The members'
//! own rules (patterns, enumerations) are left to the types that read them and to
//! [`Config::check`](model_gateway::config::Config::check), which find better words.

use std::collections::{BTreeMap, BTreeSet};

use model_gateway::config::{Bytes, Duration, Mistake, nearest, unknown};
use serde_json::{Map, Value};

use super::yaml::{Data, Member, Node};

/// What was found in a document.
#[derive(Debug)]
pub struct Shape<'s> {
    schema: &'s Value,
    /// What is wrong, each with its line.
    pub mistakes: Vec<(usize, Mistake)>,
    /// The line of each key path.
    pub lines: BTreeMap<String, usize>,
    /// Paths at which something else stands now than was written.
    set_aside: BTreeSet<String>,
}

/// The line that `lines` has for `path`, or for the nearest thing above it.
pub fn line(lines: &BTreeMap<String, usize>, mut path: &str) -> usize {
    loop {
        if let Some(line) = lines.get(path) {
            return *line;
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = path.get(..end).unwrap_or_default(),
            None => return 1,
        }
    }
}

impl<'s> Shape<'s> {
    /// Holds `node` against `schema`; the value is what is left of it.
    pub fn check(node: &Node, schema: &'s Value) -> (Self, Value) {
        let mut shape = Self { schema, mistakes: Vec::new(), lines: BTreeMap::new(), set_aside: BTreeSet::new() };
        let value = shape.value(node, node.line, schema, "");
        (shape, value.unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// The line of `path`, or of the nearest thing above it.
    pub fn line(&self, path: &str) -> usize {
        line(&self.lines, path)
    }

    /// Whether what stands at `path` was put there in place of a mistake.
    pub fn is_set_aside(&self, path: &str) -> bool {
        self.set_aside.iter().any(|aside| {
            path.strip_prefix(aside.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// `node` without what is wrong in it, or `None` if it is wrong itself. `line` is its key's.
    fn value(&mut self, node: &Node, line: usize, schema: &'s Value, path: &str) -> Option<Value> {
        self.lines.entry(path.to_owned()).or_insert(line);
        let schema = self.resolve(schema);
        if *schema == Value::Bool(true) {
            return Some(node.to_json());
        }
        let found = match &node.data {
            Data::Map(members) if allows(schema, "object") => return Some(self.map(members, node, schema, path)),
            Data::List(items) if allows(schema, "array") => return Some(self.list(items, schema, path)),
            Data::Text(text) if allows(schema, "string") => return self.text(text, line, schema, path),
            Data::Integer(number) if allows(schema, "integer") => return self.integer(*number, line, schema, path),
            Data::Integer(_) | Data::Float(_) if allows(schema, "number") => return Some(node.to_json()),
            Data::Bool(value) if allows(schema, "boolean") => return Some(Value::from(*value)),
            Data::Null if allows(schema, "null") => return Some(Value::Null),
            Data::Map(_) => "a mapping",
            Data::List(_) => "a list",
            Data::Text(_) => "text",
            Data::Integer(_) | Data::Float(_) => "a number",
            Data::Bool(_) => "true or false",
            Data::Null => "nothing",
        };
        let (expected, hint) = expectation(schema, &node.data);
        self.mistake(line, path, format!("expected {expected}, found {found}{hint}"));
        None
    }

    fn map(&mut self, members: &[Member], node: &Node, schema: &'s Value, path: &str) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties").filter(|schema| **schema != Value::Bool(false));
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut kept = Map::new();
        let mut first_lines = BTreeMap::new();
        for member in members {
            let at = join(path, &member.name);
            if let Some(first) = first_lines.insert(&member.name, member.line) {
                self.mistake(member.line, &at, format!("a second time; it is already on line {first}"));
                continue;
            }
            let known = properties.and_then(|known| known.get_key_value(&member.name));
            let (name, schema) = match known
                .map(|(name, schema)| (name.as_str(), schema))
                .or_else(|| others.map(|schema| (member.name.as_str(), schema)))
            {
                Some(known) => known,
                None => match self.misspelt(member, members, properties, &at) {
                    Some(meant) => meant,
                    None => continue,
                },
            };
            let optional = properties.is_some() && !required.contains(&name);
            if optional && matches!(member.value.data, Data::Null) {
                continue; // `timeouts:` with all of its members commented out
            }
            let at = join(path, name);
            let value = self.value(&member.value, member.line, schema, &at);
            if value.is_none() {
                self.set_aside.insert(at);
            }
            if let Some(value) = value.or_else(|| (!optional).then(|| self.neutral(schema))) {
                kept.insert(name.to_owned(), value);
            }
        }
        if title(schema) == "Test" && kept.is_empty() && !members.is_empty() {
            // Its operators were told of; that none is left is no other mistake.
            self.set_aside.insert(path.to_owned());
        }
        for name in required {
            if let (false, Some(schema)) = (kept.contains_key(name), properties.and_then(|all| all.get(name))) {
                let line = self.lines.get(path).copied().unwrap_or(node.line);
                self.mistake(line, &join(path, name), format!("missing. {}", first_sentence(schema)));
                self.set_aside.insert(join(path, name));
                kept.insert(name.to_owned(), self.neutral(schema));
            }
        }
        Value::Object(kept)
    }

    /// Tells of an unknown key. It is taken for the one that was meant if that is clear and not there.
    fn misspelt(
        &mut self,
        member: &Member,
        members: &[Member],
        properties: Option<&'s Map<String, Value>>,
        at: &str,
    ) -> Option<(&'s str, &'s Value)> {
        let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
        self.mistake(member.line, at, unknown("key", &member.name, known()));
        let meant = nearest(&member.name, known())?;
        let there = members.iter().any(|other| other.name == meant);
        properties?.get(meant).filter(|_| !there).map(|schema| (meant, schema))
    }

    fn list(&mut self, items: &[Node], schema: &'s Value, path: &str) -> Value {
        let Some(schema) = schema.get("items") else { return Value::Array(Vec::new()) };
        let mut kept = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{path}[{index}]");
            let value = self.value(item, item.line, schema, &at);
            if value.is_none() {
                self.set_aside.insert(at);
            }
            kept.push(value.unwrap_or_else(|| self.neutral(schema)));
        }
        Value::Array(kept)
    }

    fn text(&mut self, text: &str, line: usize, schema: &Value, path: &str) -> Option<Value> {
        let words = words(schema);
        let reason = match title(schema) {
            "Duration" => text.parse::<Duration>().err().map(str::to_owned),
            "Bytes" => text.parse::<Bytes>().err().map(str::to_owned),
            _ if words.is_empty() || words.contains(&text) => None,
            _ => Some(unknown(path.rsplit('.').next().unwrap_or(path), text, words.into_iter())),
        };
        if let Some(reason) = reason {
            self.mistake(line, path, reason);
            return None;
        }
        Some(text.into())
    }

    fn integer(&mut self, number: i64, line: usize, schema: &Value, path: &str) -> Option<Value> {
        let minimum = schema.get("minimum").and_then(Value::as_i64).unwrap_or(i64::MIN);
        let maximum =
            if schema.get("format").and_then(Value::as_str) == Some("uint32") { i64::from(u32::MAX) } else { i64::MAX };
        if number < minimum || number > maximum {
            let bound = if number < minimum { format!("at least {minimum}") } else { format!("at most {maximum}") };
            self.mistake(line, path, format!("expected {bound}"));
            return None;
        }
        Some(number.into())
    }

    /// The schema that `schema` refers to, or means besides null.
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let alternatives = schema.get("anyOf").and_then(Value::as_array);
        if let Some(meant) = alternatives.and_then(|all| all.iter().find(|one| !allows(one, "null"))) {
            return self.resolve(meant);
        }
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        reference.and_then(|path| self.schema.pointer(path)).unwrap_or(schema)
    }

    /// Something that [`File`](model_gateway::config::File) reads, in place of what it would not.
    fn neutral(&self, schema: &'s Value) -> Value {
        let schema = self.resolve(schema);
        if allows(schema, "object") {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let members = required
                .filter_map(Value::as_str)
                .filter_map(|name| Some((name.to_owned(), self.neutral(schema.get("properties")?.get(name)?))));
            return Value::Object(members.collect());
        }
        match () {
            () if allows(schema, "array") => Value::Array(Vec::new()),
            () if allows(schema, "integer") || allows(schema, "number") => 1.into(),
            () if allows(schema, "boolean") => false.into(),
            () => words(schema).first().copied().unwrap_or_default().into(),
        }
    }

    fn mistake(&mut self, line: usize, path: &str, message: impl Into<String>) {
        self.mistakes.push((line, Mistake { path: path.to_owned(), message: message.into() }));
    }
}

/// What was expected in place of `found`, and how to mend it.
fn expectation(schema: &Value, found: &Data) -> (&'static str, &'static str) {
    match (title(schema), found) {
        ("Duration", _) => ("a duration such as `500ms`, `3s` or `5m`", ""),
        ("ApiKey", _) => ("`${NAME}` of an environment variable, or `{ key: ${NAME}, weight: 3 }`", ""),
        ("Secret", _) => ("`${NAME}` of an environment variable, or `{ file: PATH }`", ""),
        ("Bytes", _) => ("a size such as `512KiB` or `32MiB`", ""),
        ("Log", _) => ("`stdout`, `off`, a path, `{ otlp: URL }`, or a list of these", ""),
        ("Test", _) => ("a value, or operators such as `{ in: [a, b] }`", ""),
        (_, Data::Text(_)) if allows(schema, "integer") || allows(schema, "boolean") => {
            (name(schema), "; write it without quotes if it is one")
        }
        (_, Data::Integer(_) | Data::Float(_) | Data::Bool(_)) if allows(schema, "string") => {
            ("text", "; put it in quotes")
        }
        (_, Data::Map(_) | Data::Text(_)) if allows(schema, "array") => ("a list", "; begin each item with `- `"),
        _ => (name(schema), ""),
    }
}

fn name(schema: &Value) -> &'static str {
    const NAMES: &[(&str, &str)] = &[
        ("object", "a mapping"),
        ("array", "a list"),
        ("integer", "a whole number"),
        ("number", "a number"),
        ("boolean", "true or false"),
        ("string", "text"),
    ];
    NAMES.iter().find(|(kind, _)| allows(schema, kind)).map_or("something else", |(_, name)| name)
}

/// The words that there are to choose from; none if `schema` is of something else.
fn words(schema: &Value) -> Vec<&str> {
    let words = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    words.filter_map(|word| word.get("const")?.as_str()).collect()
}

fn allows(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        None => kind == "string" && !words(schema).is_empty(),
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        _ => false,
    }
}

fn title(schema: &Value) -> &str {
    schema.get("title").and_then(Value::as_str).unwrap_or_default()
}

fn first_sentence(schema: &Value) -> &str {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    description.split_once(". ").map_or(description, |(first, _)| first)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

//! A YAML document as a tree in which every key knows its line.
//!
//! Scalars are those of YAML 1.2's core schema. Anchors and aliases are resolved; merge keys are not part of YAML 1.2.

use std::collections::HashMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScanError, StrInput};
use serde_json::Value;

/// A part of the document.
#[derive(Debug, Clone)]
pub struct Node {
    /// The line where it begins, from 1.
    pub line: usize,
    /// What it is.
    pub data: Data,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub enum Data {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, with all of its members even where names repeat.
    Map(Vec<Member>),
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its key, as text even where it looks like a number.
    pub name: String,
    /// The key's line.
    pub line: usize,
    /// Its value.
    pub value: Node,
}

/// Why a text is not one YAML document.
#[derive(Debug)]
pub struct Malformed {
    /// Where.
    pub line: usize,
    /// Why.
    pub message: String,
}

/// Reads `text`, which must be one document.
///
/// # Errors
/// The first thing that is not YAML; there is no telling what what follows it was meant to be.
pub fn parse(text: &str) -> Result<Node, Malformed> {
    let mut builder = Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), budget: MAX_NODES };
    let mut document = None;
    loop {
        let (event, line) = builder.next()?;
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::StreamEnd => return Ok(document.unwrap_or(Node { line: 1, data: Data::Null })),
            _ if document.is_some() => return Err(malformed(line, "a second document; expected one")),
            event => document = Some(builder.node(event, line, 0)?),
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    /// Nodes that may still be made. Aliases of aliases would else fill the memory from a few lines.
    budget: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, usize), Malformed> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(error.into()),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn node(&mut self, event: Event<'t>, line: usize, depth: usize) -> Result<Node, Malformed> {
        if depth > MAX_DEPTH {
            return Err(malformed(line, "nested too deeply"));
        }
        self.spend(1, line)?;
        let (data, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref());
                (scalar.map(data).ok_or_else(|| malformed(line, "the value is not what its tag says"))?, anchor)
            }
            Event::SequenceStart(anchor, _) => (Data::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Data::Map(self.map(depth)?), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| malformed(line, "an alias cannot stand for what it is part of"))?;
                self.spend(node.size(), line)?;
                return Ok(node);
            }
            _ => return Err(malformed(line, "expected a value")),
        };
        let node = Node { line, data };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Member>, Malformed> {
        let mut members = Vec::new();
        loop {
            let (event, line) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(members),
                Event::Scalar(text, ..) => text.into_owned(),
                event => match self.node(event, line, depth + 1)?.data {
                    Data::Text(text) => text,
                    _ => return Err(malformed(line, "a key must be plain text")),
                },
            };
            let (event, begin) = self.next()?;
            members.push(Member { name, line, value: self.node(event, begin, depth + 1)? });
        }
    }

    fn spend(&mut self, nodes: usize, line: usize) -> Result<(), Malformed> {
        self.budget = self.budget.checked_sub(nodes).ok_or_else(|| malformed(line, "too large"))?;
        Ok(())
    }
}

impl Node {
    /// As JSON, where anything goes. Of members with the same name the last one counts.
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Integer(value) => (*value).into(),
            Data::Float(value) => (*value).into(),
            Data::Text(text) => text.as_str().into(),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(members) => members.iter().map(|it| (it.name.clone(), it.value.to_json())).collect(),
        }
    }

    fn size(&self) -> usize {
        match &self.data {
            Data::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Data::Map(members) => 1 + members.iter().map(|member| member.value.size()).sum::<usize>(),
            _ => 1,
        }
    }
}

fn data(scalar: Scalar<'_>) -> Data {
    match scalar {
        Scalar::Null => Data::Null,
        Scalar::Boolean(value) => Data::Bool(value),
        Scalar::Integer(value) => Data::Integer(value),
        Scalar::FloatingPoint(value) => Data::Float(value.into_inner()),
        Scalar::String(text) => Data::Text(text.into_owned()),
    }
}

impl From<ScanError> for Malformed {
    fn from(error: ScanError) -> Self {
        let at = error.marker();
        malformed(at.line(), format!("not YAML, at column {}: {}", at.col() + 1, error.info()))
    }
}

fn malformed(line: usize, message: impl Into<String>) -> Malformed {
    Malformed { line, message: message.into() }
}

const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn scalars_are_those_of_yaml_1_2() {
        let text = "{a: off, b: 010, c: 0x1f, d: 2024-10-21, e: ~, f: , g: 'true', h: True, i: 1.5, 3: j, k: !!str 7}";
        let expected = json!({
            "a": "off", "b": 10, "c": 31, "d": "2024-10-21", "e": null, "f": null, "g": "true", "h": true, "i": 1.5,
            "3": "j", "k": "7"
        });
        assert_eq!(parse(text).unwrap().to_json(), expected);
    }

    #[test]
    fn aliases_stand_for_their_anchors() {
        let node = parse("a: &x {k: [1, 2]}\nb: *x\n").unwrap();
        assert_eq!(node.to_json(), json!({"a": {"k": [1, 2]}, "b": {"k": [1, 2]}}));
    }

    #[test]
    fn what_is_not_one_document_is_refused_with_its_line() {
        let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 8].join(", "));
        }
        for (text, line, message) in [
            ("a: 1\nb: [1\nc: 2\n", 3, "not YAML"),
            ("a: 1\n---\nb: 2\n", 3, "second document"),
            ("a: &x [*x]\n", 1, "part of"),
            ("a: *y\n", 1, "anchor"),
            ("? [a]\n: 1\n", 1, "key"),
            ("a: !!int x\n", 1, "tag"),
            (&"[".repeat(100), 1, "deep"),
            (&bomb, 6, "too large"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.message.contains(message), "{text}: {}", found.message);
            assert_eq!(found.line, line, "{text}: {}", found.message);
        }
    }
}

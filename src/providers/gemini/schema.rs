//! JSON Schema, as far as Google takes it.
//!
//! Both fields for it, `parametersJsonSchema` and `responseJsonSchema`, take plain JSON Schema, but only these keywords:
//! `$defs`, `$ref`, `type`, `format`, `description`, `enum` (of strings and numbers), `items`, `prefixItems`, `minItems`,
//! `maxItems`, `minimum`, `maximum`, `anyOf`, `oneOf`, `properties`, `additionalProperties`, `required`,
//! `propertyOrdering`. "Cyclic references are unrolled to a limited degree"; beside a `$ref` nothing else may stand.
//! <https://ai.google.dev/api/generate-content#FIELDS.response_json_schema>
//!
//! What can be said otherwise is: `const`, `definitions`, `nullable`, `allOf`, exclusive bounds, tuples. The rest
//! (`pattern`, `minLength`, `title`, `$schema`, other formats, ...) only narrows or annotates, and goes.

use core::cell::Cell;
use std::rc::Rc;

use hashbrown::HashSet;

use crate::json::{Kind, Str, Value, Write, Writer};

/// How deep references are followed where they cannot stay.
const DEPTH: u32 = 8;

/// How much that may add to all of a schema, in bytes: a few definitions could be multiplied without end.
const BUDGET: usize = 64 << 10;

/// A schema to be written; `is_object`: it has to be one of an object.
#[derive(Debug, Clone)]
pub(super) struct Schema<'a> {
    schema: Value<'a>,
    root: Value<'a>,
    is_object: bool,
    depth: u32,
    budget: Rc<Cell<usize>>,
}

impl<'a> Schema<'a> {
    /// The schema of an answer.
    pub(super) fn answer(schema: Value<'a>) -> Self {
        Self { schema, root: schema, is_object: false, depth: DEPTH, budget: Rc::new(Cell::new(BUDGET)) }
    }

    /// The schema of a function's parameters; `None` if it takes none.
    pub(super) fn parameters(schema: Option<Value<'a>>) -> Option<Self> {
        let schema = schema.filter(|schema| schema.members().next().is_some())?;
        Some(Self { is_object: true, ..Self::answer(schema) })
    }

    fn within(&self, schema: Value<'a>) -> Self {
        Self { schema, root: self.root, is_object: false, depth: self.depth, budget: Rc::clone(&self.budget) }
    }

    fn is_root(&self) -> bool {
        self.schema.start() == self.root.start()
    }
}

impl Write for Schema<'_> {
    fn write(&self, out: &mut String) {
        // A root that only refers to one of its definitions would have them beside the `$ref`.
        match only_reference(self.schema).filter(|_| !self.is_root()) {
            Some(name) => Writer::new(out).object(|w| w.field("$ref", &reference(&name))),
            None => {
                let mut layers = Vec::new();
                let depth = self.gather(self.schema, self.depth, &mut layers);
                Self { depth, ..self.clone() }.write_layers(&layers, out);
            }
        }
    }
}

impl<'a> Schema<'a> {
    /// The schema and all that have to hold besides: the definition that it refers to, what is in its `allOf`. Returns how
    /// deep one may go on from there.
    fn gather(&self, schema: Value<'a>, depth: u32, layers: &mut Vec<Value<'a>>) -> u32 {
        layers.push(schema);
        let mut left = depth;
        if let Some((definition, depth)) = self.definition(schema).zip(depth.checked_sub(1))
            && let Some(budget) = self.budget.get().checked_sub(definition.raw().len())
        {
            self.budget.set(budget);
            left = self.gather(definition, depth, layers);
        }
        let all = schema.get("allOf").into_iter().flat_map(Value::elements);
        all.fold(left, |left, schema| left.min(self.gather(schema, depth, layers)))
    }

    fn definition(&self, schema: Value<'a>) -> Option<Value<'a>> {
        let name = reference(&schema.get("$ref")?.as_str()?);
        let name = name.strip_prefix("#/$defs/")?;
        ["$defs", "definitions"].iter().find_map(|definitions| self.root.path(&[definitions, name]))
    }

    fn write_layers(&self, layers: &[Value<'a>], out: &mut String) {
        let get = |name: &str| layers.iter().find_map(|layer| layer.get(name));
        Writer::new(out).object(|w| {
            self.write_type(&get, w);
            w.field_some("description", &get("description").filter(|text| text.kind() == Kind::String));
            let format = get("format").and_then(Value::as_str);
            w.field_some("format", &format.filter(|format| FORMATS.iter().any(|known| *format == **known)));
            self.write_enum(&get, w);
            self.write_properties(layers, w);
            w.field_some("propertyOrdering", &get("propertyOrdering"));
            if let Some(more) = get("additionalProperties") {
                match more.kind() {
                    Kind::Bool => w.field("additionalProperties", &more),
                    _ => w.field("additionalProperties", &self.within(more)),
                }
            }
            match get("items") {
                Some(tuple) if tuple.kind() == Kind::Array => self.write_list("prefixItems", tuple, w),
                Some(items) => w.field("items", &self.within(items)),
                None => {}
            }
            for name in ["prefixItems", "anyOf", "oneOf"] {
                if let Some(list) = get(name).filter(|list| list.elements().next().is_some()) {
                    self.write_list(name, list, w);
                }
            }
            for name in ["minItems", "maxItems"] {
                w.field_some(name, &get(name));
            }
            let number = |name: &str| get(name).filter(|bound| bound.kind() == Kind::Number);
            w.field_some("minimum", &number("minimum").or_else(|| number("exclusiveMinimum")));
            w.field_some("maximum", &number("maximum").or_else(|| number("exclusiveMaximum")));
            if self.is_root() {
                self.write_definitions(w);
            }
        });
    }

    fn write_type(&self, get: &impl Fn(&str) -> Option<Value<'a>>, w: &mut Writer<'_>) {
        let constant = get("const").map(|constant| match constant.kind() {
            Kind::Null => "null",
            Kind::Bool => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        });
        let nullable = get("nullable").and_then(Value::as_bool) == Some(true);
        match (get("type"), constant) {
            (Some(kind), _) if nullable && kind.kind() == Kind::String => w.name("type").array(|w| {
                w.value(&kind);
                w.value("null");
            }),
            (Some(kind), _) => w.field("type", &kind),
            (None, Some(constant)) => w.field("type", constant),
            (None, None) if self.is_object => w.field("type", "object"),
            (None, None) => {}
        }
    }

    fn write_enum(&self, get: &impl Fn(&str) -> Option<Value<'a>>, w: &mut Writer<'_>) {
        let values = get("enum").into_iter().flat_map(Value::elements).chain(get("const"));
        let mut values = values.filter(|value| matches!(value.kind(), Kind::String | Kind::Number)).peekable();
        if values.peek().is_some() {
            w.name("enum").array(|w| values.for_each(|value| w.value(&value)));
        }
    }

    fn write_properties(&self, layers: &[Value<'a>], w: &mut Writer<'_>) {
        let properties = || layers.iter().filter_map(|layer| layer.get("properties"));
        if properties().next().is_some() {
            let mut seen = HashSet::new();
            w.name("properties").object(|w| {
                for (name, schema) in properties().flat_map(Value::members) {
                    if seen.insert(name.decode().into_owned()) {
                        w.field(&name.decode(), &self.within(schema));
                    }
                }
            });
        }
        let required = layers.iter().filter_map(|layer| layer.get("required")).flat_map(Value::elements);
        let mut required = required.filter(|name| name.kind() == Kind::String).peekable();
        if required.peek().is_some() {
            w.name("required").array(|w| required.for_each(|name| w.value(&name)));
        }
    }

    fn write_list(&self, name: &str, list: Value<'a>, w: &mut Writer<'_>) {
        w.name(name).array(|w| list.elements().for_each(|schema| w.value(&self.within(schema))));
    }

    fn write_definitions(&self, w: &mut Writer<'_>) {
        let definitions = || ["$defs", "definitions"].into_iter().filter_map(|name| self.root.get(name));
        let mut definitions = definitions().flat_map(Value::members).peekable();
        if definitions.peek().is_some() {
            w.name("$defs").object(|w| {
                for (name, schema) in definitions {
                    w.field(&name.decode(), &self.within(schema));
                }
            });
        }
    }
}

const FORMATS: &[&str] = &["date-time", "date", "time", "int32", "int64", "float", "double"];

/// What the schema refers to, if that is all it does: `$ref`, or one in `allOf`, as generators write it to put a description
/// beside.
fn only_reference<'a>(schema: Value<'a>) -> Option<Str<'a>> {
    let direct = |schema: Value<'a>| schema.get("$ref").and_then(Value::as_str);
    let inside = || {
        let mut all = schema.get("allOf")?.elements();
        let only = all.next().filter(|_| all.next().is_none());
        only.filter(|_| schema.get("properties").is_none()).and_then(direct)
    };
    direct(schema).or_else(inside)
}

fn reference(name: &Str<'_>) -> String {
    let name = name.decode();
    match name.strip_prefix("#/definitions/") {
        Some(name) => format!("#/$defs/{name}"),
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Schema;
    use crate::json::{Document, Write};

    fn check(schema: &str, expected: &str) {
        let document = Document::parse(schema.as_bytes()).unwrap();
        let mut out = String::new();
        Schema::answer(document.root()).write(&mut out);
        let parse = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&out), parse(expected), "{schema}");
    }

    #[test]
    fn schemas_are_said_in_the_keywords_that_google_knows() {
        check(
            r#"{"$schema":"s","title":"T","type":"object","properties":{"title":{"type":"string","minLength":1,"pattern":"p"}},
                "required":["title"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"title":{"type":"string"}},"required":["title"],"additionalProperties":false}"#,
        );
        check(r#"{"const":"a"}"#, r#"{"type":"string","enum":["a"]}"#);
        check(r#"{"const":true}"#, r#"{"type":"boolean"}"#);
        check(r#"{"type":["string","null"],"enum":["a",null]}"#, r#"{"type":["string","null"],"enum":["a"]}"#);
        check(r#"{"type":"boolean","enum":[true]}"#, r#"{"type":"boolean"}"#);
        check(r#"{"type":"string","nullable":true,"format":"uuid"}"#, r#"{"type":["string","null"]}"#);
        check(r#"{"type":"string","format":"date-time"}"#, r#"{"type":"string","format":"date-time"}"#);
        check(
            r#"{"type":"integer","exclusiveMinimum":0,"maximum":9,"multipleOf":3}"#,
            r#"{"type":"integer","minimum":0,"maximum":9}"#,
        );
        check(
            r#"{"type":"array","items":[{"type":"string","title":"t"}],"minItems":1,"uniqueItems":true}"#,
            r#"{"type":"array","prefixItems":[{"type":"string"}],"minItems":1}"#,
        );
        check(
            r#"{"anyOf":[{"type":"null"},{"type":"object","additionalProperties":{"type":"number","title":"t"}}]}"#,
            r#"{"anyOf":[{"type":"null"},{"type":"object","additionalProperties":{"type":"number"}}]}"#,
        );
    }

    #[test]
    fn references_stay_and_stand_alone() {
        check(
            r##"{"type":"object","properties":{"next":{"$ref":"#/definitions/N","description":"d"}},
                "definitions":{"N":{"type":"object","title":"N","properties":{"next":{"$ref":"#/definitions/N"}}}}}"##,
            r##"{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}},
                "$defs":{"N":{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}}}}}"##,
        );
        check(
            r##"{"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}}}}}"##,
            r##"{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}},
                "$defs":{"N":{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}}}}}"##,
        );
        check(r##"{"$ref":"#"}"##, "{}");
        check(
            r##"{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/A"}}}"##,
            r##"{"$defs":{"A":{"$ref":"#/$defs/A"}}}"##,
        );
    }

    #[test]
    fn all_of_is_put_together() {
        check(
            r##"{"type":"object","properties":{"a":{"allOf":[{"$ref":"#/$defs/A"}],"description":"d"}},"required":["a"],
                "allOf":[{"properties":{"a":{},"b":{"type":"string"}},"required":["b"]}],"$defs":{"A":{"enum":["x"]}}}"##,
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"b":{"type":"string"}},
                "required":["a","b"],"$defs":{"A":{"enum":["x"]}}}"##,
        );
        check(
            r##"{"$ref":"#/$defs/B","$defs":{"A":{"type":"object","properties":{"a":{"type":"string"}}},
                "B":{"allOf":[{"$ref":"#/$defs/A"},{"properties":{"b":{"$ref":"#/$defs/B"}}}]}}}"##,
            r##"{"type":"object","properties":{"a":{"type":"string"},"b":{"$ref":"#/$defs/B"}},
                "$defs":{"A":{"type":"object","properties":{"a":{"type":"string"}}},
                "B":{"type":"object","properties":{"a":{"type":"string"},"b":{"$ref":"#/$defs/B"}}}}}"##,
        );
    }

    #[test]
    fn what_refers_to_itself_comes_to_an_end() {
        for schema in [
            r##"{"$ref":"#/$defs/A","$defs":{"A":{"properties":{"x":{"allOf":[{"$ref":"#/$defs/A"},{"type":"object"}]},
                "y":{"allOf":[{"$ref":"#/$defs/A"},{"type":"object"}]}}}}}"##,
            r##"{"$defs":{"A":{"allOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A"}]}}}"##,
        ] {
            let document = Document::parse(schema.as_bytes()).unwrap();
            let mut out = String::new();
            Schema::answer(document.root()).write(&mut out);
            assert!(Document::parse(out.as_bytes()).is_ok() && out.len() < 4 << 20, "{}", out.len());
        }
    }

    #[test]
    fn parameters_are_an_object() {
        for (schema, expected) in [("{}", None), (r#"{"properties":{}}"#, Some(r#"{"type":"object","properties":{}}"#))]
        {
            let document = Document::parse(schema.as_bytes()).unwrap();
            let written = Schema::parameters(Some(document.root())).map(|schema| {
                let mut out = String::new();
                schema.write(&mut out);
                out
            });
            assert_eq!(written.as_deref(), expected);
        }
    }
}

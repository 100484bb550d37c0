//! The smallest sensible value that a JSON schema admits: what the simulated model fills in for tool arguments and
//! structured answers.

use serde_json::{Map, Value, json};

use super::json::At;

/// An instance of `schema`.
pub fn instance(schema: &Value) -> Value {
    Generator { root: schema }.value(schema, 0)
}

struct Generator<'s> {
    /// Where `$ref` points into.
    root: &'s Value,
}

impl Generator<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(target) = schema.at("$ref").as_str().and_then(|pointer| self.resolve(pointer)) {
            return self.value(target, depth + 1);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(first) = schema.at("enum").get(0) {
            return first.clone();
        }
        if let Some(branches) = schema.at("anyOf").as_array().or(schema.at("oneOf").as_array()) {
            // A value says more than the null of an optional field.
            let branch = branches.iter().find(|branch| branch.at("type") != "null").or(branches.first());
            return branch.map_or(Value::Null, |branch| self.value(branch, depth + 1));
        }
        if let Some(parts) = schema.at("allOf").as_array() {
            let mut merged = self.object(schema, depth);
            for part in parts {
                match self.value(part, depth + 1) {
                    Value::Object(part) => merged.extend(part),
                    other => return other,
                }
            }
            return Value::Object(merged);
        }
        match kind(schema) {
            "object" => Value::Object(self.object(schema, depth)),
            "array" => self.array(schema, depth),
            "string" => Value::String(string(schema)),
            "integer" => json!(lowest(schema).ceil() as i64),
            "number" => json!(lowest(schema)),
            "boolean" => Value::Bool(true),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Map<String, Value> {
        let mut object = Map::new();
        for name in schema.at("required").as_array().into_iter().flatten().filter_map(Value::as_str) {
            object.insert(name.to_owned(), self.value(schema.at("properties").at(name), depth + 1));
        }
        object
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        // One item shows its shape; a schema that contains itself must still come to an end.
        let shown = if depth < MAX_DEPTH / 2 && schema.at("maxItems") != 0 { 1 } else { 0 };
        let length = schema.at("minItems").as_u64().unwrap_or_default().min(MAX_ITEMS).max(shown);
        (0..length).map(|_| self.value(schema.at("items"), depth + 1)).collect()
    }

    fn resolve(&self, pointer: &str) -> Option<&Value> {
        self.root.pointer(pointer.strip_prefix('#')?)
    }
}

fn kind(schema: &Value) -> &str {
    match schema.at("type") {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        // Anything goes.
        _ => "string",
    }
}

fn string(schema: &Value) -> String {
    let known = match schema.at("format").as_str() {
        Some("date") => "2025-01-31",
        Some("date-time") => "2025-01-31T12:00:00Z",
        Some("time") => "12:00:00Z",
        Some("email") => "mock@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("ipv4") => "192.0.2.1",
        _ => "text",
    };
    let length = |bound: &str| schema.at(bound).as_u64().map(|length| length.min(MAX_ITEMS) as usize);
    let mut string = known.to_owned();
    while length("minLength").is_some_and(|least| string.len() < least) {
        string.push('x');
    }
    if let Some(most) = length("maxLength") {
        string.truncate(most);
    }
    string
}

fn lowest(schema: &Value) -> f64 {
    let above = |bound: f64| schema.at("multipleOf").as_f64().map_or(bound + 1.0, |step| bound + step);
    let least = schema.at("minimum").as_f64().or(schema.at("exclusiveMinimum").as_f64().map(above));
    match (least, schema.at("maximum").as_f64()) {
        (Some(least), _) => least,
        (None, Some(most)) if most < 1.0 => most,
        (None, _) => schema.at("multipleOf").as_f64().unwrap_or(1.0),
    }
}

const MAX_DEPTH: usize = 16;
const MAX_ITEMS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: Value) {
        assert_eq!(instance(&schema), expected, "{schema}");
    }

    #[test]
    fn scalars() {
        check(json!({"type": "string"}), json!("text"));
        check(json!({"type": "string", "format": "date"}), json!("2025-01-31"));
        check(json!({"type": "string", "minLength": 6}), json!("textxx"));
        check(json!({"type": "string", "maxLength": 2}), json!("te"));
        check(json!({"type": "integer", "minimum": 3}), json!(3));
        check(json!({"type": "integer", "exclusiveMinimum": 3}), json!(4));
        check(json!({"type": "number", "maximum": 0.5}), json!(0.5));
        check(json!({"type": ["null", "boolean"]}), json!(true));
        check(json!({"const": 7}), json!(7));
        check(json!({"type": "string", "enum": ["celsius", "kelvin"]}), json!("celsius"));
        check(json!({}), json!("text"));
    }

    #[test]
    fn objects_have_what_is_required() {
        check(
            json!({
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "note": {"type": "string"}},
                "required": ["city", "days"],
            }),
            json!({"city": "text", "days": 1}),
        );
        check(json!({"type": "object", "properties": {}}), json!({}));
    }

    #[test]
    fn arrays_show_one_item() {
        check(json!({"type": "array", "items": {"type": "integer"}}), json!([1]));
        check(json!({"type": "array", "items": {"type": "integer"}, "minItems": 2}), json!([1, 1]));
        check(json!({"type": "array", "items": {"type": "integer"}, "maxItems": 0}), json!([]));
    }

    #[test]
    fn combinations_and_references() {
        check(json!({"anyOf": [{"type": "null"}, {"type": "integer"}]}), json!(1));
        check(
            json!({"$defs": {"p": {"type": "object", "required": ["x"]}}, "allOf": [{"$ref": "#/$defs/p"}]}),
            json!({"x": "text"}),
        );
    }

    #[test]
    fn a_schema_that_contains_itself_comes_to_an_end() {
        let tree = json!({
            "$defs": {"node": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                "required": ["children"],
            }},
            "$ref": "#/$defs/node",
        });
        assert!(instance(&tree)["children"][0]["children"].is_array());
    }
}

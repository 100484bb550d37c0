//! JSON values as YAML that is pleasant to read.

use saphyr::{Mapping, Scalar, Yaml, YamlEmitter};
use serde_json::Value;

/// `value` as a YAML document. Text of several lines stands as it is.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    let mut emitter = YamlEmitter::new(&mut text);
    emitter.multiline(true);
    // Writing to a `String` cannot fail.
    let _ = emitter.dump(&convert(value));
    let mut text = format!("{HEAD}\n{}", text.strip_prefix("---\n").unwrap_or(&text));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

const HEAD: &str = "# Written by model-gateway from the operator's file; what is changed here is lost.";

fn convert(value: &Value) -> Yaml<'_> {
    match value {
        Value::Null => Yaml::Value(Scalar::Null),
        Value::Bool(value) => Yaml::Value(Scalar::Boolean(*value)),
        Value::Number(number) => Yaml::Value(match number.as_i64() {
            Some(integer) => Scalar::Integer(integer),
            None => Scalar::FloatingPoint(number.as_f64().unwrap_or_default().into()),
        }),
        Value::String(text) => string(text),
        Value::Array(items) => Yaml::Sequence(items.iter().map(convert).collect()),
        Value::Object(members) => {
            let mut mapping = Mapping::new();
            mapping.extend(members.iter().map(|(name, value)| (string(name), convert(value))));
            Yaml::Mapping(mapping)
        }
    }
}

fn string(text: &str) -> Yaml<'_> {
    Yaml::Value(Scalar::String(text.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "name": "plain", "number": 3, "yes": true, "nothing": null, "off": "off", "octal": "0o7", "date": "2024-10-21",
            "list": ["a: b", "- c", {"inner": []}, [1, 2]], "empty": {}, "lines": "{\n  \"a\": 1\n}", "percent": "%REQ(A)%",
        });
        let text = super::write(&value);
        let read = model_yaml(&text);
        assert_eq!(read, value, "{text}");
    }

    fn model_yaml(text: &str) -> serde_json::Value {
        crate::load::yaml::parse(text).unwrap().to_json()
    }
}

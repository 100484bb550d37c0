//! OpenAI's embeddings: <https://platform.openai.com/docs/api-reference/embeddings>.

use serde_json::{Value, json};

use super::request::{bad, coded, missing, mistyped};
use crate::mock::dialect::Fault;
use crate::mock::embedding::{base64, json, usage};
use crate::mock::json::{At, unknown};
use crate::mock::model::Usage;

/// Checks a request, and answers it.
pub fn answer(body: &Value, model: &str) -> Result<(Value, Usage), Fault> {
    if let Some(name) = unknown(body, FIELDS) {
        return Err(bad(name, format!("Unrecognized request argument supplied: {name}")));
    }
    if model.is_empty() {
        return Err(Fault::invalid("you must provide a model parameter"));
    }
    let texts = texts(body.at("input"))?;
    let most = if model.contains("large") { 3072 } else { 1536 };
    let dimensions = match body.at("dimensions") {
        Value::Null => most,
        _ if model.contains("ada") => {
            return Err(bad("dimensions", "This model does not support specifying dimensions."));
        }
        value => match value.as_u64() {
            Some(dimensions) if (1..=most).contains(&dimensions) => dimensions,
            _ => return Err(mistyped("dimensions", &format!("an integer from 1 to {most}"), value)),
        },
    } as usize;
    let embedding = |text: &String| match body.at("encoding_format").as_str() {
        Some("base64") => Ok(base64(text, dimensions).into()),
        None | Some("float") => Ok(json(text, dimensions)),
        Some(other) => {
            let message = format!("Invalid value: '{other}'. Supported values are: 'float' and 'base64'.");
            Err(coded("encoding_format", message, "invalid_value"))
        }
    };
    let item = |(index, text)| Ok(json!({"object": "embedding", "index": index, "embedding": embedding(text)?}));
    let data = texts.iter().enumerate().map(item).collect::<Result<Value, Fault>>()?;
    let usage = usage(texts.iter().map(String::as_str));
    let told = json!({"prompt_tokens": usage.input, "total_tokens": usage.input});
    Ok((json!({"object": "list", "data": data, "model": model, "usage": told}), usage))
}

/// One text or more; tokens stand for the text of their numbers.
fn texts(input: &Value) -> Result<Vec<String>, Fault> {
    let tokens = |tokens: &[Value]| tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let text = |item: &Value| match item {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Array(numbers) if !numbers.is_empty() && numbers.iter().all(Value::is_u64) => Ok(tokens(numbers)),
        _ => Err(bad("input", "'$.input' is invalid. Please check the API reference.")),
    };
    match input {
        Value::Null => Err(missing("input")),
        Value::Array(items) if items.is_empty() || items.len() > MOST_TEXTS => {
            Err(bad("input", format!("'$.input' must have between 1 and {MOST_TEXTS} items.")))
        }
        Value::Array(items) if items.iter().all(Value::is_u64) => Ok(vec![tokens(items)]),
        Value::Array(items) => items.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

const FIELDS: &[&str] = &["model", "input", "dimensions", "encoding_format", "user"];
const MOST_TEXTS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_in_order_and_in_either_form() {
        let (answer, usage) =
            answer(&json!({"input": ["a b", "c"], "dimensions": 3}), "text-embedding-3-small").unwrap();
        assert_eq!(answer["data"][1]["embedding"], json("c", 3));
        assert_eq!((answer["data"][1]["index"].as_u64(), usage.input), (Some(1), 3));
        let body = json!({"input": [1, 2], "encoding_format": "base64"});
        let (answer, _) = super::answer(&body, "text-embedding-ada-002").unwrap();
        assert_eq!(answer["data"][0]["embedding"], base64("1 2", 1536));
    }

    #[test]
    fn wrong_requests_are_refused() {
        for body in [
            json!({}),
            json!({"input": ""}),
            json!({"input": []}),
            json!({"input": [1, "a"]}),
            json!({"input": "a", "truncate": "END"}),
            json!({"input": "a", "encoding_format": "int8"}),
            json!({"input": "a", "dimensions": 1537}),
        ] {
            assert!(matches!(answer(&body, "m"), Err(Fault::Invalid { .. })), "{body}");
        }
    }
}

//! Cohere's embeddings, which Bedrock has too: <https://docs.cohere.com/reference/embed>.

use serde_json::{Value, json};

use super::request::only;
use crate::mock::dialect::Fault;
use crate::mock::embedding::{base64, json, usage, vector};
use crate::mock::json::At;
use crate::mock::model::Usage;

/// Checks a request, and answers it.
pub fn answer(body: &Value, model: &str) -> Result<(Value, Usage), Fault> {
    only("", body, FIELDS)?;
    if model.is_empty() {
        return Err(Fault::invalid("invalid request: model is required"));
    }
    let (texts, embeddings) = vectors(body)?;
    let usage = usage(texts.iter().map(String::as_str));
    let billed = json!({"input_tokens": usage.input});
    let meta = json!({"api_version": {"version": "2"}, "billed_units": billed});
    let answer = json!({"id": "mock", "embeddings": embeddings, "texts": texts, "meta": meta, "response_type": "embeddings_by_type"});
    Ok((answer, usage))
}

/// The texts of a request, and their vectors by type.
pub fn vectors(body: &Value) -> Result<(Vec<String>, Value), Fault> {
    let kind = body.at("input_type").as_str();
    if !matches!(kind, Some("search_document" | "search_query" | "classification" | "clustering" | "image")) {
        return Err(Fault::invalid("invalid request: valid input_type must be provided with the provided model"));
    }
    let texts = texts(body)?;
    if texts.is_empty() || texts.len() > MOST {
        return Err(Fault::invalid(format!(
            "invalid request: total number of texts must be at least 1 and at most {MOST}"
        )));
    }
    let dimensions =
        match body.at("output_dimension") {
            Value::Null => 1024,
            value => value.as_u64().filter(|asked| [256, 512, 1024, 1536].contains(asked)).ok_or_else(|| {
                Fault::invalid("invalid request: output_dimension must be one of 256, 512, 1024, 1536")
            })? as usize,
        };
    let types = match body.at("embedding_types") {
        Value::Null => vec!["float"],
        types => types.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    let mut embeddings = json!({});
    for kind in types {
        let of = |text: &String| match kind {
            "float" => Some(json(text, dimensions)),
            "base64" => Some(base64(text, dimensions).into()),
            "int8" => Some(vector(text, dimensions).iter().map(|number| (number * 127.0) as i8).collect()),
            _ => None,
        };
        let vectors = texts.iter().map(of).collect::<Option<Value>>();
        let vectors = vectors
            .ok_or_else(|| Fault::invalid(format!("invalid request: the embedding type {kind} is not simulated")))?;
        embeddings.put(kind, vectors);
    }
    Ok((texts, embeddings))
}

/// `texts`, `images`, or `inputs` of both; an image counts by its address or its data.
fn texts(body: &Value) -> Result<Vec<String>, Fault> {
    let refused = || Fault::invalid("invalid request: texts must be a list of strings that are not empty");
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(refused);
    if let Some(texts) = body.at("texts").as_array() {
        return texts.iter().map(text).collect();
    }
    if let Some(images) = body.at("images").as_array() {
        return images.iter().map(text).collect();
    }
    let part = |part: &Value| match part.at("type").as_str() {
        Some("text") => text(part.at("text")),
        Some("image_url") => text(part.at("image_url").at("url")),
        _ => Err(refused()),
    };
    let input = |input: &Value| {
        let parts = input.at("content").as_array().filter(|parts| !parts.is_empty()).ok_or_else(refused)?;
        Ok(parts.iter().map(part).collect::<Result<Vec<_>, _>>()?.join("\n"))
    };
    body.at("inputs").as_array().ok_or_else(refused)?.iter().map(input).collect()
}

#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "model", "input_type", "texts", "images", "inputs", "max_tokens", "output_dimension", "embedding_types", "truncate", "priority",
];
const MOST: usize = 96;

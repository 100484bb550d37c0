//! Embeddings by InvokeModel: Amazon's Titan, and Cohere's models.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>

use serde_json::{Value, json};

use super::request::only;
use crate::mock::cohere::embed;
use crate::mock::dialect::Fault;
use crate::mock::embedding::{json, usage};
use crate::mock::json::At;
use crate::mock::model::Usage;

/// Checks a request, and answers it as the model's vendor does.
pub fn answer(body: &Value, model: &str) -> Result<(Value, Usage), Fault> {
    if model.contains("cohere.embed") { cohere(body) } else { titan(body, model) }
}

fn titan(body: &Value, model: &str) -> Result<(Value, Usage), Fault> {
    if model.contains("titan-embed-image") {
        return of_image(body);
    }
    let second = model.contains("titan-embed-text-v2");
    if !second && !model.contains("titan-embed-text-v1") {
        return Err(Fault::invalid("The provided model identifier is invalid."));
    }
    only("", body, if second { &["inputText", "dimensions", "normalize", "embeddingTypes"] } else { &["inputText"] })?;
    let text = body.at("inputText").as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| {
        Fault::invalid(
            "Malformed input request: #: required key [inputText] not found, please reformat your input and try again.",
        )
    })?;
    let dimensions = match body.at("dimensions") {
        Value::Null if second => 1024,
        Value::Null => 1536,
        value => value.as_u64().filter(|asked| [256, 512, 1024].contains(asked)).ok_or_else(|| {
            Fault::invalid(format!(
                "Malformed input request: {value} is not a valid enum value, please reformat your input and try again."
            ))
        })? as usize,
    };
    let usage = usage([text]);
    let embedding = json(text, dimensions);
    let mut answer = json!({"embedding": embedding, "inputTextTokenCount": usage.input});
    if second {
        answer.put("embeddingsByType", json!({ "float": embedding }));
    }
    Ok((answer, usage))
}

/// A text, an image, or both.
fn of_image(body: &Value) -> Result<(Value, Usage), Fault> {
    only("", body, &["inputText", "inputImage", "embeddingConfig"])?;
    let text = ["inputText", "inputImage"].map(|name| body.at(name).as_str().unwrap_or_default()).join("\n");
    if text.trim().is_empty() {
        return Err(Fault::invalid("Malformed input request: one of inputText and inputImage is required."));
    }
    let dimensions = match body.at("embeddingConfig") {
        Value::Null => 1024,
        config => {
            only("embeddingConfig", config, &["outputEmbeddingLength"])?;
            let asked = config.at("outputEmbeddingLength").as_u64().filter(|asked| [256, 384, 1024].contains(asked));
            let asked = asked.ok_or_else(|| {
                Fault::invalid(
                    "Malformed input request: \
                #/embeddingConfig/outputEmbeddingLength: not a valid enum value.",
                )
            })?;
            usize::try_from(asked).unwrap_or_default()
        }
    };
    let usage = usage(body.at("inputText").as_str());
    let answer = json!({"embedding": json(&text, dimensions), "inputTextTokenCount": usage.input, "message": null});
    Ok((answer, usage))
}

/// The count of tokens is in a header of the answer, which nobody is known to read.
fn cohere(body: &Value) -> Result<(Value, Usage), Fault> {
    let fields =
        ["texts", "images", "inputs", "input_type", "truncate", "embedding_types", "output_dimension", "max_tokens"];
    only("", body, &fields)?;
    let (texts, embeddings) = embed::vectors(body)?;
    let by_type = !body.at("embedding_types").is_null();
    let embeddings = if by_type { embeddings } else { embeddings.at("float").clone() };
    let kind = if by_type { "embeddings_by_type" } else { "embeddings_floats" };
    let answer = json!({"id": "mock", "texts": texts, "response_type": kind, "embeddings": embeddings});
    Ok((answer, Usage::default()))
}

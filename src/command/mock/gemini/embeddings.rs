//! Google's embeddings: embedContent and batchEmbedContents, and Vertex AI's predict.
//!
//! <https://ai.google.dev/api/embeddings>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>

use serde_json::{Value, json};

use super::contents::text_of;
use super::request::only;
use crate::mock::dialect::Fault;
use crate::mock::embedding::{json, usage};
use crate::mock::json::At;
use crate::mock::model::{Usage, words};

/// Checks a request for `method`, and answers it. Google AI tells nothing of tokens.
pub fn answer(body: &Value, model: &str, method: &str) -> Result<(Value, Usage), Fault> {
    match method {
        "predict" => predict(body, model),
        "embedContent" => Ok((json!({"embedding": {"values": one("", body, model)?}}), Usage::default())),
        _ => {
            only("", body, &["requests"])?;
            let requests = body.at("requests").as_array().filter(|requests| !requests.is_empty());
            let requests = requests
                .ok_or_else(|| Fault::invalid("* BatchEmbedContentsRequest.requests: requests is not specified"))?;
            if requests.len() > MOST {
                return Err(Fault::invalid(format!(
                    "* BatchEmbedContentsRequest.requests: at most {MOST} requests can be in one batch"
                )));
            }
            let embedding = |(n, request): (usize, &Value)| {
                if request.at("model") != format!("models/{model}").as_str() {
                    return Err(Fault::invalid(format!(
                        "* BatchEmbedContentsRequest.requests[{n}].model: model must match the model in the batch \
                            request"
                    )));
                }
                Ok(json!({"values": one(&format!("requests[{n}]"), request, model)?}))
            };
            let embeddings = requests.iter().enumerate().map(embedding).collect::<Result<Value, Fault>>()?;
            Ok((json!({ "embeddings": embeddings }), Usage::default()))
        }
    }
}

fn one(path: &str, request: &Value, model: &str) -> Result<Value, Fault> {
    only(path, request, &["model", "content", "taskType", "title", "outputDimensionality"])?;
    only(path, request.at("content"), &["role", "parts"])?;
    let texts: Vec<&str> =
        request.at("content").at("parts").as_array().into_iter().flatten().filter_map(text_of).collect();
    if texts.concat().is_empty() {
        return Err(Fault::invalid("* EmbedContentRequest.content: content is empty"));
    }
    Ok(json(&texts.join("\n"), dimensions(request.at("outputDimensionality"), model)?))
}

fn predict(body: &Value, model: &str) -> Result<(Value, Usage), Fault> {
    only("", body, &["instances", "parameters"])?;
    let parameters = body.at("parameters");
    if !parameters.is_null() {
        only("parameters", parameters, &["autoTruncate", "outputDimensionality"])?;
    }
    let dimensions = dimensions(parameters.at("outputDimensionality"), model)?;
    let instances = body.at("instances").as_array().map(Vec::as_slice).unwrap_or_default();
    let most = if model.starts_with("gemini-embedding") { 1 } else { MOST_INSTANCES };
    if instances.is_empty() || instances.len() > most {
        return Err(Fault::invalid(format!("{} instance(s) is not allowed. Max allowed: {most}.", instances.len())));
    }
    let mut texts = Vec::new();
    for instance in instances {
        only("instances", instance, &["content", "task_type", "title"])?;
        let text = instance.at("content").as_str().filter(|text| !text.is_empty());
        texts.push(text.ok_or_else(|| Fault::invalid("The text content is empty."))?);
    }
    let prediction = |text: &&str| {
        let statistics = json!({"truncated": false, "token_count": words(text)});
        json!({"embeddings": {"values": json(text, dimensions), "statistics": statistics}})
    };
    let predictions: Value = texts.iter().map(prediction).collect();
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    let metadata = json!({"billableCharacterCount": characters});
    Ok((json!({"predictions": predictions, "metadata": metadata}), usage(texts)))
}

fn dimensions(asked: &Value, model: &str) -> Result<usize, Fault> {
    let most = if model.starts_with("gemini-embedding") { 3072 } else { 768 };
    match asked {
        Value::Null => Ok(most),
        value => {
            value.as_u64().map(|asked| asked as usize).filter(|asked| (1..=most).contains(asked)).ok_or_else(|| {
                Fault::invalid(format!(
                    "Unable to submit request because outputDimensionality must be from 1 to {most}, not {value}."
                ))
            })
        }
    }
}

const MOST: usize = 100;
const MOST_INSTANCES: usize = 250;

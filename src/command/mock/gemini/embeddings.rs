//! Google's embeddings: embedContent and batchEmbedContents, which Vertex AI has in words of its own, and its predict.
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

/// Checks a request for `method`, and answers it.
pub fn answer(body: &Value, model: &str, method: &str, vertex: bool) -> Result<(Value, Usage), Fault> {
    let google = Google { model, vertex };
    match method {
        "predict" => google.predict(body),
        "embedContent" => {
            let (values, tokens) = google.one("", body)?;
            let told = json!({"promptTokenCount": tokens, "totalTokenCount": tokens});
            Ok((json!({"embedding": {"values": values}, "usageMetadata": told}), of(tokens)))
        }
        _ => google.batch(body),
    }
}

struct Google<'m> {
    model: &'m str,
    vertex: bool,
}

impl Google<'_> {
    fn batch(&self, body: &Value) -> Result<(Value, Usage), Fault> {
        only("", body, &["requests"])?;
        let requests = body.at("requests").as_array().map(Vec::as_slice).unwrap_or_default();
        if requests.is_empty() || requests.len() > MOST {
            return Err(Fault::invalid(format!(
                "* BatchEmbedContentsRequest.requests: at least one and at most {MOST} requests can be in one batch"
            )));
        }
        let mut all = 0;
        let mut embeddings = Vec::new();
        for (n, request) in requests.iter().enumerate() {
            let named = format!("models/{}", self.model);
            if !self.vertex && request.at("model") != named.as_str() {
                return Err(Fault::invalid(format!(
                    "* BatchEmbedContentsRequest.requests[{n}].model: model must match the model in the batch request"
                )));
            }
            let (values, tokens) = self.one(&format!("requests[{n}]"), request)?;
            all += tokens;
            let mut embedding = json!({ "values": values });
            if self.vertex {
                embedding.put("statistics", json!({ "tokenCount": tokens }));
            }
            embeddings.push(embedding);
        }
        let mut answer = json!({ "embeddings": embeddings });
        if !self.vertex {
            answer.put("usageMetadata", json!({ "promptTokenCount": all }));
        }
        Ok((answer, of(all)))
    }

    /// A vector, and its tokens. What is no text counts by its address or its data.
    fn one(&self, path: &str, request: &Value) -> Result<(Value, u64), Fault> {
        let own: &[&str] = if self.vertex {
            &["content", "embedContentConfig"]
        } else {
            &["model", "content", "taskType", "title", "outputDimensionality"]
        };
        only(path, request, own)?;
        let mut config = request;
        if self.vertex && !request.at("embedContentConfig").is_null() {
            config = request.at("embedContentConfig");
            only("embed_content_config", config, &["taskType", "title", "outputDimensionality", "autoTruncate"])?;
        }
        only(path, request.at("content"), &["role", "parts"])?;
        let parts = request.at("content").at("parts").as_array().into_iter().flatten();
        let text = |part: &Value| text_of(part).map_or_else(|| part.to_string(), str::to_owned);
        let text = parts.map(text).collect::<Vec<_>>().join("\n");
        if text.is_empty() {
            return Err(Fault::invalid("* EmbedContentRequest.content: content is empty"));
        }
        Ok((json(&text, self.dimensions(config.at("outputDimensionality"))?), words(&text)))
    }

    fn predict(&self, body: &Value) -> Result<(Value, Usage), Fault> {
        only("", body, &["instances", "parameters"])?;
        let parameters = body.at("parameters");
        if !parameters.is_null() {
            only("parameters", parameters, &["autoTruncate", "outputDimensionality"])?;
        }
        let dimensions = self.dimensions(parameters.at("outputDimensionality"))?;
        let instances = body.at("instances").as_array().map(Vec::as_slice).unwrap_or_default();
        let most = if self.model.starts_with("gemini-embedding") { 1 } else { MOST_INSTANCES };
        if instances.is_empty() || instances.len() > most {
            let count = instances.len();
            return Err(Fault::invalid(format!("{count} instance(s) is not allowed. Max allowed: {most}.")));
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

    fn dimensions(&self, asked: &Value) -> Result<usize, Fault> {
        let most = if self.model.starts_with("gemini-embedding") { 3072 } else { 768 };
        if asked.is_null() {
            return Ok(most);
        }
        let asked_for = asked.as_u64().map(|asked| asked as usize).filter(|asked| (1..=most).contains(asked));
        asked_for.ok_or_else(|| {
            Fault::invalid(format!(
                "Unable to submit request because outputDimensionality must be from 1 to {most}, not {asked}."
            ))
        })
    }
}

fn of(tokens: u64) -> Usage {
    Usage { input: tokens, ..Usage::default() }
}

const MOST: usize = 100;
const MOST_INSTANCES: usize = 250;

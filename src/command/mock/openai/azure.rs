//! Azure OpenAI: OpenAI's dialect with a key of its own, deployments in the path, and the filter's findings in answers.
//!
//! <https://learn.microsoft.com/azure/ai-services/openai/reference>

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::{OpenAi, envelope, request};
use crate::mock::dialect::{Call, Dialect, Event, Fault, Operation, bearer, decoded, key, site};
use crate::mock::directives::Refusal;
use crate::mock::json::At;
use crate::mock::model::{Prompt, Reply, Usage};

/// The dialect, at sites whose name begins with `azure` and wherever the path has a deployment.
pub struct Azure;

impl Dialect for Azure {
    fn name(&self) -> &'static str {
        "azure-openai"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let ours = site(path).starts_with("azure") && path.contains("/openai/v1/") || path.contains(DEPLOYMENTS);
        OpenAi.operation(method, path).filter(|_| ours)
    }

    fn model<'c>(&self, call: &Call<'c>) -> Option<Cow<'c, str>> {
        let deployment = deployment(call.path).map(|name| Cow::Owned(decoded(name)));
        deployment.or(call.body.at("model").as_str().map(Cow::Borrowed))
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        match call.headers.get("api-key") {
            Some(value) => key(value.to_str().ok()),
            None => bearer(call.headers),
        }
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        check_version(call)?;
        let mut body = call.body.clone();
        if deployment(call.path).is_some() {
            body.put("model", model);
        }
        request::read(&body, model)
    }

    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value {
        let mut document = OpenAi.document(prompt, reply);
        if let Some(choices) = document.get_mut("choices").and_then(Value::as_array_mut) {
            choices.iter_mut().for_each(|choice| choice.put("content_filter_results", harmless()));
        }
        document.put("prompt_filter_results", json!([{"prompt_index": 0, "content_filter_results": harmless()}]));
        document
    }

    /// The first event has the findings on the prompt, and no choices.
    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut first = Value::Object(envelope(prompt, reply, "chat.completion.chunk"));
        first.put("choices", json!([]));
        first.put("prompt_filter_results", json!([{"prompt_index": 0, "content_filter_results": harmless()}]));
        let first = Event { bytes: format!("data: {first}\n\n").into(), usage: None };
        [vec![first], OpenAi.events(prompt, reply)].concat()
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        check_version(call)?;
        OpenAi.embeddings(call, model)
    }

    fn models(&self) -> Value {
        OpenAi.models()
    }

    fn error(&self, fault: &Fault, id: &str) -> (u16, Value) {
        let coded = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
        match fault {
            Fault::NoKey | Fault::BadKey(_) | Fault::Status(401) => {
                let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a \
                               valid key for an active subscription and use a correct regional API endpoint for your resource.";
                (401, coded("401", message))
            }
            Fault::Status(404) => {
                (404, coded("DeploymentNotFound", "The API deployment for this resource does not exist."))
            }
            Fault::Status(429) => (
                429,
                coded("RateLimitReached", "Your requests have exceeded token rate limit. Please retry after 1 second."),
            ),
            Fault::Refused(Refusal::Policy) => {
                let inner = json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result":
                    {"violence": {"filtered": true, "severity": "high"}}});
                let message =
                    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.";
                let error = json!({"message": message, "type": null, "param": "prompt", "code": "content_filter",
                    "status": 400, "innererror": inner});
                (400, json!({ "error": error }))
            }
            other => OpenAi.error(other, id),
        }
    }

    fn error_event(&self, fault: &Fault, id: &str) -> Bytes {
        format!("data: {}\n\n", self.error(fault, id).1).into()
    }

    fn keepalive(&self) -> &'static str {
        OpenAi.keepalive()
    }

    fn headers(&self, id: &str, spent: Option<u64>, now: u64) -> Vec<(&'static str, String)> {
        let mut headers = OpenAi.headers(id, spent, now);
        headers.push(("apim-request-id", id.to_owned()));
        headers
    }

    fn request_id(&self, seed: u64) -> String {
        OpenAi.request_id(seed)
    }
}

fn deployment(path: &str) -> Option<&str> {
    path.split_once(DEPLOYMENTS)?.1.split('/').next()
}

/// A path with a deployment has a version too; without one there is no such thing.
fn check_version(call: &Call<'_>) -> Result<(), Fault> {
    let has =
        call.query.split('&').any(|pair| pair.strip_prefix("api-version=").is_some_and(|value| !value.is_empty()));
    if deployment(call.path).is_some() && !has {
        return Err(Fault::NoPath { method: "POST".to_owned(), path: call.path.to_owned() });
    }
    Ok(())
}

fn harmless() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}

const DEPLOYMENTS: &str = "/openai/deployments/";

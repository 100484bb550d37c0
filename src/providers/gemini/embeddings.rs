//! Embeddings, as both services have them. Google AI has `batchEmbedContents`. Vertex has `predict` for models of its own, and
//! for Gemini's `embedContent`, which takes one input, and `batchEmbedContents`, which takes more.
//!
//! <https://ai.google.dev/api/embeddings>, <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.
//! What Vertex takes for which model is as Google's own SDK has it: `t_is_vertex_embed_content_model` and
//! `_EmbedContentConfig_to_vertex` in google-genai 3.4 for Python.

use super::super::embed::{self, at_most, refused, sift};
use super::super::{Dropped, Embedder, Target};
use super::{Gemini, failure, media, segment};
use crate::embedding::{Answer, Part, Request};
use crate::error::Error;
use crate::json::{Document, Str, Value, Writer};

/// Parameters by the names that clients give them, and by Google's.
const OWN: &[(&str, &str)] = &[("task_type", "taskType"), ("title", "title")];
const VERTEX_OWN: &[(&str, &str)] = &[("task_type", "taskType"), ("title", "title"), ("auto_truncate", "autoTruncate")];

impl Embedder for Gemini {
    fn path(&self, _request: &Request<'_>, target: &Target<'_>) -> String {
        format!("/v1beta/models/{}:batchEmbedContents", segment(bare(target.model)))
    }

    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        // "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"
        at_most(100, request)?;
        let mut dropped = Dropped::new();
        let own = sift(request, OWN, &mut dropped);
        let inputs = inputs(request, target.model)?;
        let model = format!("models/{}", bare(target.model));
        Writer::new(out).object(|w| {
            w.name("requests").array(|w| {
                for parts in &inputs {
                    w.object(|w| {
                        w.field("model", &model);
                        write_content(parts, w);
                        write_config(request, &own, w);
                    });
                }
            });
        });
        Ok(dropped)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        read(body.root())
    }
}

/// Embeddings of Google's models on Vertex.
#[derive(Debug)]
pub(in crate::providers) struct OnVertex;

impl Embedder for OnVertex {
    /// `batchEmbedContents` is in the beta version only.
    fn path(&self, request: &Request<'_>, target: &Target<'_>) -> String {
        let (version, method) = match (is_gemini(target.model), request.inputs.len()) {
            (false, _) => ("v1", "predict"),
            (true, 0 | 1) => ("v1beta1", "embedContent"),
            (true, _) => ("v1beta1", "batchEmbedContents"),
        };
        let setting = |value: &Option<String>| segment(value.as_deref().unwrap_or_default());
        let (project, region) = (setting(&target.settings.project), setting(&target.settings.region));
        let model = segment(bare(target.model));
        format!("/{version}/projects/{project}/locations/{region}/publishers/google/models/{model}:{method}")
    }

    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        let mut dropped = Dropped::new();
        let own = sift(request, VERTEX_OWN, &mut dropped);
        if !is_gemini(target.model) {
            // "each request can include up to 250 input texts"
            at_most(250, request)?;
            predict(request, &embed::texts(request)?, &own, &mut Writer::new(out));
            return Ok(dropped);
        }
        let inputs = inputs(request, target.model)?;
        let write = |parts: &Vec<Part<'_>>, w: &mut Writer<'_>| {
            w.object(|w| {
                write_content(parts, w);
                if !own.is_empty() || request.dimensions.is_some() {
                    w.name("embedContentConfig").object(|w| write_config(request, &own, w));
                }
            });
        };
        let mut w = Writer::new(out);
        match inputs.as_slice() {
            [only] => write(only, &mut w),
            several => w.object(|w| {
                w.name("requests").array(|w| several.iter().for_each(|parts| write(parts, w)));
            }),
        }
        Ok(dropped)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        read(body.root())
    }
}

/// `models/gemini-embedding-001` without what stands before it.
fn bare(model: &str) -> &str {
    let model = model.strip_prefix("google/").unwrap_or(model);
    model.rsplit_once("models/").map_or(model, |(_, model)| model)
}

fn is_gemini(model: &str) -> bool {
    model.contains("gemini")
}

/// The first models read texts only, and pass over all else without a word: "Only the parts.text fields will be counted."
fn inputs<'a>(request: &Request<'a>, model: &str) -> Result<Vec<Vec<Part<'a>>>, Error> {
    let model = bare(model);
    let sees =
        is_gemini(model) && !model.starts_with("gemini-embedding-001") && !model.starts_with("gemini-embedding-exp");
    let inputs = embed::parts(request)?;
    if !sees && inputs.iter().flatten().any(|part| matches!(part, Part::Image(_))) {
        return Err(refused("this model takes texts, and no images"));
    }
    Ok(inputs)
}

/// Vertex takes no content of nobody's elsewhere, and Google's SDK says whose this is.
fn write_content(parts: &[Part<'_>], w: &mut Writer<'_>) {
    w.name("content").object(|w| {
        w.field("role", "user");
        w.name("parts").array(|w| {
            for part in parts {
                match part {
                    Part::Text(text) => w.object(|w| w.field("text", text)),
                    Part::Image(image) => media::write(image, "image/jpeg", None, w),
                }
            }
        });
    });
}

fn write_config(request: &Request<'_>, own: &[(&'static str, Value<'_>)], w: &mut Writer<'_>) {
    for (name, value) in own {
        w.field(name, value);
    }
    w.field_some("outputDimensionality", &request.dimensions);
}

/// Task and title stand with each text, by names of another style than all else.
fn predict(request: &Request<'_>, texts: &[&Str<'_>], own: &[(&'static str, Value<'_>)], w: &mut Writer<'_>) {
    let said = |name: &str| own.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    let truncate = said("autoTruncate");
    w.object(|w| {
        w.name("instances").array(|w| {
            for text in texts {
                w.object(|w| {
                    w.field("content", *text);
                    w.field_some("task_type", &said("taskType"));
                    w.field_some("title", &said("title"));
                });
            }
        });
        if truncate.is_some() || request.dimensions.is_some() {
            w.name("parameters").object(|w| {
                w.field_some("autoTruncate", &truncate);
                w.field_some("outputDimensionality", &request.dimensions);
            });
        }
    });
}

/// Reads `{"embeddings": [{"values"}]}`, `{"embedding": {"values"}}` of `embedContent`, and
/// `{"predictions": [{"embeddings": {"values", "statistics": {"token_count"}}}]}` of `predict`.
fn read<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    if let Some(error) = failure::inside(body) {
        return Err(error);
    }
    let list = |name: &str| body.get(name).into_iter().flat_map(Value::elements);
    let predictions = list("predictions").map(|prediction| prediction.get("embeddings").unwrap_or(prediction));
    let embeddings = || list("embeddings").chain(body.get("embedding")).chain(predictions.clone());
    let statistics = embeddings().filter_map(|embedding| embedding.get("statistics"));
    let counts =
        statistics.filter_map(|counts| counts.get("token_count").or_else(|| counts.get("tokenCount"))?.as_u64());
    let whole = body.path(&["usageMetadata", "promptTokenCount"]).and_then(Value::as_u64);
    let input = whole.or_else(|| counts.reduce(u64::saturating_add));
    // One that is left out would move all that follow to another's place.
    let vectors: Vec<_> = embeddings().map(|embedding| embedding.get("values").unwrap_or(embedding)).collect();
    embed::answer(vectors.into_iter(), input)
}

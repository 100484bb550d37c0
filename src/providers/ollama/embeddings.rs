//! Embeddings: Ollama's `/api/embed`.
//!
//! <https://docs.ollama.com/api/embed>

use super::super::{Dropped, Embedder, Target, embed};
use super::{Ollama, answer};
use crate::embedding::{Answer, Request};
use crate::error::Error;
use crate::json::{Document, Value, Writer};

/// What of the members that the vocabulary has no word for Ollama knows.
const OWN: &[(&str, &str)] = &[("truncate", "truncate"), ("keep_alive", "keep_alive"), ("options", "options")];

impl Embedder for Ollama {
    fn path(&self, _request: &Request<'_>, _target: &Target<'_>) -> String {
        "/api/embed".to_owned()
    }

    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        let mut dropped = Dropped::new();
        let texts = embed::texts(request)?;
        Writer::new(out).object(|w| {
            w.field("model", target.model);
            w.name("input").array(|w| texts.iter().for_each(|text| w.value(text)));
            w.field_some("dimensions", &request.dimensions);
            for (name, value) in embed::sift(request, OWN, &mut dropped) {
                w.field(name, &value);
            }
        });
        Ok(dropped)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        let body = body.root();
        if let Some(error) = answer::inside(body) {
            return Err(error);
        }
        let vectors = body.get("embeddings").into_iter().flat_map(Value::elements);
        embed::answer(vectors, body.get("prompt_eval_count").and_then(Value::as_u64))
    }
}

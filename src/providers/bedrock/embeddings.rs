//! Embeddings: InvokeModel, whose body is each model's own.
//!
//! - Titan: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//!   <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-mm.html>
//! - Cohere: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>
//!
//! Where a body does not say how many tokens it took, a header does: `x-amzn-bedrock-input-token-count`.

use super::super::embed::{self, at_most, refused, sift};
use super::super::{Dropped, Embedder, Target};
use super::{Bedrock, path};
use crate::chat::Media;
use crate::embedding::{Answer, Part, Request};
use crate::error::Error;
use crate::json::{Document, Value, Writer};

impl Embedder for Bedrock {
    fn path(&self, _request: &Request<'_>, target: &Target<'_>) -> String {
        path(target.model, "invoke")
    }

    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        match Family::of(target.model) {
            Some(Family::Cohere) => embed::write_cohere(request, target, false, out),
            Some(Family::TitanText { tunable }) => titan_text(request, tunable, out),
            Some(Family::TitanImage) => titan_image(request, out),
            None => {
                let message = "This model is none of those on Bedrock that the gateway can ask for embeddings: Titan's and Cohere's.";
                Err(Error::bad_request(message, "model"))
            }
        }
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        let body = body.root();
        match body.get("embedding") {
            // `embeddingsByType` has it once more.
            Some(vector) => {
                embed::answer([vector].into_iter(), body.get("inputTextTokenCount").and_then(Value::as_u64))
            }
            None => embed::read_cohere(body),
        }
    }
}

/// Models that speak alike.
enum Family {
    Cohere,
    TitanText {
        /// The second version has parameters, and the first has none.
        tunable: bool,
    },
    TitanImage,
}

impl Family {
    /// Of a model's id, or of an inference profile's or ARN that has it in it.
    fn of(model: &str) -> Option<Self> {
        let is = |name: &str| model.contains(name);
        Some(match () {
            () if is("cohere.embed") => Self::Cohere,
            () if is("titan-embed-image") => Self::TitanImage,
            () if is("titan-embed") => Self::TitanText { tunable: is("titan-embed-text-v2") },
            () => return None,
        })
    }
}

/// There is one text in a call, and a batch is a job over files in S3:
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html>
fn titan_text(request: &Request<'_>, tunable: bool, out: &mut String) -> Result<Dropped, Error> {
    at_most(1, request)?;
    let mut dropped = Dropped::new();
    let known: &[_] = if tunable { &[("normalize", "normalize")] } else { &[] };
    let own = sift(request, known, &mut dropped);
    dropped.extend((!tunable && request.dimensions.is_some()).then(|| "dimensions".to_owned()));
    let texts = embed::texts(request)?;
    Writer::new(out).object(|w| {
        texts.iter().for_each(|text| w.field("inputText", text));
        if tunable {
            w.field_some("dimensions", &request.dimensions);
        }
        own.iter().for_each(|(name, value)| w.field(name, value));
    });
    Ok(dropped)
}

/// A text, an image or both; "you can only include one of each".
fn titan_image(request: &Request<'_>, out: &mut String) -> Result<Dropped, Error> {
    at_most(1, request)?;
    let mut dropped = Dropped::new();
    sift(request, &[], &mut dropped);
    let (mut text, mut image) = (None, None);
    for part in embed::parts(request)?.into_iter().flatten() {
        let once = match part {
            Part::Text(words) => text.replace(words).is_none(),
            Part::Image(Media::Base64 { data, .. }) => image.replace(data).is_none(),
            Part::Image(Media::Url(_)) => return Err(refused("this model takes images as data URLs only")),
        };
        if !once {
            return Err(refused("this model takes one text and one image together"));
        }
    }
    Writer::new(out).object(|w| {
        w.field_some("inputText", &text);
        w.field_some("inputImage", &image);
        if let Some(length) = &request.dimensions {
            w.name("embeddingConfig").object(|w| w.field("outputEmbeddingLength", length));
        }
    });
    Ok(dropped)
}

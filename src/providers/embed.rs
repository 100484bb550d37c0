//! What providers of embeddings have in common: the inputs and parameters that they take, the vectors that come back, and
//! the body of Cohere's Embed, which is the same in several places.

use super::{Dropped, Target};
use crate::chat::{Media, Usage};
use crate::dialect::vector::is_vector;
use crate::embedding::{Answer, Input, Part, Request};
use crate::error::Error;
use crate::json::{Str, Value, Writer};

/// Refuses a request with more than `most` inputs.
///
/// # Errors
/// It has more.
pub(super) fn at_most(most: usize, request: &Request<'_>) -> Result<(), Error> {
    let count = request.inputs.len();
    if count <= most {
        return Ok(());
    }
    let them = if most == 1 { "one input at a time" } else { &*format!("at most {most} inputs in one request") };
    Err(refused(&format!("this model takes {them}, not {count}: send them in several requests")))
}

/// The texts of a request that has to be of nothing else.
///
/// # Errors
/// There is something else.
pub(super) fn texts<'r, 'a>(request: &'r Request<'a>) -> Result<Vec<&'r Str<'a>>, Error> {
    let text = |input: &'r Input<'a>| match input {
        Input::Text(text) => Ok(text),
        Input::Tokens => Err(tokens()),
        Input::Parts(_) => Err(refused("this model takes texts, each of one part, and no images")),
    };
    request.inputs.iter().map(text).collect()
}

/// What every input is of.
///
/// # Errors
/// One is tokens.
pub(super) fn parts<'a>(request: &Request<'a>) -> Result<Vec<Vec<Part<'a>>>, Error> {
    let parts = |input: &Input<'a>| match input {
        Input::Text(text) => Ok(vec![Part::Text(text.clone())]),
        Input::Tokens => Err(tokens()),
        Input::Parts(parts) => Ok(parts.clone()),
    };
    request.inputs.iter().map(parts).collect()
}

/// LangChain's client sends tokens unless it is told not to.
fn tokens() -> Error {
    refused("this model reads texts, not OpenAI's tokens (with LangChain: check_embedding_ctx_length=False)")
}

/// Inputs that the provider cannot take, for this reason.
pub(super) fn refused(why: &str) -> Error {
    Error::bad_request(format!("Invalid 'input': {why}."), "input")
}

/// The parameters among `known`, which has the client's names and the provider's, by the provider's. All others are named in
/// `dropped`.
pub(super) fn sift<'a>(
    request: &Request<'a>,
    known: &[(&str, &'static str)],
    dropped: &mut Dropped,
) -> Vec<(&'static str, Value<'a>)> {
    dropped.extend(request.user.as_ref().map(|_| "user".to_owned()));
    let mut taken = Vec::new();
    for (name, value) in &request.others {
        match known.iter().find(|(known, _)| name == known) {
            Some((_, own)) => taken.push((*own, *value)),
            None => dropped.push(name.decode().into_owned()),
        }
    }
    taken
}

/// An answer of these vectors, which took so many tokens if that is known.
///
/// # Errors
/// One of them is no vector.
pub(super) fn answer<'a>(vectors: impl Iterator<Item = Value<'a>>, input: Option<u64>) -> Result<Answer<'a>, Error> {
    let vectors: Vec<_> = vectors.collect();
    if vectors.is_empty() || !vectors.iter().all(|vector| is_vector(*vector)) {
        return Err(Error::bad_answer("the provider's answer has no embeddings"));
    }
    Ok(Answer { vectors, usage: input.map(|input| Usage { input, ..Usage::default() }) })
}

/// Cohere's Embed: <https://docs.cohere.com/reference/embed>,
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>. `named`: the model is in the body.
///
/// # Errors
/// There is something in the request that Cohere has no word for.
pub(super) fn write_cohere(
    request: &Request<'_>,
    target: &Target<'_>,
    named: bool,
    out: &mut String,
) -> Result<Dropped, Error> {
    at_most(96, request)?;
    let mut dropped = Dropped::new();
    // "This is only available for embed-v4 and newer models"; so are `inputs` of several parts, and `max_tokens`.
    let is_old = ["-v2", "-v3"].iter().any(|version| target.model.contains(version));
    let mut known = vec![("input_type", "input_type"), ("truncate", "truncate")];
    known.extend((!is_old).then_some(("max_tokens", "max_tokens")));
    known.extend(named.then_some(("priority", "priority")));
    let mut taken = sift(request, &known, &mut dropped);
    let is_text = |input: &Input<'_>| matches!(input, Input::Text(_));
    let inputs = parts(request)?;
    let images = !request.inputs.iter().all(is_text);
    let remote = |part: &Part<'_>| matches!(part, Part::Image(Media::Url(_)));
    if inputs.iter().flatten().any(remote) {
        return Err(refused("this model takes images as data URLs only"));
    }
    if images && is_old {
        if !matches!(inputs.as_slice(), [only] if matches!(only.as_slice(), [Part::Image(_)])) {
            return Err(refused("this model takes texts, or one image alone"));
        }
        taken.retain(|(name, _)| *name != "input_type");
    }
    dropped.extend((is_old && request.dimensions.is_some()).then(|| "dimensions".to_owned()));
    Writer::new(out).object(|w| {
        if named {
            w.field("model", target.model);
        }
        if !images {
            w.name("texts").array(|w| inputs.iter().flatten().for_each(|part| write_cohere_part(part, true, w)));
        } else if is_old {
            w.name("images").array(|w| inputs.iter().flatten().for_each(|part| write_cohere_part(part, true, w)));
        } else {
            w.name("inputs").array(|w| {
                for parts in &inputs {
                    w.object(|w| {
                        w.name("content").array(|w| parts.iter().for_each(|part| write_cohere_part(part, false, w)));
                    });
                }
            });
        }
        // Required, and OpenAI has no word for it. What is not a query is most of what is ever asked for.
        if images && is_old {
            w.field("input_type", "image");
        } else if !taken.iter().any(|(name, _)| *name == "input_type") {
            w.field("input_type", "search_document");
        }
        w.name("embedding_types").array(|w| w.value("float"));
        if !is_old {
            w.field_some("output_dimension", &request.dimensions);
        }
        for (name, value) in &taken {
            w.field(name, value);
        }
    });
    Ok(dropped)
}

/// Writes a part; `bare`: as a text only.
fn write_cohere_part(part: &Part<'_>, bare: bool, w: &mut Writer<'_>) {
    let url = match part {
        Part::Text(text) if bare => return w.value(text),
        Part::Text(text) => {
            return w.object(|w| {
                w.field("type", "text");
                w.field("text", text);
            });
        }
        Part::Image(Media::Url(url)) => url.clone(),
        Part::Image(Media::Base64 { media_type, data }) => data_url(media_type, data),
    };
    if bare {
        return w.value(&url);
    }
    w.object(|w| {
        w.field("type", "image_url");
        w.name("image_url").object(|w| w.field("url", &url));
    });
}

fn data_url(media_type: &Str<'_>, data: &Str<'_>) -> Str<'static> {
    let head = Str::join([&Str::plain("data:"), media_type], &Str::EMPTY);
    Str::join([&head, data], &Str::plain(";base64,"))
}

/// Reads Cohere's answer: `{"embeddings": {"float": [[...]]}}`, or `{"embeddings": [[...]]}` where no types were asked for.
///
/// # Errors
/// It has no vectors of floats.
pub(super) fn read_cohere<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    let embeddings = body.get("embeddings");
    let floats = embeddings.and_then(|by_type| by_type.get("float")).or(embeddings);
    let count = |path: &[&str]| body.path(path).and_then(Value::as_u64);
    let texts = count(&["meta", "billed_units", "input_tokens"]).or(count(&["meta", "tokens", "input_tokens"]));
    let images = count(&["meta", "billed_units", "image_tokens"]);
    let input = texts.or(images).map(|_| texts.unwrap_or(0).saturating_add(images.unwrap_or(0)));
    answer(floats.into_iter().flat_map(Value::elements), input)
}

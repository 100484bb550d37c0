//! Complete answers, and what streams have in common with them.
//!
//! <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>

use super::{citations, failure, logprobs};
use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Media, Part, ServiceTier, ToolCall, Usage};
use crate::error::Error;
use crate::json::{Kind, Str, Value};

/// Reads a complete answer.
pub(super) fn read<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    if let Some(error) = failure::inside(body) {
        return Err(error);
    }
    let id = text(body, "responseId").unwrap_or_default();
    let mut choices = Vec::new();
    for (position, candidate) in (0..).zip(candidates(body)) {
        let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(position);
        let mut parts = parts(candidate, &id, u32::try_from(index).unwrap_or(0));
        // The body is whole: what was said counts for more than that nobody says why it ended.
        let native = native(candidate).or_else(|| (!parts.is_empty()).then_some(Str::plain("STOP")));
        let native = native.ok_or_else(|| Error::bad_answer("the provider's answer has no finishReason"))?;
        let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let texts = parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(&text.text) } else { None });
        let said = Str::join(texts, &Str::EMPTY);
        parts.extend(citations::read(candidate, &said.decode()).into_iter().map(Part::Citation));
        let logprobs = logprobs::read(candidate);
        choices.push((index, Choice { finish: finish(native, candidate, calls)?, parts, logprobs }));
    }
    if choices.is_empty() {
        let blocked = failure::blocked(body);
        return Err(blocked.unwrap_or_else(|| Error::bad_answer("the provider's answer has no candidates")));
    }
    choices.sort_by_key(|(index, _)| *index);
    Ok(Answer {
        id,
        choices: choices.into_iter().map(|(_, choice)| choice).collect(),
        usage: body.get("usageMetadata").and_then(usage),
        service_tier: body.path(&["usageMetadata", "serviceTier"]).and_then(Value::as_str),
    })
}

fn parts<'a>(candidate: Value<'a>, id: &Str<'_>, choice: u32) -> Vec<Part<'a>> {
    let (mut parts, mut calls) = (Vec::new(), 0);
    for (piece, signature) in pieces(candidate) {
        match piece {
            Piece::Text(text) => {
                if !text.is_empty() {
                    parts.push(Part::Text(text.into()));
                }
                if signature.is_some() {
                    parts.push(Part::Thinking { text: Str::EMPTY, signature });
                }
            }
            Piece::Thought(text) => parts.push(Part::Thinking { text, signature }),
            Piece::Media(media) => {
                parts.push(if is_sound(&media) { Part::Audio(media) } else { Part::image(media) });
                if signature.is_some() {
                    parts.push(Part::Thinking { text: Str::EMPTY, signature });
                }
            }
            Piece::Call { id: given, name, args } => {
                let arguments = args.map_or(Arguments::Text(Str::plain("{}")), Arguments::Object);
                let id = given.unwrap_or_else(|| call_id(id, choice, calls, &name, args));
                parts.push(Part::ToolCall(ToolCall { id, name, arguments, signature }));
                calls += 1;
            }
        }
    }
    parts
}

/// What a part is to a client.
pub(super) enum Piece<'a> {
    Text(Str<'a>),
    Thought(Str<'a>),
    Media(Media<'a>),
    Call { id: Option<Str<'a>>, name: Str<'a>, args: Option<Value<'a>> },
}

/// The candidates of an answer or of a chunk.
pub(super) fn candidates(body: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    body.get("candidates").into_iter().flat_map(Value::elements)
}

/// Whether it is to be heard.
pub(super) fn is_sound(media: &Media<'_>) -> bool {
    matches!(media, Media::Base64 { media_type, .. } if media_type.decode().starts_with("audio/"))
}

/// A picture or a sound that the model made: <https://ai.google.dev/gemini-api/docs/image-generation>,
/// <https://ai.google.dev/gemini-api/docs/speech-generation>.
fn media(part: Value<'_>) -> Option<Media<'_>> {
    if let Some(inline) = part.get("inlineData") {
        let media_type = text(inline, "mimeType").unwrap_or(Str::plain("application/octet-stream"));
        return Some(Media::Base64 { media_type, data: text(inline, "data").filter(|data| !data.is_empty())? });
    }
    text(part.get("fileData")?, "fileUri").map(Media::Url)
}

/// What a candidate says, each with its `thoughtSignature`. Tools that Google ran itself (`executableCode`, `toolCall` and
/// their results) are none of the client's, and neither are the pictures that a model thinks with. A signature that stands
/// alone is that of an empty text: <https://ai.google.dev/gemini-api/docs/thought-signatures>
pub(super) fn pieces(candidate: Value<'_>) -> impl Iterator<Item = (Piece<'_>, Option<Str<'_>>)> {
    let parts = candidate.path(&["content", "parts"]).into_iter().flat_map(Value::elements);
    parts.filter_map(|part| {
        let signature = text(part, "thoughtSignature").filter(|signature| !signature.is_empty());
        let is_thought = part.get("thought").and_then(Value::as_bool) == Some(true);
        let piece = match (part.get("functionCall").filter(|call| !call.is_null()), text(part, "text")) {
            (Some(call), _) => Piece::Call {
                id: text(call, "id").filter(|id| !id.is_empty()),
                name: text(call, "name").unwrap_or_default(),
                args: call.get("args").filter(|args| args.kind() == Kind::Object),
            },
            (None, Some(text)) if is_thought => Piece::Thought(text),
            (None, Some(text)) => Piece::Text(text),
            (None, None) if !is_thought && media(part).is_some() => Piece::Media(media(part)?),
            (None, None) if part.members().all(|(name, _)| name == "thoughtSignature" || name == "thought") => {
                Piece::Text(Str::EMPTY)
            }
            (None, None) => return None,
        };
        Some((piece, signature))
    })
}

/// An id for a call that came without: of the answer's id and its place in it, within OpenAI's 40 characters; of what it
/// says where the answer has no id, since those of the turns before must be other ones.
pub(super) fn call_id(
    answer: &Str<'_>,
    choice: u32,
    call: u32,
    name: &Str<'_>,
    args: Option<Value<'_>>,
) -> Str<'static> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    let mut id: String = answer.escaped().bytes().filter(is_plain).take(22).map(char::from).collect();
    if id.is_empty() {
        let said = name.escaped().bytes().chain(args.map_or("", Value::raw).bytes());
        // FNV-1a
        let hash =
            said.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        id = format!("{hash:016x}");
    }
    let id = if choice == 0 { format!("call_{id}_{call}") } else { format!("call_{id}_{choice}-{call}") };
    Str::plain(&id).into_owned()
}

/// The text of member `name`.
pub(super) fn text<'a>(object: Value<'a>, name: &str) -> Option<Str<'a>> {
    object.get(name).and_then(Value::as_str)
}

/// `finishReason`, if it is there. Numbers are what `$alt=json;enum-encoding=int` makes of the first few.
pub(super) fn native(candidate: Value<'_>) -> Option<Str<'_>> {
    let reason = candidate.get("finishReason")?;
    let word = reason.as_str().or_else(|| {
        let words = ["STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"];
        let number = usize::try_from(reason.as_u64()?).ok()?.checked_sub(1)?;
        Some(words.get(number).map_or_else(|| Str::plain(reason.raw()).into_owned(), |word| Str::plain(word)))
    })?;
    Some(word).filter(|word| !word.is_empty() && *word != "FINISH_REASON_UNSPECIFIED")
}

/// <https://ai.google.dev/api/generate-content#FinishReason>,
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#FinishReason>.
/// `calls`: whether functions were called, at which Google says `STOP`.
///
/// # Errors
/// The model broke off, and there is nothing that could be called an answer.
pub(super) fn finish<'a>(native: Str<'a>, candidate: Value<'_>, calls: bool) -> Result<Finish<'a>, Error> {
    let reason = match &*native.decode() {
        "MAX_TOKENS" | "CONTINUATION" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR"
        | "ESCALATION" => FinishReason::ContentFilter,
        word if word.starts_with("IMAGE_") => FinishReason::ContentFilter,
        word @ ("MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "NO_IMAGE"
        | "PUP_LIMITED_DISABLED"
        | "OTHER") => {
            let said = text(candidate, "finishMessage").filter(|said| !said.is_blank());
            let said = said.map_or_else(String::new, |said| format!(": {}", said.decode()));
            return Err(Error::bad_answer(format!("the model broke off with {word}{said}")));
        }
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Ok(Finish { reason, native })
}

/// `usageMetadata`, if there are counts in it: <https://ai.google.dev/api/generate-content#UsageMetadata>. What was cached
/// is inside the prompt; what Google's own tools read, and thoughts, stand beside.
pub(super) fn usage(metadata: Value<'_>) -> Option<Usage> {
    let count = |name: &str| metadata.get(name).and_then(Value::as_u64);
    let (prompt, candidates) = (count("promptTokenCount"), count("candidatesTokenCount"));
    let thoughts = count("thoughtsTokenCount").unwrap_or(0);
    prompt.or(candidates)?;
    let input = prompt.unwrap_or(0).saturating_add(count("toolUsePromptTokenCount").unwrap_or(0));
    let output = candidates.unwrap_or(0).saturating_add(thoughts);
    let tier = text(metadata, "serviceTier").or_else(|| text(metadata, "trafficType"));
    Some(Usage {
        input,
        cached: count("cachedContentTokenCount").unwrap_or(0).min(input),
        input_audio: audio(metadata, "promptTokensDetails").min(input),
        output,
        reasoning: thoughts,
        output_audio: audio(metadata, "candidatesTokensDetails").min(output),
        tier: tier.map(|tier| ServiceTier::named(&tier.decode())).unwrap_or_default(),
        ..Usage::default()
    })
}

/// Of a list by modality, the sound.
fn audio(metadata: Value<'_>, name: &str) -> u64 {
    let details = metadata.get(name).into_iter().flat_map(Value::elements);
    let sound = details.filter(|detail| text(*detail, "modality").is_some_and(|modality| modality == "AUDIO"));
    sound.filter_map(|detail| detail.get("tokenCount")?.as_u64()).sum()
}

#[cfg(test)]
mod tests;

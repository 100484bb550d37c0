//! The messages of a request.

use super::field::{Field, coded};
use super::media::media;
use super::thinking;
use crate::chat::{Arguments, Media, Message, Part, Role, Text, ToolCall};
use crate::dialect::signed_id;
use crate::error::Error;
use crate::json::{Kind, Str, Value};

/// Reads `messages`.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Calls by the legacy `function_call`, which have no ids.
    function_calls: u64,
    /// What was passed over, since there is no neutral word for it.
    pub lost: Vec<String>,
}

/// Most things that are worth telling apart in [`Reader::lost`].
const MAX_LOST: usize = 16;

impl Reader {
    /// The messages of `list`.
    pub fn messages<'a>(&mut self, list: &Field<'_, 'a>) -> Result<Vec<Message<'a>>, Error> {
        let messages: Vec<_> = list.elements()?.map(|message| self.message(&message)).collect::<Result<_, _>>()?;
        if messages.is_empty() {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty \
                           array instead.";
            return Err(coded(message.to_owned(), "messages", "empty_array"));
        }
        Ok(messages)
    }

    fn message<'a>(&mut self, message: &Field<'_, 'a>) -> Result<Message<'a>, Error> {
        const NAMES: [&str; 13] = [
            "role",
            "content",
            "tool_calls",
            "tool_call_id",
            "cache_control",
            "reasoning_details",
            "thinking_blocks",
            "reasoning_content",
            "reasoning",
            "refusal",
            "function_call",
            "annotations",
            "name",
        ];
        let [role, content, calls, id, cache, details, blocks, thought, reasoning, refusal, call, _, name] =
            message.members(NAMES, |name| self.lose(name))?;
        let role = role.ok_or_else(|| message.missing("role"))?;
        let (mut parts, mut thoughts_by) = (Vec::with_capacity(1), None);
        let word = role.text()?;
        let neutral = match &*word.decode() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => {
                let id = id.ok_or_else(|| message.missing("tool_call_id"))?.text()?;
                return self.tool_result(message, id, content, cache);
            }
            "function" => {
                let id = legacy_id(self.function_calls);
                return self.tool_result(message, id, content, cache);
            }
            _ => {
                let known = ["system", "assistant", "user", "function", "tool", "developer"];
                return Err(role.unknown(&word, &known));
            }
        };
        if name.is_some() {
            self.lose("name");
        }
        if neutral == Role::Assistant {
            match (details, blocks, thought.or(reasoning)) {
                (Some(details), _, _) => thoughts_by = thinking::details(&details, &mut parts)?,
                (None, Some(blocks), _) => thinking::blocks(&blocks, &mut parts)?,
                (None, None, Some(thought)) => {
                    let text = thought.text()?;
                    parts.extend((!text.is_empty()).then_some(Part::Thinking { text, signature: None }));
                }
                (None, None, None) => {}
            }
        }
        match content {
            Some(content) => self.content(&content, &mut parts)?,
            None if neutral == Role::Assistant => {}
            None => return Err(no_content(message)),
        }
        mark(&mut parts, cache)?;
        if neutral == Role::Assistant {
            let refusal = refusal.map(|refusal| refusal.text()).transpose()?;
            parts.extend(refusal.map(Part::Refusal));
            if let Some(calls) = calls {
                for call in calls.elements()? {
                    parts.push(Part::ToolCall(tool_call(&call)?));
                }
            }
            if let Some(call) = call {
                self.function_calls += 1;
                parts.push(Part::ToolCall(function(legacy_id(self.function_calls), &call)?));
            }
        }
        Ok(Message { role: neutral, parts, thoughts_by })
    }

    fn tool_result<'a>(
        &mut self,
        message: &Field<'_, 'a>,
        id: Str<'a>,
        content: Option<Field<'_, 'a>>,
        cache: Option<Field<'_, 'a>>,
    ) -> Result<Message<'a>, Error> {
        let content = content.ok_or_else(|| no_content(message))?;
        let mut parts = Vec::with_capacity(1);
        self.content(&content, &mut parts)?;
        mark(&mut parts, cache)?;
        let (id, _) = signed_id::split(id);
        Ok(Message { role: Role::User, parts: vec![Part::ToolResult { id, parts }], thoughts_by: None })
    }

    fn content<'a>(&mut self, content: &Field<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Result<(), Error> {
        match content.value.kind() {
            Kind::String => parts.push(Part::Text(content.text()?.into())),
            Kind::Array => {
                for part in content.elements()? {
                    parts.push(self.part(&part)?);
                }
            }
            _ => return Err(content.wrong_type("one of a string or array of objects")),
        }
        Ok(())
    }

    fn part<'a>(&mut self, part: &Field<'_, 'a>) -> Result<Part<'a>, Error> {
        const NAMES: [&str; 7] = ["type", "text", "cache_control", "image_url", "input_audio", "file", "refusal"];
        let [kind, text, cache, image, audio, file, refusal] = part.pick(NAMES)?;
        let kind = kind.ok_or_else(|| part.missing("type"))?;
        let word = kind.text()?;
        let read = match &*word.decode() {
            "text" => {
                let text = text.ok_or_else(|| part.missing("text"))?.text()?;
                return Ok(Part::Text(Text { text, cache: cache.map(|cache| cache.object()).transpose()? }));
            }
            "image_url" => {
                let image = image.ok_or_else(|| part.missing("image_url"))?;
                // OpenAI takes the URL itself in its place too.
                if image.value.kind() == Kind::String {
                    Part::Image(media(&image)?)
                } else {
                    let [url] = image.pick(["url"])?;
                    Part::Image(media(&url.ok_or_else(|| image.missing("url"))?)?)
                }
            }
            "input_audio" => {
                let audio = audio.ok_or_else(|| part.missing("input_audio"))?;
                let [data, format] = audio.pick(["data", "format"])?;
                let format = format.ok_or_else(|| audio.missing("format"))?.text()?;
                let data = data.ok_or_else(|| audio.missing("data"))?.text()?;
                let media_type = Str::join(&[Str::plain("audio"), format], &Str::plain("/"));
                Part::Audio(Media::Base64 { media_type, data })
            }
            "file" => document(&file.ok_or_else(|| part.missing("file"))?)?,
            "refusal" => Part::Refusal(refusal.ok_or_else(|| part.missing("refusal"))?.text()?),
            _ => {
                let known = ["text", "image_url", "input_audio", "file", "refusal"];
                return Err(kind.unknown(&word, &known));
            }
        };
        if cache.is_some() {
            self.lose("content[].cache_control");
        }
        Ok(read)
    }

    fn lose(&mut self, name: &str) {
        if self.lost.len() < MAX_LOST && !self.lost.iter().any(|lost| lost == name) {
            self.lost.push(name.to_owned());
        }
    }
}

fn document<'a>(file: &Field<'_, 'a>) -> Result<Part<'a>, Error> {
    let [data, name, id] = file.pick(["file_data", "filename", "file_id"])?;
    match (data, id) {
        (Some(data), _) => {
            let name = name.map(|name| name.text()).transpose()?;
            Ok(Part::Document { media: media(&data)?, name })
        }
        (None, Some(id)) => Err(id.invalid("files uploaded beforehand cannot be used with this model; send file_data")),
        (None, None) => Err(file.missing("file_data")),
    }
}

fn tool_call<'a>(call: &Field<'_, 'a>) -> Result<ToolCall<'a>, Error> {
    let [id, kind, body] = call.pick(["id", "type", "function"])?;
    if let Some(kind) = kind {
        let word = kind.text()?;
        if word != "function" {
            return Err(kind.unknown(&word, &["function"]));
        }
    }
    let id = id.ok_or_else(|| call.missing("id"))?.text()?;
    function(id, &body.ok_or_else(|| call.missing("function"))?)
}

fn function<'a>(id: Str<'a>, body: &Field<'_, 'a>) -> Result<ToolCall<'a>, Error> {
    let [name, arguments] = body.pick(["name", "arguments"])?;
    let name = name.ok_or_else(|| body.missing("name"))?.text()?;
    let arguments = arguments.ok_or_else(|| body.missing("arguments"))?.text()?;
    let (id, signature) = signed_id::split(id);
    Ok(ToolCall { id, name, arguments: Arguments::Text(arguments), signature })
}

/// The id of the `number`th legacy call, so that the `function` message after it finds it.
fn legacy_id(number: u64) -> Str<'static> {
    Str::plain(&format!("call_function_{number}")).into_owned()
}

/// Puts a message's own `cache_control` on its last text.
fn mark<'a>(parts: &mut [Part<'a>], cache: Option<Field<'_, 'a>>) -> Result<(), Error> {
    let cache: Option<Value<'a>> = cache.map(|cache| cache.object()).transpose()?;
    let text = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    });
    if let (Some(text), Some(cache)) = (text, cache) {
        text.cache = text.cache.or(Some(cache));
    }
    Ok(())
}

fn no_content(message: &Field<'_, '_>) -> Error {
    message.missing("content")
}

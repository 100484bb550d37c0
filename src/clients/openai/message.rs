//! The messages of a request.

use super::field::{Field, coded};
use super::media::media;
use super::thinking;
use crate::chat::{Arguments, Media, Message, Part, Role, Text, ToolCall};
use crate::dialect::{THOUGHTS_IN_CONTENT, signed_id};
use crate::error::Error;
use crate::json::{Kind, Str, Value, Writer};

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
        const NAMES: [&str; 17] = [
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
            "is_error",
            "name",
            "images",
            "prefix",
            // They are for people: the model has the text that they are about.
            "annotations",
            "citations",
        ];
        let [
            role,
            content,
            calls,
            id,
            cache,
            details,
            blocks,
            thought,
            reasoning,
            refusal,
            call,
            failed,
            name,
            images,
            prefix,
            _,
            _,
        ] = message.members(NAMES, |name| self.lose(name))?;
        let role = role.ok_or_else(|| message.missing("role"))?;
        let (mut parts, mut thoughts_by) = (Vec::with_capacity(1), None);
        let word = role.text()?;
        let neutral = match &*word.decode() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => {
                let id = id.ok_or_else(|| message.missing("tool_call_id"))?.text()?;
                let is_error = failed.map(|failed| failed.truth()).transpose()?.unwrap_or_default();
                return self.tool_result(message, (id, is_error), content, cache);
            }
            "function" => {
                let id = legacy_id(self.function_calls);
                return self.tool_result(message, (id, false), content, cache);
            }
            _ => {
                let known = ["system", "assistant", "user", "function", "tool", "developer"];
                return Err(role.unknown(&word, &known));
            }
        };
        let images = images.filter(|images| images.value.elements().next().is_some());
        let is_strange = images.is_some() && neutral != Role::Assistant;
        let prefix = prefix.map(|prefix| prefix.truth()).transpose()?.unwrap_or_default();
        for (is_said, name) in
            [(name.is_some(), "name"), (failed.is_some(), "is_error"), (is_strange, "images"), (prefix, "prefix")]
        {
            if is_said {
                self.lose(name);
            }
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
            Some(content) => {
                let own = |part: Value<'_>| part.get("thinking").is_some_and(|texts| texts.kind() == Kind::Array);
                if content.value.elements().any(own) {
                    thoughts_by = thoughts_by.or(Some(Str::plain(THOUGHTS_IN_CONTENT)));
                }
                self.content(&content, &mut parts)?;
            }
            None if neutral == Role::Assistant => {}
            None => return Err(no_content(message)),
        }
        mark(&mut parts, cache)?;
        if neutral == Role::Assistant {
            // Those that it was sent before.
            if let Some(images) = images {
                for image in images.elements()? {
                    let [url] = image.pick(["image_url"])?;
                    let url = url.ok_or_else(|| image.missing("image_url"))?;
                    let (media, _) = self.address("images[].image_url", &url)?;
                    parts.push(Part::image(media));
                }
            }
            let refusal = refusal.map(|refusal| refusal.text()).transpose()?;
            parts.extend(refusal.map(Part::Refusal));
            if let Some(calls) = calls {
                for call in calls.elements()? {
                    parts.push(Part::ToolCall(self.tool_call(&call)?));
                }
            }
            if let Some(call) = call {
                self.function_calls += 1;
                parts.push(Part::ToolCall(self.function(legacy_id(self.function_calls), &call)?));
            }
        }
        Ok(Message { role: neutral, parts, thoughts_by })
    }

    fn tool_result<'a>(
        &mut self,
        message: &Field<'_, 'a>,
        (id, is_error): (Str<'a>, bool),
        content: Option<Field<'_, 'a>>,
        cache: Option<Field<'_, 'a>>,
    ) -> Result<Message<'a>, Error> {
        let content = content.ok_or_else(|| no_content(message))?;
        let mut parts = Vec::with_capacity(1);
        self.content(&content, &mut parts)?;
        mark(&mut parts, cache)?;
        let (id, _) = signed_id::split(id);
        Ok(Message { role: Role::User, parts: vec![Part::ToolResult { id, parts, is_error }], thoughts_by: None })
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
        const NAMES: [&str; 15] = [
            "type",
            "text",
            "cache_control",
            "image_url",
            "video_url",
            "input_audio",
            "file",
            "file_id",
            "refusal",
            "document_url",
            "document_name",
            "citations",
            "thinking",
            "signature",
            "closed",
        ];
        let [
            kind,
            text,
            cache,
            image,
            video,
            audio,
            file,
            id,
            refusal,
            document,
            title,
            citations,
            thought,
            signature,
            _,
        ] = part.members(NAMES, |name| self.lose_in("content[]", name))?;
        let kind = kind.ok_or_else(|| part.missing("type"))?;
        let word = kind.text()?;
        let read = match &*word.decode() {
            "text" => {
                let text = text.ok_or_else(|| part.missing("text"))?.text()?;
                return Ok(Part::Text(Text { text, cache: cache.map(|cache| cache.object()).transpose()? }));
            }
            "image_url" => {
                let image = image.ok_or_else(|| part.missing("image_url"))?;
                let (media, detail) = self.address("content[].image_url", &image)?;
                // "auto" is what it is without being said.
                let detail = detail.map(|detail| detail.text()).transpose()?.filter(|word| *word != "auto");
                Part::Image { media, detail }
            }
            "input_audio" => Part::Audio(self.audio(&audio.ok_or_else(|| part.missing("input_audio"))?)?),
            "file" => match (file, id) {
                (Some(file), _) => self.document(&file, citations)?,
                // Mistral's form.
                (None, Some(id)) => Part::File(id.text()?),
                (None, None) => return Err(part.missing("file")),
            },
            // Mistral's: https://docs.mistral.ai/capabilities/document_ai/document_qna
            "document_url" => {
                let document = document.ok_or_else(|| part.missing("document_url"))?;
                let media = self.whole("content[].document_url", &document)?;
                let name = title.map(|title| title.text()).transpose()?;
                Part::Document { media, name, cited: is_cited(citations)? }
            }
            // OpenRouter's and vLLM's: https://openrouter.ai/docs/features/multimodal/videos
            "video_url" => {
                let video = video.ok_or_else(|| part.missing("video_url"))?;
                Part::Video(self.whole("content[].video_url", &video)?)
            }
            "thinking" => thinking::part(&thought.ok_or_else(|| part.missing("thinking"))?, signature)?,
            "refusal" => Part::Refusal(refusal.ok_or_else(|| part.missing("refusal"))?.text()?),
            _ => {
                let known =
                    ["text", "image_url", "video_url", "input_audio", "file", "refusal", "document_url", "thinking"];
                return Err(kind.unknown(&word, &known));
            }
        };
        for (is_said, name) in [
            (cache.is_some(), "cache_control"),
            (citations.is_some() && !matches!(read, Part::Document { .. }), "citations"),
        ] {
            if is_said {
                self.lose_in("content[]", name);
            }
        }
        Ok(read)
    }

    /// `{"url": ..., "detail": ...}`, or the URL itself in its place, which OpenAI takes too.
    fn address<'f, 'a>(
        &mut self,
        place: &str,
        field: &'f Field<'_, 'a>,
    ) -> Result<(Media<'a>, Option<Field<'f, 'a>>), Error> {
        if field.value.kind() == Kind::String {
            return Ok((media(field)?, None));
        }
        let [url, detail] = field.members(["url", "detail"], |name| self.lose_in(place, name))?;
        Ok((media(&url.ok_or_else(|| field.missing("url"))?)?, detail))
    }

    /// The same for what has no detail.
    fn whole<'a>(&mut self, place: &str, field: &Field<'_, 'a>) -> Result<Media<'a>, Error> {
        let (media, detail) = self.address(place, field)?;
        if detail.is_some() {
            self.lose_in(place, "detail");
        }
        Ok(media)
    }

    /// `{"data": ..., "format": "wav"}`, or an address as Mistral takes it.
    fn audio<'a>(&mut self, audio: &Field<'_, 'a>) -> Result<Media<'a>, Error> {
        if audio.value.kind() == Kind::String {
            return media(audio);
        }
        let [data, format] = audio.members(["data", "format"], |name| self.lose_in("content[].input_audio", name))?;
        let format = format.ok_or_else(|| audio.missing("format"))?.text()?;
        let data = data.ok_or_else(|| audio.missing("data"))?.text()?;
        Ok(Media::Base64 { media_type: Str::join(&[Str::plain("audio"), format], &Str::plain("/")), data })
    }

    /// A file in the request, or at an address, which `file_id` may be for LiteLLM's clients, or one that the provider has.
    fn document<'a>(&mut self, file: &Field<'_, 'a>, citations: Option<Field<'_, 'a>>) -> Result<Part<'a>, Error> {
        const NAMES: [&str; 5] = ["file_data", "filename", "file_id", "file_url", "citations"];
        let [data, name, id, url, own] = file.members(NAMES, |name| self.lose_in("content[].file", name))?;
        let cited = is_cited(citations)? || is_cited(own)?;
        let name = name.map(|name| name.text()).transpose()?;
        let is_address = |id: &Field<'_, 'a>| id.value.as_str().is_some_and(|id| id.decode().contains("://"));
        let media = match (data.or(url).or(id.filter(is_address)), id) {
            (Some(data), _) => media(&data)?,
            (None, Some(id)) => return id.text().map(Part::File),
            (None, None) => return Err(file.missing("file_data")),
        };
        Ok(Part::Document { media, name, cited })
    }

    fn tool_call<'a>(&mut self, call: &Field<'_, 'a>) -> Result<ToolCall<'a>, Error> {
        // Clients that gather a stream leave its numbers in.
        const NAMES: [&str; 6] = ["id", "type", "function", "custom", "index", "extra_content"];
        let [id, kind, body, custom, _, extra] = call.members(NAMES, |name| self.lose_in("tool_calls[]", name))?;
        let id = id.ok_or_else(|| call.missing("id"))?.text()?;
        let word = kind.map(|kind| kind.text()).transpose()?;
        match (kind, word) {
            (Some(_), Some(word)) if word == "custom" => {
                let custom = custom.ok_or_else(|| call.missing("custom"))?;
                return self.custom(id, &custom);
            }
            (Some(kind), Some(word)) if word != "function" => return Err(kind.unknown(&word, &["function", "custom"])),
            _ => {}
        }
        let mut read = self.function(id, &body.ok_or_else(|| call.missing("function"))?)?;
        // Where Google's own interface of this dialect has it:
        // https://ai.google.dev/gemini-api/docs/thought-signatures#openai
        let signature =
            extra.and_then(|extra| extra.value.path(&["google", "thought_signature"])).and_then(Value::as_str);
        if extra.is_some() && signature.is_none() {
            self.lose_in("tool_calls[]", "extra_content");
        }
        read.signature = read.signature.or(signature);
        Ok(read)
    }

    /// A call whose arguments are a text and no JSON. Only OpenAI has such; a model that reads of it sees `{"input": ...}`.
    fn custom<'a>(&mut self, id: Str<'a>, body: &Field<'_, 'a>) -> Result<ToolCall<'a>, Error> {
        let [name, input] = body.members(["name", "input"], |name| self.lose_in("tool_calls[].custom", name))?;
        let name = name.ok_or_else(|| body.missing("name"))?.text()?;
        let input = input.ok_or_else(|| body.missing("input"))?.text()?;
        let mut json = String::new();
        Writer::new(&mut json).object(|w| w.field("input", &input));
        Ok(ToolCall { id, name, arguments: Arguments::Text(Str::plain(&json).into_owned()), signature: None })
    }

    fn function<'a>(&mut self, id: Str<'a>, body: &Field<'_, 'a>) -> Result<ToolCall<'a>, Error> {
        let names = ["name", "arguments"];
        let [name, arguments] = body.members(names, |name| self.lose_in("tool_calls[].function", name))?;
        let name = name.ok_or_else(|| body.missing("name"))?.text()?;
        let arguments = arguments.ok_or_else(|| body.missing("arguments"))?.text()?;
        let (id, signature) = signed_id::split(id);
        Ok(ToolCall { id, name, arguments: Arguments::Text(arguments), signature })
    }

    fn lose(&mut self, name: &str) {
        if self.lost.len() < MAX_LOST && !self.lost.iter().any(|lost| lost == name) {
            self.lost.push(name.chars().take(64).collect());
        }
    }

    fn lose_in(&mut self, place: &str, name: &str) {
        self.lose(&format!("{place}.{name}"));
    }
}

/// `{"enabled": true}`, Anthropic's word for it, with or around a file.
fn is_cited(citations: Option<Field<'_, '_>>) -> Result<bool, Error> {
    let Some(citations) = citations else { return Ok(false) };
    let [enabled] = citations.pick(["enabled"])?;
    enabled.map_or(Ok(false), |enabled| enabled.truth())
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

//! What providers get wrong in OpenAI's dialect and official clients stumble over, put right where it stands.
//!
//! Tool calls: no `index`, the same `index` for several, no `type`, no id, id and name again with every piece, arguments
//! that never come or are no text. Thoughts within the content, which then is no text (Mistral's). The end: a `finish_reason` that is empty, missing, or none of OpenAI's words, and
//! `stop` after a tool was called. Whatever is right costs a look at it and stays as it is.

use super::patch::Patches;
use super::request::literal;
use crate::dialect::THOUGHTS_IN_CONTENT;
use crate::json::{Kind, Quoted, Str, Value, Write, Writer};

/// OpenAI's words for why an answer ended, and those that stand for one of them elsewhere.
const FINISHES: &[(&str, &[&str])] = &[
    ("stop", &["eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "end"]),
    ("length", &["model_length", "max_tokens", "max_length", "length_limit", "insufficient_system_resource"]),
    ("tool_calls", &["tool_call", "tool_use"]),
    (
        "content_filter",
        &["content_filtered", "safety", "recitation", "refusal", "blocklist", "prohibited_content", "sensitive"],
    ),
    ("function_call", &[]),
];

/// Most calls of one choice that are followed, and most choices. Further ones pass as they are.
pub(super) const MOST: usize = 128;

/// OpenAI's word for `reason`; `None` if it says nothing.
fn finish_word(reason: &Str<'_>, called: bool) -> Option<&'static str> {
    let said = reason.decode();
    if said.is_empty() || said == "null" {
        return None;
    }
    let of = |(word, others): &&(&str, &[&str])| {
        *word == said || others.iter().any(|other| said.eq_ignore_ascii_case(other))
    };
    Some(match FINISHES.iter().find(of).map_or("stop", |(word, _)| word) {
        "stop" if called => "tool_calls",
        word => word,
    })
}

/// Whether `choice` says that the provider broke it off. Mistral and OpenRouter have a word for it.
pub(super) fn is_broken(choice: Value<'_>) -> bool {
    choice.get("finish_reason").and_then(Value::as_str).is_some_and(|reason| reason == "error")
        || choice.get("error").is_some_and(|error| error.kind() == Kind::Object)
}

/// Puts `finish_reason` of `choice` right. Why it ended, if it did.
fn mend_finish(choice: Value<'_>, called: bool, complete: bool, patches: &mut Patches) -> Option<&'static str> {
    let place = choice.get("finish_reason")?;
    let said = place.as_str().unwrap_or_default();
    let word = finish_word(&said, called);
    let word = word.or(complete.then_some(unsaid_finish(called)));
    match word {
        Some(word) if said == word => {}
        Some(word) => {
            let keep = !said.is_empty() && choice.get("native_finish_reason").is_none();
            let native = if keep { format!(",\"native_finish_reason\":{}", place.raw()) } else { String::new() };
            patches.replace(place.start()..place.end(), literal(word) + &native);
        }
        None if place.is_null() => {}
        None => patches.replace(place.start()..place.end(), "null"),
    }
    word
}

/// How an answer ended, if the provider does not say.
fn unsaid_finish(called: bool) -> &'static str {
    if called { "tool_calls" } else { "stop" }
}

/// The calls in the `said` of a choice, as far as they are some.
fn calls<'a>(choice: Value<'a>, said: &str) -> impl Iterator<Item = Value<'a>> {
    let calls = choice.path(&[said, "tool_calls"]).into_iter().flat_map(Value::elements);
    calls.filter(|call| call.members().next().is_some())
}

/// Puts a choice of a complete answer right; `id` is the answer's. Why it ended, if it has a word for that.
pub(super) fn mend_choice(choice: Value<'_>, id: &str, patches: &mut Patches) -> Option<&'static str> {
    let mut called = false;
    mend_content(choice.get("message"), &mut Thoughts::default(), patches);
    for (index, call) in calls(choice, "message").enumerate() {
        called = true;
        mend_head(call, id, index, patches);
        if let Some(function) = call.get("function").filter(|function| function.kind() == Kind::Object) {
            mend_arguments(function, true, patches);
        }
    }
    mend_finish(choice, called, true, patches)
}

/// Numbers of the thoughts within a content that is a list.
#[derive(Debug, Default)]
struct Thoughts {
    next: u32,
    /// Whether the last one may go on.
    open: bool,
}

impl Thoughts {
    /// The number of the next piece of a thought, and whether it is the last one by the provider's word.
    fn number(&mut self, part: Value<'_>) -> u32 {
        let number = if self.open { self.next.saturating_sub(1) } else { self.next };
        self.next = number.saturating_add(1);
        self.open = part.get("closed").and_then(Value::as_bool) != Some(true);
        number
    }
}

/// Makes texts of a content that is a list of texts and thoughts, which are told as those of others are, in
/// `reasoning_content` and `reasoning_details`. Other parts stay to be had, under a name of their own.
fn mend_content(said: Option<Value<'_>>, numbers: &mut Thoughts, patches: &mut Patches) {
    let Some(said) = said else { return };
    let Some(content) = said.get("content").filter(|content| content.kind() == Kind::Array) else {
        numbers.open &= !has_text(said.get("content"));
        return;
    };
    let (mut texts, mut thoughts, mut details, mut has_others) = (Vec::new(), Vec::new(), String::new(), false);
    for part in content.elements() {
        let text = |name: &str| part.get(name).and_then(Value::as_str);
        let pieces = part.get("thinking").into_iter().flat_map(Value::elements);
        match text("type") {
            Some(kind) if kind == "text" => {
                texts.extend(text("text"));
                numbers.open = false;
            }
            Some(kind) if kind == "thinking" => {
                let pieces =
                    pieces.filter_map(|part| part.get("text")).filter_map(Value::as_str).chain(text("thinking"));
                let thought = Str::join(&pieces.collect::<Vec<_>>(), &Str::EMPTY);
                let (index, signature) = (numbers.number(part), text("signature").filter(|text| !text.is_empty()));
                // The first piece may be a list of nothing.
                if thought.is_empty() && signature.is_none() {
                    continue;
                }
                details.push_str(if details.is_empty() { "" } else { "," });
                Writer::new(&mut details).object(|w| {
                    w.field("type", "reasoning.text");
                    w.field("text", &thought);
                    w.field_some("signature", &signature);
                    w.field("format", THOUGHTS_IN_CONTENT);
                    w.field("index", &index);
                });
                thoughts.push(thought);
            }
            _ => has_others = true,
        }
    }
    let joined = |texts: &[Str<'_>]| {
        let mut joined = String::new();
        Str::join(texts, &Str::EMPTY).write(&mut joined);
        joined
    };
    let mut mended = if texts.is_empty() { "null".to_owned() } else { joined(&texts) };
    if !thoughts.is_empty() {
        let mut tell = |name: &str, value: String| match said.get(name) {
            Some(place) if place.is_null() => patches.replace(place.start()..place.end(), value),
            Some(_) => {}
            None => mended.push_str(&format!(",\"{name}\":{value}")),
        };
        tell("reasoning_content", joined(&thoughts));
        tell("reasoning_details", format!("[{details}]"));
    }
    if has_others {
        mended.push_str(",\"content_parts\":");
        content.write(&mut mended);
    }
    patches.replace(content.start()..content.end(), mended);
}

/// What the first piece of a call has to have: an id, and a type.
fn mend_head(call: Value<'_>, answer: &str, index: usize, patches: &mut Patches) {
    if !has_text(call.get("id")) {
        let tail: String = answer.chars().rev().filter(char::is_ascii_alphanumeric).take(24).collect();
        put(call, "id", &literal(&format!("call_{tail}_{index}")), patches);
    }
    if !has_text(call.get("type")) && call.get("function").is_some() {
        put(call, "type", "\"function\"", patches);
    }
}

/// Puts the arguments right, which have to be a text; if there are none, and none will come (`last`), `{}`. Whether there
/// are some.
fn mend_arguments(function: Value<'_>, last: bool, patches: &mut Patches) -> bool {
    let arguments = function.get("arguments").filter(|arguments| !arguments.is_null());
    match arguments {
        Some(object) if object.kind() == Kind::Object => {
            let mut quoted = String::new();
            Quoted(object).write(&mut quoted);
            patches.replace(object.start()..object.end(), quoted);
            true
        }
        Some(text) if text.as_str().is_some_and(|text| !text.is_empty()) => true,
        _ => {
            if last {
                put(function, "arguments", "\"{}\"", patches);
            }
            false
        }
    }
}

/// Gives `object` the member `name`, in place of the one that it has.
fn put(object: Value<'_>, name: &str, value: &str, patches: &mut Patches) {
    match object.get(name) {
        Some(place) => patches.replace(place.start()..place.end(), value),
        None => {
            let comma = if object.members().next().is_some() { "," } else { "" };
            patches.replace(object.start() + 1..object.start() + 1, format!("\"{name}\":{value}{comma}"));
        }
    }
}

fn has_text(value: Option<Value<'_>>) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

/// One choice of a streamed answer, as far as what comes later depends on it.
#[derive(Debug)]
pub(super) struct Choice {
    pub number: u64,
    /// Why it ended, once it has.
    pub finish: Option<&'static str>,
    thoughts: Thoughts,
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Call {
    /// What the provider counts it as.
    index: Option<u64>,
    id: Str<'static>,
    name: Str<'static>,
    /// Whether some of its arguments came, or none are to come.
    said: bool,
}

impl Choice {
    pub fn new(number: u64) -> Self {
        Self { number, finish: None, thoughts: Thoughts::default(), calls: Vec::new() }
    }

    /// Takes the next piece of it, from a chunk of the answer with this `id`.
    pub fn take(&mut self, choice: Value<'_>, id: &str, patches: &mut Patches) {
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        let last = reason.is_some_and(|reason| finish_word(&reason, false).is_some());
        mend_content(choice.get("delta"), &mut self.thoughts, patches);
        // Azure leaves it out where there are only filter results. Old completions have a text in its place.
        if choice.get("delta").is_none() && choice.get("text").is_none() {
            put(choice, "delta", "{}", patches);
        }
        for call in calls(choice, "delta") {
            self.call(call, id, last, patches);
        }
        let finish = mend_finish(choice, !self.calls.is_empty(), false, patches);
        self.finish = self.finish.or(finish);
    }

    /// The calls that were left without arguments, by number: to be told before the choice ends.
    pub fn bare(&mut self) -> impl Iterator<Item = usize> {
        let calls = self.calls.iter_mut().enumerate();
        calls.filter_map(|(number, call)| (!core::mem::replace(&mut call.said, true)).then_some(number))
    }

    /// How it ended, if the provider does not say.
    pub fn unsaid_finish(&self) -> &'static str {
        unsaid_finish(!self.calls.is_empty())
    }

    fn call(&mut self, call: Value<'_>, answer: &str, last: bool, patches: &mut Patches) {
        let index = call.get("index").and_then(Value::as_u64);
        let function = call.get("function").filter(|function| function.kind() == Kind::Object);
        let text = |place: Option<Value<'_>>| {
            place.and_then(Value::as_str).filter(|text| !text.is_empty()).map(Str::into_owned).unwrap_or_default()
        };
        let (id, name) = (text(call.get("id")), text(function.and_then(|function| function.get("name"))));
        let number = match self.find(index, &id, &name) {
            Some(number) => number,
            None if self.calls.len() < MOST => {
                mend_head(call, answer, self.calls.len(), patches);
                self.calls.push(Call { index, said: function.is_none(), ..Call::default() });
                self.calls.len() - 1
            }
            None => return,
        };
        let Some(known) = self.calls.get_mut(number) else { return };
        if index != Some(number as u64) {
            put(call, "index", &number.to_string(), patches);
        }
        // Clients add texts up: a name that comes again would be there twice.
        for (holder, member, text, known) in
            [(Some(call), "id", id, &mut known.id), (function, "name", name, &mut known.name)]
        {
            if known.is_empty() {
                *known = text;
            } else if let Some(again) = holder.and_then(|holder| holder.get(member)).filter(|_| *known == text) {
                patches.replace(again.start()..again.end(), "null");
            }
        }
        if let Some(function) = function {
            let last = last && !known.said;
            known.said |= mend_arguments(function, last, patches) || last;
        }
    }

    /// The number of the call that a piece belongs to; `None` if another begins. Gemini's compatible interface gives all
    /// calls the index 0, Mistral's used to give none.
    fn find(&self, index: Option<u64>, id: &Str<'_>, name: &Str<'_>) -> Option<usize> {
        match index {
            Some(_) => {
                let number = self.calls.iter().rposition(|call| call.index == index)?;
                let another = |call: &Call| !name.is_empty() && !id.is_empty() && call.id != *id;
                self.calls.get(number).filter(|call| !another(call)).map(|_| number)
            }
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == *id),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        }
    }
}

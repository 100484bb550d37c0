//! Answers of a given JSON Schema from models that cannot be held to one: they are made to call a tool that has the schema
//! for its arguments, and the call is turned back into text.
//!
//! A translator adds the tool that [`Emulation::of`] tells it to, in its own words, and passes its answers through [`undo`]
//! and its streams through [`Undo`]. The tool's name is all that tells such a call from one of the client's tools.

use crate::chat::{Answer, Arguments, Delta, Finish, FinishReason, Format, Part, Request, Sink, ToolChoice};
use crate::json::{Str, Value};

/// The name of the tool. No client's tool is likely to have it.
pub(super) const NAME: &str = "gateway_structured_answer";

/// What the model is told of it, before what the client says of the answer.
const DESCRIPTION: &str = "Gives the final answer. Call it once, with the whole answer as its arguments.";

/// How a schema is asked for.
#[derive(Debug, Clone)]
pub(super) struct Emulation<'a> {
    /// The arguments of the tool.
    pub schema: Value<'a>,
    /// What the client says of the answer.
    about: Option<Str<'a>>,
    /// Whether the model may call one of the client's tools instead: it must call some tool then, else this one.
    pub beside_others: bool,
}

impl<'a> Emulation<'a> {
    /// For a request that asks for a schema, if that can be done: arguments are objects, and a client that demands the call
    /// of a tool of its own gets that.
    pub(super) fn of(request: &Request<'a>) -> Option<Self> {
        let Some(Format::JsonSchema { schema, description, .. }) = &request.format else { return None };
        let (schema, about) = (*schema, description.clone());
        let is_object = schema.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "object");
        let beside_others = match &request.tool_choice {
            Some(ToolChoice::None) => false,
            _ if request.tools.is_empty() => false,
            Some(ToolChoice::Required | ToolChoice::Tool(_)) => return None,
            Some(ToolChoice::Auto) | None => true,
        };
        is_object.then_some(Self { schema, about, beside_others })
    }

    /// What the model is told of the tool.
    pub(super) fn description(&self) -> String {
        let about = self.about.as_ref().map(|text| format!(" The answer is to be: {}", text.decode()));
        format!("{DESCRIPTION}{}", about.unwrap_or_default())
    }
}

/// Turns the call of the tool in a complete answer into the text that it stands for.
pub(super) fn undo(answer: &mut Answer<'_>) {
    for choice in &mut answer.choices {
        let is_answer = |part: &Part<'_>| matches!(part, Part::ToolCall(call) if call.name == NAME);
        if !choice.parts.iter().any(is_answer) {
            continue;
        }
        // What is said besides would make it no JSON.
        choice.parts.retain(|part| !matches!(part, Part::Text(_)));
        let mut said = false;
        choice.parts.retain_mut(|part| {
            if !is_answer(part) {
                return true;
            }
            if let Part::ToolCall(call) = part {
                let text = match &mut call.arguments {
                    Arguments::Object(value) => Str::plain(value.raw()),
                    Arguments::Text(text) => core::mem::take(text),
                };
                *part = Part::Text(text.into());
            }
            !core::mem::replace(&mut said, true)
        });
        let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        choice.finish.reason = reason(choice.finish.reason, calls);
    }
}

/// The same for a stream: what it remembers of it.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// Numbers of the calls that are answers.
    answers: Vec<u32>,
    /// Whether tools of the client's are called.
    calls: bool,
}

/// Passes deltas on, calls of the tool as text.
#[derive(Debug)]
pub(super) struct Undoing<'u, S: ?Sized> {
    state: &'u mut Undo,
    out: &'u mut S,
}

impl Undo {
    /// A sink that passes on to `out`.
    pub(super) fn before<'u, S: Sink + ?Sized>(&'u mut self, out: &'u mut S) -> Undoing<'u, S> {
        Undoing { state: self, out }
    }
}

impl<S: Sink + ?Sized> Sink for Undoing<'_, S> {
    fn push(&mut self, choice: u32, delta: Delta<'_>) {
        let Self { state, out } = self;
        // The client's calls are numbered one by one, without the answer.
        let number = |call: u32| call - state.answers.iter().filter(|answer| **answer < call).count() as u32;
        let delta = match delta {
            Delta::ToolCall { call, name, .. } if name == NAME => return state.answers.push(call),
            Delta::ToolArguments { call, json } if state.answers.contains(&call) => {
                if state.answers.first() != Some(&call) {
                    return;
                }
                Delta::Text(json)
            }
            Delta::ToolCall { call, id, name, signature } => {
                state.calls = true;
                Delta::ToolCall { call: number(call), id, name, signature }
            }
            Delta::ToolArguments { call, json } => Delta::ToolArguments { call: number(call), json },
            Delta::Finish(Finish { reason: native_reason, native }) if !state.answers.is_empty() => {
                Delta::Finish(Finish { reason: reason(native_reason, state.calls), native })
            }
            delta => delta,
        };
        out.push(choice, delta);
    }
}

/// An answer that is no call of the client's tools is just the end.
fn reason(reason: FinishReason, calls: bool) -> FinishReason {
    match reason {
        FinishReason::ToolCalls if !calls => FinishReason::Stop,
        reason => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::{Emulation, NAME, Undo, undo};
    use crate::chat::{
        Answer, Arguments, Choice, Delta, Finish, FinishReason, Format, Part, Request, Sink, Tool, ToolCall, ToolChoice,
    };
    use crate::json::{Document, Str};

    fn call(name: &'static str, arguments: &'static str) -> Part<'static> {
        let arguments = Arguments::Text(Str::plain(arguments));
        Part::ToolCall(ToolCall { id: Str::plain("i"), name: Str::plain(name), arguments, signature: None })
    }

    fn undone(parts: Vec<Part<'static>>) -> (Vec<String>, FinishReason) {
        let finish = Finish { reason: FinishReason::ToolCalls, native: Str::plain("tool_use") };
        let mut answer = Answer { choices: vec![Choice { parts, logprobs: Vec::new(), finish }], ..Answer::default() };
        undo(&mut answer);
        let shown = answer.choices[0].parts.iter().map(|part| match part {
            Part::Text(text) => format!("text {}", text.text.decode()),
            Part::ToolCall(call) => format!("call {}", call.name.decode()),
            part => format!("{part:?}"),
        });
        (shown.collect(), answer.choices[0].finish.reason)
    }

    #[test]
    fn a_call_becomes_text_again() {
        let text = || Part::Text(Str::plain("Here it is:").into());
        for (parts, expected, reason) in [
            (vec![call(NAME, "{\"a\":1}")], vec!["text {\"a\":1}"], FinishReason::Stop),
            (vec![text(), call(NAME, "{}"), call(NAME, "{\"b\":1}")], vec!["text {}"], FinishReason::Stop),
            (vec![text(), call("f", "{}")], vec!["text Here it is:", "call f"], FinishReason::ToolCalls),
            (vec![call("f", "{}"), call(NAME, "{}")], vec!["call f", "text {}"], FinishReason::ToolCalls),
        ] {
            let (shown, ended) = undone(parts);
            assert_eq!((shown, ended), (expected.iter().map(|part| (*part).to_owned()).collect(), reason));
        }
    }

    #[test]
    fn a_streamed_call_becomes_text_again() {
        let (mut state, mut seen) = (Undo::default(), Vec::new());
        let mut out = |choice: u32, delta: Delta<'_>| seen.push(format!("{choice} {delta:?}"));
        let mut sink = state.before(&mut out);
        let plain = Str::plain;
        for (number, name) in [(0, "f"), (1, NAME), (2, "g"), (3, NAME)] {
            sink.push(0, Delta::ToolCall { call: number, id: plain("i"), name: plain(name), signature: None });
            sink.push(0, Delta::ToolArguments { call: number, json: plain("{\"a") });
            sink.push(0, Delta::ToolArguments { call: number, json: plain("\":1}") });
        }
        sink.push(0, Delta::Finish(Finish { reason: FinishReason::ToolCalls, native: plain("tool_use") }));
        let mut expected = Vec::new();
        let mut out = |choice: u32, delta: Delta<'_>| expected.push(format!("{choice} {delta:?}"));
        for (number, name) in [(Some(0), "f"), (None, ""), (Some(1), "g")] {
            let Some(call) = number else {
                out(0, Delta::Text(plain("{\"a")));
                out(0, Delta::Text(plain("\":1}")));
                continue;
            };
            out(0, Delta::ToolCall { call, id: plain("i"), name: plain(name), signature: None });
            out(0, Delta::ToolArguments { call, json: plain("{\"a") });
            out(0, Delta::ToolArguments { call, json: plain("\":1}") });
        }
        out(0, Delta::Finish(Finish { reason: FinishReason::ToolCalls, native: plain("tool_use") }));
        assert_eq!(seen, expected);

        let (mut state, mut reasons) = (Undo::default(), Vec::new());
        let mut out = |_: u32, delta: Delta<'_>| {
            if let Delta::Finish(finish) = delta {
                reasons.push(finish.reason);
            }
        };
        let mut sink = state.before(&mut out);
        sink.push(0, Delta::ToolCall { call: 0, id: plain("i"), name: plain(NAME), signature: None });
        sink.push(0, Delta::Finish(Finish { reason: FinishReason::ToolCalls, native: plain("tool_use") }));
        assert_eq!(reasons, [FinishReason::Stop]);
    }

    #[test]
    fn only_what_can_be_undone_is_done() {
        for (schema, tools, choice, expected) in [
            (r#"{"type":"object"}"#, 0, None, Some(false)),
            (r#"{"type":"object"}"#, 0, Some(ToolChoice::Required), Some(false)),
            (r#"{"type":"object"}"#, 1, None, Some(true)),
            (r#"{"type":"object"}"#, 1, Some(ToolChoice::Auto), Some(true)),
            (r#"{"type":"object"}"#, 1, Some(ToolChoice::None), Some(false)),
            (r#"{"type":"object"}"#, 1, Some(ToolChoice::Required), None),
            (r#"{"type":"object"}"#, 1, Some(ToolChoice::Tool(Str::plain("f"))), None),
            (r#"{"type":"array"}"#, 0, None, None),
            (r#"{"anyOf":[]}"#, 0, None, None),
        ] {
            let document = Document::parse(schema.as_bytes()).unwrap();
            let format =
                Format::JsonSchema { name: Str::plain("n"), description: None, schema: document.root(), strict: true };
            let tool = Tool { name: Str::plain("f"), description: None, parameters: None, strict: None, cache: None };
            let request = Request {
                format: Some(format),
                tools: vec![tool; tools],
                tool_choice: choice.clone(),
                ..Request::default()
            };
            let emulation = Emulation::of(&request).map(|emulation| emulation.beside_others);
            assert_eq!(emulation, expected, "{schema} {tools} {choice:?}");
        }
        assert!(Emulation::of(&Request { format: Some(Format::JsonObject), ..Request::default() }).is_none());
    }
}

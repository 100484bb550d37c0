//! `toolConfig`: the client's tools, whether the model has to call one, and the one that stands for a schema.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html>

use super::super::others::{drop_search, drop_tools};
use super::super::pieces::Schema;
use super::super::structured::{self, Emulation};
use super::messages::Says;
use super::models::{Caches, Forced};
use crate::chat::{Part, Request, ServerTool, Tool, ToolChoice};
use crate::json::{Str, Value, Writer};

/// What `toolChoice` says.
enum Choice<'c> {
    Auto,
    Any,
    Tool(&'c str),
}

impl Says<'_> {
    /// Writes `toolConfig`, if anything has to do with tools; whether parallel calls are still to be forbidden.
    pub(super) fn tools(&mut self, request: &Request<'_>, schema: Option<&Emulation<'_>>, w: &mut Writer<'_>) -> bool {
        let past = past_calls(request);
        let is_none = matches!(request.tool_choice, Some(ToolChoice::None));
        // There is no word for "none": without tools there is nothing to call. "The toolConfig field must be defined when
        // using toolUse and toolResult content blocks" stands against it.
        let offered = if is_none && past.is_none() { &[][..] } else { &request.tools };
        let past = past.filter(|_| offered.is_empty());
        drop_tools(request, |tool| system_tool(tool).is_some(), self.dropped);
        let mut system: Vec<Str<'_>> = request.server_tools.iter().filter_map(system_tool).collect();
        if request.web_search.is_some() && self.model.grounds {
            system.push(Str::plain("nova_grounding"));
            if request
                .web_search
                .as_ref()
                .is_some_and(|search| search.context_size.is_some() || search.location.is_some())
            {
                self.dropped.push("web_search_options".to_owned());
            }
        } else {
            drop_search(request, self.dropped);
        }
        if offered.is_empty() && past.is_none() && schema.is_none() && system.is_empty() {
            return false;
        }
        if is_none && schema.is_none() && !offered.is_empty() {
            self.dropped.push("tool_choice".to_owned());
        }
        let name = match &request.tool_choice {
            Some(ToolChoice::Tool(name)) => name.decode(),
            _ => "".into(),
        };
        let choice = self.choice(request, schema, &name).filter(|_| !offered.is_empty() || schema.is_some());
        let is_auto = matches!(choice, None | Some(Choice::Auto));
        let one_by_one = request.parallel_tool_calls == Some(false) && !offered.is_empty() && !is_none;
        if one_by_one && !(is_auto && self.model.one_by_one) {
            self.dropped.push("parallel_tool_calls".to_owned());
        }
        w.name("toolConfig").object(|w| {
            w.name("tools").array(|w| {
                offered.iter().for_each(|tool| self.tool(tool, w));
                for name in &system {
                    w.object(|w| w.name("systemTool").object(|w| w.field("name", name)));
                }
                past.into_iter().flatten().for_each(|name| self.spec(&name, None, None, false, w));
                if let Some(emulation) = schema {
                    let (name, description) = (Str::plain(structured::NAME), emulation.description());
                    self.spec(&name, Some(&Str::plain(&description)), Some(emulation.schema), false, w);
                }
            });
            if let Some(choice) = choice.filter(|_| !one_by_one || !is_auto || !self.model.one_by_one) {
                w.name("toolChoice").object(|w| match choice {
                    Choice::Auto => w.name("auto").object(|_| ()),
                    Choice::Any => w.name("any").object(|_| ()),
                    Choice::Tool(name) => w.name("tool").object(|w| w.field("name", name)),
                });
            }
        });
        one_by_one && is_auto && self.model.one_by_one
    }

    /// Not every model can be made to call a tool.
    fn choice<'c>(
        &mut self,
        request: &Request<'_>,
        schema: Option<&Emulation<'_>>,
        name: &'c str,
    ) -> Option<Choice<'c>> {
        if let Some(Emulation { beside_others, .. }) = schema {
            return Some(if *beside_others { Choice::Any } else { Choice::Tool(structured::NAME) });
        }
        let choice = match &request.tool_choice {
            None | Some(ToolChoice::None) => return None,
            Some(ToolChoice::Auto) => Choice::Auto,
            Some(ToolChoice::Required) => Choice::Any,
            Some(ToolChoice::Tool(_)) => Choice::Tool(name),
        };
        match (choice, self.model.forced) {
            (Choice::Auto, Forced::No) => None,
            (Choice::Any | Choice::Tool(_), Forced::No) => {
                self.dropped.push("tool_choice".to_owned());
                None
            }
            (Choice::Tool(_), Forced::Any) => {
                self.dropped.push("tool_choice".to_owned());
                Some(Choice::Any)
            }
            (choice, _) => Some(choice),
        }
    }

    fn tool(&mut self, tool: &Tool<'_>, w: &mut Writer<'_>) {
        let strict = tool.strict == Some(true);
        if strict && !self.model.schemas {
            self.dropped.push("tools.strict".to_owned());
        }
        let description = tool.description.as_ref().filter(|text| !text.is_empty());
        self.spec(&tool.name, description, tool.parameters, strict && self.model.schemas, w);
        self.cache_point(tool.cache, "tools.cache_control", Caches::Tools, w);
    }

    fn spec(
        &self,
        name: &Str<'_>,
        description: Option<&Str<'_>>,
        schema: Option<Value<'_>>,
        strict: bool,
        w: &mut Writer<'_>,
    ) {
        w.object(|w| {
            w.name("toolSpec").object(|w| {
                w.field("name", name);
                w.field_some("description", &description);
                w.name("inputSchema").object(|w| w.field("json", &Schema(schema)));
                if strict {
                    w.field("strict", &true);
                }
            });
        });
    }
}

/// The name in `{"systemTool": {"name": "nova_grounding"}}`, a tool that Bedrock runs itself:
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_SystemTool.html>
fn system_tool<'a>(tool: &ServerTool<'a>) -> Option<Str<'a>> {
    tool.value.path(&["systemTool", "name"]).and_then(Value::as_str)
}

/// The names of the tools that were called in the conversation, each once; `None` if it has nothing to do with tools.
fn past_calls<'a>(request: &Request<'a>) -> Option<Vec<Str<'a>>> {
    let mut names: Vec<Str<'a>> = Vec::new();
    let mut results = false;
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolCall(call) if !names.contains(&call.name) => names.push(call.name.clone()),
            Part::ToolResult { .. } => results = true,
            _ => {}
        }
    }
    if names.is_empty() && results {
        names.push(Str::plain("tool"));
    }
    (!names.is_empty()).then_some(names)
}

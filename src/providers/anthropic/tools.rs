//! `tools` and `tool_choice`: the client's tools, those that Anthropic runs itself, and the one that stands for a schema.
//!
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools>

use super::super::Dropped;
use super::super::others::drop_tools;
use super::super::pieces::Schema;
use super::super::structured::{self, Emulation};
use super::models::Model;
use crate::chat::{Request, ServerTool, Tool, ToolChoice, WebSearch};
use crate::json::{Str, Writer};

/// Writes both, and names what cannot be had in `dropped`.
pub(super) fn write(
    request: &Request<'_>,
    model: &Model,
    schema: Option<&Emulation<'_>>,
    dropped: &mut Dropped,
    w: &mut Writer<'_>,
) {
    drop_tools(request, is_known, dropped);
    let own = || request.server_tools.iter().filter(|tool| is_known(tool));
    let is_empty = request.tools.is_empty() && own().next().is_none() && request.web_search.is_none();
    if is_empty && schema.is_none() {
        return;
    }
    w.name("tools").array(|w| {
        request.tools.iter().for_each(|tool| write_tool(tool, model, dropped, w));
        own().for_each(|tool| w.value(&tool.value));
        if let Some(search) = &request.web_search {
            write_search(search, w);
        }
        if let Some(emulation) = schema {
            w.object(|w| {
                w.field("name", structured::NAME);
                w.field("description", &emulation.description());
                w.field("input_schema", &emulation.schema);
            });
        }
    });
    let one_by_one = request.parallel_tool_calls == Some(false);
    let (kind, name) = match (&request.tool_choice, schema) {
        (_, Some(Emulation { beside_others: true, .. })) => ("any", None),
        (_, Some(_)) => ("tool", Some(Str::plain(structured::NAME))),
        (Some(ToolChoice::Required | ToolChoice::Tool(_)), None) if !model.forced_tools => {
            dropped.push("tool_choice".to_owned());
            ("auto", None)
        }
        (Some(ToolChoice::Required), None) => ("any", None),
        (Some(ToolChoice::Tool(name)), None) => ("tool", Some(name.borrow())),
        (Some(ToolChoice::None), None) => ("none", None),
        (Some(ToolChoice::Auto), None) => ("auto", None),
        (None, None) if one_by_one => ("auto", None),
        (None, None) => return,
    };
    w.name("tool_choice").object(|w| {
        w.field("type", kind);
        w.field_some("name", &name);
        if one_by_one && kind != "none" {
            w.field("disable_parallel_tool_use", &true);
        }
    });
}

fn write_tool(tool: &Tool<'_>, model: &Model, dropped: &mut Dropped, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("name", &tool.name);
        w.field_some("description", &tool.description);
        w.field("input_schema", &Schema(tool.parameters));
        match tool.strict {
            Some(true) if model.schemas => w.field("strict", &true),
            Some(true) => dropped.push("tools.strict".to_owned()),
            _ => {}
        }
        w.field_some("cache_control", &tool.cache);
    });
}

/// Whether it is Anthropic's: all of them have the day of their version in their type, but the toolset of an MCP server.
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference>
fn is_known(tool: &ServerTool<'_>) -> bool {
    let kind = tool.kind.decode();
    let is_dated =
        |(name, day): (&str, &str)| !name.is_empty() && day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
    kind == "mcp_toolset" || kind.rsplit_once('_').is_some_and(is_dated)
}

/// How often may be searched, for how much is to be read: LiteLLM's.
const SEARCHES: &[(&str, u64)] = &[("low", 1), ("medium", 5), ("high", 10)];

/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool#tool-definition>
fn write_search(search: &WebSearch<'_>, w: &mut Writer<'_>) {
    let size = search.context_size.as_ref();
    let most = size.and_then(|size| SEARCHES.iter().find(|(word, _)| *size == **word)).map(|(_, most)| *most);
    w.object(|w| {
        w.field("type", "web_search_20250305");
        w.field("name", "web_search");
        w.field_some("max_uses", &most);
        let known = |name: &str| search.location.and_then(|place| place.get(name)).filter(|value| !value.is_null());
        let parts = ["city", "region", "country", "timezone"].map(|name| (name, known(name)));
        if parts.iter().any(|(_, value)| value.is_some()) {
            w.name("user_location").object(|w| {
                w.field("type", "approximate");
                parts.iter().for_each(|(name, value)| w.field_some(name, value));
            });
        }
    });
}

//! Functions that the model may call: `tools` and `toolConfig`.
//!
//! <https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes>

use super::super::Dropped;
use super::super::others::drop_tools;
use super::schema::Schema;
use crate::chat::{Request, ServerTool, ToolChoice};
use crate::json::{Kind, Value, Writer};

/// Writes both, and names what cannot be had in `dropped`.
pub(super) fn write(request: &Request<'_>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    if request.parallel_tool_calls == Some(false) {
        dropped.push("parallel_tool_calls".to_owned());
    }
    drop_tools(request, |tool| own(tool).is_some(), dropped);
    if let Some(search) = &request.web_search {
        for (is_said, name) in [
            (search.context_size.is_some(), "web_search_options.search_context_size"),
            (search.location.is_some(), "web_search_options.user_location"),
        ] {
            dropped.extend(is_said.then(|| name.to_owned()));
        }
    }
    let mut own = request.server_tools.iter().filter_map(own).peekable();
    if request.tools.is_empty() && request.web_search.is_none() && own.peek().is_none() {
        return;
    }
    w.name("tools").array(|w| {
        if request.web_search.is_some() {
            w.object(|w| w.name("googleSearch").object(|_| ()));
        }
        own.for_each(|(name, settings)| {
            w.object(|w| match settings {
                Some(settings) => w.field(name, &settings),
                None => w.name(name).object(|_| ()),
            });
        });
        if request.tools.is_empty() {
            return;
        }
        w.object(|w| {
            w.name("functionDeclarations").array(|w| {
                for tool in &request.tools {
                    w.object(|w| {
                        w.field("name", &tool.name);
                        w.field_some("description", &tool.description);
                        w.field_some("parametersJsonSchema", &Schema::parameters(tool.parameters));
                    });
                }
            });
        });
    });
    if request.tools.is_empty() {
        return;
    }
    let (mode, name) = match &request.tool_choice {
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Tool(name)) => ("ANY", Some(name)),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Auto) => ("AUTO", None),
        None => ("", None),
    };
    // "ANY: ... guarantees function schema adherence", which AUTO does not.
    if mode != "ANY" && mode != "NONE" && request.tools.iter().any(|tool| tool.strict == Some(true)) {
        dropped.push("tools.strict".to_owned());
    }
    if !mode.is_empty() {
        w.name("toolConfig").object(|w| {
            w.name("functionCallingConfig").object(|w| {
                w.field("mode", mode);
                if let Some(name) = name {
                    w.name("allowedFunctionNames").array(|w| w.value(name));
                }
            });
        });
    }
}

/// Google's own tools: as its documents spell them for one language and the other, and as they go out.
/// <https://ai.google.dev/api/caching#Tool>,
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Tool>
const OWN: &[(&str, &str)] = &[
    ("google_search", "googleSearch"),
    ("google_search_retrieval", "googleSearchRetrieval"),
    ("enterprise_web_search", "enterpriseWebSearch"),
    ("google_maps", "googleMaps"),
    ("url_context", "urlContext"),
    ("code_execution", "codeExecution"),
    ("computer_use", "computerUse"),
    ("file_search", "fileSearch"),
    ("retrieval", "retrieval"),
];

/// `{"google_search": {}}` or `{"type": "google_search"}`: the name by which it goes out, and its settings.
fn own<'a>(tool: &ServerTool<'a>) -> Option<(&'static str, Option<Value<'a>>)> {
    let (plain, name) = OWN.iter().find(|(plain, name)| tool.kind == **plain || tool.kind == **name)?;
    let settings = tool.value.get(plain).or_else(|| tool.value.get(name));
    Some((name, settings.filter(|settings| settings.kind() == Kind::Object)))
}

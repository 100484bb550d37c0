//! Functions that the model may call: `tools` and `toolConfig`.
//!
//! <https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes>

use super::super::Dropped;
use super::schema::Schema;
use crate::chat::{Request, ToolChoice};
use crate::json::Writer;

/// Writes both, and names what cannot be had in `dropped`.
pub(super) fn write(request: &Request<'_>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    if request.parallel_tool_calls == Some(false) {
        dropped.push("parallel_tool_calls".to_owned());
    }
    if request.tools.is_empty() {
        return;
    }
    w.name("tools").array(|w| {
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

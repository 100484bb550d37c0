"""The shape of each provider's requests, as its official SDK has it."""

import functools
import typing

import botocore.session
import botocore.validate
from anthropic.types import message_create_params as anthropic_params
from cohere.v2.client import V2Client
from google.genai import types as google
from mistralai.client import models as mistral
from ollama import _types as ollama
from openai.types.chat import completion_create_params as openai_params
import typing_extensions

from shape import members, problems


def of_typed_dict(body, streaming, plain, **further):
    kind = streaming if body.get("stream") else plain
    return problems(body, kind, **further)


def anthropic(body):
    """The SDK has no types for these any more, since the newest models refuse them; those before 4.7 take them.
    https://platform.claude.com/docs/en/about-claude/models/migration-guide"""
    samplers = {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body}
    body = {name: value for name, value in body.items() if name not in samplers}
    wrong = [p for name, value in samplers.items() for p in problems(value, float, f"$.{name}")]
    return wrong + of_typed_dict(
        body, anthropic_params.MessageCreateParamsStreaming, anthropic_params.MessageCreateParamsNonStreaming
    )


def claude_on_vertex(body):
    """`AnthropicVertex` takes `model` out of the body and puts this in."""
    wrong = [] if body.get("anthropic_version") == "vertex-2023-10-16" else ["$: no anthropic_version"]
    wrong += ["$: there is a model"] if "model" in body else []
    rest = {name: value for name, value in body.items() if name != "anthropic_version"}
    return wrong + anthropic({**rest, "model": "claude"})


def azure(body):
    return of_typed_dict(
        body, openai_params.CompletionCreateParamsStreaming, openai_params.CompletionCreateParamsNonStreaming
    )


@functools.cache
def converse():
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def bedrock(body):
    """By botocore's own checks, which know minima and patterns' lengths too; the model is in the path."""
    report = botocore.validate.ParamValidator().validate({**body, "modelId": "m"}, converse())
    wrong = report.generate_report().splitlines() if report.has_errors() else []
    # Only with a prompt of Bedrock's own there need be none.
    return wrong + ([] if body.get("messages") else ["$: `messages` is missing"])


def cohere(body):
    method = V2Client.chat_stream if body.get("stream") else V2Client.chat
    hints = typing_extensions.get_type_hints(method, include_extras=True)
    known = {name: kind for name, kind in hints.items() if name not in ("return", "request_options")}
    rest = {name: value for name, value in body.items() if name != "stream"}
    wrong = [f"$: unknown member `{name}`" for name in rest if name not in known]
    wrong += [f"$: `{name}` is missing" for name in ("model", "messages") if name not in rest]
    return wrong + [p for n, v in rest.items() if n in known for p in problems(v, known[n], f"$.{n}")]


GEMINI = {
    "contents": list[google.Content],
    "systemInstruction": google.Content,
    "tools": list[google.Tool],
    "toolConfig": google.ToolConfig,
    "generationConfig": google.GenerationConfig,
    "safetySettings": list[google.SafetySetting],
    "cachedContent": str,
}


def gemini(body):
    known = {**GEMINI, "serviceTier": google.ServiceTier}
    return of_google(body, known)


def vertex(body):
    return of_google(body, {**GEMINI, "labels": dict[str, str]})


def of_google(body, known):
    wrong = [f"$: unknown member `{name}`" for name in body if name not in known]
    wrong += [] if body.get("contents") else ["$: no contents"]
    return wrong + [p for n, v in body.items() if n in known for p in problems(v, known[n], f"$.{n}")]


def mistral_chat(body):
    kind = mistral.ChatCompletionStreamRequest if body.get("stream") else mistral.ChatCompletionRequest
    return problems(body, kind, free={"FunctionParameters"})


# The server has them, and the SDK not yet: https://github.com/ollama/ollama/blob/main/api/types.go
OLLAMA_KNOWS = ("unknown member `tool_call_id` (Message)", "unknown member `id` (ToolCall)")


def ollama_chat(body):
    """`messages` may be any mapping for the SDK, which then makes them its `Message`s; its `Parameters` are those that it
    makes of Python functions, where the server takes any schema."""
    known, _ = members(ollama.ChatRequest)
    known = {**known, "messages": typing.Sequence[ollama.Message]}
    images = [image for message in body.get("messages", []) for image in message.get("images", [])]
    if "messages" in body:
        body = {**body, "messages": [{n: v for n, v in m.items() if n != "images"} for m in body["messages"]]}
    wrong = [f"$: unknown member `{name}`" for name in body if name not in known]
    wrong += [f"$: `{name}` is missing" for name in ("model", "messages", "stream") if name not in body]
    # `Image` is the SDK's way to say a file, a path or this.
    wrong += [p for image in images for p in problems(image, bytes, "$.messages.images")]
    free = {"Parameters", "JsonSchemaValue"}
    wrong += [p for n, v in body.items() if n in known for p in problems(v, known[n], f"$.{n}", free)]
    return [p for p in wrong if not p.endswith(OLLAMA_KNOWS)]


def of(kind, model):
    """The check for bodies to that model."""
    if kind == "vertex":
        return claude_on_vertex if model.startswith("claude") else vertex
    return {
        "anthropic": anthropic,
        "azure-openai": azure,
        "bedrock": bedrock,
        "cohere": cohere,
        "gemini": gemini,
        "mistral": mistral_chat,
        "ollama": ollama_chat,
    }[kind]

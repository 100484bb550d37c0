"""The official OpenAI SDK, with only its base URL changed, against each kind of provider."""

import asyncio
import base64
import json
import struct
import zlib

import openai
import pytest
from pydantic import BaseModel

from conftest import EMBEDDINGS, FAILURES, KINDS, MODES, before

QUESTION = "Say something of a dozen words or so, one after the other, please."
ANSWER = f"Mock answer to: {QUESTION}"


def user(content=QUESTION):
    return [{"role": "user", "content": content}]


def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


# Chat.


def test_chat(client, kind):
    answer = client.chat.completions.create(model=kind, messages=user())
    assert answer.object == "chat.completion"
    assert answer.model == kind
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    check_usage(answer.usage)


def test_conversation(client, kind):
    answer = client.chat.completions.create(
        model=kind,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": "Hello to you."},
            *user(),
        ],
        temperature=0.5,
        top_p=0.9,
        stop=["never said"],
    )
    assert answer.choices[0].message.content == ANSWER


def test_max_tokens(client, kind):
    answer = client.chat.completions.create(model=kind, messages=user(), max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    assert ANSWER.startswith(answer.choices[0].message.content)


def without_findings(chunks):
    """Azure begins with a chunk that has only what its filter found, which passes as it is."""
    return [chunk for chunk in chunks if not (chunk.model_extra or {}).get("prompt_filter_results")]


def test_stream(client, kind):
    chunks = without_findings(client.chat.completions.create(model=kind, messages=user(), stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.model for chunk in chunks} == {kind}
    assert len({chunk.id for chunk in chunks}) == 1
    assert text_of(chunks) == ANSWER
    assert sum(1 for chunk in chunks if text_of([chunk])) > 3, "it came in one piece"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]


async def test_async_chat(async_client, kind):
    answer = await async_client.chat.completions.create(model=kind, messages=user())
    assert answer.choices[0].message.content == ANSWER


async def test_async_stream(async_client, kind):
    stream = await async_client.chat.completions.create(model=kind, messages=user(), stream=True)
    assert text_of([chunk async for chunk in stream]) == ANSWER


async def test_many_at_once(async_client, kind):
    async def ask(n):
        stream = await async_client.chat.completions.create(model=kind, messages=user(f"Number {n}."), stream=True)
        return text_of([chunk async for chunk in stream])

    answers = await asyncio.gather(*map(ask, range(20)))
    assert answers == [f"Mock answer to: Number {n}." for n in range(20)]


def test_models(client):
    listed = {model.id for model in client.models.list()}
    assert listed >= set(KINDS)


# Usage.


def check_usage(usage):
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_usage_of_a_stream_that_asks(client, kind):
    chunks = client.chat.completions.create(
        model=kind, messages=user(), stream=True, stream_options={"include_usage": True}
    )
    *others, last = without_findings(chunks)
    # Mistral tells it with the end of the choice, OpenAI after that.
    assert [choice.finish_reason for choice in last.choices] == (["stop"] if kind == "mistral" else [])
    check_usage(last.usage)
    assert all(chunk.usage is None and chunk.choices for chunk in others)


def test_no_usage_of_a_stream_that_does_not_ask(client, kind):
    for chunk in without_findings(client.chat.completions.create(model=kind, messages=user(), stream=True)):
        assert chunk.usage is None
        assert chunk.choices


# Tools.


def tool(name):
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Tells the {name.removeprefix('get_')} of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }


TOOLS = [tool("get_weather"), tool("get_time")]
WEATHER = "What is the weather in Paris?"


def check_calls(calls, names):
    assert [call.function.name for call in calls] == names
    assert [call.type for call in calls] == ["function"] * len(names)
    assert len({call.id for call in calls}) == len(names)
    for call in calls:
        assert call.id
        assert list(json.loads(call.function.arguments)) == ["city"]


def test_tool_call(client, kind):
    answer = client.chat.completions.create(model=kind, messages=user(WEATHER), tools=TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"
    check_calls(answer.choices[0].message.tool_calls, ["get_weather"])


def test_parallel_tool_calls(client, kind):
    answer = client.chat.completions.create(model=f"{kind}-two-calls", messages=user(WEATHER), tools=TOOLS)
    check_calls(answer.choices[0].message.tool_calls, ["get_weather", "get_time"])


def test_tools_that_must_not_be_called(client, kind):
    answer = client.chat.completions.create(model=kind, messages=user(WEATHER), tools=TOOLS, tool_choice="none")
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"


def test_a_tool_that_must_be_called(client, kind):
    choice = {"type": "function", "function": {"name": "get_time"}}
    raw = client.chat.completions.with_raw_response.create(
        model=kind, messages=user(), tools=TOOLS, tool_choice=choice
    )
    answer = raw.parse()
    if kind == "ollama":
        # Its models cannot be made to, and this one does not want to.
        assert raw.headers["x-gateway-dropped"] == "tool_choice"
        assert answer.choices[0].message.content == ANSWER
        return
    check_calls(answer.choices[0].message.tool_calls, ["get_time"])


def test_streamed_tool_calls(client, kind):
    """Accumulated by hand, as many programs do: id and name once, indexes from 0, arguments in pieces."""
    calls = {}
    reasons = []
    stream = client.chat.completions.create(
        model=f"{kind}-two-calls", messages=user(WEATHER), tools=TOOLS, stream=True
    )
    for chunk in stream:
        for choice in chunk.choices:
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for delta in choice.delta.tool_calls or []:
                if delta.index not in calls:
                    assert delta.id and delta.function.name
                    calls[delta.index] = {"id": delta.id, "name": delta.function.name, "arguments": ""}
                else:
                    assert not delta.id and not delta.function.name
                calls[delta.index]["arguments"] += delta.function.arguments or ""
    assert list(calls) == [0, 1]
    assert [call["name"] for call in calls.values()] == ["get_weather", "get_time"]
    assert all(list(json.loads(call["arguments"])) == ["city"] for call in calls.values())
    assert reasons == ["tool_calls"]


@pytest.mark.parametrize("mode", MODES)
def test_tool_results(client, kind, mode):
    question = user(WEATHER)
    asked = client.chat.completions.create(model=f"{kind}-two-calls", messages=question, tools=TOOLS)
    message = asked.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": said}
        for call, said in zip(message.tool_calls, ["rain", "noon"], strict=True)
    ]
    answer = client.chat.completions.create(
        model=kind,
        messages=[*question, message.model_dump(exclude_none=True), *results],
        tools=TOOLS,
        stream=mode == "stream",
    )
    text = text_of(answer) if mode == "stream" else answer.choices[0].message.content
    assert text == "Mock answer from tools: rain; noon"


# Reasoning.

# OpenAI's models think where nobody sees it.
REASONS = [kind for kind in KINDS if "openai" not in kind]
THOUGHT = "The user wants an answer; an echo will do."


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("mode", MODES)
def test_reasoning(client, kind, mode):
    answer = client.chat.completions.create(
        model=kind, messages=user(), reasoning_effort="low", stream=mode == "stream"
    )
    if mode == "stream":
        deltas = [choice.delta for chunk in answer for choice in chunk.choices]
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        text = "".join(delta.content or "" for delta in deltas)
    else:
        thought, text = answer.choices[0].message.reasoning_content, answer.choices[0].message.content
    assert (thought, text) == (THOUGHT, ANSWER)


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("sent_back", ["all", "what OpenAI has"])
def test_reasoning_and_tools_over_three_turns(client, kind, sent_back):
    """The mock checks the signatures of thoughts, as the providers do. A client that drops what it does not know still goes on."""
    messages = user(WEATHER)
    asked = {"tools": TOOLS, "reasoning_effort": "low"}

    def say(model, **more):
        answer = client.chat.completions.create(model=model, messages=messages, **asked, **more)
        said = answer.choices[0].message
        kept = said.model_dump(exclude_none=True)
        if sent_back != "all":
            kept = {name: kept[name] for name in ("role", "content", "tool_calls") if name in kept}
        messages.append(kept)
        return said

    calls = say(f"{kind}-two-calls").tool_calls
    check_calls(calls, ["get_weather", "get_time"])
    for call, result in zip(calls, ["rain", "noon"], strict=True):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert say(kind).content == "Mock answer from tools: rain; noon"
    messages.extend(user())
    assert say(kind).content == ANSWER


@pytest.mark.parametrize("id", ["get_weather_" + "x" * 60, "call:1/odd", "9"])
def test_history_of_another_provider(client, kind, id):
    """Ids that one provider gave are not what the next one takes."""
    call = {"id": id, "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    messages = [
        *user(),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": "noon"},
    ]
    answer = client.chat.completions.create(model=kind, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == "Mock answer from tools: noon"


# The SDK's helpers.


class Forecast(BaseModel):
    city: str
    celsius: int


def test_parse(client, kind):
    answer = client.chat.completions.parse(model=kind, messages=user(), response_format=Forecast)
    assert isinstance(answer.choices[0].message.parsed, Forecast)


def test_parse_tool_arguments(client, kind):
    tools = [openai.pydantic_function_tool(Forecast, name="get_weather")]
    answer = client.chat.completions.parse(model=kind, messages=user(WEATHER), tools=tools)
    assert isinstance(answer.choices[0].message.tool_calls[0].function.parsed_arguments, Forecast)


async def test_async_parse(async_client, kind):
    answer = await async_client.chat.completions.parse(model=kind, messages=user(), response_format=Forecast)
    assert isinstance(answer.choices[0].message.parsed, Forecast)


def test_stream_helper(client, kind):
    with client.chat.completions.stream(model=kind, messages=user()) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == ANSWER
    assert [event.content for event in events if event.type == "content.done"] == [ANSWER]
    assert final.choices[0].message.content == ANSWER


def test_stream_helper_with_structure(client, kind):
    with client.chat.completions.stream(model=kind, messages=user(), response_format=Forecast) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Forecast)


def test_stream_helper_with_tools(client, kind):
    strict = [{**each, "function": {**each["function"], "strict": True}} for each in TOOLS]
    with client.chat.completions.stream(model=f"{kind}-two-calls", messages=user(WEATHER), tools=strict) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    # Mistral sends its calls whole and together with the end, where the helper looks for the end first and misses the last.
    assert [event.name for event in done] == ["get_weather", "get_time"][: 1 if kind == "mistral" else 2]
    check_calls(final.choices[0].message.tool_calls, ["get_weather", "get_time"])


async def test_async_stream_helper(async_client, kind):
    async with async_client.chat.completions.stream(model=kind, messages=user()) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == ANSWER


# Images.


def pixel():
    """A PNG of one red pixel."""

    def part(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0\xff\0\0")) + part(b"IEND", b"")
    )


def image_url():
    return "data:image/png;base64," + base64.b64encode(pixel()).decode()


def test_image(client, kind):
    content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": image_url()}}]
    answer = client.chat.completions.create(model=kind, messages=user(content))
    assert answer.choices[0].message.content == ANSWER


# Embeddings.


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_embeddings(client, kind):
    texts = ["one two", "three"]
    # The SDK asks for base64, unless told not to.
    answer = client.embeddings.create(model=f"{kind}-embeddings", input=texts)
    plain = client.embeddings.create(model=f"{kind}-embeddings", input=texts, encoding_format="float")
    assert [item.index for item in answer.data] == [0, 1]
    for item, other in zip(answer.data, plain.data, strict=True):
        assert sum(number * number for number in item.embedding) == pytest.approx(1, abs=1e-3)
        assert item.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert answer.data[0].embedding != answer.data[1].embedding
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 3


# Errors.


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model", messages=user())
    assert raised.value.code == "model_not_found"
    assert raised.value.type == "invalid_request_error"
    assert "no-such-model" in raised.value.message


@pytest.mark.parametrize("mode", MODES)
def test_bad_request_by_the_providers_word(client, kind, mode):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=f"{kind}-rejects", messages=user(), stream=mode == "stream")
    assert raised.value.type == "invalid_request_error"
    assert raised.value.body["message"]


def test_bad_request_by_its_form(client, kind):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=kind, messages=user(), extra_body={"messages": 5})
    assert raised.value.type == "invalid_request_error"


def test_rate_limit(client, kind):
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=f"{kind}-limited", messages=user())
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("mode", MODES)
def test_provider_down(client, kind, mode):
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=f"{kind}-down", messages=user(), stream=mode == "stream")
    assert raised.value.status_code == 503


def test_the_gateways_own_key_is_refused(client, kind):
    """Not the client's fault, and no 401 for it."""
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=f"{kind}-locked", messages=user())
    assert raised.value.status_code == 502
    assert raised.value.code == "upstream_authentication_failed"


# Fallback, from the other kind of provider to this one.


def check_fallback(client, kind, mode, model, **more):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=user(), stream=mode == "stream", **more
    )
    answer = raw.parse()
    text = text_of(answer) if mode == "stream" else answer.choices[0].message.content
    assert text == ANSWER
    assert raw.headers["x-gateway-attempts"] == "2"
    assert raw.headers["x-gateway-provider"] == kind


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("failure", FAILURES)
def test_fallback(client, kind, failure, mode):
    check_fallback(client, kind, mode, f"{kind}-after-{failure}-{mode}")


def test_fallback_by_the_clients_word(client, kind):
    check_fallback(client, kind, "whole", f"{kind}-told", extra_headers={f"x-mock-{before(kind)}": "status=503"})


def test_no_fallback_where_none_is_needed(client, kind):
    raw = client.chat.completions.with_raw_response.create(model=kind, messages=user())
    assert raw.headers["x-gateway-attempts"] == "1"
    assert raw.headers["x-gateway-provider"] == kind


# Streams that break after their first words.


@pytest.mark.parametrize("how", ["ends", "cut"])
def test_broken_stream(client, kind, how):
    chunks = []
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(model=f"{kind}-{how}", messages=user(), stream=True):
            chunks.append(chunk)
    assert text_of(chunks) and ANSWER.startswith(text_of(chunks)) and text_of(chunks) != ANSWER
    assert not any(choice.finish_reason for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize("how", ["ends", "cut"])
async def test_broken_async_stream(async_client, kind, how):
    stream = await async_client.chat.completions.create(model=f"{kind}-{how}", messages=user(), stream=True)
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass

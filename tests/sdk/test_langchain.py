"""LangChain's `ChatOpenAI`, with only its base URL changed, against each kind of provider."""

import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from conftest import KINDS
from test_openai import ANSWER, QUESTION, WEATHER, image_url


@tool
def get_weather(city: str) -> str:
    """Tells the weather of a city."""
    return "rain"


@tool
def get_time(city: str) -> str:
    """Tells the time in a city."""
    return "noon"


class Forecast(BaseModel):
    """The weather to come."""

    city: str
    celsius: int


@pytest.fixture
def chat(gateway):
    def make(model, **more):
        return ChatOpenAI(
            model=model, base_url=f"{gateway}/v1", api_key="none", max_retries=0, timeout=20, stream_usage=True, **more
        )

    return make


def test_invoke(chat, kind):
    answer = chat(kind).invoke(QUESTION)
    assert answer.content == ANSWER
    assert answer.response_metadata["finish_reason"] == "stop"
    usage = answer.usage_metadata
    assert usage["input_tokens"] > 0 and usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_stream(chat, kind):
    chunks = list(chat(kind).stream(QUESTION))
    assert sum(1 for chunk in chunks if chunk.content) > 3, "it came in one piece"
    whole = sum(chunks[1:], chunks[0])
    assert whole.content == ANSWER
    assert whole.usage_metadata["output_tokens"] > 0


async def test_async(chat):
    """All in one test, and so in one event loop: LangChain keeps its connections beyond the loop they belong to."""
    for kind in KINDS:
        assert (await chat(kind).ainvoke(QUESTION)).content == ANSWER
        assert "".join([chunk.content async for chunk in chat(kind).astream(QUESTION)]) == ANSWER


@pytest.mark.parametrize("streamed", [False, True])
def test_tool_loop(chat, kind, streamed):
    """Two turns: LangChain sends back what it understood of the first, and nothing else."""
    model = chat(f"{kind}-two-calls").bind_tools([get_weather, get_time])
    messages = [HumanMessage(WEATHER)]
    if streamed:
        chunks = list(model.stream(messages))
        said = sum(chunks[1:], chunks[0])
        assert isinstance(said, AIMessageChunk)
    else:
        said = model.invoke(messages)
    assert [call["name"] for call in said.tool_calls] == ["get_weather", "get_time"]
    tools = {each.name: each for each in (get_weather, get_time)}
    results = [tools[call["name"]].invoke(call) for call in said.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    assert model.invoke([*messages, said, *results]).content == "Mock answer from tools: rain; noon"


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat, kind, method):
    if (kind, method) == ("ollama", "function_calling"):
        pytest.skip("Ollama's models cannot be made to call a tool: `tool_choice` is named in x-gateway-dropped")
    assert isinstance(chat(kind).with_structured_output(Forecast, method=method).invoke(QUESTION), Forecast)


def test_image(chat, kind):
    content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": image_url()}}]
    assert chat(kind).invoke([HumanMessage(content)]).content == ANSWER


def test_errors(chat, kind):
    for name, error in [
        ("rejects", openai.BadRequestError),
        ("limited", openai.RateLimitError),
        ("down", openai.InternalServerError),
    ]:
        with pytest.raises(error):
            chat(f"{kind}-{name}").invoke(QUESTION)


@pytest.mark.parametrize("how", ["ends", "cut"])
def test_broken_stream(chat, kind, how):
    chunks = []
    with pytest.raises(Exception):  # LangChain lets those of the SDK and of its HTTP client through.
        for chunk in chat(f"{kind}-{how}").stream(QUESTION):
            chunks.append(chunk.content)
    assert "".join(chunks) and ANSWER.startswith("".join(chunks)) and "".join(chunks) != ANSWER

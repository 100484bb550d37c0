// The official OpenAI SDK for Node, with only its base URL changed, against each kind of provider.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";

import { ANSWER, BASE_URL, City, Forecast, KINDS, PIXEL, QUESTION, RESULTS, WEATHER } from "./shared.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: "none", maxRetries: 0, timeout: 20_000 });
const user = (content = QUESTION) => [{ role: "user", content }];
const tools = ["get_weather", "get_time"].map((name) => zodFunction({ name, parameters: City }));

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

for (const kind of KINDS) {
  describe(kind, { concurrency: true }, () => {
    test("text", async () => {
      const answer = await client.chat.completions.create({ model: kind, messages: user() });
      assert.equal(answer.choices[0].message.content, ANSWER);
      assert.equal(answer.choices[0].finish_reason, "stop");
      assert.ok(answer.usage.prompt_tokens > 0);
      assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    });

    test("stream with usage", async () => {
      const chunks = await collect(
        await client.chat.completions.create({
          model: kind,
          messages: user(),
          stream: true,
          stream_options: { include_usage: true },
        }),
      );
      assert.equal(textOf(chunks), ANSWER);
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
      assert.ok(chunks.at(-1).usage.completion_tokens > 0);
    });

    test("image", async () => {
      const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
      const content = [{ type: "text", text: QUESTION }, image];
      const answer = await client.chat.completions.create({ model: kind, messages: user(content) });
      assert.equal(answer.choices[0].message.content, ANSWER);
    });

    test("structured output", async () => {
      const answer = await client.chat.completions.parse({
        model: kind,
        messages: user(),
        response_format: zodResponseFormat(Forecast, "forecast"),
      });
      assert.deepEqual(Object.keys(answer.choices[0].message.parsed), ["city", "celsius"]);
    });

    test("the stream helper puts parallel calls together, and their results are answered", async () => {
      const messages = user(WEATHER);
      const stream = client.chat.completions.stream({ model: `${kind}-two-calls`, messages, tools });
      const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
      assert.equal(finish_reason, "tool_calls");
      assert.deepEqual(message.tool_calls.map((call) => call.function.name), ["get_weather", "get_time"]);
      for (const call of message.tool_calls) assert.deepEqual(Object.keys(call.function.parsed_arguments), ["city"]);
      const { parsed, ...said } = message;
      const results = message.tool_calls.map((call, n) => ({
        role: "tool",
        tool_call_id: call.id,
        content: ["rain", "noon"][n],
      }));
      const answer = await client.chat.completions.create({
        model: kind,
        messages: [...messages, said, ...results],
        tools,
      });
      assert.equal(answer.choices[0].message.content, RESULTS);
    });

    test("the tool runner comes to an end", async () => {
      const run = client.chat.completions.runTools({
        model: kind,
        messages: user(WEATHER),
        tools: [
          {
            type: "function",
            function: {
              name: "get_weather",
              parameters: City.toJSONSchema(),
              parse: JSON.parse,
              function: () => "rain",
            },
          },
        ],
      });
      assert.equal(await run.finalContent(), "Mock answer from tools: rain");
    });

    test("errors have their class", async () => {
      const ask = (name) => client.chat.completions.create({ model: `${kind}-${name}`, messages: user() });
      await assert.rejects(ask("rejects"), OpenAI.BadRequestError);
      await assert.rejects(ask("limited"), (error) => {
        assert.ok(error instanceof OpenAI.RateLimitError);
        assert.equal(error.headers.get("retry-after"), "7");
        return true;
      });
      await assert.rejects(ask("down"), OpenAI.InternalServerError);
    });

    for (const how of ["ends", "cut"]) {
      test(`a stream that breaks raises: ${how}`, async () => {
        const stream = await client.chat.completions.create({
          model: `${kind}-${how}`,
          messages: user(),
          stream: true,
        });
        const chunks = [];
        await assert.rejects(async () => {
          for await (const chunk of stream) chunks.push(chunk);
        });
        assert.ok(textOf(chunks) && ANSWER.startsWith(textOf(chunks)) && textOf(chunks) !== ANSWER);
      });
    }
  });
}

// Vercel's AI SDK, through its two providers that speak OpenAI's chat completions, against each kind of provider.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";

import { ANSWER, BASE_URL, City, Forecast, KINDS, PIXEL, QUESTION, RESULTS, WEATHER } from "./shared.mjs";

const openai = createOpenAI({ baseURL: BASE_URL, apiKey: "none" });
const compatible = createOpenAICompatible({
  name: "gateway",
  baseURL: BASE_URL,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const PROVIDERS = {
  "@ai-sdk/openai": (model) => openai.chat(model),
  "@ai-sdk/openai-compatible": (model) => compatible.chatModel(model),
};

const calling = (result) => tool({ description: "Tells it.", inputSchema: City, execute: async () => result });
const tools = { get_weather: calling("rain"), get_time: calling("noon") };
const quiet = { maxRetries: 0, onError: () => {} };

for (const [name, model] of Object.entries(PROVIDERS)) {
  for (const kind of KINDS) {
    describe(`${name} to ${kind}`, { concurrency: true }, () => {
      const ask = { model: model(kind), prompt: QUESTION, maxRetries: 0 };

      test("text", async () => {
        const { text, finishReason, usage } = await generateText(ask);
        assert.equal(text, ANSWER);
        assert.equal(finishReason, "stop");
        assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
      });

      test("stream", async () => {
        const result = streamText({ ...ask, ...quiet });
        let pieces = 0;
        for await (const _ of result.textStream) pieces += 1;
        assert.ok(pieces > 3, "it came in one piece");
        assert.equal(await result.text, ANSWER);
        assert.ok((await result.usage).outputTokens > 0);
      });

      test("image", async () => {
        const content = [
          { type: "text", text: QUESTION },
          { type: "image", image: Buffer.from(PIXEL, "base64"), mediaType: "image/png" },
        ];
        const { text } = await generateText({ model: model(kind), maxRetries: 0, messages: [{ role: "user", content }] });
        assert.equal(text, ANSWER);
      });

      test("objects", async () => {
        const { object } = await generateObject({ ...ask, schema: Forecast });
        assert.deepEqual(Object.keys(object), ["city", "celsius"]);
        const streamed = streamObject({ ...ask, ...quiet, schema: Forecast });
        for await (const _ of streamed.partialObjectStream);
        assert.deepEqual(await streamed.object, object);
      });

      // Who has results answers them: the same model serves both turns.
      const loop = { model: model(`${kind}-two-calls`), prompt: WEATHER, tools, stopWhen: stepCountIs(4), maxRetries: 0 };

      test("a loop of two turns with parallel tools", async () => {
        const { text, steps } = await generateText(loop);
        assert.deepEqual(steps[0].toolCalls.map((call) => call.toolName), ["get_weather", "get_time"]);
        assert.equal(text, RESULTS);
        assert.equal(steps.length, 2);
      });

      test("the same loop, streamed", async () => {
        const result = streamText({ ...loop, ...quiet });
        for await (const _ of result.textStream);
        assert.equal(await result.text, RESULTS);
        assert.equal((await result.steps).length, 2);
      });

      test("errors have their status", async () => {
        for (const [how, status] of Object.entries({ rejects: 400, limited: 429, down: 503 })) {
          await assert.rejects(generateText({ ...ask, model: model(`${kind}-${how}`) }), (error) => {
            assert.ok(APICallError.isInstance(error), `${error}`);
            assert.equal(error.statusCode, status);
            assert.ok(error.data.error.message);
            return true;
          });
        }
      });

      for (const how of ["ends", "cut"]) {
        test(`a stream that breaks tells of it: ${how}`, async () => {
          let text = "";
          let failed = false;
          const result = streamText({ ...ask, ...quiet, model: model(`${kind}-${how}`) });
          try {
            for await (const part of result.fullStream) {
              if (part.type === "text-delta") text += part.text;
              if (part.type === "error") failed = true;
            }
          } catch {
            failed = true;
          }
          assert.ok(failed, "nothing told of the break");
          assert.ok(text && ANSWER.startsWith(text) && text !== ANSWER, text);
        });
      }

      const REASONS = ["anthropic", "gemini", "vertex", "bedrock", "cohere", "ollama", "mistral"];
      test("reasoning is shown", { skip: !name.includes("compatible") || !REASONS.includes(kind) }, async () => {
        const providerOptions = { gateway: { reasoningEffort: "low" } };
        const { reasoningText, text } = await generateText({ ...ask, providerOptions });
        assert.match(reasoningText, /an echo will do/);
        assert.equal(text, ANSWER);
        const streamed = streamText({ ...ask, ...quiet, providerOptions });
        for await (const _ of streamed.textStream);
        assert.match(await streamed.reasoningText, /an echo will do/);
      });
    });
  }
}

// What the tests of every Node SDK have in common. GATEWAY is the gateway's address, KINDS the kinds of providers behind it:
// pytest, which runs these files, has started them.
import { z } from "zod";

export const BASE_URL = `${process.env.GATEWAY}/v1`;
export const KINDS = process.env.KINDS.split(",");

export const QUESTION = "Say something of a dozen words or so, one after the other, please.";
export const ANSWER = `Mock answer to: ${QUESTION}`;
export const WEATHER = "What is the weather in Paris?";
export const RESULTS = "Mock answer from tools: rain; noon";

export const City = z.object({ city: z.string() });
export const Forecast = z.object({ city: z.string(), celsius: z.number().int() });

// A PNG of one pixel.
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

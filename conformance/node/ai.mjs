// Vercel's AI SDK with its providers of OpenAI, of what is compatible with it, and of Anthropic, with nothing changed but `baseURL`.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { CAPITAL, STATUSES, kind, origin, tell } from './answer.mjs';

const settings = { baseURL: `${origin}/v1`, apiKey: 'unused', name: 'blindroute' };
const of = {
  chat: (name) => createOpenAI(settings).chat(name),
  responses: (name) => createOpenAI(settings).responses(name),
  compatible: (name) => createOpenAICompatible({ ...settings, includeUsage: true })(name),
  messages: (name) => createAnthropic(settings)(name),
}[kind];
const asking = { model: of('auto'), maxRetries: 0, maxOutputTokens: 100, providerOptions: { openai: { store: false } } };
const tools = {
  weather: tool({ description: 'The weather', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}` }),
};
const looping = { ...asking, tools, stopWhen: stepCountIs(3), prompt: 'The weather in Paris?' };

const about = (error) => [error.name, error.statusCode, error.data?.error?.type, error.data?.error?.message, error.responseHeaders?.['retry-after']];

async function failed(options) {
  try {
    await generateText({ ...asking, ...options });
  } catch (error) {
    return about(error);
  }
}

async function failedStream(options) {
  let seen;
  const { fullStream } = streamText({ ...asking, ...options, onError: () => {} });
  for await (const part of fullStream) {
    if (part.type === 'error') seen = about(part.error);
    if (part.type === 'finish' && part.finishReason !== 'error') seen = `ended as ${part.finishReason}`;
  }
  return seen;
}

await tell({
  whole: async () => {
    const { text, usage, finishReason } = await generateText({ ...asking, prompt: CAPITAL });
    return [text, usage.inputTokens, usage.outputTokens, finishReason];
  },
  stream: async () => {
    const result = streamText({ ...asking, prompt: CAPITAL });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    return [pieces.length > 1, pieces.join(''), await result.finishReason, (await result.usage).outputTokens];
  },
  tools: async () => {
    const { text, steps } = await generateText(looping);
    return [text, steps.map((step) => step.finishReason)];
  },
  streamed_tools: async () => {
    const result = streamText(looping);
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    return [pieces.join(''), (await result.steps).map((step) => step.finishReason)];
  },
  errors: () => Promise.all(STATUSES.map((status) => failed({ prompt: `fail with ${status} after 30` }))),
  streamed_errors: () => Promise.all(STATUSES.map((status) => failedStream({ prompt: `fail with ${status} after 30` }))),
  unknown: () => failed({ prompt: CAPITAL, model: of('none') }),
  leaving: async () => {
    const abort = new AbortController();
    const { fullStream } = streamText({ ...asking, prompt: 'speak slowly', abortSignal: abort.signal });
    let count = 0;
    for await (const part of fullStream) if (part.type === 'text-delta' && ++count === 3) abort.abort();
    return count >= 3;
  },
});

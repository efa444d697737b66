// openai-node, with nothing changed but `baseURL`.
import OpenAI from 'openai';
import { CAPITAL, STATUSES, kind, origin, tell } from './answer.mjs';

const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'unused', maxRetries: 0, timeout: 20000 });
const isChat = kind === 'chat';
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

function create(prompt, rest = {}) {
  const { input, options, ...others } = rest;
  return isChat
    ? client.chat.completions.create({ model: 'auto', messages: input ?? [{ role: 'user', content: prompt }], ...others }, options)
    : client.responses.create({ model: 'auto', input: input ?? prompt, store: false, ...others }, options);
}

const textOf = (answer) => (isChat ? answer.choices[0].message.content : answer.output_text);

async function failed(prompt, rest) {
  try {
    await create(prompt, rest);
  } catch (error) {
    return [error.constructor.name, error.status, error.type, error.error?.message, error.headers?.get('retry-after'), error.code];
  }
}

async function loop(input) {
  if (isChat) {
    const runner = client.chat.completions.runTools({
      model: 'auto',
      messages: [{ role: 'user', content: input }],
      stream: true,
      tools: [{ type: 'function', function: { name: 'weather', description: 'The weather', parameters, parse: JSON.parse, function: ({ city }) => `sunny in ${city}` } }],
    });
    return await runner.finalContent();
  }
  const tools = [{ type: 'function', name: 'weather', description: 'The weather', parameters, strict: false }];
  const said = [{ role: 'user', content: input }];
  const stream = client.responses.stream({ model: 'auto', input: said, store: false, tools });
  const [call] = (await stream.finalResponse()).output;
  said.push({ type: 'function_call', call_id: call.call_id, name: call.name, arguments: call.arguments });
  said.push({ type: 'function_call_output', call_id: call.call_id, output: `sunny in ${JSON.parse(call.arguments).city}` });
  return textOf(await create('', { input: said, tools }));
}

await tell({
  whole: async () => textOf(await create(CAPITAL)),
  headers: async () => (await create(CAPITAL).withResponse()).response.headers.get('x-blindroute-model'),
  stream: async () => {
    const pieces = [];
    let last;
    for await (const event of await create(CAPITAL, { stream: true })) {
      const piece = isChat ? event.choices[0]?.delta.content : event.type === 'response.output_text.delta' && event.delta;
      if (piece) pieces.push(piece);
      last = isChat ? (event.choices[0]?.finish_reason ?? last) : event.type;
    }
    return [pieces.length > 1, pieces.join(''), last];
  },
  tools: () => loop('The weather in Paris?'),
  errors: () => Promise.all(STATUSES.map((status) => failed(`fail with ${status} after 30`))),
  streamed_errors: () => Promise.all(STATUSES.map((status) => failed(`fail with ${status} after 30`, { stream: true }))),
  unknown: () => failed(CAPITAL, { model: 'none' }),
  models: async () => (await client.models.list()).data.map((model) => model.id),
  leaving: async () => {
    const stream = await create('speak slowly', { stream: true });
    let count = 0;
    for await (const _ of stream) if (++count === 6) break;
    return count;
  },
});

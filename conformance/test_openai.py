"""openai-python, with nothing changed but `base_url`."""

import asyncio
import functools
import json
import time

import openai
import pytest
from gateways import ALIASES
from speech import CAPITAL

PROMPT = [{"role": "user", "content": CAPITAL}]
TOOL = {"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
ERRORS = [
    (400, openai.BadRequestError, "invalid_request_error"),
    (401, openai.AuthenticationError, "authentication_error"),
    (429, openai.RateLimitError, "rate_limit_error"),
    (500, openai.InternalServerError, "server_error"),
]


@functools.cache
def of(base_url: str) -> openai.OpenAI:
    """To read the system's certificates takes a while."""
    return openai.OpenAI(base_url=base_url, api_key="unused", max_retries=0, timeout=20)


def client(at) -> openai.OpenAI:
    return of(at.base_url)


def test_a_question_is_answered(gateway):
    answer = client(gateway).chat.completions.create(model="auto", messages=PROMPT)
    assert CAPITAL in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    response = client(gateway).responses.create(model="auto", input=CAPITAL)
    assert CAPITAL in response.output_text
    with client(gateway).responses.stream(model="auto", input=CAPITAL) as stream:
        assert CAPITAL in stream.get_final_response().output_text


def test_through_each_dialect(translating):
    answer = client(translating).chat.completions.create(model="auto", messages=PROMPT)
    assert CAPITAL in answer.choices[0].message.content


def test_headers_say_what_was_chosen(case):
    raw = client(case).chat.completions.with_raw_response.create(model="auto", messages=PROMPT)
    said = {name: raw.headers[f"x-blindroute-{name}"] for name in ("model", "why", "placement", "fallback")}
    assert said == {"model": "model", "why": "routed", "placement": "local", "fallback": "false"}
    assert raw.headers["x-blindroute-router"] and float(raw.headers["x-blindroute-cost"]) > 0
    assert raw.parse().usage.prompt_tokens == 11
    assert case.provider.wait().body["model"] == "large-2026"
    named = client(case).chat.completions.with_raw_response.create(model="model", messages=PROMPT)
    assert named.headers["x-blindroute-why"] == "named"


def test_a_stream_of_chat(case):
    parts = list(client(case).chat.completions.create(model="auto", messages=PROMPT, stream=True))
    assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == f"You said: {CAPITAL}"
    assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == "stop"
    assert all(part.usage is None for part in parts)
    with client(case).chat.completions.stream(model="auto", messages=PROMPT, stream_options={"include_usage": True}) as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_completion()
    assert seen.count("content.delta") >= 2 and seen.count("content.done") == 1
    assert final.choices[0].message.content == f"You said: {CAPITAL}"
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (11, 7)


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_of_chat(case, streamed):
    tools, messages = [{"type": "function", "function": TOOL}], [{"role": "user", "content": "The weather in Paris?"}]

    def ask():
        if not streamed:
            return client(case).chat.completions.create(model="auto", messages=messages, tools=tools)
        with client(case).chat.completions.stream(model="auto", messages=messages, tools=tools) as stream:
            return stream.get_final_completion()

    answer = ask()
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    [call] = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
    messages += [message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert ask().choices[0].message.content == "The tool says sunny"
    assert len(case.provider.asked) == 2


def test_a_response(case):
    response = client(case).responses.create(model="auto", input=CAPITAL, store=False)
    assert (response.status, response.output_text) == ("completed", f"You said: {CAPITAL}")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 7)
    with client(case).responses.stream(model="auto", input=CAPITAL, store=False) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") >= 2 and final.output_text == f"You said: {CAPITAL}"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_of_responses(case, streamed):
    said = [{"role": "user", "content": "The weather in Paris?"}]
    options = {"model": "auto", "store": False, "tools": [{"type": "function", **TOOL, "strict": False}]}

    def ask():
        if not streamed:
            return client(case).responses.create(input=said, **options)
        with client(case).responses.stream(input=said, **options) as stream:
            return stream.get_final_response()

    [call] = [item for item in ask().output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Paris"})
    said += [{"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}]
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    assert ask().output_text == "The tool says sunny"


def test_async(case):
    async def ask():
        async with openai.AsyncOpenAI(base_url=case.base_url, api_key="unused", max_retries=0) as asking:
            one = await asking.chat.completions.create(model="auto", messages=PROMPT)
            stream = await asking.responses.create(model="auto", input=CAPITAL, store=False, stream=True)
            return one, [event async for event in stream]

    one, events = asyncio.run(ask())
    assert one.choices[0].message.content == f"You said: {CAPITAL}"
    assert events[-1].type == "response.completed" and events[-1].response.output_text == f"You said: {CAPITAL}"


@pytest.mark.parametrize(("status", "kind", "name"), ERRORS)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_of_the_provider(case, status, kind, name, streamed):
    prompt = f"fail with {status} after 30"
    asking = client(case)
    calls = [
        lambda: asking.chat.completions.create(model="auto", messages=[{"role": "user", "content": prompt}], stream=streamed),
        lambda: asking.responses.create(model="auto", input=prompt, store=False, stream=streamed),
    ]
    for call in calls:
        with pytest.raises(kind) as raised:
            call()
        error = raised.value
        assert (error.status_code, error.body["message"]) == (status, f"the provider answers {status}")
        assert error.type == name
        assert error.response.headers["retry-after"] == "30"
        assert error.request_id
    assert len(case.provider.asked) == 2


def test_the_client_comes_again_when_the_provider_says_so(chat):
    chat.provider.script.append((429, [("content-type", "application/json"), ("retry-after", "1")], b'{"error":{"message":"later","type":"rate_limit_error"}}'))
    begun = time.monotonic()
    answer = client(chat).with_options(max_retries=1).chat.completions.create(model="auto", messages=PROMPT)
    assert answer.choices[0].message.content == f"You said: {CAPITAL}"
    assert len(chat.provider.asked) == 2 and time.monotonic() - begun >= 1


def test_unknown_models_and_endpoints(case):
    for call in (
        lambda: client(case).chat.completions.create(model="gpt-none", messages=PROMPT),
        lambda: client(case).responses.create(model="gpt-none", input=CAPITAL),
        lambda: client(case).models.retrieve("gpt-none"),
        lambda: client(case).embeddings.create(model="gpt-none", input=CAPITAL),
    ):
        with pytest.raises(openai.NotFoundError) as raised:
            call()
        assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match=r"\[embeddings\]"):
        client(case).embeddings.create(model="text-embedding-3-small", input=CAPITAL)
    with pytest.raises(openai.NotFoundError, match="no such path"):
        client(case).images.generate(prompt="a cat")
    assert not case.provider.asked


def test_models(case):
    names = [model.id for model in client(case).models.list()]
    assert names == [*ALIASES, "model"]
    assert client(case).models.retrieve("model").owned_by == "provider"


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_who_leaves_a_stream_ends_the_call(case, endpoint):
    asking = client(case)
    if endpoint == "chat":
        stream = asking.chat.completions.create(model="auto", messages=[{"role": "user", "content": "speak slowly"}], stream=True)
    else:
        stream = asking.responses.create(model="auto", input="speak slowly", store=False, stream=True)
    seen = iter(stream)
    for _ in range(6):
        next(seen)
    stream.close()
    assert case.provider.asked[-1].left.wait(1), "the provider's call goes on"


def test_who_leaves_before_the_first_token_ends_the_call(case):
    with pytest.raises(openai.APITimeoutError):
        client(case).with_options(timeout=0.5).chat.completions.create(model="auto", messages=[{"role": "user", "content": "say nothing"}])
    assert case.provider.asked[-1].left.wait(1), "the provider's call goes on"

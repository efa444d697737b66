"""The anthropic client, with nothing changed but `base_url`."""

import functools

import anthropic
import pytest
from gateways import ALIASES
from provider import COUNTED
from speech import CAPITAL

TOOL = {"name": "weather", "description": "The weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
ERRORS = [
    (400, anthropic.BadRequestError, "invalid_request_error"),
    (401, anthropic.AuthenticationError, "authentication_error"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"),
]


@functools.cache
def of(origin: str) -> anthropic.Anthropic:
    """To read the system's certificates takes a while."""
    return anthropic.Anthropic(base_url=origin, api_key="unused", max_retries=0, timeout=20)


def client(at) -> anthropic.Anthropic:
    return of(at.origin)


def question(prompt: str = CAPITAL, **rest) -> dict:
    return {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": prompt}], **rest}


def test_a_question_is_answered(gateway):
    answer = client(gateway).messages.create(**question())
    assert CAPITAL in answer.content[0].text and answer.stop_reason == "end_turn"
    with client(gateway).messages.stream(**{**question(), "model": "claude-auto"}) as stream:
        assert CAPITAL in stream.get_final_text()


def test_through_each_dialect(translating):
    assert CAPITAL in client(translating).messages.create(**question()).content[0].text


def test_a_message(case):
    raw = client(case).messages.with_raw_response.create(**question(system=[{"type": "text", "text": "Be short."}]))
    assert raw.headers["x-blindroute-model"] == "model" and raw.headers["x-blindroute-why"] == "routed"
    answer = raw.parse()
    assert (answer.content[0].text, answer.stop_reason) == (f"You said: {CAPITAL}", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)
    assert b"Be short." in case.provider.wait().raw


def test_a_stream(case):
    with client(case).messages.stream(**question()) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.count("text") >= 2 and final.content[0].text == f"You said: {CAPITAL}"
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 7)


@pytest.mark.parametrize("streamed", [False, True])
def test_tools(case, streamed):
    messages = [{"role": "user", "content": "The weather in Paris?"}]

    def ask():
        options = {"model": "auto", "max_tokens": 100, "messages": messages, "tools": [TOOL]}
        if not streamed:
            return client(case).messages.create(**options)
        with client(case).messages.stream(**options) as stream:
            return stream.get_final_message()

    answer = ask()
    assert answer.stop_reason == "tool_use"
    [call] = [block for block in answer.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("weather", {"city": "Paris"})
    messages += [{"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}]}]
    messages += [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}]
    assert ask().content[0].text == "The tool says sunny"
    assert len(case.provider.asked) == 2


@pytest.mark.parametrize(("status", "kind", "name"), ERRORS)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_of_the_provider(case, status, kind, name, streamed):
    with pytest.raises(kind) as raised:
        client(case).messages.create(**question(f"fail with {status} after 30"), stream=streamed)
    error = raised.value
    assert error.status_code == status and error.body["type"] == "error"
    assert error.body["error"] == {"type": name, "message": f"the provider answers {status}"}
    assert error.response.headers["retry-after"] == "30"
    assert len(case.provider.asked) == 1


def test_the_client_comes_again_after_an_error(messages):
    messages.provider.script.append((529, [("content-type", "application/json")], b'{"type":"error","error":{"type":"overloaded_error","message":"later"}}'))
    answer = client(messages).with_options(max_retries=1).messages.create(**question())
    assert answer.content[0].text == f"You said: {CAPITAL}" and len(messages.provider.asked) == 2


def test_tokens_are_counted(case):
    said = {"model": "model", "messages": [{"role": "user", "content": CAPITAL}]}
    counted = client(case).messages.count_tokens(**said).input_tokens
    if case.dialect == "messages":
        assert counted == COUNTED and case.provider.wait().body["model"] == "large-2026"
    else:
        assert 5 < counted < 100 and not case.provider.asked


def test_models(case):
    page = client(case).models.list(limit=2)
    assert [model.id for model in page] == [*ALIASES, "model"], "over several pages"
    assert client(case).models.retrieve("model").display_name == "model"


def test_unknown_models(case):
    for call in (
        lambda: client(case).messages.create(**{**question(), "model": "claude-none"}),
        lambda: client(case).models.retrieve("claude-none"),
        lambda: client(case).messages.batches.list(),
    ):
        with pytest.raises(anthropic.NotFoundError) as raised:
            call()
        assert raised.value.body["error"]["type"] == "not_found_error"
    assert not case.provider.asked


def test_who_leaves_a_stream_ends_the_call(case):
    stream = client(case).messages.create(**question("speak slowly"), stream=True)
    seen = iter(stream)
    for _ in range(6):
        next(seen)
    stream.close()
    assert case.provider.asked[-1].left.wait(1), "the provider's stream goes on"


def test_who_leaves_before_the_first_token_ends_the_call(case):
    with pytest.raises(anthropic.APITimeoutError):
        client(case).with_options(timeout=0.5).messages.create(**question("say nothing"))
    assert case.provider.asked[-1].left.wait(1), "the provider's call goes on"

"""LangChain's clients of OpenAI and Anthropic, with nothing changed but `base_url`."""

import functools

import anthropic
import langchain_anthropic
import langchain_openai
import openai
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from speech import CAPITAL

# Each client of theirs, with the errors of the client that it is made of.
CLIENTS = {"chat": openai, "responses": openai, "messages": anthropic}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@functools.cache
def of(origin: str, kind: str):
    options = {"model": "auto", "api_key": "unused", "max_retries": 0, "timeout": 20}
    if kind == "messages":
        return langchain_anthropic.ChatAnthropic(base_url=origin, max_tokens=100, **options)
    return langchain_openai.ChatOpenAI(base_url=f"{origin}/v1", use_responses_api=kind == "responses", stream_usage=True, **options)


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_question_is_answered(gateway, kind):
    assert CAPITAL in of(gateway.origin, kind).invoke(CAPITAL).text


def test_invoke(case, kind):
    answer = of(case.origin, kind).invoke([("system", "Be short."), ("user", CAPITAL)])
    assert answer.text == f"You said: {CAPITAL}"
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (11, 7)
    assert b"Be short." in case.provider.wait().raw


def test_stream(case, kind):
    parts = list(of(case.origin, kind).stream(CAPITAL))
    assert len([part for part in parts if part.text]) >= 2
    whole = functools.reduce(lambda sum, part: sum + part, parts)
    assert whole.text == f"You said: {CAPITAL}" and whole.usage_metadata["output_tokens"] == 7


@pytest.mark.parametrize("streamed", [False, True])
def test_tools(case, kind, streamed):
    model = of(case.origin, kind).bind_tools([weather])
    ask = (lambda said: functools.reduce(lambda sum, part: sum + part, model.stream(said))) if streamed else model.invoke
    said = [HumanMessage("The weather in Paris?")]
    said.append(ask(said))
    [call] = said[-1].tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})
    said.append(weather.invoke(call))
    assert isinstance(said[-1], ToolMessage)
    assert ask(said).text == "The tool says sunny in Paris"


@pytest.mark.parametrize(("status", "name"), [(400, "BadRequestError"), (401, "AuthenticationError"), (429, "RateLimitError"), (500, "InternalServerError")])
def test_errors(case, kind, status, name):
    with pytest.raises(getattr(CLIENTS[kind], name), match=f"the provider answers {status}") as raised:
        of(case.origin, kind).invoke(f"fail with {status} after 30")
    assert raised.value.response.headers["retry-after"] == "30"


def test_an_unknown_model(case, kind):
    with pytest.raises(CLIENTS[kind].NotFoundError):
        of(case.origin, kind).model_copy(update={"model_name" if kind != "messages" else "model": "none"}).invoke(CAPITAL)


def test_who_leaves_a_stream_ends_the_call(case, kind):
    stream = of(case.origin, kind).stream("speak slowly")
    for _ in range(4):
        next(stream)
    stream.close()
    assert case.provider.asked[-1].left.wait(1), "the provider's call goes on"

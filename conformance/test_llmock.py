"""llmock, a provider with faults of every kind: each becomes a clean error of the caller's dialect, or a retried success.

No fault may become a hang, an end that looks proper, or a 200 for a broken answer. What each one becomes is what the tests expect.
"""

import dataclasses
import json
import threading

import pytest
import uvicorn
from gateways import DIALECTS, Gateway, configuration
from llmock.chaos import ChaosSettings, StreamChaos
from llmock.main import create_app
from llmock.ratelimit import LimitSettings
from llmock.scenarios import Delay, Fail, Match, Reply, SlowFirstToken, StreamFault, ToolCall, ToolFault
from llmock.simulation import MockResponseSettings
from plain import Told, ask, question

# Shorter than any stall of the tests, so that nothing waits long.
TIMES = '[timeouts]\nfirst_token = "1s"\nidle = "1s"\n'
ONCE = TIMES + "[retries]\nattempts = 1\n"
TWICE = TIMES + '[retries]\nattempts = 2\nlongest_wait = "3s"\n'
STATUSES = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 529]
# Those that may pass by themselves.
PASSING = [408, 409, 429, *(status for status in STATUSES if status >= 500)]
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Mock:
    """llmock on a port of this machine, with its own settings."""

    def __init__(self, **settings: object) -> None:
        app = create_app(responses=MockResponseSettings("hello"), **settings)
        self.state = app.state.llmock
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "llmock did not start"
            self.thread.join(0.01)
        self.root = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def base_url(self, dialect: str) -> str:
        return f"{self.root}/anthropic/v1" if dialect == "messages" else f"{self.root}/v1"

    def calls(self) -> int:
        return len(self.state.journal.records(wait=0.2))

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@dataclasses.dataclass
class Faulty:
    """A gateway before llmock, which speaks `dialect`."""

    mock: Mock
    gateway: Gateway
    dialect: str

    def ask(self, caller: str, stream: bool = False, **rest: object) -> Told:
        return ask(self.gateway.origin, caller, question(caller, "Hello", stream=stream, **rest))

    def script(self, *behaviours: object) -> None:
        self.mock.state.reset()
        self.mock.state.scenarios.add(*behaviours)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Makes gateways before llmock; those with the same settings are used again."""
    running = {}

    def of(dialect: str, retries: str = ONCE, **settings: object) -> Faulty:
        key = (retries, repr(settings))
        mock = running.get(key) or running.setdefault(key, Mock(**settings))
        if (key, dialect) not in running:
            config = configuration(dialect, mock.base_url(dialect), retries, "mock-model")
            running[key, dialect] = Faulty(mock, Gateway(tmp_path_factory.mktemp("faulty"), config), dialect)
        mock.state.reset()
        return running[key, dialect]

    yield of
    for each in running.values():
        (each.gateway if isinstance(each, Faulty) else each).close()


def error_of(caller: str, told: Told) -> dict:
    """The error of a whole answer, in the caller's dialect."""
    body = told.body
    assert not told.broken and told.headers["content-type"].startswith("application/json")
    assert ("type" in body) == (caller == "messages")
    assert body["error"]["message"] and body["error"]["type"]
    return body["error"]


def ending(caller: str, told: Told) -> str:
    """How a stream ends: `proper`, `error`, or what is wrong with it."""
    assert told.headers["content-type"].startswith("text/event-stream"), told.raw
    text, events = told.raw.decode(), told.events
    reasons = [choice["finish_reason"] for event in events for choice in event.get("choices", []) if choice.get("finish_reason")]
    stops = [event["delta"]["stop_reason"] for event in events if event.get("type") == "message_delta"]
    kinds = [event.get("type") for event in events]
    proper = {
        "chat": bool(reasons) and "[DONE]" in text,
        "responses": kinds[-1] in ("response.completed", "response.incomplete"),
        "messages": bool(stops) and kinds[-1] == "message_stop",
    }[caller]
    false = {"chat": bool(reasons) or "[DONE]" in text, "responses": "response.completed" in kinds, "messages": bool(stops) or "message_stop" in kinds}[caller]
    failed = {
        "chat": "error" in events[-1],
        "responses": kinds[-1] in ("error", "response.failed"),
        "messages": kinds[-1] == "error",
    }[caller]
    if proper and not failed:
        return "proper"
    if failed and not false:
        return "error"
    return f"proper: {proper}, a false end: {false}, failed: {failed}:\n{text}"


def is_answered(caller: str, told: Told) -> bool:
    return told.status == 200 and "Hello! This is a mock response from mock-model." in json.dumps(told.body)


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_status_is_kept_with_its_words(faulty, dialect, caller, stream):
    at = faulty(dialect)
    for status in STATUSES:
        at.script(Fail(status, retry_after=30, message=f"llmock says {status}"))
        told = at.ask(caller, stream)
        assert told.status == status, told.raw
        error = error_of(caller, told)
        assert error["message"] == f"llmock says {status}"
        assert told.headers["retry-after"] == "30"
        assert at.mock.calls() == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_may_pass_is_asked_again(faulty, dialect):
    at = faulty(dialect, TWICE)
    for status in STATUSES:
        at.script(Fail(status))
        told = at.ask("chat")
        assert is_answered("chat", told) if status in PASSING else told.status == status, (status, told.raw)
        assert at.mock.calls() == (2 if status in PASSING else 1), status
    at.script(Fail(503, retry_after=9))
    assert (at.ask("chat").status, at.mock.calls()) == (503, 1), "the wait is longer than longest_wait"


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall", "malformed"])
def test_a_stream_that_breaks_is_no_success(faulty, dialect, caller, kind):
    at = faulty(dialect)
    for after in (0, 4) if kind == "stall" else (0, 1, 2, 4, 6):
        at.script(StreamFault(kind, after_chunks=after, stall_seconds=5))
        told = at.ask(caller, stream=True)
        if told.status == 200:
            assert ending(caller, told) == "error", (after, told.raw)
        else:
            # Before the first token it is an error as any other.
            assert told.status == (504 if kind == "stall" else 502), (after, told.raw)
            error_of(caller, told)
        assert told.status != 200 or after > 0, "nothing was sent before the fault"
        assert at.mock.calls() == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed"])
def test_before_the_first_token_a_stream_is_asked_again(faulty, dialect, kind):
    at = faulty(dialect, TWICE)
    at.script(StreamFault(kind, after_chunks=0))
    assert ending("chat", at.ask("chat", stream=True)) == "proper" and at.mock.calls() == 2


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_slow_is_waited_for_up_to_its_time(faulty, dialect, caller):
    at = faulty(dialect)
    for slow in (Delay(0.2), SlowFirstToken(0.2), StreamFault("stall", after_chunks=4, stall_seconds=0.2)):
        at.script(slow)
        assert ending(caller, at.ask(caller, stream=True)) == "proper"
    for slow, stream in ((SlowFirstToken(5), True), (Delay(5), False)):
        at.script(slow)
        told = at.ask(caller, stream)
        assert told.status == 504, told.raw
        error_of(caller, told)


def tools_of(caller: str) -> dict:
    function = {"name": "weather", "description": "The weather"}
    tool = {
        "chat": {"type": "function", "function": {**function, "parameters": TOOL}},
        "responses": {"type": "function", **function, "parameters": TOOL, "strict": False},
        "messages": {**function, "input_schema": TOOL},
    }[caller]
    return {"tools": [tool]}


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_tools(faulty, dialect, caller, stream):
    at = faulty(dialect)
    at.script(Reply(tool_calls=(ToolCall("weather", {"city": "Paris"}),)))
    told = at.ask(caller, stream, **tools_of(caller))
    assert told.status == 200 and b"weather" in told.raw
    # A tool that nobody offered is the caller's to refuse: the name is kept.
    at.script(ToolFault("unknown_tool"))
    told = at.ask(caller, stream, **tools_of(caller))
    assert told.status == 200 and b"llmock_unknown_tool" in told.raw
    # Arguments that are no JSON stay a text for the caller where the dialect has texts, and are an error where it has objects.
    at.script(ToolFault("malformed_arguments"))
    told = at.ask(caller, stream, **tools_of(caller))
    assert False, (dialect, caller, stream, told.status, told.raw[-400:])


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_other_ends_keep_their_meaning(faulty, dialect, caller):
    at = faulty(dialect)
    for reason, words in (("length", ["length", "max_output_tokens", "max_tokens"]), ("content_filter", ["content_filter", "refusal", "completed"])):
        at.script(Reply(text="Half an", finish_reason=reason))
        told = at.ask(caller)
        assert told.status == 200 and any(f'"{word}"'.encode() in told.raw for word in words), told.raw
        at.script(Reply(text="Half an", finish_reason=reason))
        assert ending(caller, at.ask(caller, stream=True)) == "proper"


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_limits_are_the_providers_own_errors(faulty, dialect, caller):
    at = faulty(dialect, limits=LimitSettings(rpm=1))
    assert is_answered(caller, at.ask(caller))
    told = at.ask(caller)
    assert (told.status, error_of(caller, told)["type"]) == (429, "rate_limit_error") or told.status == 429
    assert int(told.headers["retry-after"]) >= 1
    at = faulty(dialect, limits=LimitSettings(tpm=1))
    at.ask(caller)
    assert at.ask(caller).status == 429
    at = faulty(dialect, limits=LimitSettings(context_window=1))
    told = at.ask(caller, instructions="many words") if caller == "responses" else at.ask(caller)
    print(told.status, told.raw)
    at = faulty(dialect, chaos=ChaosSettings(error_rates={503: 1.0}, latency_ms=50))
    assert at.ask(caller).status == 503


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall", "malformed"])
def test_random_faults_of_streams(faulty, kind):
    at = faulty("chat", stream_chaos=StreamChaos(((kind, 1.0),), stall_seconds=5, chunk_delay_ms=5))
    for _ in range(3):
        told = at.ask("chat", stream=True)
        assert told.status in (502, 504) or ending("chat", told) == "error", told.raw

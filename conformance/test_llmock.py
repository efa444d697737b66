"""llmock, a provider with faults of every kind: each becomes a clean error of the caller's dialect, or a retried success.

No fault may become a hang, an end that looks proper, or a 200 for a broken answer. What each one becomes is what the tests expect.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import threading

import pytest
import uvicorn
from gateways import DIALECTS, Gateway, configuration
from llmock.chaos import StreamChaos
from llmock.main import create_app
from llmock.ratelimit import LimitSettings, RateLimiter
from llmock.scenarios import Delay, Fail, Reply, SlowFirstToken, StreamFault, ToolCall, ToolFault
from llmock.simulation import MockResponseSettings
from plain import Told, ask, question

# Shorter than any stall of the tests, so that nothing waits long.
TIMES = '[timeouts]\nconnect = "4s"\nfirst_token = "2s"\nidle = "2s"\ntotal = "4s"\n'
ONCE = "[retries]\nattempts = 1\n"
TWICE = '[retries]\nattempts = 2\nlongest_wait = "3s"\n'
STATUSES = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 529]
# Those that may pass by themselves.
PASSING = [408, 409, 429, *(status for status in STATUSES if status >= 500)]
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Mock:
    """llmock on a port of this machine."""

    def __init__(self) -> None:
        app = create_app(responses=MockResponseSettings("hello"))
        self.state = app.state.llmock
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "llmock did not start"
            self.thread.join(0.01)
        self.root = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def set(self, *behaviours: object, limits: LimitSettings = LimitSettings(), rates: dict = {}, streams: StreamChaos = StreamChaos()) -> None:
        """Forgets what was, and does this from now on."""
        self.state.reset()
        self.state.scenarios.add(*behaviours)
        self.state.limiter = RateLimiter(limits)
        self.state.chaos.error_rates = rates
        self.state.stream_chaos = streams

    def calls(self) -> int:
        return len(self.state.journal.records(wait=0.2))

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@dataclasses.dataclass
class Faulty:
    """A gateway before llmock, with one model for each dialect."""

    mock: Mock
    gateway: Gateway

    def ask(self, dialect: str, caller: str, stream: bool = False, prompt: str = "Hello", **rest: object) -> Told:
        return ask(self.gateway.origin, caller, question(caller, prompt, stream=stream, **rest) | {"model": dialect})


def tables(mock: Mock, dialect: str) -> str:
    root = f"{mock.root}/anthropic/v1" if dialect == "messages" else f"{mock.root}/v1"
    provider = f'[[provider]]\nname = "{dialect}"\ndialects = ["{dialect}"]\nbase_url = "{root}"\n'
    return provider + f'[[model]]\nname = "{dialect}"\nprovider = "{dialect}"\nupstream = "mock-model"\nmax_output = 1000\n'


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Gateways by how often they ask a provider."""
    mock = Mock()
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as pool:
        stack.callback(mock.close)
        models = "".join(tables(mock, dialect) for dialect in DIALECTS)

        def start(retries: str) -> Gateway:
            config = configuration("chat", f"{mock.root}/v1", models + TIMES + retries)
            return stack.enter_context(Gateway(tmp_path_factory.mktemp("faulty"), config))

        yield dict(zip((1, 2), (Faulty(mock, gateway) for gateway in pool.map(start, (ONCE, TWICE)))))


@pytest.fixture
def once(started):
    """A gateway that asks a provider once."""
    return started[1]


@pytest.fixture
def twice(started):
    """A gateway that asks a provider up to twice."""
    return started[2]


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
def test_a_status_is_kept_with_its_words(once, dialect, caller, stream):
    for status in STATUSES:
        once.mock.set(Fail(status, retry_after=30, message=f"llmock says {status}"))
        told = once.ask(dialect, caller, stream)
        assert told.status == status, told.raw
        error = error_of(caller, told)
        assert error["message"] == f"llmock says {status}"
        assert told.headers["retry-after"] == "30"
        assert once.mock.calls() == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_may_pass_is_asked_again(twice, dialect):
    for status in STATUSES:
        twice.mock.set(Fail(status))
        told = twice.ask(dialect, "chat")
        assert is_answered("chat", told) if status in PASSING else told.status == status, (status, told.raw)
        assert twice.mock.calls() == (2 if status in PASSING else 1), status
    twice.mock.set(Fail(503, retry_after=9))
    assert (twice.ask(dialect, "chat").status, twice.mock.calls()) == (503, 1), "the wait is longer than longest_wait"


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed"])
def test_a_stream_that_breaks_is_no_success(once, dialect, caller, kind):
    for after in (0, 1, 2, 4, 6):
        once.mock.set(StreamFault(kind, after_chunks=after))
        told = once.ask(dialect, caller, stream=True)
        if told.status == 200:
            assert ending(caller, told) == "error", (after, told.raw)
        else:
            # Before the first token it is an error as any other.
            assert told.status == 502, (after, told.raw)
            error_of(caller, told)
        assert told.status != 200 or after > 0, "nothing was sent before the fault"
        assert once.mock.calls() == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed"])
def test_before_the_first_token_a_stream_is_asked_again(twice, dialect, kind):
    twice.mock.set(StreamFault(kind, after_chunks=0))
    assert ending("chat", twice.ask(dialect, "chat", stream=True)) == "proper" and twice.mock.calls() == 2


def everywhere(at: Faulty, stream: bool) -> list[tuple[str, Told]]:
    """Asks each provider in each dialect, all at the same time."""
    pairs = [(dialect, caller) for dialect in DIALECTS for caller in DIALECTS]
    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        return [(caller, told) for (_, caller), told in zip(pairs, pool.map(lambda pair: at.ask(*pair, stream), pairs))]


@pytest.mark.parametrize("slow", [Delay(0.2, times=None), SlowFirstToken(0.2, times=None), StreamFault("stall", 4, 0.2, times=None)])
def test_what_is_slow_is_waited_for(once, slow):
    once.mock.set(slow)
    for caller, told in everywhere(once, stream=True):
        assert told.status == 200 and ending(caller, told) == "proper"


# Of a whole answer there is no first token: it may take as long as all of a call.
@pytest.mark.parametrize(
    ("slow", "stream"),
    [(SlowFirstToken(9, times=None), True), (StreamFault("stall", 0, 9, times=None), True), (Delay(9, times=None), True), (Delay(9, times=None), False)],
)
def test_what_is_too_slow_ends_in_time(once, slow, stream):
    once.mock.set(slow)
    for caller, told in everywhere(once, stream):
        assert told.status == 504, told.raw
        error_of(caller, told)


def test_a_stream_that_stalls_ends_in_an_error(once):
    once.mock.set(StreamFault("stall", 4, 9, times=None))
    for caller, told in everywhere(once, stream=True):
        assert told.status == 200 and ending(caller, told) == "error", told.raw


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
def test_calls_of_tools(once, dialect, caller, stream):
    once.mock.set(Reply(tool_calls=(ToolCall("weather", {"city": "Paris"}),)))
    told = once.ask(dialect, caller, stream, **tools_of(caller))
    assert told.status == 200 and b"weather" in told.raw
    # A tool that nobody offered is the caller's to refuse: the name is kept.
    once.mock.set(ToolFault("unknown_tool"))
    told = once.ask(dialect, caller, stream, **tools_of(caller))
    assert told.status == 200 and b"llmock_unknown_tool" in told.raw
    # Arguments that are no JSON stay a text for the caller to check where the dialect has texts, as streams of all have. A whole
    # answer of Messages has an object there: it cannot be said, and is an error.
    once.mock.set(ToolFault("malformed_arguments"))
    told = once.ask(dialect, caller, stream, **tools_of(caller))
    if caller == "messages" and dialect != "messages" and not stream:
        assert told.status == 502 and "arguments" in error_of(caller, told)["message"]
    else:
        assert told.status == 200 and b"weather" in told.raw


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_other_ends_keep_their_meaning(once, dialect, caller):
    for reason, words in (("length", ["length", "max_output_tokens", "max_tokens"]), ("content_filter", ["content_filter", "refusal", "completed"] + ["stop", "end_turn"] * (dialect == "responses"))):
        once.mock.set(Reply(text="Half an", finish_reason=reason))
        told = once.ask(dialect, caller)
        assert told.status == 200 and any(f'"{word}"'.encode() in told.raw for word in words), told.raw
        once.mock.set(Reply(text="Half an", finish_reason=reason))
        assert ending(caller, once.ask(dialect, caller, stream=True)) == "proper"


@pytest.mark.parametrize("caller", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_limits_are_the_providers_own_errors(once, dialect, caller):
    # Five, since llmock may still count calls that earlier tests gave up, and their second attempts.
    once.mock.set(limits=LimitSettings(rpm=5))
    first, *_, told = [once.ask(dialect, caller) for _ in range(6)]
    assert is_answered(caller, first)
    assert (told.status, error_of(caller, told)["type"]) == (429, "rate_limit_error")
    assert int(told.headers["retry-after"]) >= 1
    once.mock.set(limits=LimitSettings(tpm=1))
    once.ask(dialect, caller)
    assert once.ask(dialect, caller).status == 429
    once.mock.set(limits=LimitSettings(context_window=1))
    told = once.ask(dialect, caller, prompt="Hello " * 10)
    assert told.status == 400 and " tokens" in error_of(caller, told)["message"]
    once.mock.set(rates={503: 1.0})
    assert once.ask(dialect, caller).status == 503


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall", "malformed"])
def test_random_faults_of_streams(once, kind):
    once.mock.set(streams=StreamChaos(((kind, 1.0),), stall_seconds=9, chunk_delay_ms=5))
    for _ in range(1 if kind == "stall" else 3):
        told = once.ask("chat", "chat", stream=True)
        assert told.status in (502, 504) or ending("chat", told) == "error", told.raw

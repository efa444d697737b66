"""Requests of the shape that Claude Code documents: Messages, streamed, with betas, caches and signatures.

The program itself does not run here.
"""

import json
import time

import pytest
import speech
from gateways import ALIASES
from plain import Told, send
from provider import COUNTED

HEADERS = [
    ("accept", "application/json"),
    ("authorization", "Bearer unused"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),
    ("anthropic-beta", "fine-grained-tool-streaming-2025-05-14"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("user-agent", "claude-cli/2.0.0 (external, cli)"),
    ("x-app", "cli"),
    ("x-stainless-lang", "js"),
]
TOOL = {"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}
CACHED = {"cache_control": {"type": "ephemeral"}}
THOUGHT = {"type": "thinking", "thinking": "A command is needed.", "signature": "EqQBsigned=="}
FULL = "/v1/messages?beta=true"


def request(prompt: str, more: list[dict] = [], **rest: object) -> dict:
    return {
        "model": "claude-auto",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>here</system-reminder>"}, {"type": "text", "text": prompt, **CACHED}]}, *more],
        "system": [{"type": "text", "text": "You are a coding agent.", **CACHED}, {"type": "text", "text": "Be careful.", **CACHED}],
        "tools": [TOOL],
        "metadata": {"user_id": "user_0_account__session_0199a213"},
        "max_tokens": 32000,
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "stream": True,
        **rest,
    }


def ask(case, body: dict, path: str = FULL, headers: list[tuple[str, str]] = HEADERS) -> Told:
    return send(case.origin, "POST", path, json.dumps(body, separators=(",", ":")).encode(), headers)


def stream_of(blocks: list[dict], reason: str) -> bytes:
    """A stream with these blocks, as a provider writes it."""
    events = list(speech.message_events("large-2026", speech.Turn()))
    middle = []
    for index, block in enumerate(blocks):
        if block["type"] == "thinking":
            start, deltas = {**block, "thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": block["thinking"]}, {"type": "signature_delta", "signature": block["signature"]}]
        else:
            start, deltas = {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        middle.append({"type": "content_block_start", "index": index, "content_block": start})
        middle += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        middle.append({"type": "content_block_stop", "index": index})
    events[-2]["delta"]["stop_reason"] = reason
    return b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in [*events[:2], *middle, *events[2:]])


def test_headers_and_body_arrive_and_the_answer_comes_back(messages):
    body = request("no tool, please")
    told = ask(messages, body)
    assert told.status == 200 and told.events[-1] == {"type": "message_stop"}
    asked = messages.provider.asked[0]
    assert asked.raw == json.dumps({**body, "model": "large-2026"}, separators=(",", ":")).encode()
    assert asked.values("anthropic-beta") == [value for name, value in HEADERS if name == "anthropic-beta"]
    assert asked.values("anthropic-version") == ["2023-06-01"]
    # What tells of the machine and the key stays here.
    assert not [name for name, value in asked.headers if name.lower().startswith(("x-app", "x-stainless")) or "claude-cli" in value or "unused" in value]


def test_signatures_come_back_and_pin_the_loop(messages):
    call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}
    stream = stream_of([THOUGHT, call], "tool_use")
    messages.provider.script.append((200, [("content-type", "text/event-stream")], stream))
    told = ask(messages, request("list the files"))
    assert (told.status, told.raw) == (200, stream)
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.txt", "is_error": False, **CACHED}]}
    body = request("list the files", [{"role": "assistant", "content": [THOUGHT, call]}, result])
    told = ask(messages, body)
    assert (told.headers["x-blindroute-why"], told.headers["x-blindroute-pinned"]) == ("pinned", "true")
    assert messages.provider.asked[-1].body == {**body, "model": "large-2026"}
    assert "The tool says a.txt" in "".join(event["delta"].get("text", "") for event in told.events if event["type"] == "content_block_delta")
    # A new message within the same conversation: the signature still binds it.
    told = ask(messages, request("list the files", [{"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "a.txt"}]}, {"role": "user", "content": "no tool, and go on"}]))
    assert (told.status, told.headers["x-blindroute-why"]) == (200, "pinned")


@pytest.mark.parametrize("status", [400, 401, 413, 429, 500, 529])
def test_errors_come_back_as_they_are(messages, status):
    raw = b'{ "type":"error", "error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum \\u00e9"},"request_id":"req_provider" }'
    messages.provider.script.append((status, [("content-type", "application/json"), ("retry-after", "30"), ("anthropic-ratelimit-requests-remaining", "0"), ("x-should-retry", "false")], raw))
    told = ask(messages, request("no tool"))
    assert (told.status, told.raw) == (status, raw)
    assert told.headers["retry-after"] == "30" and told.headers["x-should-retry"] == "false"
    assert told.headers["anthropic-ratelimit-requests-remaining"] == "0" and told.headers["request-id"] == "req_provider"


def test_a_conversation_is_known_by_its_session(messages):
    session = [*HEADERS, ("x-claude-code-session-id", "0199a213")]
    assert ask(messages, request("no tool, first"), headers=session).status == 200
    loop = [{"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a"}]}]
    # The beginning is another one, as after a compaction.
    assert ask(messages, request("no tool, compacted", loop), headers=session).headers["x-blindroute-why"] == "pinned"
    assert not messages.provider.asked[-1].values("x-claude-code-session-id")


def test_probes(messages):
    begun = time.monotonic()
    for path in ("/v1/models", "/v1/models?limit=1000"):
        told = send(messages.origin, "GET", path, headers=HEADERS)
        assert told.status == 200 and [model["id"] for model in told.body["data"]] == [*ALIASES, "model"]
        assert told.body["has_more"] is False and told.body["data"][0]["type"] == "model"
    head = send(messages.origin, "HEAD", "/")
    assert (head.status, head.raw) == (200, b"")
    assert send(messages.origin, "HEAD", "/v1/models").status == 200
    for path in ("/", "/v1/messages"):
        assert send(messages.origin, "OPTIONS", path).status in (204, 405)
    told = send(messages.origin, "POST", "/api/event_logging/batch", b"{}", HEADERS)
    assert (told.status, told.body["error"]["type"]) == (404, "not_found_error")
    assert time.monotonic() - begun < 3
    assert not messages.provider.asked


def test_tokens_are_counted(messages):
    body = {key: value for key, value in request("no tool", model="model").items() if key not in ("max_tokens", "stream", "metadata")}
    told = ask(messages, body, "/v1/messages/count_tokens?beta=true")
    assert (told.status, told.body) == (200, {"input_tokens": COUNTED})
    asked = messages.provider.asked[0]
    assert asked.body == {**body, "model": "large-2026"} and len(asked.values("anthropic-beta")) == 2


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_other_providers_answer_with_tools(cases, dialect):
    case = cases[dialect]
    case.provider.forget()
    told = ask(case, request("list the files", thinking={"type": "disabled"}))
    assert told.status == 200, told.raw
    starts = [event["content_block"] for event in told.events if event["type"] == "content_block_start"]
    assert [block["name"] for block in starts if block["type"] == "tool_use"] == ["Bash"]
    assert [event["delta"]["stop_reason"] for event in told.events if event["type"] == "message_delta"] == ["tool_use"]
    assert told.events[-1]["type"] == "message_stop"
    assert b"You are a coding agent." in case.provider.asked[0].raw
    assert not case.provider.asked[0].values("anthropic-beta")

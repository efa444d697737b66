"""Requests of the shape that Codex CLI documents: Responses only, streamed, nothing stored, and reasoning that is encrypted.

The program itself does not run here.
"""

import json

import pytest
import speech
from plain import PATHS, Told, send

HEADERS = [
    ("authorization", "Bearer unused"),
    ("accept", "text/event-stream"),
    ("originator", "codex_cli_rs"),
    ("session_id", "0199a213-81c0-7800-8aa1-bbab2a035a53"),
    ("conversation_id", "0199a213-81c0-7800-8aa1-bbab2a035a53"),
    ("user-agent", "codex_cli_rs/0.50.0"),
    ("openai-beta", "responses=experimental"),
]
SHELL = {"type": "function", "name": "shell", "description": "Runs a command.", "strict": False, "parameters": {"type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}}, "required": ["command"], "additionalProperties": False}}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /(.|\\n)*/"}}
LOCAL = {"type": "local_shell"}
SEARCH = {"type": "web_search"}
SEALED = {"id": "rs_1", "type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAAABsealed=="}


def said(role: str, text: str) -> dict:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def request(prompt: str, more: list[dict] = [], tools: list[dict] = [SHELL, PATCH, LOCAL, SEARCH]) -> dict:
    return {
        "model": "auto",
        "instructions": "You are a coding agent.",
        "input": [said("developer", "Be careful."), said("user", "<environment_context>here</environment_context>"), said("user", prompt), *more],
        "tools": tools,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199a213-81c0-7800-8aa1-bbab2a035a53",
    }


def ask(case, body: dict, path: str = PATHS["responses"]) -> Told:
    # Written as Codex writes it, without spaces.
    return send(case.origin, "POST", path, json.dumps(body, separators=(",", ":")).encode(), HEADERS)


def completed(told: Told) -> dict:
    """The response at the end of a stream, which has to be there."""
    assert told.status == 200 and told.headers["content-type"].startswith("text/event-stream"), told.raw
    events = told.events
    assert events[0]["type"] == "response.created" and events[-1]["type"] == "response.completed"
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(numbers)))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    return events[-1]["response"]


def test_a_provider_of_responses_gets_the_bytes(responses):
    body = request("no tool, please")
    response = completed(ask(responses, body))
    assert response["output"][0]["content"][0]["text"].endswith("no tool, please")
    asked = responses.provider.asked[0]
    assert asked.raw == json.dumps({**body, "model": "large-2026"}, separators=(",", ":")).encode()
    assert asked.values("openai-beta") == ["responses=experimental"]
    # What tells of the machine and the key stays here.
    assert not [name for name, value in asked.headers if name.lower() in ("session_id", "conversation_id", "originator") or "codex" in value or "unused" in value]


@pytest.mark.parametrize(
    ("tool", "kind", "result"),
    [(SHELL, "function_call", "function_call_output"), (PATCH, "custom_tool_call", "custom_tool_call_output"), (LOCAL, "local_shell_call", "local_shell_call_output")],
)
def test_a_loop_of_tools_stays_with_its_model(responses, tool, kind, result):
    tools = [tool, SEARCH]
    told = ask(responses, request(f"change a file with {kind}", tools=tools))
    [call] = completed(told)["output"]
    assert call["type"] == kind and told.headers["x-blindroute-why"] in ("routed", "kept", "switched")
    output = {"type": result, "call_id": call["call_id"], "output": "done"}
    body = request(f"change a file with {kind}", [call, output], tools)
    told = ask(responses, body)
    assert completed(told)["output"][0]["content"][0]["text"] == "The tool says done"
    assert (told.headers["x-blindroute-why"], told.headers["x-blindroute-pinned"]) == ("pinned", "true")
    # No route was made.
    assert told.headers["x-blindroute-placement"] is None
    assert responses.provider.asked[-1].body == {**body, "model": "large-2026"}


def test_encrypted_reasoning_pins_and_is_kept(responses):
    events = []
    for event in speech.response_events("large-2026", speech.Turn(("Hello",))):
        events.append(event)
        if event["type"] == "response.in_progress":
            events.append({"type": "response.output_item.added", "output_index": 0, "item": {**SEALED, "encrypted_content": ""}})
            events.append({"type": "response.output_item.done", "output_index": 0, "item": SEALED})
    for number, event in enumerate(events):
        event["sequence_number"] = number
        if event["type"] != "response.completed" and event.get("output_index") == 0 and event.get("item", {}).get("type") != "reasoning":
            event["output_index"] = 1
    events[-1]["response"]["output"].insert(0, SEALED)
    stream = b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events)
    responses.provider.script.append((200, [("content-type", "text/event-stream")], stream))
    told = ask(responses, request("think first"))
    assert told.raw == stream
    reasoning, answer = completed(told)["output"]
    assert reasoning == SEALED
    # A new message of the user in the same conversation would be routed, were it not for what only this model can read.
    more = [reasoning, {key: answer[key] for key in ("type", "role", "content")}, said("user", "no tool, and go on")]
    body = request("think first", more)
    told = ask(responses, body)
    completed(told)
    assert (told.headers["x-blindroute-why"], told.headers["x-blindroute-pinned"]) == ("pinned", "true")
    assert responses.provider.asked[-1].body == {**body, "model": "large-2026"}
    without = ask(responses, request("think first", more[1:]))
    assert without.headers["x-blindroute-why"] != "pinned"


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_other_providers_get_functions(cases, dialect):
    case = cases[dialect]
    case.provider.forget()
    [call] = completed(ask(case, request("change a file", tools=[SHELL])))["output"]
    assert (call["type"], call["name"]) == ("function_call", "shell")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}
    told = ask(case, request("change a file", [call, output], [SHELL]))
    assert completed(told)["output"][0]["content"][0]["text"] == "The tool says done"
    assert told.headers["x-blindroute-why"] == "pinned"
    seen = case.provider.asked[0].raw
    assert b"You are a coding agent." in seen and b"Be careful." in seen


@pytest.mark.parametrize("dialect", ["chat", "messages"])
@pytest.mark.parametrize("tool", [LOCAL, SEARCH])
def test_what_other_providers_cannot_do_is_refused_by_name(cases, dialect, tool):
    case = cases[dialect]
    case.provider.forget()
    told = ask(case, request("change a file", tools=[SHELL, tool]))
    assert told.status == 400 and "tools" in json.dumps(told.body["error"]), told.raw
    assert not case.provider.asked


def test_an_error_of_the_provider_arrives_before_the_stream(case):
    told = ask(case, request("fail with 429 after 30", tools=[SHELL]))
    assert (told.status, told.headers["retry-after"]) == (429, "30")
    assert told.body["error"]["message"] == "the provider answers 429"

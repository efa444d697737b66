"""What the provider of the tests says, in the three dialects: whole answers, events of streams, and errors."""

import dataclasses
import itertools
import json
from collections.abc import Iterator

# What most tests ask.
CAPITAL = "What is the capital of France?"

# Input and output of every answer.
INPUT, OUTPUT = 11, 7

# The type of an error for each status.
TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
# The ending in Chat of an answer with text, and of one that calls a tool; and the same in Messages.
FINISH = {"chat": ("stop", "tool_calls"), "messages": ("end_turn", "tool_use")}


@dataclasses.dataclass(frozen=True)
class Turn:
    """What is said: pieces of a text, and a tool that is called with pieces of arguments."""

    pieces: tuple[str, ...] = ()
    tool: str | None = None
    # "function_call" and its like in Responses.
    kind: str = "function_call"
    arguments: tuple[str, ...] = ('{"city":', '"Paris"}')

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def error(dialect: str, status: int) -> dict:
    """The body of an error."""
    said = {"type": TYPES.get(status, "api_error" if dialect == "messages" else "server_error"), "message": f"the provider answers {status}"}
    if dialect == "messages":
        return {"type": "error", "error": said, "request_id": "req_provider"}
    return {"error": {**said, "param": None, "code": f"code_{status}"}}


def whole(dialect: str, model: str, turn: Turn) -> dict:
    """A whole answer."""
    return {"chat": _chat, "responses": _response, "messages": _message}[dialect](model, turn)


def events(dialect: str, model: str, turn: Turn, usage: bool) -> Iterator[bytes]:
    """The events of a stream. `usage` is for Chat, whose callers have to ask for it."""
    if dialect == "chat":
        for chunk in _chat_chunks(model, turn, usage):
            yield b"data: " + _json(chunk) + b"\n\n"
        yield b"data: [DONE]\n\n"
        return
    for event in response_events(model, turn) if dialect == "responses" else message_events(model, turn):
        yield b"event: " + event["type"].encode() + b"\ndata: " + _json(event) + b"\n\n"


def _json(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chat_usage() -> dict:
    return {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}


def _chat(model: str, turn: Turn) -> dict:
    message = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.tool:
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": turn.tool, "arguments": "".join(turn.arguments)}}]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH["chat"][bool(turn.tool)]}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": _chat_usage()}


def _chat_chunks(model: str, turn: Turn, usage: bool) -> Iterator[dict]:
    def chunk(delta: dict, finish: str | None = None) -> dict:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in turn.pieces:
        yield chunk({"content": piece})
    if turn.tool:
        yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": turn.tool, "arguments": ""}}]})
        for part in turn.arguments:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
    yield chunk({}, FINISH["chat"][bool(turn.tool)])
    if usage:
        yield {**chunk({}), "choices": [], "usage": _chat_usage()}


def _item(turn: Turn) -> dict:
    """The only item of a response, complete."""
    if turn.tool:
        item = {"id": "fc_1", "type": turn.kind, "status": "completed", "call_id": "call_1"}
        if turn.kind == "local_shell_call":
            return {**item, "action": {"type": "exec", "command": ["ls"], "env": {}}}
        said = "".join(turn.arguments)
        return {**item, "name": turn.tool, **({"input": said} if turn.kind == "custom_tool_call" else {"arguments": said})}
    content = [{"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}]
    return {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": content}


def _response(model: str, turn: Turn, status: str = "completed") -> dict:
    done = status == "completed"
    usage = {
        "input_tokens": INPUT,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": OUTPUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT + OUTPUT,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [_item(turn)] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
    }


def response_events(model: str, turn: Turn) -> Iterator[dict]:
    number = itertools.count()

    def event(kind: str, **fields: object) -> dict:
        return {"type": f"response.{kind}", "sequence_number": next(number), **fields}

    item = _item(turn)
    yield event("created", response=_response(model, turn, "in_progress"))
    yield event("in_progress", response=_response(model, turn, "in_progress"))
    place = {"item_id": item["id"], "output_index": 0}
    begun = {**item, "status": "in_progress"}
    if turn.tool:
        streamed = {"function_call": ("function_call_arguments", "arguments"), "custom_tool_call": ("custom_tool_call_input", "input")}.get(turn.kind)
        yield event("output_item.added", output_index=0, item={**begun, **({streamed[1]: ""} if streamed else {})})
        if streamed:
            for part in turn.arguments:
                yield event(f"{streamed[0]}.delta", **place, delta=part)
            yield event(f"{streamed[0]}.done", **place, **{streamed[1]: "".join(turn.arguments)})
    else:
        part = {**place, "content_index": 0}
        yield event("output_item.added", output_index=0, item={**begun, "content": []})
        yield event("content_part.added", **part, part={"type": "output_text", "text": "", "annotations": [], "logprobs": []})
        for piece in turn.pieces:
            yield event("output_text.delta", **part, delta=piece, logprobs=[])
        yield event("output_text.done", **part, text=turn.text, logprobs=[])
        yield event("content_part.done", **part, part=item["content"][0])
    yield event("output_item.done", output_index=0, item=item)
    yield event("completed", response=_response(model, turn))


def _message(model: str, turn: Turn) -> dict:
    content = [{"type": "text", "text": turn.text}] if turn.pieces else []
    if turn.tool:
        content.append({"type": "tool_use", "id": "toolu_1", "name": turn.tool, "input": json.loads("".join(turn.arguments))})
    reason = FINISH["messages"][bool(turn.tool)]
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content, "stop_reason": reason, "stop_sequence": None, "usage": usage}


def message_events(model: str, turn: Turn) -> Iterator[dict]:
    started = {**_message(model, Turn()), "stop_reason": None, "usage": {"input_tokens": INPUT, "output_tokens": 1}}
    yield {"type": "message_start", "message": started}
    yield {"type": "ping"}
    index = 0
    if turn.pieces:
        yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
        for piece in turn.pieces:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    if turn.tool:
        yield {"type": "content_block_start", "index": index, "content_block": {"type": "tool_use", "id": "toolu_1", "name": turn.tool, "input": {}}}
        for part in turn.arguments:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": part}}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": FINISH["messages"][bool(turn.tool)], "stop_sequence": None}, "usage": {"output_tokens": OUTPUT}}
    yield {"type": "message_stop"}

"""A provider on a port of this machine that speaks the three dialects, does what the prompt says, and keeps what it was asked.

`fail with 429` answers that status, `fail with 429 after 3` with `retry-after: 3` too; `speak slowly` streams a word each 20 ms until
the caller leaves; `say nothing` answers nothing until the caller leaves. A request with tools and no result of one gets a call of its
first tool. Any other request gets its prompt back, or the result of the tool. What a test puts into `script` is answered first, byte for byte.
"""

import dataclasses
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator

import speech

PATHS = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages"}
# How long a caller may take to leave before the provider gives up.
PATIENCE = 30
COUNTED = 4242


@dataclasses.dataclass
class Asked:
    """A request, and whether its caller left before the end."""

    path: str
    headers: list[tuple[str, str]]
    raw: bytes
    left: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def body(self) -> dict:
        return json.loads(self.raw)

    def values(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name]


class Provider:
    """Runs until it is closed."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        # Answers for requests to come: the status, headers, and the body as it is.
        self.script: list[tuple[int, list[tuple[str, str]], bytes]] = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": self}))
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def forget(self) -> None:
        self.asked.clear()
        self.script.clear()

    def wait(self, count: int = 1) -> Asked:
        """The last request, once there are so many."""
        until = time.monotonic() + 10
        while len(self.asked) < count:
            assert time.monotonic() < until, f"the provider got {len(self.asked)} requests, expected {count}"
            time.sleep(0.005)
        return self.asked[-1]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _texts(content: object) -> str:
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or [] if "text" in part)


def _prompt(body: dict) -> str:
    """The text of the last message of a user that has one."""
    said = body.get("messages", body.get("input", ""))
    if isinstance(said, str):
        return said
    texts = [_texts(item.get("content")) for item in said if item.get("role") == "user"]
    return next((text for text in reversed(texts) if text), "")


def _result(body: dict) -> str | None:
    """The result of a tool, if the request ends with one."""
    said = body.get("messages", body.get("input", ""))
    last = {} if isinstance(said, str) or not said else said[-1]
    if last.get("role") == "tool":
        return _texts(last["content"])
    if str(last.get("type", "")).endswith("_call_output"):
        return _texts(last["output"])
    blocks = last.get("content") if isinstance(last.get("content"), list) else []
    return next((_texts(block["content"]) for block in blocks if block.get("type") == "tool_result"), None)


def _turn(body: dict) -> speech.Turn:
    result, prompt = _result(body), _prompt(body)
    if result is not None:
        return speech.Turn(("The tool ", f"says {result}"))
    tools = body.get("tools")
    if tools and "no tool" not in prompt:
        tool = tools[0]
        kind = {"custom": "custom_tool_call", "local_shell": "local_shell_call"}.get(tool.get("type"), "function_call")
        arguments = ("*** Begin", " Patch") if kind == "custom_tool_call" else speech.Turn.arguments
        return speech.Turn(tool=tool.get("name") or tool.get("function", {}).get("name") or tool["type"], kind=kind, arguments=arguments)
    if "speak slowly" in prompt:
        return speech.Turn(tuple(f"word {number} " for number in range(PATIENCE * 50)))
    return speech.Turn(("You said: ", prompt))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: Provider

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        asked = Asked(self.path, list(self.headers.items()), raw)
        self.provider.asked.append(asked)
        if self.provider.script:
            self._whole(*self.provider.script.pop(0))
            return
        if self.path == "/v1/messages/count_tokens":
            self._json(200, {"input_tokens": COUNTED})
            return
        body, dialect = asked.body, PATHS[self.path]
        prompt = _prompt(body)
        if failing := re.search(r"fail with (\d+)(?: after (\d+))?", prompt):
            self._json(int(failing[1]), speech.error(dialect, int(failing[1])), [("retry-after", failing[2])] if failing[2] else [])
        elif "say nothing" in prompt:
            self._silent(asked)
        elif body.get("stream"):
            options = body.get("stream_options") or {}
            pause = 0.02 if "speak slowly" in prompt else 0
            self._stream(asked, speech.events(dialect, body["model"], _turn(body), bool(options.get("include_usage"))), pause)
        else:
            self._json(200, speech.whole(dialect, body["model"], _turn(body)))

    def _json(self, status: int, body: dict, headers: list[tuple[str, str]] = []) -> None:
        self._whole(status, [("content-type", "application/json"), *headers], json.dumps(body).encode())

    def _whole(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in [*headers, ("request-id", "req_provider"), ("x-request-id", "req_provider")]:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _silent(self, asked: Asked) -> None:
        """Waits until the caller closes the connection."""
        self.close_connection = True
        self.connection.settimeout(PATIENCE)
        try:
            if not self.connection.recv(1):
                asked.left.set()
        except ConnectionError:
            asked.left.set()
        except TimeoutError:
            pass

    def _stream(self, asked: Asked, events: Iterator[bytes], pause: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-request-id", "req_provider")
        self.end_headers()
        try:
            for event in events:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                if pause:
                    time.sleep(pause)
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            asked.left.set()
            self.close_connection = True

"""Requests that tests write themselves."""

import dataclasses
import http.client
import json

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


@dataclasses.dataclass
class Told:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    raw: bytes
    # Whether the connection broke before the end of the body.
    broken: bool = False

    @property
    def body(self) -> dict:
        return json.loads(self.raw)

    @property
    def events(self) -> list[dict]:
        """The data of a stream's events; `[DONE]` is left out."""
        lines = [line[5:].strip() for line in self.raw.decode().splitlines() if line.startswith("data:")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


def send(origin: str, method: str, path: str, body: bytes | None = None, headers: list[tuple[str, str]] = [], seconds: float = 20) -> Told:
    """Sends a request as it is. Nothing is expected to take longer than `seconds`."""
    connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=seconds)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-type", "application/json")
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        try:
            return Told(answer.status, answer.headers, answer.read())
        except http.client.IncompleteRead as read:
            return Told(answer.status, answer.headers, read.partial, broken=True)
    finally:
        connection.close()


def question(dialect: str, prompt: str, **rest: object) -> dict:
    """A request of a dialect."""
    if dialect == "responses":
        return {"model": "auto", "input": prompt, "store": False, **rest}
    limit = {"max_tokens": 100} if dialect == "messages" else {}
    return {"model": "auto", "messages": [{"role": "user", "content": prompt}], **limit, **rest}


def ask(origin: str, dialect: str, body: dict, headers: list[tuple[str, str]] = []) -> Told:
    """Asks for an answer."""
    return send(origin, "POST", PATHS[dialect], json.dumps(body).encode(), headers)

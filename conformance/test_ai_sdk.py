"""Vercel's AI SDK, with nothing changed but `baseURL`. The program asks; what is expected stands here."""

import pytest
from nodes import told
from speech import CAPITAL

TYPES = [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_error"), (500, None)]


@pytest.mark.parametrize("kind", ["chat", "responses", "compatible", "messages"])
def test_all(case, kind):
    with told("ai.mjs", case.origin, kind) as said:
        assert said["leaving"] is True
        assert case.provider.asked[-1].left.wait(1), "the provider's call goes on"
    assert said["whole"] == [f"You said: {CAPITAL}", 11, 7, "stop"]
    assert said["stream"] == [True, f"You said: {CAPITAL}", "stop", 7]
    for scene in ("tools", "streamed_tools"):
        assert said[scene] == ["The tool says sunny in Paris", ["tool-calls", "stop"]]
    server = "api_error" if kind == "messages" else "server_error"
    expected = [["AI_APICallError", status, name or server, f"the provider answers {status}", "30"] for status, name in TYPES]
    assert said["errors"] == expected
    assert said["streamed_errors"] == expected
    assert said["unknown"][:2] == ["AI_APICallError", 404]

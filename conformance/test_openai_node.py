"""openai-node, with nothing changed but `baseURL`. The program asks; what is expected stands here."""

import pytest
from gateways import ALIASES
from nodes import told
from speech import CAPITAL

ERRORS = [
    ["BadRequestError", 400, "invalid_request_error"],
    ["AuthenticationError", 401, "authentication_error"],
    ["RateLimitError", 429, "rate_limit_error"],
    ["InternalServerError", 500, "server_error"],
]


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_all(case, kind):
    with told("openai.mjs", case.origin, kind) as said:
        assert said["leaving"] == 6
        assert case.provider.asked[-1].left.wait(1), "the provider's call goes on"
    assert said["whole"] == f"You said: {CAPITAL}"
    assert said["headers"] == "model"
    assert said["stream"] == [True, f"You said: {CAPITAL}", "stop" if kind == "chat" else "response.completed"]
    assert said["tools"] == "The tool says sunny in Paris"
    for scene in ("errors", "streamed_errors"):
        assert [error[:5] for error in said[scene]] == [[*error, f"the provider answers {error[1]}", "30"] for error in ERRORS]
    name, status, _, message, _, code = said["unknown"]
    assert (name, status, code) == ("NotFoundError", 404, "model_not_found") and "/v1/models" in message
    assert said["models"] == [*ALIASES, "model"]

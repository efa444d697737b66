"""What schemathesis is told before it runs (see test_schemathesis.py)."""

import schemathesis


@schemathesis.hook
def map_body(context, body):
    """Asks for a route: made-up names of models would end nearly all requests with 404."""
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = "auto"
    return body


@schemathesis.check
def listed(context, response, case):
    """The description lists the provider's own statuses as `default`; the gateway's own ones it must list by number."""
    listed = case.operation.definition.raw["responses"]
    # What does not match a path or its methods is not an operation's answer.
    assert str(response.status_code) in listed or response.status_code == 405, f"{response.status_code} is not listed"

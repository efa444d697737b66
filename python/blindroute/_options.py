"""What callers say, as the engine takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from blindroute import _engine
from blindroute._errors import InputError

Placement = Literal["local", "head", "full"]
"""Where encoder and rule run: both here, the rule under MPC, or both under MPC."""

Prompt = str | Sequence[Mapping[str, Any]]
"""A text, or the messages of a conversation as Chat Completions has them."""

Errors = Literal["raise", "return"]
"""Whether a prompt that has no answer raises its error in the end, or has it in its place."""


class Weight(Protocol):
    """What has a weight of cost, such as a calibration."""

    @property
    def weight(self) -> float: ...


RouteOptions = tuple[str, float | None, str | None, int, tuple[float, str] | None]
"""Placement, weight, router, ranked, unknown text."""


def weight_of(weight: float | Weight | None) -> float | None:
    return weight if weight is None or isinstance(weight, (int, float)) else weight.weight


def classify_options(task: str | None, placement: str, policy: str, scores: bool, **further: Any) -> dict[str, Any]:
    return {"task": task, "placement": placement, "policy": policy, "scores": scores, **further}


def text_of(prompt: Prompt) -> str:
    """The text that is routed."""
    if isinstance(prompt, str):
        return prompt
    try:
        request = json.dumps({"messages": list(prompt)})
    except (TypeError, ValueError):
        # What is in it is not for error texts.
        kind = type(prompt).__name__
        message = f"the prompt is a {kind}, expected a str, or a list of messages with role and content"
        raise InputError(message, "messages") from None
    return _engine.routed_text(request)


def pair_of(text: str | tuple[str, str]) -> tuple[str, str | None]:
    if isinstance(text, str):
        return text, None
    if isinstance(text, Sequence) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return text[0], text[1]
    raise InputError(f"a text is a {type(text).__name__}, expected a str or a pair of them", "text")

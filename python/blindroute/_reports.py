"""Answers: what a route or a classification says, and what it cost."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from blindroute import _engine


@dataclass(frozen=True, slots=True)
class RankedModel:
    """A model of a ranking."""

    model: str
    price: float
    price_unit: str


@dataclass(frozen=True, slots=True)
class _Pickled:
    """An answer that was pickled, in place of the engine's."""

    name: str
    text: str

    def json(self) -> str:
        return self.text


class _Answer:
    """What the answers to prompts and to texts have in common.

    Most callers read the name only: the rest of the report is read once somebody asks for it. Answers are equal if their reports are,
    can be pickled, and cannot be changed.
    """

    __slots__ = ("_answer", "_read")
    _shown: ClassVar[tuple[str, ...]] = (
        *("placement", "tokens", "bucket", "batch"),
        *("ms", "openings", "bytes", "seen"),
    )

    def __init__(self, answer: _engine.Answer) -> None:
        """Not for direct use."""
        self._answer: _engine.Answer | _Pickled = answer
        self._read: dict[str, Any] | None = None

    @property
    def _report(self) -> dict[str, Any]:
        if self._read is None:
            self._read = json.loads(self._answer.json())
        return self._read

    @property
    def placement(self) -> str:
        """Where the program ran: `local`, `head` or `full`."""
        return str(self._report["placement"])

    @property
    def tokens(self) -> int:
        """The tokens that were read."""
        return int(self._report["tokens"])

    @property
    def bucket(self) -> int | None:
        """The length that servers and dealer see, in tokens; None if they see none."""
        bucket = self._report["bucket"]
        return None if bucket is None else int(bucket)

    @property
    def batch(self) -> int:
        """How many shared the session, repeated texts included. `ms`, `openings` and `bytes` are the whole session's."""
        return int(self._report.get("batch", 1))

    @property
    def ms(self) -> Mapping[str, float]:
        """Times in milliseconds: `client`, `wait`, `offline`, `online`, `total`."""
        return dict(self._report["ms"])

    @property
    def openings(self) -> int:
        """Exchanges between the servers."""
        return int(self._report["openings"])

    @property
    def bytes(self) -> Mapping[str, int]:
        """Bytes sent: `server0_sent`, `server1_sent`, `client_sent`, `material`."""
        return dict(self._report["bytes"])

    @property
    def seen(self) -> str:
        """Who saw what."""
        return str(self._report["seen"])

    def to_dict(self) -> dict[str, Any]:
        """All of the report, as the command prints it with `--json`."""
        return copy.deepcopy(self._report)

    def __eq__(self, other: object) -> bool:
        return self._report == other._report if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(json.dumps(self._report, sort_keys=True))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({shown})"

    def __getstate__(self) -> tuple[str, str]:
        return (self._answer.name, self._answer.json())

    def __setstate__(self, state: tuple[str, str]) -> None:
        self._answer, self._read = _Pickled(*state), None


@final
class Route(_Answer):
    """The answer to one prompt: the model to call, and what it took to find it."""

    __slots__ = ()
    _shown = ("model", "price", "price_unit", "ranking", "router", "weight", "unknown", *_Answer._shown)

    @property
    def model(self) -> str:
        """The model to call."""
        return self._answer.name

    @property
    def price(self) -> float:
        """Its price, in `price_unit`."""
        return float(self._report["price"])

    @property
    def price_unit(self) -> str:
        """The unit of prices, such as `USD per 1M tokens`."""
        return str(self._report["price_unit"])

    @property
    def ranking(self) -> tuple[RankedModel, ...]:
        """The model to call, and the next best if more were asked for."""
        ranking = self._report.get("ranking")
        if ranking is None:
            return (RankedModel(self.model, self.price, self.price_unit),)
        return tuple(RankedModel(**model) for model in ranking)

    @property
    def router(self) -> str:
        """The router's name in the bundle."""
        return str(self._report["router"])

    @property
    def weight(self) -> float:
        """The weight of cost, λ."""
        return float(self._report["lambda"])

    @property
    def unknown(self) -> int:
        """How many of the tokens stand for words outside the vocabulary, which the router cannot read."""
        return int(self._report["unknown"])


@final
class Label(_Answer):
    """The answer to one text of a classification: its label, and what it took to find it."""

    __slots__ = ()
    _shown = ("label", "scores", "task", "depth", "leaked_bits", *_Answer._shown)

    @property
    def label(self) -> str:
        """The label."""
        return self._answer.name

    @property
    def scores(self) -> Mapping[str, float] | None:
        """The score of each label, only if they were asked for."""
        scores = self._report.get("scores")
        return None if scores is None else dict(scores)

    @property
    def task(self) -> str:
        """The task's name in the bundle."""
        return str(self._report["task"])

    @property
    def depth(self) -> int | None:
        """After how many layers all texts of the session left; None if servers chose which go on."""
        depth = self._report["depth"]
        return None if depth is None else int(depth)

    @property
    def leaked_bits(self) -> int:
        """How many bits about the text servers may have learnt from where it left the encoder; 0 unless the policy is open."""
        return int(self._report["leaked_bits"])

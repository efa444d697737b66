"""Answers: what a route or a classification says, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RankedModel:
    """A model of a ranking."""

    model: str
    price: float
    price_unit: str


@dataclass(frozen=True, slots=True)
class Route:
    """The answer to one prompt: the model to call, and what it took to find it."""

    model: str
    """The model to call."""
    price: float
    """Its price, in `price_unit`."""
    price_unit: str
    """The unit of prices, such as `USD per 1M tokens`."""
    ranking: tuple[RankedModel, ...]
    """The model to call, and the next best if more were asked for."""
    placement: str
    """Where the router ran: `local`, `head` or `full`."""
    router: str
    """The router's name in the bundle."""
    weight: float
    """The weight of cost, λ."""
    tokens: int
    """The prompt's tokens that were read."""
    unknown: int
    """How many of them stand for words outside the vocabulary, which the router cannot read."""
    bucket: int | None
    """The length that servers and dealer see, in tokens; None if they see none."""
    batch: int
    """How many prompts shared the session. The figures below are the whole session's."""
    ms: Mapping[str, float]
    """Times in milliseconds: `client`, `wait`, `offline`, `online`, `total`."""
    openings: int
    """Exchanges between the servers."""
    bytes: Mapping[str, int]
    """Bytes sent: `server0_sent`, `server1_sent`, `client_sent`, `material`."""
    seen: str
    """Who saw what."""
    _report: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, text: str) -> Route:
        report = json.loads(text)
        alone = [{"model": report["model"], "price": report["price"], "price_unit": report["price_unit"]}]
        return cls(
            model=report["model"],
            price=report["price"],
            price_unit=report["price_unit"],
            ranking=tuple(RankedModel(**model) for model in report.get("ranking", alone)),
            placement=report["placement"],
            router=report["router"],
            weight=report["lambda"],
            tokens=report["tokens"],
            unknown=report["unknown"],
            bucket=report["bucket"],
            batch=report.get("batch", 1),
            ms=report["ms"],
            openings=report["openings"],
            bytes=report["bytes"],
            seen=report["seen"],
            _report=report,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of the report, as `blindroute route --json` prints it."""
        return dict(self._report)


@dataclass(frozen=True, slots=True)
class Label:
    """The answer to one text of a classification: its label, and what it took to find it."""

    label: str
    scores: Mapping[str, float] | None
    """The score of each label, only if they were asked for."""
    task: str
    placement: str
    tokens: int
    bucket: int | None
    """The length that servers and dealer see, in tokens; None if they see none."""
    batch: int
    """How many texts shared the session, repeated ones included. The figures below are the whole session's."""
    depth: int | None
    """After how many layers all texts of the session left; None if servers chose which go on."""
    ms: Mapping[str, float]
    """Times in milliseconds: `client`, `wait`, `offline`, `online`, `total`."""
    openings: int
    """Exchanges between the servers."""
    bytes: Mapping[str, int]
    """Bytes sent: `server0_sent`, `server1_sent`, `client_sent`, `material`."""
    seen: str
    """Who saw what."""
    leaked_bits: int
    """How many bits about the text servers may have learnt from where it left the encoder; 0 unless the policy is open."""
    _report: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, text: str) -> Label:
        report = json.loads(text)
        return cls(
            label=report["label"],
            scores=report.get("scores"),
            task=report["task"],
            placement=report["placement"],
            tokens=report["tokens"],
            bucket=report["bucket"],
            batch=report["batch"],
            depth=report["depth"],
            ms=report["ms"],
            openings=report["openings"],
            bytes=report["bytes"],
            seen=report["seen"],
            leaked_bits=report["leaked_bits"],
            _report=report,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of the report, as `blindroute classify --json` prints it."""
        return dict(self._report)

"""Bundles: an encoder, its tokenizer, a pool of models, and routers."""

from __future__ import annotations

import html
import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Any

from blindroute import _engine
from blindroute._arrays import flat, table
from blindroute._progress import Progress, shown


@dataclass(frozen=True, slots=True)
class Model:
    """An LLM that a route can choose."""

    name: str
    price: float
    price_unit: str


class Bundle:
    """An encoder, its tokenizer, a pool of models, and routers. Bundles do not change: what changes one makes another.

    >>> import blindroute
    >>> bundle = blindroute.Bundle.load()
    >>> bundle.routers[0]
    'uniroute'
    """

    __slots__ = ("_bundle", "_summary")

    def __init__(self, bundle: _engine.Bundle) -> None:
        """Not for direct use: see `load`."""
        self._bundle = bundle
        self._summary: dict[str, Any] = json.loads(bundle.summary())

    @classmethod
    def load(cls, path: str | PathLike[str] | None = None) -> Bundle:
        """Reads a bundle from a file; without one, the default bundle, which is part of the package.

        Raises `BundleError` if the file cannot be read or is no bundle.
        """
        bundle, unknown = _engine.Bundle.load(path)
        for name in unknown:
            warnings.warn(f"unknown part of the bundle {name!r}; it has no effect", stacklevel=2)
        return cls(bundle)

    @classmethod
    def _of(cls, bundle: Bundle | str | PathLike[str] | None) -> Bundle:
        return bundle if isinstance(bundle, Bundle) else cls.load(bundle)

    def save(self, path: str | PathLike[str]) -> int:
        """Writes it to a file, whole or not at all, and returns the number of bytes."""
        return self._bundle.save(path)

    def show(self) -> dict[str, Any]:
        """What it holds, without the weights: `digest`, `encoder`, `models`, `routers`, `pool`, `origin`."""
        return dict(self._summary)

    @property
    def digest(self) -> str:
        """The digest of the whole bundle, in hexadecimal digits."""
        return str(self._summary["digest"])

    @property
    def models(self) -> list[Model]:
        """The models that its routers choose between."""
        return [Model(model["name"], model["price"], model["unit"]) for model in self._summary["models"]]

    @property
    def routers(self) -> list[str]:
        """The names of its routers; the first is the default."""
        return [router["name"] for router in self._summary["routers"]]

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks of its classifiers; the first is the default."""
        pool = self._summary["pool"] or {"tasks": []}
        return [task["name"] for task in pool["tasks"]]

    def embed(self, prompts: Iterable[str], *, progress: Progress = True) -> Any:
        """The embeddings of prompts by its encoder, computed here in the clear: `[prompts, hidden]`, 32-bit floats.

        They are what its routers read, so train your own on them (see `blindroute.export`). A `numpy.ndarray`, or without numpy a
        `memoryview`.

        >>> import blindroute
        >>> len(blindroute.Bundle.load().embed(["What is the capital of France?"]).tolist()[0])
        384
        """
        texts = list(prompts)
        numbers, hidden = self._bundle.embed(texts, _engine.Cancel(), shown(progress, "embedding prompts"))
        return table(numbers, [len(texts), hidden])

    def with_router(
        self,
        name: str,
        rule: _engine.Rule,
        *,
        weight: float | Any,
        default: bool = True,
        source: str = "not stated",
        samples: Any = None,
    ) -> Bundle:
        """This bundle with a router that was trained elsewhere (`blindroute.export`), in place of one of its name.

        `weight` is the router's default weight of cost, λ: the answer has the largest score − λ·cost, where cost is a model's price over the
        largest one. With `default`, routes use this router unless they name another. `source` says where it comes from and under which
        licence. The values of the rule are tried on some texts, and on `samples`, embeddings of prompts `[any, hidden]`
        (see `embed`), because numbers that leave their range would be wrong in private routes; give the embeddings that you trained on.

        Raises `InputError` if the rule scores other models or reads other embeddings than this bundle has, or leaves its ranges.

        >>> import blindroute
        >>> bundle = blindroute.Bundle.load()
        >>> models, hidden = len(bundle.models), 384
        >>> class Linear:  # what scikit-learn's Ridge has once it is fitted
        ...     coef_, intercept_ = [[0.0] * hidden] * models, [0.5] * models
        >>> Linear.__name__ = "Ridge"
        >>> bundle.with_router("mine", blindroute.export.from_linear(Linear()), weight=0.1).routers[0]
        'mine'
        """
        tried = None if samples is None else flat(samples, "samples", "d")
        chosen = float(getattr(weight, "weight", weight))
        return Bundle(_engine.with_router(self._bundle, (name, source), rule, (chosen, default), tried))

    def __repr__(self) -> str:
        return repr(self._bundle)

    def __str__(self) -> str:
        return self._bundle.described()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._bundle.described())}</pre>"

"""Training routers on a table of outcomes."""

from __future__ import annotations

import html
import json
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Literal

from blindroute import _engine
from blindroute._bundle import Bundle
from blindroute._data import DataSet
from blindroute._progress import Progress, shown

Path = str | PathLike[str]
Window = Literal["head", "tail", "both"]
"""Which 256 tokens of a longer prompt are read: the first, the last, or the first 128 and the last 128."""


class Trained:
    """A trained router: the bundle that holds it, and what cross-validation and the test split say of it."""

    __slots__ = ("_text", "bundle", "report")

    bundle: Bundle
    """The bundle with the router, for `PrivateRouter`, `evaluate` or `Bundle.save`."""
    report: dict[str, Any]
    """The report, as `blindroute train --json` prints it: `router`, `chosen`, `validated`, `sure`, `test`, `warnings` and more."""

    def __init__(self, bundle: Bundle, report: dict[str, Any], text: str) -> None:
        self.bundle = bundle
        self.report = report
        self._text = text

    @property
    def router(self) -> str:
        """The router's name in the bundle."""
        return str(self.report["router"])

    @property
    def sure(self) -> bool:
        """Whether the router is surely better than choosing without looking at the prompt, by cross-validation."""
        return bool(self.report["sure"])

    def __repr__(self) -> str:
        return f"<blindroute router {self.router}, trained into the bundle of digest {self.bundle.digest}>"

    def __str__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"


def train_uniroute(
    data: DataSet | Path,
    *,
    bundle: Bundle | Path | None = None,
    name: str = "uniroute",
    map: Literal["kmeans", "learned"] = "kmeans",
    k: Iterable[int] | None = None,
    clusterings: Iterable[int] | None = None,
    smoothing: Iterable[float] | None = None,
    fine_tune: str | None = None,
    fine_tune_from: Bundle | Path | None = None,
    window: Sequence[Window] = (),
    lexical: Sequence[float] = (),
    alpha: float | None = None,
    slack: float = 0.0,
    folds: int | None = None,
    validations: int | None = None,
    mixture: bool = False,
    source: str | None = None,
    embeddings: Path | None = None,
    seed: int = 0,
    progress: Progress = True,
) -> Trained:
    """Trains a UniRoute router: clusters of prompts, and how often each model fails in each. It becomes the bundle's default router.

    Settings are chosen by cross-validation on the splits train and valid: numbers of clusters `k` [default: 8, 16, 32], of `clusterings`
    whose errors are averaged [1, 8], and `smoothing`, the weight of a model's overall error in each cluster, in prompts [3, 10, 30, 100].
    `map="learned"` also tries centroids trained on the outcomes. `fine_tune` names a UniRoute router, of `fine_tune_from` or of the
    bundle, whose centroids to keep.

    All trainings share these options. `bundle` [the default bundle] has the encoder, and gets the router under `name`. `window` tries which
    tokens of long prompts to read [the bundle's own], and `lexical` weights of features of the words [0, 0.7, 1.4]. The default weight
    of cost is the cheapest at which the mean score is at most `slack` below that of the best single model, or with `alpha` the one of the
    largest score − alpha · cost. `folds` and `validations` divide the prompts. `mixture` mixes the router with the best choice that does
    not look at prompts, as much as it takes not to be worse. `source` says where the data are from, and stays in the bundle. `embeddings`
    is a file that keeps embeddings. The same data, options and `seed` give the same router as `blindroute train`.

    >>> import blindroute
    >>> prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n}?" for n in range(60)]
    >>> scores = [[float(n % 2), 1.0] for n in range(60)]
    >>> data = blindroute.DataSet.from_arrays(prompts, scores, {"small": 0.1, "big": 2.0})
    >>> trained = blindroute.train_uniroute(data, k=[2], clusterings=[1], lexical=[0], validations=1, progress=False)
    >>> trained.bundle.routers
    ['uniroute']
    """
    return _train("uniroute", dict(locals()))


def train_cscr(
    data: DataSet | Path,
    *,
    bundle: Bundle | Path | None = None,
    name: str = "cscr",
    k: int | None = None,
    descriptor: Iterable[int] | None = None,
    descriptors: Path | None = None,
    fine_tune: str | None = None,
    fine_tune_from: Bundle | Path | None = None,
    passes: int | None = None,
    rate: float | None = None,
    window: Sequence[Window] = (),
    lexical: Sequence[float] = (),
    alpha: float | None = None,
    slack: float = 0.0,
    folds: int | None = None,
    validations: int | None = None,
    mixture: bool = False,
    source: str | None = None,
    embeddings: Path | None = None,
    seed: int = 0,
    progress: Progress = True,
) -> Trained:
    """Trains a CSCR router: a projection that brings prompts near the descriptors of models that answer them, trained by contrast.

    `descriptor` has widths of the models' outcome fingerprints to try [16, 64]; `descriptors` is a file of `blindroute fingerprint` to use
    instead. `k` chooses the published rule: a search keeps the k models with the largest similarities. `passes` is the largest number of
    passes over the prompts [16], and `rate` the largest learning rate [0.0005]. `fine_tune` names a CSCR router whose projection and
    descriptors to start from. The other options are those of `train_uniroute`.
    """
    return _train("cscr", dict(locals()))


def train_direct(
    data: DataSet | Path,
    *,
    bundle: Bundle | Path | None = None,
    name: str = "direct",
    penalty: Iterable[float] | None = None,
    window: Sequence[Window] = (),
    lexical: Sequence[float] = (),
    alpha: float | None = None,
    slack: float = 0.0,
    folds: int | None = None,
    validations: int | None = None,
    mixture: bool = False,
    source: str | None = None,
    embeddings: Path | None = None,
    seed: int = 0,
    progress: Progress = True,
) -> Trained:
    """Trains a direct router: each model's score, predicted from the embedding by ridge regression.

    `penalty` has penalties to try, relative to the mean square of the inputs. The other options are those of `train_uniroute`.
    """
    return _train("direct", dict(locals()))


LISTS = ("k", "clusterings", "smoothing", "descriptor", "penalty", "window", "lexical")


def _train(kind: str, given: dict[str, Any]) -> Trained:
    """Trains with the arguments of one of the functions above."""
    data, bundle, progress = (given.pop(name) for name in ("data", "bundle", "progress"))
    other = given.pop("fine_tune_from", None)
    options = {
        name: list(value) if name in LISTS and isinstance(value, Iterable) else value for name, value in given.items()
    }
    options["fine_tune_from"] = None if other is None else Bundle._of(other)._bundle
    made, report, text, left_out = _engine.train(
        DataSet._of(data)._data,
        Bundle._of(bundle)._bundle,
        (kind, options),
        _engine.Cancel(),
        (shown(progress, "embedding prompts"), shown(progress, f"training {kind}, folds")),
    )
    # Nobody expects the default bundle's own routers among models of one's own.
    for sentence in left_out if bundle is not None else ():
        warnings.warn(sentence, stacklevel=3)
    return Trained(Bundle(made), json.loads(report), text)

"""Measuring routers beside baselines, and finding the weight of cost for one's own prompts."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, Literal

from blindroute import _engine
from blindroute._arrays import flat, table
from blindroute._bundle import Bundle
from blindroute._data import DataSet
from blindroute._errors import BlindrouteError
from blindroute._progress import Progress, shown

Path = str | PathLike[str]
Bundles = Bundle | Path | None | Sequence[Bundle | Path]
"""One bundle, several with routers of the same names that were trained with other seeds, or None for the default one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a router or baseline scores and costs, for a range of weights of cost."""

    name: str
    """Its name, unique in its group."""
    group: str
    """`private` for routers whose encoder runs under MPC, `original` for those on the encoder as published, or `baseline`."""
    weights: Any = field(repr=False)
    """The weight of cost of each point, NaN for a point without one: `[points]`, 64-bit floats."""
    costs: Any = field(repr=False)
    """The mean cost of each point, relative to the most expensive model: `[points]`, 64-bit floats."""
    scores: Any = field(repr=False)
    """The mean score of each point, from 0 to 1: `[points]`, 64-bit floats."""


class Evaluation:
    """Cost and quality of routers and baselines on a split of a data set. In a notebook it shows itself as a page with charts."""

    __slots__ = ("_evaluation", "_report")

    def __init__(self, evaluation: _engine.Evaluation) -> None:
        """Not for direct use: see `evaluate`."""
        self._evaluation = evaluation
        self._report: dict[str, Any] = json.loads(evaluation.json())

    @property
    def curves(self) -> list[Curve]:
        """The points of every method, routers first."""

        def one(numbers: bytes) -> Any:
            return table(numbers, [len(numbers) // 8], "d")

        return [
            Curve(name, group, one(weights), one(costs), one(scores))
            for group, name, (weights, costs, scores) in self._evaluation.points()
        ]

    def table(self) -> list[dict[str, Any]]:
        """A row for each method, for instance for `pandas.DataFrame`: `name`, `group`, `seeds`, each measure, and its interval's ends.

        The measures are explained in `to_html`. A measure that cannot be computed is None.
        """
        rows = []
        for row in self._report["rows"]:
            found = {"name": row["name"], "group": row["group"], "seeds": row["seeds"]}
            for measure, estimate in row["measures"].items():
                interval = estimate["interval"] or {"low": None, "high": None}
                found[measure] = estimate["value"]
                found[f"{measure}_low"], found[f"{measure}_high"] = interval["low"], interval["high"]
            rows.append(found)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """All of it, as `blindroute eval --json` prints it."""
        return dict(self._report)

    def to_html(self, path: Path | None = None) -> str:
        """A page with charts and tables that needs nothing else; written to a file if one is named."""
        return _written(self._evaluation.html(), path)

    def to_csv(self, path: Path | None = None) -> str:
        """Comma-separated values, one line per method; written to a file if one is named."""
        return _written(self._evaluation.csv(), path)

    def plot(self, ax: Any = None) -> Any:
        """Draws score over cost with matplotlib, into `ax` if it is given, and returns the axes."""
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                message = "plot needs matplotlib: install it, or use to_html, which needs nothing"
                raise BlindrouteError(message, "no_matplotlib") from error
            ax = pyplot.subplots()[1]
        for curve in self.curves:
            points = sorted(zip(curve.costs.tolist(), curve.scores.tolist(), strict=True))
            style = {"baseline": ":", "original": "--"}.get(curve.group, "-")
            label = curve.name if curve.group == "baseline" else f"{curve.name} ({curve.group})"
            line = style if len(points) > 1 else ""
            marker = "o" if len(points) == 1 else None
            ax.plot(
                [cost for cost, _ in points], [score for _, score in points], linestyle=line, marker=marker, label=label
            )
        ax.set_xlabel("mean cost, relative to the most expensive model")
        ax.set_ylabel("mean score")
        ax.set_title(f"{self._report['about']['data']}, {self._report['about']['split']}")
        ax.legend(fontsize="small")
        return ax

    def __repr__(self) -> str:
        about = self._report["about"]
        found = f"{self._report['prompts']} prompts, {len(self._report['rows'])} methods"
        return f"<blindroute evaluation on {about['data']}, {about['split']}: {found}>"

    def __str__(self) -> str:
        return self._evaluation.text()

    def _repr_html_(self) -> str:
        # A frame of its own, so that the page's style stays on the page.
        page = html.escape(self._evaluation.html())
        return f'<iframe srcdoc="{page}" sandbox="" style="width: 100%; height: 45em; border: 0"></iframe>'


def evaluate(
    data: DataSet | Path,
    bundle: Bundles = None,
    *,
    originals: Sequence[Bundle | Path] = (),
    split: Literal["train", "valid", "test"] = "test",
    routers: Sequence[str] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    source: str | None = None,
    embeddings: Path | None = None,
    embeddings_original: Path | None = None,
    progress: Progress = True,
) -> Evaluation:
    """Measures the routers of one or several bundles on a split, beside baselines and with intervals, as `blindroute eval` does.

    Several bundles hold routers of the same names that were trained with other seeds. `originals` are bundles on the encoder as
    published, to compare routers of the same name with. `routers` names those to measure [default: all]. The intervals come from
    `bootstrap` resamples of the prompts, none if it is 0. `embeddings` and `embeddings_original` are files that keep embeddings.

    >>> import blindroute
    >>> prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n}?" for n in range(60)]
    >>> scores = [[float(n % 2), 1.0] for n in range(60)]
    >>> data = blindroute.DataSet.from_arrays(prompts, scores, {"small": 0.1, "big": 2.0})
    >>> trained = blindroute.train_direct(data, penalty=[1], lexical=[0], progress=False)
    >>> evaluation = blindroute.evaluate(data, trained.bundle, bootstrap=0, progress=False)
    >>> evaluation.curves[0].name, evaluation.curves[0].group
    ('direct', 'private')
    """
    if bundle is None or isinstance(bundle, Bundle | str | PathLike):
        bundles: Sequence[Bundle | Path | None] = [bundle]
    else:
        bundles = bundle
    found = _engine.evaluate(
        DataSet._of(data)._data,
        ([Bundle._of(each)._bundle for each in bundles], [Bundle._of(each)._bundle for each in originals]),
        {
            "split": split,
            "routers": None if routers is None else list(routers),
            "bootstrap": bootstrap,
            "seed": seed,
            "source": source,
            "embeddings": embeddings,
            "embeddings_original": embeddings_original,
        },
        _engine.Cancel(),
        (shown(progress, "embedding prompts"), shown(progress, "measuring, curves")),
    )
    return Evaluation(found)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over the prompts, and its 95 % interval for other prompts of the same kind."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A weight of cost for one router over one pool, for prompts of one kind. `PrivateRouter.route` takes it as `weight`."""

    weight: float
    """The weight of cost, λ."""
    interval: tuple[float, float]
    """The weight's 95 % interval for other prompts of the same kind."""
    cost: Estimate
    """The mean cost at this weight, relative to the most expensive model."""
    score: Estimate | None
    """The mean score at this weight, if scores were given."""
    router: str
    """The router's name."""
    prompts: int
    """The number of prompts it was made with."""
    _json: str = field(repr=False)

    @classmethod
    def _of(cls, text: str) -> Calibration:
        report = json.loads(text)
        weight = report["lambda"]
        score = report["score"]
        return cls(
            weight=weight["value"],
            interval=(weight["low"], weight["high"]),
            cost=Estimate(**report["cost"]),
            score=None if score is None else Estimate(**score),
            router=report["router"],
            prompts=report["prompts"],
            _json=text,
        )

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Reads a file of `save` or of `blindroute calibrate`."""
        return cls._of(_engine.read_calibration(path))

    def save(self, path: Path) -> None:
        """Writes the file that `blindroute route --calibration` takes. It has no prompt."""
        FilePath(path).write_text(self._json, encoding="utf-8")

    def check(self, bundle: Bundle | Path | None = None, router: str | None = None) -> None:
        """Raises `InputError` unless it is for this router of the bundle, or for its default one, and for the bundle's models."""
        _engine.check_calibration(self._json, Bundle._of(bundle)._bundle, router)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as the file has it."""
        report: dict[str, Any] = json.loads(self._json)
        return report


def calibrate(
    prompts: Iterable[str],
    *,
    cost: float | None = None,
    score: float | None = None,
    scores: Any = None,
    bundle: Bundle | Path | None = None,
    router: str | None = None,
    tolerance: float = 0.05,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Progress = True,
) -> Calibration:
    """The weight of cost that brings your own prompts to a target, as `blindroute calibrate` finds it.

    The target is a largest mean `cost`, relative to the most expensive model, or a mean `score` to reach at the lowest cost. A score needs
    `scores`, `[prompts, models]`, from 0 to 1. Raises `InputError` with the code `not_enough_data` if the 95 % interval of the target
    reaches further than `tolerance` to either side, and `out_of_reach` if no weight leads there.

    >>> import blindroute
    >>> prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n}?" for n in range(60)]
    >>> calibration = blindroute.calibrate(prompts, cost=0.9, tolerance=0.5, progress=False)
    >>> calibration.cost.value <= 0.9, calibration.prompts
    (True, 60)
    """
    options = {
        "cost": cost,
        "score": score,
        "router": router,
        "tolerance": tolerance,
        "bootstrap": bootstrap,
        "seed": seed,
    }
    given = (list(prompts), None if scores is None else flat(scores, "scores"))
    hears = shown(progress, "embedding prompts")
    return Calibration._of(_engine.calibrate(given, Bundle._of(bundle)._bundle, options, _engine.Cancel(), hears))


def _written(text: str, path: Path | None) -> str:
    if path is not None:
        FilePath(path).write_text(text, encoding="utf-8")
    return text

"""Data sets: prompts, models, and how well each model answers each prompt."""

from __future__ import annotations

import html
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol

from blindroute import _engine
from blindroute._arrays import flat, table
from blindroute._bundle import Bundle, Model
from blindroute._errors import InputError

Path = str | PathLike[str]
Prices = Mapping[str, float] | Sequence[float]
"""The price of each model: by its name, or in the order of `models`."""


class Frame(Protocol):
    """A table with named columns: a DataFrame of pandas or polars."""

    def __getitem__(self, name: Any, /) -> Any: ...


class DataSet:
    """Prompts, models with prices, and the score from 0 to 1 of each model on each prompt. Data sets do not change.

    Routers are trained on the splits `train` and `valid` and measured on `test`.

    >>> import blindroute
    >>> prompts = [f"{'Add' if n % 2 else 'Translate'} {n}" for n in range(60)]
    >>> scores = [[float(n % 2), 1.0] for n in range(60)]
    >>> data = blindroute.DataSet.from_arrays(prompts, scores, {"small": 0.1, "big": 2.0})
    >>> data.models[1].name, len(data), data.scores.shape
    ('big', 60, (60, 2))
    """

    __slots__ = ("_data",)

    def __init__(self, data: _engine.DataSet) -> None:
        """Not for direct use: see `load`, `from_arrays` and `from_frame`."""
        self._data = data
        if data.warning is not None:
            warnings.warn(data.warning, stacklevel=3)

    @classmethod
    def load(cls, folder: Path) -> DataSet:
        """Reads a folder with `prompts.jsonl`, `models.json`, `outcomes.csv` and, if there are costs of answers, `costs.csv`.

        `blindroute data import` makes such folders from the files of public sets. Raises `InputError` for what training could not
        use, such as a missing score; `DataSet.check_folder` reports everything of that kind.
        """
        return cls(_engine.DataSet.load(folder))

    @classmethod
    def from_arrays(
        cls,
        prompts: Iterable[str],
        scores: Any,
        prices: Prices,
        *,
        models: Sequence[str] | None = None,
        price_unit: str | Sequence[str] = "USD per 1M tokens",
        ids: Sequence[object] | None = None,
        sources: Sequence[str] | None = None,
        splits: Sequence[str | None] | None = None,
        seed: int = 0,
        query_costs: Any = None,
        name: str = "data",
    ) -> DataSet:
        """A data set of tables in memory.

        `scores` is `[prompts, models]`, from 0 to 1. `prices` has the price of each model in `price_unit`; as a mapping it names the
        models, in the order of the columns of `scores`, otherwise `models` does. `query_costs`, if they are known, is the cost of each
        answer in USD, `[prompts, models]`, and is what evaluations then count.

        `splits` has `"train"`, `"valid"` or `"test"` for each prompt. A prompt without a split gets one by its text and `seed`: 70 % of
        all texts train, 10 % valid and 20 % test, equal texts the same. `ids` are different for each prompt [default: their numbers],
        `sources` say where prompts come from, such as the task, and `name` is for reports.
        """
        texts = list(prompts)
        priced = _priced(prices, models, price_unit)
        columns = zip(
            _column(ids, "ids", range(len(texts)), len(texts)),
            texts,
            _column(sources, "sources", [""] * len(texts), len(texts)),
            _column(splits, "splits", [None] * len(texts), len(texts)),
            strict=True,
        )
        rows = [(str(key), text, str(source), _split(split)) for key, text, source, split in columns]
        costs = None if query_costs is None else flat(query_costs, "query_costs")
        return cls(_engine.DataSet(priced, rows, (flat(scores, "scores"), costs), name, seed))

    @classmethod
    def from_frame(
        cls,
        frame: Frame,
        prices: Prices,
        *,
        prompt: str = "prompt",
        scores: Sequence[str] | Mapping[str, str] | None = None,
        query_costs: Sequence[str] | Mapping[str, str] | None = None,
        id: str | None = None,
        source: str | None = None,
        split: str | None = None,
        models: Sequence[str] | None = None,
        price_unit: str | Sequence[str] = "USD per 1M tokens",
        seed: int = 0,
        name: str = "data",
    ) -> DataSet:
        """A data set of a DataFrame of pandas or polars, with a row for each prompt.

        `prompt`, `id`, `source` and `split` name columns. `scores` names the column of each model, as a mapping from models or in their
        order [default: the models' names]; so does `query_costs`. The rest is as for `from_arrays`.
        """
        names = [model for model, _, _ in _priced(prices, models, price_unit)]

        def values(column: str) -> list[Any]:
            found = frame[column]
            return list(found.to_list() if hasattr(found, "to_list") else found)

        def columns(given: Sequence[str] | Mapping[str, str] | None) -> list[list[float]]:
            chosen = given if given is not None else names
            listed = [chosen[model] for model in names] if isinstance(chosen, Mapping) else list(chosen)
            if len(listed) != len(names):
                raise InputError(
                    f"{len(listed)} columns are named, expected one for each of {len(names)} models", "shape"
                )
            return [list(row) for row in zip(*(values(column) for column in listed), strict=True)]

        return cls.from_arrays(
            values(prompt),
            columns(scores),
            prices,
            models=models,
            price_unit=price_unit,
            ids=None if id is None else values(id),
            sources=None if source is None else values(source),
            splits=None if split is None else values(split),
            seed=seed,
            query_costs=None if query_costs is None else columns(query_costs),
            name=name,
        )

    @classmethod
    def _of(cls, data: DataSet | Path) -> DataSet:
        return data if isinstance(data, DataSet) else cls.load(data)

    def save(self, folder: Path) -> None:
        """Writes it to a new or empty folder, whole or not at all; `load` reads it again. Nothing is overwritten."""
        self._data.save(folder)

    def check(self, bundle: Bundle | Path | None = None) -> dict[str, Any]:
        """What may be wrong with it: counts, repeated prompts, models that no router needs, and `warnings`, one sentence each.

        Lengths are as the bundle's tokenizer reads the prompts.
        """
        report: dict[str, Any] = json.loads(self._data.check(Bundle._of(bundle)._bundle))
        return report

    @staticmethod
    def check_folder(folder: Path, bundle: Bundle | Path | None = None) -> dict[str, Any]:
        """The same of a folder, also of one that `load` refuses, for missing scores or empty splits."""
        report: dict[str, Any] = json.loads(_engine.DataSet.check_folder(folder, Bundle._of(bundle)._bundle))
        return report

    @property
    def name(self) -> str:
        """What reports call it."""
        return self._data.name

    @property
    def models(self) -> list[Model]:
        """The models, in the order of the columns of `scores`."""
        return [Model(name, price, unit) for name, price, unit in self._data.models]

    @property
    def prompts(self) -> list[str]:
        """The texts of the prompts."""
        return [text for _, text, _, _ in self._data.prompts]

    @property
    def ids(self) -> list[str]:
        """The id of each prompt."""
        return [key for key, _, _, _ in self._data.prompts]

    @property
    def sources(self) -> list[str]:
        """Where each prompt comes from, such as its task."""
        return [source for _, _, source, _ in self._data.prompts]

    @property
    def splits(self) -> list[str]:
        """The split of each prompt: `train`, `valid` or `test`."""
        return [split for _, _, _, split in self._data.prompts]

    @property
    def scores(self) -> Any:
        """How well each model answers each prompt, from 0 to 1: `[prompts, models]`, 32-bit floats."""
        return table(self._data.scores(), [len(self), len(self._data.models)])

    @property
    def query_costs(self) -> Any:
        """The cost of each answer in USD, `[prompts, models]`, 32-bit floats; None if they are not known."""
        costs = self._data.query_costs()
        return None if costs is None else table(costs, [len(self), len(self._data.models)])

    def __len__(self) -> int:
        return self._data.len

    def __repr__(self) -> str:
        splits = self.splits
        counts = ", ".join(f"{splits.count(split)} {split}" for split in ("train", "valid", "test"))
        return f"<blindroute data set {self.name}: {len(self)} prompts ({counts}), {len(self._data.models)} models>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(model.name)}</td><td>{model.price:g} {html.escape(model.price_unit)}</td></tr>"
            for model in self.models
        )
        head = "<tr><th>model</th><th>price</th></tr>"
        return f"<p>{html.escape(repr(self)[1:-1])}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _priced(prices: Prices, models: Sequence[str] | None, unit: str | Sequence[str]) -> list[tuple[str, float, str]]:
    if isinstance(prices, Mapping):
        if models is not None:
            missing = [model for model in models if model not in prices]
            if missing:
                raise InputError(f"prices has no price of {missing[0]!r}: add it", "prices")
        names = list(prices) if models is None else list(models)
        numbers = [float(prices[model]) for model in names]
    else:
        numbers = [float(price) for price in prices]
        if models is None:
            raise InputError(
                "prices names no models: give a mapping from names to prices, or models beside them", "models"
            )
        names = list(models)
    units = [unit] * len(names) if isinstance(unit, str) else list(unit)
    if not len(names) == len(numbers) == len(units):
        found = f"{len(names)} models, {len(numbers)} prices and {len(units)} units"
        raise InputError(f"there are {found}: expected one price and one unit for each model", "prices")
    return list(zip(names, numbers, units, strict=True))


def _column(given: Iterable[Any] | None, name: str, default: Iterable[Any], length: int) -> list[Any]:
    found = list(default if given is None else given)
    if len(found) != length:
        raise InputError(f"{name} has {len(found)} entries, expected one for each of {length} prompts", "shape")
    return found


def _split(split: object) -> str | None:
    # pandas has NaN where a text is missing.
    return None if split is None or split != split else str(split)

"""A routing folder as blindroute reads it: prompts.jsonl, models.json, outcomes.csv and, where it is, costs.csv."""

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy

SPLITS = ("train", "valid", "test")


class DataError(Exception):
    """What is wrong with a file, what was expected, and what to do."""


def read_json(path):
    """The JSON value of a file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; expected a JSON file") from error


@dataclass
class Folder:
    """A routing data set. Matrices are [prompts, models], in the order of prompts.jsonl and models.json."""

    name: str
    models: list
    prices: numpy.ndarray
    unit: str
    prompts: list
    sources: list
    splits: numpy.ndarray
    scores: numpy.ndarray
    query_costs: numpy.ndarray | None
    relative: numpy.ndarray = field(init=False)

    def __post_init__(self):
        largest = self.prices.max()
        # blindroute keeps relative costs as f32.
        self.relative = (self.prices / largest if largest > 0 else 0 * self.prices).astype(numpy.float32)

    def places(self, split):
        """The rows of a split."""
        return numpy.flatnonzero(self.splits == split)


def read_folder(path):
    """Reads a routing folder. Where costs.csv is there, what each answer cost counts, and otherwise the models' prices."""
    path = Path(path)
    models = read_json(path / "models.json")
    if not isinstance(models, list) or not all(isinstance(m, dict) and "name" in m and "cost" in m for m in models):
        raise DataError(f"{path / 'models.json'} is not a list of objects with name, cost and cost_unit: see docs/PROVIDER.md")
    names = [model["name"] for model in models]
    ids, prompts = [], []
    try:
        with (path / "prompts.jsonl").open(encoding="utf-8") as lines:
            prompts = [json.loads(line) for line in lines if line.strip()]
        ids = [prompt["id"] for prompt in prompts]
        splits = numpy.array([prompt["split"] for prompt in prompts])
        texts = [prompt["prompt"] for prompt in prompts]
    except OSError as error:
        raise DataError(f"could not read {path / 'prompts.jsonl'}: {error.strerror}; name a routing folder") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / 'prompts.jsonl'}: expected one object with id, prompt, source and split per line") from error
    for split in SPLITS:
        if not (splits == split).any():
            raise DataError(f"{path / 'prompts.jsonl'} has no prompt of the split {split}: each of {SPLITS} needs one")
    return Folder(
        name=path.name,
        models=names,
        prices=numpy.array([float(model["cost"]) for model in models]),
        unit=models[0].get("cost_unit", ""),
        prompts=texts,
        sources=[prompt.get("source", "") for prompt in prompts],
        splits=splits,
        scores=_table(path / "outcomes.csv", ids, names),
        query_costs=_table(path / "costs.csv", ids, names) if (path / "costs.csv").exists() else None,
    )


def _table(path, ids, models):
    """The matrix of a table with a column id and a column per model, rounded to f32 as blindroute stores it."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
        cells = numpy.array([[float(rows[id][model]) for model in models] for id in ids])
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror}; it must be in the routing folder") from error
    except KeyError as error:
        raise DataError(f"{path} has no row or column {error}: it needs one row per prompt and one column per model") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} holds a cell that is not a number; correct it") from error
    if not all(map(math.isfinite, cells.flat)):
        raise DataError(f"{path} holds a cell that is not finite; correct it")
    return cells.astype(numpy.float32).astype(float)

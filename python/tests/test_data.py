"""Data sets: from arrays, frames and folders, and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import polars as pl
import pytest

import blindroute

PRICES = {"small": 0.1, "big": 2.0}


def made(count: int = 60, **options: Any) -> blindroute.DataSet:
    prompts = [f"{'Add' if number % 2 else 'Translate'} {number}" for number in range(count)]
    scores = [[float(number % 2), 1.0] for number in range(count)]
    return blindroute.DataSet.from_arrays(prompts, scores, PRICES, **options)


def same(found: blindroute.DataSet, expected: blindroute.DataSet) -> None:
    assert found.models == expected.models
    assert (found.ids, found.prompts) == (expected.ids, expected.prompts)
    assert (found.sources, found.splits) == (expected.sources, expected.splits)
    assert np.array_equal(found.scores, expected.scores)
    assert (found.query_costs is None) == (expected.query_costs is None)
    if expected.query_costs is not None:
        assert np.array_equal(found.query_costs, expected.query_costs)


def test_what_is_given_is_what_is_there() -> None:
    costs = np.arange(120, dtype=np.float64).reshape(60, 2)
    data = made(ids=[f"p{number}" for number in range(60)], sources=["made up"] * 60, query_costs=costs)
    assert data.models == [
        blindroute.Model("small", 0.1, "USD per 1M tokens"),
        blindroute.Model("big", 2.0, "USD per 1M tokens"),
    ]
    assert (len(data), data.prompts[1], data.ids[59], data.sources[0]) == (60, "Add 1", "p59", "made up")
    assert data.scores.dtype == np.float32
    assert data.scores[:2].tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert np.array_equal(data.query_costs, costs.astype(np.float32))
    assert "Translate" not in repr(data)
    assert "60 prompts" in repr(data)
    assert "<td>big</td>" in data._repr_html_()


def test_splits_follow_from_the_text_and_the_seed_and_given_ones_stay() -> None:
    prompts = [f"prompt {number % 500}" for number in range(1000)]
    scores = [[0.0, 1.0]] * 1000
    data = blindroute.DataSet.from_arrays(prompts, scores, PRICES, seed=3)
    assert data.splits[:500] == data.splits[500:]
    counts = [data.splits.count(split) / 1000 for split in ("train", "valid", "test")]
    assert np.allclose(counts, [0.7, 0.1, 0.2], atol=0.05)
    other = blindroute.DataSet.from_arrays(prompts, scores, PRICES, seed=4)
    assert other.splits != data.splits
    given = ["train", "valid", "test", None] * 15
    assert made(splits=given).splits[:3] == ["train", "valid", "test"]


def test_a_folder_holds_the_same_and_is_not_overwritten(tmp_path: Path) -> None:
    data = made(query_costs=np.full((60, 2), 0.25), sources=['with "quotes",\nand lines'] * 60)
    data.save(tmp_path / "set")
    loaded = blindroute.DataSet.load(tmp_path / "set")
    same(loaded, data)
    assert loaded.name == "set"
    with pytest.raises(blindroute.InputError, match="already exists and is not empty") as caught:
        data.save(tmp_path / "set")
    assert caught.value.code == "occupied"
    with pytest.raises(blindroute.InputError, match="could not read"):
        blindroute.DataSet.load(tmp_path / "none")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_pandas_and_polars(library: str) -> None:
    columns: dict[str, list[Any]] = {
        "text": [f"prompt {number}" for number in range(30)],
        "split": ["train", "valid", "test"] * 10,
        "task": ["one", "two"] * 15,
        "small": [float(number % 2) for number in range(30)],
        "score of big": [1] * 30,
        "cost small": [0.5] * 30,
        "cost big": [1.5] * 30,
    }
    frame: Any = pd.DataFrame(columns) if library == "pandas" else pl.DataFrame(columns)
    data = blindroute.DataSet.from_frame(
        frame,
        PRICES,
        prompt="text",
        split="split",
        source="task",
        scores={"big": "score of big", "small": "small"},
        query_costs=["cost small", "cost big"],
    )
    expected = blindroute.DataSet.from_arrays(
        columns["text"],
        np.column_stack([columns["small"], columns["score of big"]]),
        PRICES,
        splits=columns["split"],
        sources=columns["task"],
        query_costs=np.column_stack([columns["cost small"], columns["cost big"]]),
    )
    same(data, expected)
    with pytest.raises(blindroute.InputError, match="1 columns are named, expected one for each of 2 models"):
        blindroute.DataSet.from_frame(frame, PRICES, prompt="text", scores=["small"])


def test_a_frame_of_pandas_may_lack_splits() -> None:
    splits = ["train", "valid", "test", float("nan")] * 10
    frame = pd.DataFrame({"prompt": [f"p{n}" for n in range(40)], "small": [0.0] * 40, "big": [1.0] * 40, "s": splits})
    data = blindroute.DataSet.from_frame(frame, PRICES, split="s")
    assert data.splits[:3] == ["train", "valid", "test"]
    assert set(data.splits[3::4]) <= {"train", "valid", "test"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prices": [0.1, 2.0]}, "prices names no models"),
        ({"prices": {"small": 0.1, "big": -1.0}}, 'the cost of "big" is -1'),
        ({"prices": {"small": 0.1, "big": 1.0, "more": 2.0}}, "expected one row for each of 6 prompts"),
        ({"prices": {"small": 0.1}, "models": ["small", "big"]}, "prices has no price of 'big'"),
        ({"scores": [[0.0, 1.5]] * 6}, 'the score of "big" on prompt 0 .* is 1.5, expected a number from 0 to 1'),
        ({"scores": [[1.0, 1.0]] * 6}, "every model scores the same on every prompt of the split train"),
        ({"scores": [[1.0], [1.0, 2.0]]}, "scores is no table of numbers"),
        ({"splits": ["train"] * 6}, "the split valid has no prompt"),
        ({"splits": ["validation"] * 6}, 'the split of prompt 0 is "validation", expected'),
        ({"ids": ["a"] * 6}, 'prompts 0 and 1 .* have the same id "a"'),
        ({"ids": ["a"]}, "ids has 1 entries, expected one for each of 6 prompts"),
        ({"query_costs": [[-1.0, 0.0]] * 6}, 'the cost of "small" on prompt 0 .* is -1'),
        ({"prompts": ["secret"] * 5 + [" "]}, "prompt 5 .* is blank"),
    ],
)
def test_what_cannot_be_used_is_named_without_a_prompt(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "prompts": ["secret"] * 6,
        "scores": [[0.0, 1.0]] * 6,
        "prices": PRICES,
        "splits": ["train", "valid", "test"] * 2,
    }
    with pytest.raises(blindroute.InputError, match=message) as caught:
        blindroute.DataSet.from_arrays(**(given | options))
    assert "secret" not in str(caught.value)


def test_a_check_counts_and_warns(tmp_path: Path) -> None:
    data = made(splits=["train", "valid", "test"] * 20)
    check = data.check()
    assert check["splits"] == {"train": 20, "valid": 20, "test": 20}
    assert any("small" in warning or "big" in warning for warning in check["warnings"])
    data.save(tmp_path / "set")
    assert blindroute.DataSet.check_folder(tmp_path / "set") == check
    outcomes = tmp_path / "set" / "outcomes.csv"
    outcomes.write_text(outcomes.read_text().replace("0,0,1\n", "0,,1\n", 1))
    with pytest.raises(blindroute.InputError, match="is missing"):
        blindroute.DataSet.load(tmp_path / "set")
    assert blindroute.DataSet.check_folder(tmp_path / "set")["models"][0]["missing"] == 1


def test_prices_in_several_units_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="the models' prices are in 2 units"):
        made(price_unit=["USD per 1M tokens", "B parameters"])


def test_no_numpy_is_needed() -> None:
    program = """
import sys
sys.modules["numpy"] = None
import blindroute
prompts = [f"prompt {number}" for number in range(60)]
data = blindroute.DataSet.from_arrays(prompts, [[number % 2, 1] for number in range(60)], {"a": 1, "b": 2})
print(type(data.scores).__name__, data.scores.tolist()[:2])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True)
    assert found.stdout == "memoryview [[0.0, 1.0], [1.0, 1.0]]\n"

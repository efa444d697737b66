"""Training, evaluation and calibration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DATA

import blindroute

PRICES = {"small": 0.1, "big": 2.0}
Train = Callable[..., blindroute.Trained]
TRAIN: dict[str, Train] = {
    "direct": blindroute.train_direct,
    "uniroute": blindroute.train_uniroute,
    "cscr": blindroute.train_cscr,
}
QUICK: dict[str, Any] = {"lexical": [0.0], "folds": 2, "validations": 1, "progress": False}
PROGRAM = Path(__file__).parents[2] / "target" / "debug" / "blindroute"


@pytest.fixture(scope="module")
def data() -> blindroute.DataSet:
    """Sums, which both models can do, and poems, which only the big one can."""
    prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n} and {n + 1}?" for n in range(90)]
    scores = [[float(n % 2), 1.0] for n in range(90)]
    return blindroute.DataSet.from_arrays(
        prompts, scores, PRICES, splits=["train", "train", "valid", "test", "test"] * 18
    )


@pytest.fixture(scope="module")
def trained(data: blindroute.DataSet) -> blindroute.Trained:
    return blindroute.train_direct(data, penalty=[0.1, 1.0], **QUICK)


def test_a_router_of_each_kind_is_trained_into_a_bundle(data: blindroute.DataSet, trained: blindroute.Trained) -> None:
    assert (trained.router, trained.bundle.routers) == ("direct", ["direct"])
    assert [model.name for model in trained.bundle.models] == ["small", "big"]
    assert trained.sure
    assert trained.report["test"]["area"] > trained.report["test"]["prompt_free_area"] + 0.1
    assert trained.report["digest"] == trained.bundle.digest
    assert str(trained).startswith("router direct: penalty ")
    assert "router direct" in trained._repr_html_()
    assert "poem" not in repr(trained) + str(trained)
    more = blindroute.train_uniroute(
        data, bundle=trained.bundle, name="near", k=[2], clusterings=[1], smoothing=[3.0], **QUICK
    )
    assert more.bundle.routers == ["near", "direct"]
    others = blindroute.DataSet.from_arrays(data.prompts, data.scores, {"a": 1.0, "b": 2.0}, splits=data.splits)
    with pytest.warns(UserWarning, match="the router near was for other models and is left out"):
        blindroute.train_direct(others, bundle=more.bundle, penalty=[1.0], **QUICK)
    both = blindroute.train_cscr(data, bundle=more.bundle, passes=4, rate=3e-3, descriptor=[2], **QUICK)
    assert both.bundle.routers == ["near", "direct", "cscr"]
    assert both.report["chosen"]["descriptor"] == 2
    with blindroute.PrivateRouter.local(both.bundle) as router:
        route = router.route("Write a poem about 7 and 8?", placement="local", weight=0.3, router="direct")
        assert route.model == "big"
        assert (
            router.route("What is the sum of 7 and 8?", placement="local", weight=0.3, router="direct").model == "small"
        )


def test_options_are_those_of_the_command(data: blindroute.DataSet, trained: blindroute.Trained) -> None:
    first = blindroute.train_uniroute(data, k=[3], clusterings=[2], smoothing=[10.0], **QUICK)
    assert (first.report["chosen"]["clusters"], first.report["chosen"]["clusterings"]) == (3, 2)
    kept = blindroute.train_uniroute(
        data, fine_tune="uniroute", fine_tune_from=first.bundle, smoothing=[1.0], folds=2, validations=1, progress=False
    )
    assert (kept.report["chosen"]["clusters"], kept.report["chosen"]["smoothing"]) == (3, 1.0)
    read = blindroute.train_direct(
        data, window=["head", "tail"], lexical=[0.0, 0.7], penalty=[1.0], folds=2, validations=1, progress=False
    )
    assert [(trial["window"], trial["lexical"] is not None) for trial in read.report["tried"]] == [
        ("head", False),
        ("head", True),
        ("tail", False),
        ("tail", True),
    ]
    slack = blindroute.train_direct(data, penalty=[1.0], slack=0.4, mixture=True, source="made up, MIT", **QUICK)
    assert slack.report["test"]["router"]["cost"] <= trained.report["test"]["router"]["cost"]
    assert "router direct: made up, MIT" in slack.bundle.show()["origin"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("direct", {"penalty": [-1.0]}, "a penalty is -1, expected numbers of 0 or more"),
        ("direct", {"alpha": -1.0}, "alpha is -1, expected a number of 0 or more"),
        ("direct", {"window": ["middle"]}, 'window is "middle", expected "head", "tail" or "both"'),
        ("direct", {"lexical": [-0.5]}, "a weight of lexical features is -0.5"),
        ("uniroute", {"k": [1]}, "a number of clusters is 1, expected 2 or more"),
        ("uniroute", {"map": "other"}, 'map is "other", expected'),
        ("cscr", {"rate": 0.0}, "the learning rate is 0, expected a number above 0"),
        ("cscr", {"fine_tune": "nobody"}, "nobody"),
        ("cscr", {"descriptors": "no/such/file"}, "could not read"),
    ],
)
def test_wrong_options_are_named(data: blindroute.DataSet, kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((blindroute.InputError, blindroute.BundleError), match=message):
        TRAIN[kind](data, progress=False, **options)


def test_progress_is_told(data: blindroute.DataSet) -> None:
    seen: list[tuple[int, int]] = []
    options = QUICK | {"progress": lambda done, of: seen.append((done, of))}
    blindroute.train_direct(data, penalty=[1.0], **options)
    assert seen[0] == (0, 90)
    assert (90, 90) in seen
    assert seen[-2:] == [(1, 2), (2, 2)]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not here")
@pytest.mark.skipif(not PROGRAM.exists(), reason="the program was not built")
def test_the_command_trains_the_same_router_on_real_data(tmp_path: Path) -> None:
    whole = blindroute.DataSet.load(DATA / "routing" / "routerbench_slice")
    places = [place for place, prompt in enumerate(whole.prompts) if len(prompt) < 300][:120]

    def some(values: list[str]) -> list[str]:
        return [values[place] for place in places]

    part = blindroute.DataSet.from_arrays(
        some(whole.prompts),
        whole.scores[places],
        {model.name: model.price for model in whole.models},
        price_unit=whole.models[0].price_unit,
        ids=some(whole.ids),
        sources=some(whole.sources),
        seed=1,
        name="part",
    )
    part.save(tmp_path / "part")
    embeddings = tmp_path / "embeddings"
    runs: list[tuple[str, list[str], dict[str, Any]]] = [
        ("uniroute", ["--k", "4"], {"k": [4]}),
        ("direct", ["--penalty", "1,10"], {"penalty": [1.0, 10.0]}),
        ("cscr", ["--passes", "2"], {"passes": 2}),
    ]
    for kind, command, options in runs:
        bundle = Path(__file__).parents[2] / "bundles" / "default.blindroute"
        out = tmp_path / f"{kind}.blindroute"
        paths = {"--data": tmp_path / "part", "--bundle": bundle, "--out": out, "--embeddings": embeddings}
        common = [str(word) for pair in paths.items() for word in pair]
        ran = subprocess.run(
            [PROGRAM, "train", kind, *common, "--json", "--seed", "5", *command],
            capture_output=True,
            text=True,
            check=True,
        )
        theirs = json.loads(ran.stdout)
        ours = TRAIN[kind](part, seed=5, embeddings=embeddings, progress=False, **options)
        assert ours.bundle.digest == theirs["digest"], kind
        del theirs["out"], theirs["bytes"]
        assert ours.report == theirs


def test_routers_are_measured_beside_baselines(
    data: blindroute.DataSet, trained: blindroute.Trained, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    found = blindroute.evaluate(
        data, trained.bundle, bootstrap=50, seed=2, source="made up", progress=lambda *step: steps.append(step)
    )
    assert steps[-1] == (6, 6)
    curve = found.curves[0]
    assert (curve.name, curve.group) == ("direct", "private")
    assert curve.costs.dtype == np.float64
    assert curve.costs.shape == curve.scores.shape == curve.weights.shape
    assert len(curve.costs) >= 72
    cheap, best = np.argmax(curve.weights), np.argmin(curve.weights)
    assert curve.costs[cheap] < 0.1 < curve.costs[best]
    assert curve.scores.max() > 0.9
    table = found.table()
    assert [row["name"] for row in table][:3] == ["direct", "oracle", "prompt-blind hull"]
    assert table[0]["hull_area_low"] <= table[0]["hull_area"] <= table[0]["hull_area_high"]
    assert table[0]["hull_area"] > next(row for row in table if row["name"] == "prompt-blind hull")["hull_area"] + 0.1
    assert found.to_dict()["prompts"] == data.splits.count("test")

    page = found.to_html(tmp_path / "page.html")
    assert "<svg" in page
    assert (tmp_path / "page.html").read_text() == page
    assert found.to_csv(tmp_path / "table.csv").count("\n") == len(table) + 1
    assert "poem" not in page
    shown = found._repr_html_()
    assert shown.startswith("<iframe")
    assert "&lt;svg" in shown
    assert "direct" in str(found)
    again = blindroute.evaluate(data, [trained.bundle], bootstrap=50, seed=2, source="made up", progress=False)
    assert again.to_dict() == found.to_dict()
    both = blindroute.evaluate(data, trained.bundle, originals=[trained.bundle], bootstrap=0, progress=False)
    assert [(curve.name, curve.group) for curve in both.curves][:2] == [("direct", "original"), ("direct", "private")]


def test_curves_are_drawn(data: blindroute.DataSet, trained: blindroute.Trained) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    found = blindroute.evaluate(data, trained.bundle, bootstrap=0, progress=False)
    axes = found.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0] == "direct (private)"
    assert len(labels) == len(found.curves)
    assert axes.get_xlabel().startswith("mean cost")
    assert found.plot(axes) is axes


def test_what_does_not_belong_together_is_refused(data: blindroute.DataSet, trained: blindroute.Trained) -> None:
    with pytest.raises(blindroute.InputError, match="the data set has 2 models") as caught:
        blindroute.evaluate(data, progress=False)
    assert caught.value.code == "other_models"
    with pytest.raises(blindroute.InputError, match='there is no router "other"; there are direct'):
        blindroute.evaluate(data, trained.bundle, routers=["other"], progress=False)


def test_a_weight_of_cost_is_found_for_a_target(trained: blindroute.Trained, tmp_path: Path) -> None:
    prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n} and {n * 7}?" for n in range(80)]
    found = blindroute.calibrate(prompts, cost=0.6, bundle=trained.bundle, tolerance=0.3, progress=False)
    assert found.cost.low <= found.cost.value <= min(0.6, found.cost.high)
    assert found.interval[0] <= found.weight <= found.interval[1]
    assert (found.score, found.prompts, found.router) == (None, 80, "direct")
    scores = np.array([[float(n % 2), 1.0] for n in range(80)])
    good = blindroute.calibrate(prompts, score=0.9, scores=scores, bundle=trained.bundle, tolerance=0.3, progress=False)
    assert good.score is not None
    assert good.score.value >= 0.9
    found.save(tmp_path / "calibration.json")
    assert blindroute.Calibration.load(tmp_path / "calibration.json") == found
    found.check(trained.bundle)
    with pytest.raises(blindroute.InputError, match="the calibration is for the router"):
        found.check()
    with blindroute.PrivateRouter.local(trained.bundle) as router:
        assert router.route(prompts[0], placement="local", weight=found).weight == pytest.approx(found.weight, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        ({"cost": 0.5, "score": 0.5}, "give one target", "target"),
        ({}, "give one target", "target"),
        ({"cost": 2.0}, "the target cost is 2, expected a number from 0 to 1", "calibration"),
        ({"score": 0.5}, "needs the score of each model on each prompt", "calibration"),
        ({"cost": 0.5, "scores": [[0.0, 7.0]] * 80}, "is 7, expected a number from 0 to 1", "data"),
        ({"cost": 0.6, "tolerance": 0.0001}, "not enough data", "not_enough_data"),
        ({"cost": 0.0}, "no weight of cost gives this router", "out_of_reach"),
    ],
)
def test_a_target_that_cannot_be_met_says_why(
    trained: blindroute.Trained, options: dict[str, Any], message: str, code: str
) -> None:
    prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n} and {n * 7}?" for n in range(80)]
    with pytest.raises(blindroute.InputError, match=message) as caught:
        blindroute.calibrate(prompts, bundle=trained.bundle, progress=False, **options)
    assert caught.value.code == code


INTERRUPTED = """
import sys, threading, time
import blindroute

def told(done, of):
    print("at", done, "of", of, flush=True)

prompts = [f"{'What is the sum of' if n % 2 else 'Write a poem about'} {n}? " * REPEATED for n in range(COUNT)]
scores = [[float(n % 2), 1.0] for n in range(COUNT)]
data = blindroute.DataSet.from_arrays(prompts, scores, {"small": 0.1, "big": 2.0})
try:
    WORK
except KeyboardInterrupt:
    alive = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    before = time.process_time()
    time.sleep(0.5)
    print("interrupted", len(alive), time.process_time() - before < 0.25, flush=True)
    raise
"""


@pytest.mark.parametrize(
    ("work", "count", "repeated", "after"),
    [
        # Each would take hours.
        (
            "blindroute.train_cscr(data, passes=10_000_000, lexical=[0.0], folds=2, progress=told)",
            90,
            1,
            "at 90 of 90\n",
        ),
        ("blindroute.train_uniroute(data, k=[2] * 100_000, lexical=[0.0], progress=told)", 90, 1, "at 90 of 90\n"),
        (
            "blindroute.train_direct(data, penalty=[1.0] * 1_000_000, lexical=[0.0], progress=told)",
            90,
            1,
            "at 90 of 90\n",
        ),
        (
            "blindroute.calibrate(data.prompts, cost=0.9, bootstrap=2_000_000_000, tolerance=0.9, progress=told)",
            90,
            1,
            "at 90 of 90\n",
        ),
        ("blindroute.Bundle.load().embed(data.prompts, progress=told)", 20_000, 12, "at 0 of 20000\n"),
    ],
)
def test_ctrl_c_ends_the_work(work: str, count: int, repeated: int, after: str) -> None:
    program = INTERRUPTED.replace("WORK", work).replace("COUNT", str(count)).replace("REPEATED", str(repeated))
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert child.stdout is not None
        while child.stdout.readline() != after:
            pass
        child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=60)
    finally:
        child.kill()
    assert "interrupted 0 True" in out
    assert error.rstrip().endswith("KeyboardInterrupt")

"""Checks of these scripts on small cases, by hand where that is possible. Run by `published_routers.py --self-test`."""

import json
import sys
import tempfile
from pathlib import Path

import numpy

from . import benchmarks, data, encoder, measures, report, routers


def near(found, expected, within=1e-9):
    if not numpy.allclose(found, expected, rtol=0, atol=within):
        raise AssertionError(f"found {found}, expected {expected}")


def refuses(call, text):
    try:
        call()
    except data.DataError as error:
        if text not in str(error):
            raise AssertionError(f"the error is {error!r}, expected {text!r} in it") from error
    else:
        raise AssertionError(f"no error, expected one with {text!r}")


def areas():
    """The cases of crates/lab/src/evaluation/point.rs and measures.rs."""
    near(measures.audc([]), 0)
    near(measures.audc([(0.5, 0.75)]), 0.75)
    near(measures.audc([(0.75, 1.0), (0.25, 0.5), (0.5, 0.5), (0.25, 0.0), (1.0, 1.0)]), 0.25 * 0.5 + 0.5 * 0.75 + 0.25)
    near(measures.audc([(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)]), 0.5 * 0.125 + 0.5 * 0.625)
    near(measures.audc([(0.5, 0.0), (1.5, 1.0)]), 0.5 * 0.25)
    near(measures.audc([(1.5, 0.5), (2.5, 1.0)]), 0.5)
    near(measures.hull_area([(0.5, 0.8)]), 0.5 * 0.4 + 0.5 * 0.8)
    near(measures.hull_area([(1.0, 1.0), (0.2, 0.1), (0.6, 0.7), (0.2, 0.6)]), 0.2 * 0.3 + 0.8 * 0.8)
    near(measures.scaled_audc([(0.25, 0.5), (0.375, 0.0), (0.5, 1.0)]), 0.5 * 0.25 + 0.5 * 0.5)
    assert measures.hull([(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)]) == [(0.0, 0.0), (1.0, 1.0)]
    found = measures.measures([(1.0, 0.875), (0.75, 0.875), (0.25, 0.75), (0.0, 0.5)], (0.5, 0.75))
    near([found["qnc"], found["peak"], found["peak_cost"]], [0.5, 0.875, 1.5])
    near(found["audc"], 0.25 * 0.625 + 0.5 * 0.8125 + 0.25 * 0.875)
    low = measures.measures([(0.25, 0.5)], (0.5, 0.75))
    assert low["qnc"] == numpy.inf and low["audc"] == 0.5
    assert measures.interval(range(101)) == {"low": 2.0, "high": 98.0} and measures.interval([numpy.nan]) is None
    near(report.at_cost([(0.25, 0.5), (1.0, 1.0)], 0.125), 0.25)
    near(report.at_cost([(0.25, 0.5), (0.5, 1.0)], 0.75), 1.0)
    near(report.at_cost([(0.25, 0.2), (0.5, 0.8)], 0.25), 0.4)


def sample_folder(path, rows, prices, costs=None):
    """Writes a routing folder: rows of (split, scores). The prompts are p0, p1, …"""
    path.mkdir()
    names = [f"m{number}" for number in range(len(prices))]
    entries = [{"name": name, "cost": price, "cost_unit": "USD per 1M tokens"} for name, price in zip(names, prices)]
    (path / "models.json").write_text(json.dumps(entries))
    lines = [{"id": f"p{at}", "prompt": f"text {at}", "source": "ab"[at % 2], "split": row[0]} for at, row in enumerate(rows)]
    (path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name, table in (("outcomes.csv", [row[1] for row in rows]), ("costs.csv", costs)):
        if table:
            body = [f"p{at}," + ",".join(map(str, cells)) for at, cells in enumerate(table)]
            (path / name).write_text("\n".join([",".join(["id", *names]), *body]))
    return path


def folders(place):
    """The case of crates/lab/src/evaluation/reference.rs, and what is wrong with a file."""
    rows = [("test", [0.0, 1.0, 1.0]), ("test", [0.5, 0.5, 1.0]), ("train", [1, 0, 0]), ("valid", [1, 0, 0])]
    costs = [[1, 2, 3], [1, 2, 5], [1, 1, 1], [1, 1, 1]]
    path = sample_folder(place / "three", rows, [1.0, 2.0, 4.0])
    outcomes = measures.Outcomes(data.read_folder(path), "test")
    near(outcomes.singles(), [(0.25, 0.25), (0.5, 0.75), (1.0, 1.0)])
    assert (outcomes.best_single(), outcomes.cheapest()) == (2, 0)
    oracle = dict(zip(measures.lambdas().round(4).tolist(), outcomes.points(outcomes.oracle())))
    near([oracle[0.0], oracle[1.0], oracle[1000.0]], [(0.75, 1.0), (0.375, 0.75), (0.25, 0.25)])
    by_query = measures.Outcomes(data.read_folder(sample_folder(place / "costs", rows, [1, 1, 1], costs)), "test")
    near(by_query.singles(), [(0.25, 0.25), (0.5, 0.75), (1.0, 1.0)])
    near(by_query.unit_cost, 4.0)
    choices = measures.curve(numpy.array([[0.5, 0.5, 0.6], [0.9, 0.5, 0.6]]), numpy.float32([0.25, 0.5, 1.0]))
    assert choices[0].tolist() == [2, 0] and choices[-1].tolist() == [0, 0]
    references = benchmarks.References(outcomes)
    found = references.measures(numpy.array([[1, 0], [2, 2]]), 0)
    near([found[key] for key in ("avg_acc", "gain_random", "gain_best")], [0.75, 0.75 / (2 / 3) - 1, -0.25])
    near([found[key] for key in ("gap_oracle", "perf_gain", "cost_save")], [0.25, 0.0, 0.0])
    rows = [("test", [1, 0]), ("test", [0, 1]), ("train", [1, 0]), ("valid", [1, 0])]
    two = measures.Outcomes(data.read_folder(sample_folder(place / "two", rows, [2.0, 1.0])), "test")
    found = benchmarks.References(two).measures(numpy.array([[0, 0], [0, 1], [1, 1]]), 0)
    near([found[key] for key in ("avg_acc", "gain_best", "gap_oracle", "perf_gain")], [0.5, 0.0, 0.5, 1.0])
    near(found["cost_save"], 0.0)
    refuses(lambda: data.read_folder(place / "none"), "models.json")
    (path / "outcomes.csv").write_text("id,m0,m1\np0,1,2")
    refuses(lambda: data.read_folder(path), "one row per prompt and one column per model")


def evaluation(place):
    """Rows: seeds, intervals paired with the hull, and the check of blindroute's file."""
    random = numpy.random.default_rng(3)
    rows = [(split, random.integers(0, 2, 3).tolist()) for split in ["test"] * 60 + ["valid"] * 20 + ["train"] * 5]
    folder = data.read_folder(sample_folder(place / "rows", rows, [1.0, 2.0, 4.0]))
    of = report.Evaluation(folder, 50, 1000.0)
    best = of.test.best_single()
    single = (numpy.full((2, 20), best), numpy.full((2, 60), best))
    row = of.row(routers.Router("single", None, True, True, ""), [single, single])
    near([row["measures"]["peak"]["value"], row["measures"]["peak"]["deviation"]], [of.best[1], 0.0])
    # The hull cannot be worse than a single model, nor better than the oracle.
    assert row["own_choice"]["less_hull"]["interval"]["high"] <= 1e-9 and row["less_hull"]["audc"]["value"] <= 1e-9
    blind, oracle = of.reference_rows()
    near(oracle["less_hull"]["audc"]["value"], oracle["measures"]["audc"]["value"] - blind["measures"]["audc"]["value"])
    paired, alone = (oracle[of]["hull_area"]["interval"] for of in ("less_hull", "measures"))
    assert 0 < paired["low"] and paired["high"] < alone["low"], "the interval is not that of the difference"
    assert not blind["begins_late"] and row["begins_late"] == (best != 0)
    near(row["arena_score"]["value"], benchmarks.arena_score(of.best[1], of.best[0] * 4))
    router = {"name": "own", "group": "private", "one_point": False, "seeds": 1, "measures": blind["measures"]}
    points = [{"lambda": 0.0, "score": 0.9, "cost": 1.0}, {"lambda": 1.0, "score": 0.8, "cost": 0.5}]
    router |= {"points": points, "default": points[0]}
    of_blindroute = {
        "prompts": 60,
        "singles": [{"model": m, "score": score, "cost": cost} for m, (cost, score) in zip(folder.models, of.singles)],
        "rows": [each | {"group": "baseline", "one_point": False} for each in (blind, oracle)] + [router],
        "differences": [{"of": 2, "from": 0, "measures": row["less_hull"]}],
    }
    valid = {"rows": [router | {"points": [points[0] | {"score": 0.1}, points[1]]}]}
    (at_default,), (at_best,) = (of.blindroute_rows(of_blindroute, other) for other in (None, valid))
    near(at_default["arena_score"]["value"], benchmarks.arena_score(0.9, 4.0))
    near(at_best["arena_score"]["value"], benchmarks.arena_score(0.8, 2.0))
    of_blindroute["singles"][1]["score"] += 2e-6
    refuses(lambda: of.agree(of_blindroute), "the score of m1 of rows is")


def ranking():
    """Bradley-Terry strengths and tiers by hand."""
    near(routers.bradley_terry(numpy.array([[0.0, 3.0], [1.0, 0.0]])) @ [1, -1], numpy.log(3), 1e-4)
    assert routers.battles(numpy.array([[1.0, 0.0, 0.0]])).tolist() == [[[0, 1, 1], [0, 0, 0.5], [0, 0.5, 0]]]
    assert routers.tiers(numpy.array([0.0, 5.0, 0.1, 5.2, 9.0]), 3).tolist() == [2, 1, 2, 1, 0]
    scores = numpy.array([[0.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.0, 0.0, 1.0]])
    prices = numpy.float32([0.1, 1.0, 0.5])
    task = lambda ties: routers.Task(None, scores, None, scores, prices, ties)
    assert task("first").best.tolist() == [1, 0, 2] and task("cheapest").best.tolist() == [2, 0, 2]
    assert task("strongest").best.tolist() == [2, 2, 2]
    assert task("first").pair() == (2, 0) and task("first").smallest_and_largest() == (0, 1)


def synthetic():
    """Two kinds of prompts. Models 0 and 1 are good at one kind each; model 2 is dear and never right."""
    random = numpy.random.default_rng(5)
    kinds = (random.random(700) < 0.6).astype(int)
    vectors = random.normal(0, 0.3, (700, 16)) + numpy.where(kinds[:, None], 1.0, -1.0) * (numpy.arange(16) < 8)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    scores = numpy.stack([kinds == 0, kinds == 1, numpy.zeros(700)], axis=1) * (random.random((700, 1)) < 0.9)
    # Model 1 is the better one on average, and is sometimes right on the other kind.
    scores[:, 1] = numpy.maximum(scores[:, 1], random.random(700) < 0.05)
    return vectors, scores.astype(float), kinds


def every_router_learns():
    """Each router finds which kind of prompt is whose; the one that ignores prompts takes the better model."""
    vectors, scores, kinds = synthetic()
    relative = numpy.float32([0.4, 0.5, 1.0])
    task = routers.Task(vectors[:400], scores[:400], vectors[400:500], scores[400:500], relative, "strongest")
    for router in routers.table():
        name, own = router.name, router.own
        choices = router.make(task, 1)(vectors[500:])
        of = scores[500:][numpy.arange(200), choices]
        if name == "LLMRouter hybrid":
            # Its pair is the cheapest and the most expensive model: one kind of prompt each, and nothing to gain.
            assert set(choices.flat) == {0, 2}, name
            continue
        if name == "LLMRouter elo":
            assert (choices[0] == 1).all() and (choices[-1] == 0).all(), name
            continue
        right = (choices == kinds[500:]).mean(1)
        best = right[0] if own else right.max()
        assert best > 0.95, f"{name}: {best:.2f} of the prompts go to their model, expected more than 0.95"
        assert of.mean(1).max() > 0.85, f"{name}: mean score {of.mean(1).max():.2f}, expected more than 0.85"
        assert (choices[-1] == 0).all() and (own or (choices[0] == 1).all()), f"{name}: the curve does not reach its ends"


def nothing_to_tell_apart():
    """Where one model is the best for every prompt of train, classifiers choose it for every prompt."""
    vectors = synthetic()[0][:50]
    scores = numpy.tile([0.0, 1.0], (50, 1))
    task = routers.Task(vectors, scores, vectors, scores, numpy.float32([0.5, 1.0]), "first")
    for make in (routers.nearest, routers.support_vectors, routers.perceptron, routers.win_classifier):
        choices = make(task, 0)(vectors)
        assert (choices[0] == 1).all() and (choices[-1] == 0).all(), make


def arena(place):
    """RouterArena's score against its leaderboard (accuracy, USD per 1,000 queries, score), and its file."""
    for accuracy, cost, score in ((0.6688, 0.15, 0.6689), (0.6809, 0.54, 0.6666), (0.7396, 10.02, 0.6432)):
        near(benchmarks.arena_score(accuracy, cost), score, 1e-3)
    near(benchmarks.arena_score(1.0, 0.0001), 1.0)
    file = place / "predictions.json"
    entry = {"global index": "AIME_1", "prompt": "x", "prediction": "a", "generated_result": {}}
    file.write_text(json.dumps([entry | {"accuracy": 1.0, "cost": 0.002}, entry | {"accuracy": 0.5, "cost": 0.0}]))
    found = benchmarks.routerarena_file(file)
    assert (found["queries"], found["accuracy"], found["usd_per_1000"]) == (2, 0.75, 1.0)
    file.write_text(json.dumps([entry | {"accuracy": None, "cost": None}]))
    refuses(lambda: benchmarks.routerarena_file(file), "no entry with accuracy and cost")


def bench(place):
    """LLMRouterBench's result files: the newest one counts, demos and models that lack prompts do not."""
    def write(dataset, model, name, count, score, demo=False):
        folder = place / "bench" / dataset / "test" / model
        folder.mkdir(parents=True, exist_ok=True)
        records = [
            {"index": at, "origin_query": "q", "prompt": f"{dataset} {at}", "prediction": "", "ground_truth": "",
             "score": score, "prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25 + at}
            for at in range(1, count + 1)
        ]
        value = {"dataset_name": dataset, "split": "test", "model_name": model, "demo": demo, "records": records}
        (folder / name).write_text(json.dumps(value))

    for dataset in ("aime", "bbh"):
        for model, score in (("a", 1.0), ("b", None), ("c", 0.5)):
            write(dataset, model, "r-20250102_000000.json", 20 if (dataset, model) != ("bbh", "c") else 19, score)
    write("aime", "a", "r-20250101_000000.json", 20, 0.0)
    write("aime", "b", "r-20260101_000000.json", 20, 1.0, demo=True)
    folder = benchmarks.llmrouterbench_folder(place / "bench")
    assert folder.models == ["a", "b"] and len(folder.prompts) == 40
    assert [len(folder.places(split)) for split in data.SPLITS] == [26, 2, 12]
    near(folder.scores.mean(0), [1.0, 0.0])
    near(folder.prices, [10.75, 10.75])
    near(benchmarks.usd_per_1000(folder, 1), 1000.0)
    (place / "bench" / "x.json").write_text("{}")
    refuses(lambda: benchmarks.llmrouterbench_folder(place / "bench"), "results/bench")


def cache(place):
    """Embeddings are found by prompt, and a table must have a row per prompt."""
    folder = data.read_folder(sample_folder(place / "cached", [("train", [1]), ("valid", [1]), ("test", [0])], [1.0]))
    kept = {encoder.digest(prompt): numpy.float32([at, 1]) for at, prompt in enumerate(reversed(folder.prompts))}
    encoder.write_cache(place / "kept.npz", kept)
    near(encoder.embeddings(folder, place / "kept.npz", None), [[2, 1], [1, 1], [0, 1]])
    kept.popitem()
    encoder.write_cache(place / "kept.npz", kept)
    refuses(lambda: encoder.embeddings(folder, place / "kept.npz", None), "lacks 1 prompts")
    numpy.save(place / "rows.npy", numpy.float32([[3, 4]] * 2))
    refuses(lambda: encoder.embeddings(folder, place / "rows.npy", None), "expected one row for each of 3 prompts")


def run(model, reference):
    """Runs all checks; with a model and a reference also that of the encoder."""
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        checks = [areas, ranking] + [lambda check=check: check(place) for check in (folders, evaluation, arena, bench, cache)]
        for check in [*checks, nothing_to_tell_apart, every_router_learns]:
            check()
    if model and reference:
        off = encoder.largest_difference(encoder.Encoder(model), reference)
        print(f"encoder: the largest difference of a coordinate from the reference is {off:.1e}", file=sys.stderr)
        near(off, 0, 1e-4)
    print("all checks passed", file=sys.stderr)
    return 0

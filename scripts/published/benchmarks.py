"""Measures and files of RouterArena (arXiv 2510.00202) and LLMRouterBench (arXiv 2601.07206).

RouterArena: the arena score, with the constants of its public evaluation program. Its optimality scores are left out,
because no public program or text that we found says how they are averaged; latency and robustness are not about quality.

LLMRouterBench: AvgAcc, Gain@R, Gain@B, Gap@O, PerfGain and CostSave, as its README defines them. AvgAcc is the mean over
data sets (here: sources of a folder) of the mean score. ParetoDist is left out, because no public text that we found says
how it scales accuracy and cost.
"""

import random
import re
from collections import defaultdict
from pathlib import Path

import numpy

from .data import DataError, Folder, read_json
from .measures import EQUAL

BETA, MOST_COST, LEAST_COST = 0.1, 200.0, 0.0044


def arena_score(accuracy, cost):
    """RouterArena's score: a weighted harmonic mean of the accuracy and the logarithm of the USD per 1,000 queries."""
    cost = min(max(cost, LEAST_COST), MOST_COST)
    saved = numpy.log2(MOST_COST / cost) / numpy.log2(MOST_COST / LEAST_COST)
    return (1 + BETA) * accuracy * saved / (BETA * accuracy + saved) if accuracy > 0 else 0.0


def usd_per_1000(folder, tokens):
    """The USD per 1,000 queries of relative cost 1; None if costs are not money. Prices per token need the tokens a query."""
    if folder.query_costs is not None or folder.unit.startswith("USD per query"):
        return 1000.0
    if folder.unit.startswith("USD per 1M tokens"):
        return tokens * 1000 / 1e6
    return None


def routerarena_file(path):
    """The score of a RouterArena prediction file: a list of objects, each with accuracy and cost (USD) once evaluated."""
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path} is not a list of objects: name a file of RouterArena's router_inference/predictions")
    accuracies = [entry["accuracy"] for entry in entries if entry.get("accuracy") is not None]
    costs = [entry["cost"] for entry in entries if (entry.get("cost") or 0) > 0]
    if not accuracies or not costs:
        raise DataError(f"{path} has no entry with accuracy and cost: run RouterArena's llm_evaluation/run.py on it first")
    # As RouterArena counts: the mean accuracy of what was evaluated, and the whole cost over all entries.
    accuracy, cost = sum(accuracies) / len(accuracies), 1000 * sum(costs) / len(entries)
    return {"queries": len(entries), "accuracy": accuracy, "usd_per_1000": cost, "arena_score": arena_score(accuracy, cost)}


def by_source(values, sources):
    """The mean over sources of the mean over prompts; the prompts are the last axis."""
    return numpy.mean([values[..., sources == source].mean(-1) for source in numpy.unique(sources)], axis=0)


class References:
    """What LLMRouterBench compares with: a random model, the best single model and the oracle."""

    def __init__(self, outcomes):
        self.outcomes = outcomes
        singles = by_source(outcomes.scores.T, outcomes.sources)
        costs = outcomes.costs.mean(0)
        best = min(range(len(singles)), key=lambda model: (-singles[model], costs[model]))
        self.random, self.best, self.best_cost = singles.mean(), singles[best], costs[best]
        self.oracle = by_source(outcomes.scores.max(1), outcomes.sources)

    def accuracies(self, choices):
        """AvgAcc of each point of a run."""
        return by_source(self.outcomes.looked_up(choices)[1], self.outcomes.sources)

    def measures(self, choices, chosen):
        """LLMRouterBench's measures of a run. The first four are of the point `chosen`, which was chosen on valid."""
        accuracies, costs = self.accuracies(choices), self.outcomes.looked_up(choices)[0].mean(1)
        as_good = costs[accuracies >= self.best - EQUAL]
        return {
            "avg_acc": accuracies[chosen],
            "gain_random": accuracies[chosen] / self.random - 1,
            "gain_best": accuracies[chosen] / self.best - 1,
            "gap_oracle": 1 - accuracies[chosen] / self.oracle,
            "perf_gain": accuracies.max() / self.best - 1,
            "cost_save": 1 - as_good.min() / self.best_cost if len(as_good) and self.best_cost > 0 else numpy.nan,
        }


def _records(path):
    """The newest result file of each data set, split and model below a folder, without demos."""
    newest = {}
    for file in sorted(Path(path).rglob("*.json")):
        value = read_json(file)
        if not isinstance(value, dict) or not {"dataset_name", "split", "model_name", "records"} <= value.keys():
            raise DataError(f"{file} has no dataset_name, split, model_name and records: name LLMRouterBench's results/bench")
        if value.get("demo"):
            continue
        stamp = re.search(r"(\d{8})_(\d{6})\.json$", file.name)
        age = int(stamp[1] + stamp[2]) if stamp else int(file.stat().st_mtime)
        key = (value["dataset_name"], value["split"], value["model_name"])
        if key not in newest or age > newest[key][0]:
            newest[key] = (age, value["records"])
    if not newest:
        raise DataError(f"{path} has no result files: name LLMRouterBench's folder results/bench")
    return {key: records for key, (_, records) in sorted(newest.items())}


def llmrouterbench_folder(path, seed=42, train_share=0.7):
    """LLMRouterBench's results as a routing folder: the models that answered every prompt, with costs per query.

    Splits as its baselines do, by data set and then by prompt with Python's generator. A tenth of train becomes valid.
    """
    records = _records(path)
    models = sorted({model for _, _, model in records})
    cells, prompts = defaultdict(dict), {}
    for (dataset, split, model), entries in records.items():
        for entry in entries:
            place = (dataset, split, entry["index"])
            cells[place][model] = (entry.get("score") or 0.0, entry.get("cost") or 0.0)
            prompts.setdefault(place, str(entry.get("prompt") or ""))
    kept = [model for model in models if all(model in answers for answers in cells.values())]
    if len(kept) < 2:
        raise DataError(f"{path}: {len(kept)} of {len(models)} models answered every prompt, expected two; remove data sets")
    draw, places = random.Random(seed), sorted(cells)
    split_of = {}
    for dataset in dict.fromkeys(dataset for dataset, _, _ in records):
        own = [place for place in places if place[0] == dataset]
        unique = list(dict.fromkeys(prompts[place] for place in sorted(own, key=lambda place: place[2])))
        order = list(range(len(unique)))
        draw.shuffle(order)
        for rank, number in enumerate(order):
            train = "valid" if rank % 10 == 9 else "train"
            split_of[dataset, unique[number]] = train if rank < int(len(unique) * train_share) else "test"
    table = numpy.array([[cells[place][model] for model in kept] for place in places])
    costs = table[:, :, 1]
    return Folder(
        name=Path(path).name,
        models=kept,
        prices=costs.mean(0),
        unit="USD per query",
        prompts=[prompts[place] for place in places],
        sources=[dataset for dataset, _, _ in places],
        splits=numpy.array([split_of[place[0], prompts[place]] for place in places]),
        scores=table[:, :, 0],
        query_costs=costs,
    )

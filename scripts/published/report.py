"""From trained routers to rows: measures over seeds, differences from the prompt-blind hull, and the benchmarks' scores."""

import math

import numpy

from .benchmarks import References, arena_score, usd_per_1000
from .data import DataError
from .measures import EQUAL, KEYS, Bootstrap, Outcomes, hull, interval, measures
from .routers import Router

# What blindroute's rows and these must agree in.
AGREE = 1e-6


def estimate(values, drawn=()):
    """The mean over seeds, its sample standard deviation, and the interval of the means over resamples."""
    value = float(numpy.mean(values))
    return {
        "value": value if math.isfinite(value) else None,
        "deviation": float(numpy.std(values, ddof=1)) if len(values) > 1 and numpy.isfinite(values).all() else None,
        "interval": interval(drawn),
    }


def at_cost(corners, cost):
    """The score of the hull with the origin at this cost."""
    costs, scores = zip(*hull([*corners, (0.0, 0.0)]))
    return float(numpy.interp(cost, costs, scores))


class Evaluation:
    """What rows of one folder share: the outcomes, the hull on each resample, and what the benchmarks compare with."""

    def __init__(self, folder, resamples, tokens):
        self.folder = folder
        self.test, self.valid = Outcomes(folder, "test"), Outcomes(folder, "valid")
        self.bootstrap = Bootstrap(self.test, resamples)
        self.singles = self.test.singles()
        self.best = self.singles[self.test.best_single()]
        self.hull = measures(hull(self.singles), self.best)
        self.hulls = self.bootstrap.of_hull()
        self.references = References(self.test)
        self.valid_references = References(self.valid)
        self.usd = usd_per_1000(folder, tokens)
        # Prices are relative to the dearest model on every split; costs per query to the dearest on that split.
        self.units = self.test.unit_cost, self.valid.unit_cost

    def arena(self, point, unit):
        """RouterArena's score of a point (cost, score); None if costs are not money."""
        return None if self.usd is None else arena_score(point[1], point[0] * unit * self.usd)

    def row(self, router, runs):
        """The row of a router. `runs` are the choices on valid and test for each seed."""
        seen = [measures(self.test.points(test), self.best) for _, test in runs]
        drawn = [self.bootstrap.of_run(test) for _, test in runs]
        drawn = [{key: numpy.mean([run[at][key] for run in drawn]) for key in KEYS} for at in range(len(self.hulls))]
        found = {key: estimate([run[key] for run in seen], [one[key] for one in drawn]) for key in KEYS}
        less = {
            key: estimate(
                [run[key] - self.hull[key] for run in seen], [one[key] - of[key] for one, of in zip(drawn, self.hulls)]
            )
            for key in ("audc", "hull_area")
        }
        points = [{"cost": float(cost), "score": float(score)} for cost, score in self.test.points(runs[0][1])]
        row = {"name": router.name, "note": router.note, "seeds": len(runs), "measures": found, "less_hull": less}
        row |= {"points": points, "begins_late": self.begins_late(points)}
        return row | {"own_choice": self.own(runs) if router.own else None} | self.benchmarks(runs)

    def begins_late(self, points):
        """Whether a curve begins above the cheapest model's cost, so that the flat left end of its AUDC overstates it."""
        return min(point["cost"] for point in points) > self.singles[self.test.cheapest()][0] + EQUAL

    def own(self, runs):
        """The published choice: score and cost, and the score less that of the prompt-blind hull at the same cost."""
        points = [self.test.points(test[:1])[0] for _, test in runs]
        gaps = [score - at_cost(self.singles, cost) for cost, score in points]
        drawn = []
        for times, singles in zip(self.bootstrap.times, self.bootstrap.singles):
            weights, of_runs = times / times.sum(), []
            for _, test in runs:
                cost, score = (values @ weights for values in self.test.looked_up(test[0]))
                of_runs.append(score - at_cost(singles, cost))
            drawn.append(numpy.mean(of_runs))
        return {
            "score": estimate([score for _, score in points]),
            "cost": estimate([cost for cost, _ in points]),
            "less_hull": estimate(gaps, drawn),
        }

    def benchmarks(self, runs):
        """RouterArena's and LLMRouterBench's measures, at the points that are best on valid."""
        arena, bench = [], []
        for valid, test in runs:
            if self.usd is not None:
                on_valid = [self.arena(point, self.units[1]) for point in self.valid.points(valid)]
                arena.append(self.arena(self.test.points(test)[int(numpy.argmax(on_valid))], self.units[0]))
            bench.append(self.references.measures(test, int(self.valid_references.accuracies(valid).argmax())))
        keys = bench[0]
        return {
            "arena_score": estimate(arena) if arena else None,
            "llmrouterbench": {key: estimate([run[key] for run in bench]) for key in keys},
        }

    def reference_rows(self):
        """The prompt-blind hull and the oracle."""
        knows = Router("oracle", None, False, False, "knows the outcomes")
        oracle = self.row(knows, [(self.valid.oracle(), self.test.oracle())])
        blind = {
            "name": "prompt-blind hull", "note": "the best mixtures of single models", "seeds": 1, "own_choice": None,
            "measures": {key: estimate([self.hull[key]], [one[key] for one in self.hulls]) for key in KEYS},
            "less_hull": None, "arena_score": self.best_single_arena(), "llmrouterbench": None, "begins_late": False,
            "points": [{"cost": float(cost), "score": float(score)} for cost, score in hull(self.singles)],
        }
        return [blind, oracle]

    def best_single_arena(self):
        """The arena score of the single model that has the best one on valid."""
        if self.usd is None:
            return None
        on_valid = [self.arena(point, self.units[1]) for point in self.valid.singles()]
        return estimate([self.arena(self.singles[int(numpy.argmax(on_valid))], self.units[0])])

    def blindroute_rows(self, value, on_valid):
        """The rows of `blindroute eval --json`, after a check that its hull, oracle and single models are ours.

        The arena score is that of the first run at the weight of cost that is best in `on_valid`, the same command's
        output for the valid split, or at the router's default weight.
        """
        self.agree(value)
        names = [row["name"] for row in value["rows"]]
        less = {pair["of"]: pair["measures"] for pair in value["differences"] if names[pair["from"]] == "prompt-blind hull"}
        valid = {(row["name"], row["group"]): row["points"] for row in on_valid["rows"]} if on_valid else {}
        rows = []
        for place, row in enumerate(value["rows"]):
            if row["group"] == "baseline" and (row["one_point"] or row["name"] in ("oracle", "prompt-blind hull")):
                continue
            chosen = row["default"]
            points = valid.get((row["name"], row["group"]))
            if points and self.usd is not None:
                best = max(points, key=lambda point: self.arena((point["cost"], point["score"]), self.units[1]))
                chosen = next(point for point in row["points"] if point["lambda"] == best["lambda"])
            arena = self.arena((chosen["cost"], chosen["score"]), self.units[0]) if chosen else None
            areas = {key: [row["measures"][key]["value"] - self.hull[key]] for key in ("audc", "hull_area")}
            rows.append({
                "name": f"blindroute {row['name']}, {row['group']}", "note": "from blindroute eval --json",
                "seeds": row["seeds"], "measures": row["measures"], "own_choice": None,
                # eval pairs the hull with routers; of its other baselines there is no interval.
                "less_hull": less.get(place) or {key: estimate(value) for key, value in areas.items()},
                "arena_score": None if arena is None else estimate([arena]), "llmrouterbench": None,
                "begins_late": self.begins_late(row["points"]),
                "points": row["points"],
            })
        return rows

    def agree(self, value):
        """An error unless blindroute has the same single models, hull and oracle."""
        stated = {row["name"]: row["measures"] for row in value["rows"]}
        pairs = [("the number of prompts", len(self.test.scores), value["prompts"])]
        for single, point in zip(value["singles"], self.singles):
            pairs += [(f"the cost of {single['model']}", point[0], single["cost"])]
            pairs += [(f"the score of {single['model']}", point[1], single["score"])]
        oracle = measures(self.test.points(self.test.oracle()), self.best)
        for name, own in (("prompt-blind hull", self.hull), ("oracle", oracle)):
            pairs += [(f"{key} of the {name}", own[key], stated[name][key]["value"]) for key in KEYS]
        for what, own, theirs in pairs:
            if not (own == theirs or theirs is None and not math.isfinite(own) or abs(own - theirs) <= AGREE):
                raise DataError(
                    f"{what} of {self.folder.name} is {own} here and {theirs} in blindroute's file, expected the same: "
                    "give the file of the same data and the split test, made by this version of blindroute"
                )

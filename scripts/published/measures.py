"""The measures of `blindroute eval`, by the same definitions (crates/lab/src/evaluation), on NumPy.

A curve is a list of points (cost, score). A run is one choice of models per weight of cost: `choices[point, prompt]`.
"""

import numpy

# How far a mean may be below another and still count as equal, because sums are rounded.
EQUAL = 1e-9
KEYS = ("audc", "qnc", "peak", "peak_cost", "hull_area", "scaled_audc")


def lambdas():
    """The weights of cost of a curve: 0, and ten per decade from 0.0001 to 1000."""
    return numpy.concatenate([[0.0], 10.0 ** (-4 + numpy.arange(71) / 10)]).astype(numpy.float32)


def pareto(points):
    """The points that no other point beats, by rising cost."""
    kept = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or score > kept[-1][1]:
            kept.append((cost, score))
    return kept


def hull(points):
    """The corners of the upper hull, from the cheapest to the best."""
    corners = []
    for point in pareto(points):
        while len(corners) > 1 and _slope(corners[-2], point) >= _slope(corners[-2], corners[-1]):
            corners.pop()
        corners.append(point)
    return corners


def _slope(start, end):
    return (end[1] - start[1]) / (end[0] - start[0])


def _under(line):
    """The area from cost 0 to 1 under straight lines, level before the first point and after the last one."""
    if not line:
        return 0.0
    (first_cost, first), (last_cost, last) = line[0], line[-1]
    area = first * min(first_cost, 1.0) + last * max(1.0 - last_cost, 0.0)
    for start, end in zip(line, line[1:]):
        if end[0] <= 1.0:
            area += (end[0] - start[0]) * (start[1] + end[1]) / 2
        elif start[0] < 1.0:
            width = 1.0 - start[0]
            area += width * (2 * start[1] + _slope(start, end) * width) / 2
    return area


def audc(points):
    """The area under the deferral curve: lines between the points that no other beats, with flat ends."""
    return _under(pareto(points))


def hull_area(points):
    """The area under the best mean score that each mean cost allows, if points and not answering may be mixed."""
    return _under(hull([*points, (0.0, 0.0)]))


def scaled_audc(points):
    """CSCR's area as blindroute reads it: all points, over the curve's own span of costs."""
    points = sorted(points)
    if not points:
        return 0.0
    start, end = points[0][0], points[-1][0]
    if end <= start:
        return points[-1][1]
    return _under([((cost - start) / (end - start), score) for cost, score in points])


def measures(points, best_single):
    """All measures of a curve, relative to the point of the best single model."""

    def relative(least):
        costs = [cost for cost, score in points if score >= least - EQUAL]
        return min(costs) / best_single[0] if costs and best_single[0] > 0 else numpy.inf

    peak = max((score for _, score in points), default=0.0)
    areas = {"audc": audc(points), "hull_area": hull_area(points), "scaled_audc": scaled_audc(points)}
    return areas | {"qnc": relative(best_single[1]), "peak": peak, "peak_cost": relative(peak)}


class Outcomes:
    """The score and cost of each model on each prompt of a split. Costs are relative to the most expensive model."""

    def __init__(self, folder, split):
        self.places = folder.places(split)
        self.scores = folder.scores[self.places]
        if folder.query_costs is None:
            self.costs = numpy.broadcast_to(folder.relative.astype(float), self.scores.shape)
            self.unit_cost = folder.prices.max()
        else:
            costs = folder.query_costs[self.places]
            self.unit_cost = costs.mean(0).max()
            self.costs = costs / self.unit_cost if self.unit_cost > 0 else costs
        self.sources = numpy.array(folder.sources)[self.places]

    def singles(self, times=None):
        """The point of each model alone. Each prompt counts as often as `times` says, or once."""
        weights = numpy.full(len(self.scores), 1 / len(self.scores)) if times is None else times / times.sum()
        return list(zip(weights @ self.costs, weights @ self.scores))

    def best_single(self):
        """The index of the model with the best mean score; on ties the cheapest."""
        return min(enumerate(self.singles()), key=lambda item: (-item[1][1], item[1][0]))[0]

    def cheapest(self):
        """The index of the cheapest model; on ties the best."""
        return min(enumerate(self.singles()), key=lambda item: (item[1][0], -item[1][1]))[0]

    def looked_up(self, choices):
        """The cost and the score of each choice: two arrays [point, prompt]."""
        prompts = numpy.arange(len(self.scores))
        return self.costs[prompts, choices], self.scores[prompts, choices]

    def points(self, choices):
        """The points of a run."""
        costs, scores = self.looked_up(choices)
        return list(zip(costs.mean(1), scores.mean(1)))

    def oracle(self):
        """The run that knows the outcomes: for each weight of cost the largest score - weight * cost, then the cheapest."""
        order = numpy.lexsort((numpy.arange(self.scores.shape[1]), self.costs[0])) if self._by_price() else None
        chosen = []
        for weight in lambdas().astype(float):
            value = self.scores - weight * self.costs
            best = value == value.max(1, keepdims=True)
            if order is not None:
                chosen.append(order[best[:, order].argmax(1)])
            else:
                chosen.append(numpy.where(best, self.costs, numpy.inf).argmin(1))
        return numpy.stack(chosen)

    def _by_price(self):
        return bool((self.costs == self.costs[0]).all())


def curve(utilities, relative):
    """The choices with each weight of cost: the largest utility - weight * cost, on ties the lowest index."""
    utilities = utilities.astype(numpy.float32)
    return numpy.stack([(utilities - weight * relative).argmax(1) for weight in lambdas()])


class Bootstrap:
    """Resamples of the prompts of a split, the same for all rows, so that differences are paired."""

    def __init__(self, outcomes, resamples=1000, seed=0):
        prompts = len(outcomes.scores)
        draw = numpy.random.default_rng(seed)
        self.times = numpy.stack(
            [numpy.bincount(draw.integers(0, prompts, prompts), minlength=prompts) for _ in range(resamples)]
        ) if resamples else numpy.zeros((0, prompts))
        self.outcomes = outcomes
        # The same reference model in every resample, as in blindroute.
        self.best = outcomes.best_single()
        self.singles = [outcomes.singles(times) for times in self.times]

    def of_hull(self):
        """The measures of the prompt-blind hull on each resample."""
        return [measures(hull(singles), singles[self.best]) for singles in self.singles]

    def of_run(self, choices):
        """The measures of a run on each resample."""
        costs, scores = self.outcomes.looked_up(choices)
        weights = self.times / max(len(costs[0]), 1)
        costs, scores = weights @ costs.T, weights @ scores.T
        every = zip(costs, scores, self.singles)
        return [measures(list(zip(cost, score)), singles[self.best]) for cost, score, singles in every]


def interval(values):
    """The middle 95 % of values that occurred, rounded outwards; None if there are none or one is NaN."""
    values = numpy.sort(numpy.asarray(values, dtype=float))
    if not len(values) or numpy.isnan(values).any():
        return None
    last = len(values) - 1
    low, high = values[int(numpy.floor(last * 0.025))], values[int(numpy.ceil(last * 0.975))]
    return {name: float(end) if numpy.isfinite(end) else None for name, end in (("low", low), ("high", high))}

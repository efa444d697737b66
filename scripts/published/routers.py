"""The published routers that need no gradients, and the table of all of them.

Written from the papers, with the hyperparameters of the published programs; no code of theirs is used. All read the same
frozen embeddings. Where a paper trains its own encoder, only a head is trained here, and the note of the router says so.

A trained router is a function from embeddings to choices[point, prompt]. Routers of LLMRouter predict the best model
without a cost: their first point is their own choice, and the others subtract weight * cost from their scores. Routers of
RouteLLM and Hybrid LLM choose between two models by a threshold; the thresholds are quantiles on the valid split.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy

from .measures import curve, hull_area

THRESHOLDS = 71
# RouteLLM groups models into tiers of similar rating before it ranks them.
TIERS = 10


@dataclass
class Task:
    """What a router may see: the train and valid splits, and the relative prices. `best` is the best model per train prompt."""

    train: numpy.ndarray
    train_scores: numpy.ndarray
    valid: numpy.ndarray
    valid_scores: numpy.ndarray
    relative: numpy.ndarray
    ties: str

    @property
    def models(self):
        return self.train_scores.shape[1]

    @property
    def best(self):
        """The best model of each train prompt. Ties go to the first model, as in LLMRouter, or by `ties`."""
        rank = {"first": numpy.arange(self.models), "cheapest": self.relative, "strongest": -self.train_scores.mean(0)}
        order = numpy.argsort(rank[self.ties], kind="stable")
        return order[self.train_scores[:, order].argmax(1)]

    def pair(self):
        """RouteLLM's strong and weak model.

        The strong model is the best single model on train (on ties the cheapest). The weak one is the cheaper model whose
        random mixtures with the strong one have the largest hull area on train.
        """
        means = self.train_scores.mean(0)
        strong = min(range(self.models), key=lambda model: (-means[model], self.relative[model]))
        points = list(zip(self.relative.astype(float), means))
        cheaper = [model for model in range(self.models) if self.relative[model] < self.relative[strong]]
        if not cheaper:
            return strong, min((model for model in range(self.models) if model != strong), key=lambda model: -means[model])
        return strong, max(cheaper, key=lambda model: hull_area([points[model], points[strong]]))

    def smallest_and_largest(self):
        """Hybrid LLM's pair: the cheapest and the most expensive model, each the better one on ties."""
        means, relative = self.train_scores.mean(0), self.relative
        smallest = min(range(self.models), key=lambda model: (relative[model], -means[model]))
        return smallest, max(range(self.models), key=lambda model: (relative[model], means[model]))


def by_threshold(task, strength, strong, weak):
    """Chooses `strong` where its strength reaches the threshold: always, quantiles of the valid split, never."""
    quantiles = numpy.quantile(strength(task.valid), numpy.linspace(0, 1, THRESHOLDS))
    thresholds = numpy.concatenate([[-numpy.inf], quantiles, [numpy.inf]])
    return lambda x: numpy.where(strength(x)[None, :] >= thresholds[:, None], strong, weak)


def by_utility(task, utilities):
    """Chooses by the largest utility - weight * cost."""
    return lambda x: curve(utilities(x), task.relative)


def bradley_terry(wins, ridge=1e-6):
    """The strengths (natural logarithm) that make the wins most probable, for a batch [..., models, models] of counts."""
    wins = wins / wins.sum((-1, -2), keepdims=True)
    games = wins + wins.swapaxes(-1, -2)
    strength = numpy.zeros(wins.shape[:-1])
    eye = numpy.eye(wins.shape[-1])
    for _ in range(50):
        odds = 1 / (1 + numpy.exp(strength[..., None, :] - strength[..., :, None]))
        gradient = (wins - games * odds).sum(-1) - ridge * strength
        curvature = games * odds * (1 - odds)
        hessian = eye * curvature.sum(-1)[..., None] - curvature + ridge * eye
        step = numpy.linalg.solve(hessian, gradient[..., None])[..., 0]
        # Long steps happen where one model always wins.
        step /= numpy.maximum(1, abs(step).max(-1, keepdims=True))
        strength += step
        if abs(step).max() < 1e-9:
            break
    return strength


def battles(scores):
    """Wins per prompt [prompts, models, models]: 1 for a better score, half for a tie."""
    ahead = scores[:, :, None] - scores[:, None, :]
    return (numpy.sign(ahead) + 1) / 2 * (1 - numpy.eye(scores.shape[1]))


def tiers(ratings, count):
    """The group of each rating: `count` groups of consecutive ratings with the least variance within them."""
    order = numpy.argsort(-ratings)
    values = ratings[order]
    size = len(values)
    spread = [[values[i : j + 1].var() * (j + 1 - i) if j >= i else 0.0 for j in range(size)] for i in range(size)]
    best, cuts = [spread[0][j] for j in range(size)], []
    for _ in range(count - 1):
        found = [min((best[cut - 1] + spread[cut][j], cut) for cut in range(1, j + 1)) if j else (0.0, 0) for j in range(size)]
        best = [value for value, _ in found]
        cuts.append([cut for _, cut in found])
    group, end = numpy.zeros(size, dtype=int), size
    for tier in range(count - 1, 0, -1):
        start = cuts[tier - 1][end - 1]
        group[order[start:end]] = tier
        end = start
    return group


def similarity_weighted(task, seed):
    """RouteLLM: a Bradley-Terry model per prompt, whose battles weigh 10^(1 + similarity / largest similarity)."""
    strong, weak = task.pair()
    ahead = battles(task.train_scores)
    ratings = bradley_terry(ahead.sum(0))
    count = min(TIERS, task.models)
    group = tiers(ratings, count)
    while group[strong] == group[weak]:
        count += 1
        group = tiers(ratings, count)
    member = numpy.eye(count)[group]
    ahead = numpy.einsum("nab,ai,bj->nij", ahead, member, member, optimize=True) * (1 - numpy.eye(count))
    flat = ahead.reshape(len(ahead), -1)

    def strength(x):
        similarity = x @ task.train.T
        weights = 10 ** (1 + similarity / similarity.max(1, keepdims=True))
        found = bradley_terry((weights @ flat).reshape(-1, count, count))
        return 1 / (1 + numpy.exp(found[:, group[weak]] - found[:, group[strong]]))

    return by_threshold(task, strength, strong, weak)


def win_classifier(task, seed):
    """RouteLLM's BERT classifier, as three classes (strong model wins, tie, weak model wins) on the frozen embedding."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    strong, weak = task.pair()
    train, valid = (
        numpy.sign(scores[:, weak] - scores[:, strong]).astype(int) for scores in (task.train_scores, task.valid_scores)
    )
    if len(numpy.unique(train)) < 2:
        # Nothing to tell apart: one model for all prompts.
        return by_threshold(task, lambda x: numpy.zeros(len(x)), strong, weak)
    fits = [LogisticRegression(C=c, max_iter=1000).fit(task.train, train) for c in (0.01, 0.1, 1.0, 10.0, 100.0)]
    seen = numpy.isin(valid, fits[0].classes_)
    losses = [log_loss(valid[seen], fit.predict_proba(task.valid[seen]), labels=fit.classes_) for fit in fits]
    fit = fits[int(numpy.argmin(losses))]
    wins = fit.classes_ == -1
    return by_threshold(task, lambda x: fit.predict_proba(x)[:, wins].sum(1), strong, weak)


def hybrid(task, seed):
    """Hybrid LLM, probabilistic: a regression of sigmoid((score of the small - score of the large model) / 0.1)."""
    from sklearn.neural_network import MLPRegressor

    small, large = task.smallest_and_largest()
    target = 1 / (1 + numpy.exp(-(task.train_scores[:, small] - task.train_scores[:, large]) / 0.1))
    fit = MLPRegressor(hidden_layer_sizes=(128, 64), max_iter=300, random_state=seed).fit(task.train, target)
    return by_threshold(task, lambda x: -fit.predict(x), large, small)


def _spread(task, classes, values):
    """Scores of the classes as scores of all models. A model that is never the best has the lowest score."""
    full = numpy.full((len(values), task.models), values.min() - 1e-6)
    full[:, classes] = values
    return full


def _classifier(make, scores):
    def train(task, seed):
        if len(numpy.unique(task.best)) < 2:
            # Nothing to tell apart: one model for all prompts.
            always = numpy.eye(task.models)[task.best[0]]
            return by_utility(task, lambda x: numpy.tile(always, (len(x), 1)))
        fit = make(seed).fit(task.train, task.best)
        return by_utility(task, lambda x: _spread(task, fit.classes_, scores(fit, x)))

    return train


def _neighbours(seed):
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=5)


def _support_vectors(seed):
    from sklearn.svm import SVC

    return SVC(kernel="rbf", C=1.0, gamma="scale", decision_function_shape="ovr")


def _perceptron(seed):
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(hidden_layer_sizes=(128, 64), alpha=1e-4, learning_rate_init=1e-3, max_iter=500, random_state=seed)


def _margins(fit, x):
    values = fit.decision_function(x)
    return numpy.stack([-values, values], axis=1) if values.ndim == 1 else values


nearest = _classifier(_neighbours, lambda fit, x: fit.predict_proba(x))
support_vectors = _classifier(_support_vectors, _margins)
perceptron = _classifier(_perceptron, lambda fit, x: fit.predict_proba(x))


def elo(task, seed):
    """LLMRouter: one rating per model, from battles of each prompt's best model with all others. It ignores the prompt."""
    wins = numpy.zeros((task.models, task.models))
    for best, count in zip(*numpy.unique(task.best, return_counts=True)):
        wins[best] += count
    numpy.fill_diagonal(wins, 0)
    ratings = bradley_terry(wins)
    return by_utility(task, lambda x: numpy.tile(ratings, (len(x), 1)))


@dataclass
class Router:
    """A published router. `own` is whether its first point is its published choice, `seeded` whether training draws."""

    name: str
    make: Callable
    own: bool
    seeded: bool
    note: str


def table():
    """All routers, and what differs from the published programs."""
    from . import learned

    one_hot = "one-hot features of models instead of embedded descriptions"
    frozen = "logistic regression on the frozen embedding, not a fine-tuned BERT"
    head = "linear head on the frozen embedding; rate chosen on valid"
    decisive = "four decisive battles per prompt and pass"
    return [
        Router("RouteLLM similarity-weighted", similarity_weighted, False, False, "battles of all pairs of models"),
        Router("RouteLLM matrix factorisation", learned.win_factorisation, False, True, decisive),
        Router("RouteLLM classifier", win_classifier, False, False, frozen),
        Router("LLMRouter knn", nearest, True, False, "k = 5"),
        Router("LLMRouter svm", support_vectors, True, False, "RBF, C = 1; scores are one-against-rest margins"),
        Router("LLMRouter mlp", perceptron, True, True, "layers 128 and 64"),
        Router("LLMRouter mf", learned.best_factorisation, True, True, "128 dimensions, 5 passes"),
        Router("LLMRouter elo", elo, True, False, "does not see the prompt"),
        Router("LLMRouter hybrid", hybrid, False, True, "cheapest and most expensive model"),
        Router("LLMRouter routerdc", learned.dual_contrastive, True, True, head),
        Router("LLMRouter graphrouter", learned.graph, True, True, one_hot),
    ]

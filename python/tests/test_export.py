"""Routers that were trained with scikit-learn: private choices are those of its own predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from conftest import DATA

import blindroute
from blindroute import export

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

ROUTED: tuple[tuple[Literal["local", "head"], int, float], ...] = (
    ("local", 150, 0.2),
    ("local", 50, 0.0),
    ("head", 50, 0.2),
)
"""Placements, how many prompts, and weights of cost."""
NEAR = 2e-3
"""Choices may differ where the best two models are nearer than this in score − λ·cost: fixed-point numbers round the embedding to 2^−17."""


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """Prompts of a published table, or made up where it is not."""
    path = DATA / "routing" / "ulab_llmrouter" / "prompts.jsonl"
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(next(lines)) for _ in range(150)]
        return [next(row[key] for key in ("prompt", "text", "query") if key in row)[:160] for row in rows]
    topics = ["sorting", "poems", "integrals", "cooking", "grammar", "history", "Rust", "chess"]
    return [
        f"Question {index} about {topics[index % 8]}: explain {topics[index // 8 % 8]} in {index} words"
        for index in range(150)
    ]


@pytest.fixture(scope="module")
def bundle() -> blindroute.Bundle:
    return blindroute.Bundle.load()


@pytest.fixture(scope="module")
def embeddings(bundle: blindroute.Bundle, prompts: list[str]) -> Any:
    # Rounded, so that columns which hold rounding noise only are constant.
    return np.asarray(bundle.embed(prompts, progress=False), dtype=np.float64).round(6)


@pytest.fixture(scope="module")
def outcomes(bundle: blindroute.Bundle, embeddings: Any) -> Any:
    """Outcomes that depend on the embedding, from 0 to 1."""
    random = np.random.default_rng(5)
    directions = (
        random.normal(size=(embeddings.shape[1], len(bundle.models))) / np.linalg.norm(embeddings, axis=1).mean()
    )
    return 1 / (
        1 + np.exp(-2 * (embeddings - embeddings.mean(axis=0)) @ directions + random.normal(size=len(bundle.models)))
    )


def linear(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1.0).fit(x, y)
    return export.from_linear(model), model.predict


def lasso(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.linear_model import Lasso
    from sklearn.multioutput import MultiOutputRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), MultiOutputRegressor(Lasso(alpha=0.005))).fit(x, y)
    return export.from_linear(model), model.predict


def logistic(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.linear_model import LogisticRegression

    models = [LogisticRegression(C=0.1).fit(x, column > np.median(column)) for column in y.T]
    return export.from_linear(models), lambda seen: np.stack(
        [model.decision_function(seen) for model in models], axis=1
    )


def best_model(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.linear_model import LogisticRegression

    # Every model is the best for some prompt: the first prompts are labelled in turn.
    labels = np.concatenate([np.arange(y.shape[1]), y.argmax(axis=1)[y.shape[1] :]])
    model = LogisticRegression(C=0.1, max_iter=500).fit(x, labels)
    return export.from_linear(model), model.decision_function


def network(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(32,), max_iter=60, random_state=1, tol=1e-2)
    ).fit(x, y)
    return export.from_mlp(model), model.predict


def deep_network(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(24, 16), learning_rate_init=0.01, max_iter=200, random_state=2).fit(x, y)
    return export.from_mlp(model), model.predict


def neighbours(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.neighbors import KNeighborsRegressor

    model = KNeighborsRegressor(5).fit(x[:110], y[:110])
    return export.from_neighbours(model), model.predict


def neighbours_by_cosine(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), KNeighborsRegressor(7, metric="cosine")).fit(x[:60], y[:60])
    return export.from_neighbours(model), model.predict


def clusters(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    from sklearn.cluster import KMeans

    model = KMeans(8, n_init=1, random_state=3).fit(x)
    table = np.stack([y[model.labels_ == cluster].mean(axis=0) for cluster in range(8)])
    return export.from_kmeans(model, table), lambda seen: table[
        model.predict(seen.astype(model.cluster_centers_.dtype))
    ]


def factorisation(x: Any, y: Any) -> tuple[export.Rule, Callable[[Any], Any]]:
    random, width = np.random.default_rng(6), 16
    state = {
        "P.weight": random.normal(size=(20, width)),
        "text_proj.0.weight": random.normal(size=(width, x.shape[1])) / np.linalg.norm(x, axis=1).mean(),
        "classifier.0.weight": random.normal(size=(1, width)),
    }
    rows = list(range(19, 19 - y.shape[1], -1))

    def scores(seen: Any) -> Any:
        unit = state["P.weight"] / np.linalg.norm(state["P.weight"], axis=1, keepdims=True)
        return (seen @ state["text_proj.0.weight"].T) @ (unit[rows] * state["classifier.0.weight"][0]).T

    return export.from_routellm_mf(state, rows), scores


CASES = [
    linear, lasso, logistic, best_model, network, deep_network, neighbours, neighbours_by_cosine, clusters, factorisation,
]  # fmt: skip


@pytest.mark.parametrize("train", CASES, ids=lambda train: train.__name__)
def test_choices_are_those_of_the_predictions(
    train: Callable[[Any, Any], tuple[export.Rule, Callable[[Any], Any]]],
    bundle: blindroute.Bundle,
    prompts: list[str],
    embeddings: Any,
    outcomes: Any,
) -> None:
    rule, predict = train(embeddings, outcomes)
    assert (rule.inputs, rule.models) == (embeddings.shape[1], len(bundle.models))
    mine = bundle.with_router("mine", rule, weight=0.2, samples=embeddings)
    assert mine.routers[0] == "mine"
    prices = np.array([model.price for model in mine.models])
    names = [model.name for model in mine.models]
    scores = predict(embeddings)
    with blindroute.PrivateRouter.in_process(mine) as router:
        for placement, count, weight in ROUTED:
            worth = scores[:count] - weight * prices / prices.max()
            expected, ordered = worth.argmax(axis=1), np.sort(worth, axis=1)
            clear_cut = ordered[:, -1] - ordered[:, -2] > NEAR
            assert clear_cut.mean() > 0.9, "most prompts have a clear best model"
            routes = router.route_many(prompts[:count], placement=placement, weight=weight, progress=False)
            chosen = np.array([names.index(route.model) for route in routes])
            different = (chosen != expected) & clear_cut
            assert not different.any(), f"{placement}, λ = {weight}: prompts {np.flatnonzero(different)}"


def test_a_threshold_of_routellm_decides_as_it_does() -> None:
    state = {"P.weight": [[3.0, 0.0], [0.0, 2.0]], "classifier.0.weight": [[0.5, 0.7]]}
    state["text_proj.0.weight"] = [[0.1] * 384, [0.2] * 384]
    rule = export.from_routellm_mf(state, [0, 1], strong=1, threshold=0.3)
    assert (rule.kind, rule.inputs, rule.models) == ("direct", 384, 2)
    with pytest.raises(blindroute.InputError, match="only one of strong and threshold"):
        export.from_routellm_mf(state, [0, 1], strong=1)
    with pytest.raises(blindroute.InputError, match="expected below 2"):
        export.from_routellm_mf(state, [0, 2])
    with pytest.raises(blindroute.InputError, match="state_dict of RouteLLM"):
        export.from_routellm_mf({}, [0, 1])


def test_what_is_not_expressible_is_refused_with_a_suggestion(embeddings: Any, outcomes: Any) -> None:
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestRegressor, VotingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVR

    x, y = embeddings[:60, :20], outcomes[:60]
    refused: list[tuple[Callable[[Any], export.Rule], Any, str]] = [
        (export.from_mlp, MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", max_iter=2).fit(x, y), "activation tanh"),
        (export.from_neighbours, KNeighborsRegressor(3, weights="distance").fit(x, y), "weights='distance'"),
        (export.from_neighbours, KNeighborsRegressor(3, metric="manhattan").fit(x, y), "metric 'manhattan'"),
        (export.from_neighbours, KNeighborsClassifier(3).fit(x, y.argmax(axis=1)), "fit a KNeighborsRegressor"),
        (export.from_linear, RandomForestRegressor(2).fit(x, y), "RandomForestRegressor cannot be a private rule"),
        (export.from_linear, SVR().fit(x, y[:, 0]), "Ridge, LinearSVR or an MLPRegressor"),
        (export.from_linear, VotingRegressor([("a", Ridge())]).fit(x, y[:, 0]), "fit one model"),
        (export.from_linear, make_pipeline(PCA(5), Ridge()).fit(x, y), "PCA cannot be a private rule"),
        (export.from_linear, LogisticRegression().fit(x, np.where(x[:, 0] > np.median(x[:, 0]), "a", "b")), "label prompts with 0, 1"),
        (export.from_linear, Ridge(), "has no coef_: fit it first"),
        (export.from_linear, Ridge().fit(x, y[:, 0]), "number of models 1: expected at least 2"),
    ]  # fmt: skip
    for make, model, why in refused:
        with pytest.raises(blindroute.InputError, match=why.replace("(", r"\(")):
            make(model)


def test_rules_for_another_bundle_or_out_of_range_are_refused(bundle: blindroute.Bundle, embeddings: Any) -> None:
    from sklearn.linear_model import Ridge

    models = len(bundle.models)
    few = export.from_linear(Ridge().fit(embeddings, np.zeros((len(embeddings), models - 1))))
    with pytest.raises(blindroute.InputError, match=f"scores {models - 1} models, the bundle has {models}"):
        bundle.with_router("mine", few, weight=0.0)
    other = export.from_linear(Ridge().fit(embeddings[:, :100], np.zeros((len(embeddings), models))))
    with pytest.raises(blindroute.InputError, match="width 100, those of the bundle have 384"):
        bundle.with_router("mine", other, weight=0.0)
    large = export.from_linear(Ridge().fit(embeddings, 1000.0 * np.eye(models)[np.arange(len(embeddings)) % models]))
    with pytest.raises(blindroute.InputError, match="expected a magnitude below 16") as caught:
        bundle.with_router("mine", large, weight=0.0)
    assert caught.value.code == "range"
    with pytest.raises(blindroute.BundleError, match="router name"):
        bundle.with_router(
            "My Router", export.from_linear(Ridge().fit(embeddings, np.zeros((len(embeddings), models)))), weight=0.0
        )

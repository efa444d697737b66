"""Routers that you train with scikit-learn or RouteLLM, as rules that run in the clear and under MPC.

Train on the embeddings of a bundle (`Bundle.embed`), with one score for each of its models in their order, turn the fitted
model into a `Rule`, and add it: the bundle's other parts stay as they are.

>>> import blindroute
>>> from blindroute import export
>>> bundle = blindroute.Bundle.load()
>>> prompts = ["What is the capital of France?", "Prove that 2 is irrational.", "Hello!", "Sort a list in Rust"]
>>> embeddings, scores = bundle.embed(prompts, progress=False), [[0.5] * len(bundle.models)] * 4
>>> class KNeighborsRegressor:  # scikit-learn's, fitted, has these and more
...     weights, n_neighbors, effective_metric_, _fit_X, _y = "uniform", 2, "euclidean", embeddings, scores
>>> rule = export.from_neighbours(KNeighborsRegressor())
>>> mine = bundle.with_router("mine", rule, weight=0.1, samples=embeddings)
>>> with blindroute.PrivateRouter.in_process(mine) as router:
...     router.route("Prove that the square root of 2 is irrational.", placement="head").router
'mine'

| trained | function | private answers |
|---|---|---|
| linear, ridge, lasso; logistic regression (its decision values) | `from_linear` | the scores of `predict` or `decision_function` |
| network with ReLU, one or two hidden layers | `from_mlp` | those of `predict` |
| k nearest neighbours, uniform weights, Euclidean or cosine | `from_neighbours` | those of `predict`, but for prompts that are equally near |
| K-means and a table of outcomes per cluster | `from_kmeans` | the outcomes of the nearest cluster |
| RouteLLM's matrix factorisation | `from_routellm_mf` | its decision at a threshold |

Each may stand behind a `StandardScaler` in a `Pipeline`; then train on `embeddings.round(6)`, because some columns hold rounding noise only, which
a scaler would enlarge. Models are known by the names of their classes and their fitted attributes, so
scikit-learn is not needed here. What no rule expresses raises `InputError` with a suggestion. Numbers become 32-bit
floats in the bundle, and fixed-point numbers with 16 fraction bits under MPC: scores that differ by less than some 10⁻⁴ may change places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blindroute import _engine
from blindroute._arrays import flat
from blindroute._engine import Rule
from blindroute._errors import InputError

__all__ = ["Rule", "from_kmeans", "from_linear", "from_mlp", "from_neighbours", "from_routellm_mf"]

_LINEAR = {
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lasso", "LassoCV", "LassoLars", "LinearRegression",
    "LinearSVR", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV", "Ridge", "RidgeCV", "SGDRegressor",
}  # fmt: skip
_LINEAR_CLASSIFIERS = {
    "LinearSVC", "LogisticRegression", "LogisticRegressionCV", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier",
}  # fmt: skip
_INSTEAD = {
    "Normalizer": "the length of a private embedding is not computed; train on the embeddings as `Bundle.embed` gives them",
    "PCA": "fit without it, with a larger penalty instead",
    "KNeighborsClassifier": "fit a KNeighborsRegressor on the outcomes of all models, or on one-hot labels",
    "RadiusNeighborsRegressor": "fit a KNeighborsRegressor",
    "MLPClassifier": "fit an MLPRegressor on the outcomes of all models",
    "VotingClassifier": "probabilities are not averaged privately; fit one model, for instance an MLPRegressor",
    "VotingRegressor": "fit one model, for instance an MLPRegressor",
    "SVC": "a kernel over support vectors is not expressible; use LinearSVC or LogisticRegression, or an MLPRegressor",
    "SVR": "a kernel over support vectors is not expressible; use Ridge, LinearSVR or an MLPRegressor",
    "KernelRidge": "a kernel over all prompts is not expressible; use Ridge or an MLPRegressor",
    "GaussianProcessRegressor": "a kernel over all prompts is not expressible; use Ridge or an MLPRegressor",
}


def from_linear(model: Any) -> Rule:
    """Linear scores: `predict` of a regression with one target for each model, or `decision_function` of a classifier.

    `model` is a fitted `LinearRegression`, `Ridge`, `Lasso` or another linear regression with a target for each model; a
    `MultiOutputRegressor` of such; a list with one of them for each model; or a linear classifier (`LogisticRegression`, `LinearSVC`)
    whose classes are the places 0, 1, … of the models in the bundle. A list may hold a binary `LogisticRegression` for each model,
    that says whether the model answers well. Its decision value is used: it rises with the probability, so each model's prompts keep their
    order, but values of different models are log-odds and not probabilities, and λ has their unit.

    >>> from blindroute import export
    >>> class Ridge:
    ...     coef_, intercept_ = [[0.1, 0.2, 0.3], [0.0, -0.1, 0.4]], [0.5, 0.6]
    >>> export.from_linear(Ridge())
    <blindroute rule direct, 3 inputs, 2 models>
    """
    scaler, last = _pipeline(model)
    if isinstance(last, (list, tuple)):
        rows, bias = _one_for_each(last)
    elif _name(last) in ("MultiOutputRegressor", "MultiOutputClassifier"):
        rows, bias = _one_for_each(_fitted(last, "estimators_"))
    else:
        rows, bias = _linear(last)
        if _name(last) in _LINEAR_CLASSIFIERS:
            classes = [str(label) for label in _list(_fitted(last, "classes_"))]
            if classes != [str(place) for place in range(len(classes))]:
                raise _refused(
                    f"a classifier of the classes {', '.join(classes[:5])}",
                    "label prompts with 0, 1, …: the best model's place in the bundle",
                )
            if len(rows) == 1:
                # The decision value of two classes is that of the second against the first.
                rows, bias = [[0.0] * len(rows[0]), rows[0]], [0.0, bias[0]]
    return _engine.rule_linear(flat(rows, "coef_", "d"), _row(bias, "intercept_"), scaler)


def from_mlp(model: Any) -> Rule:
    """The scores of a fitted `MLPRegressor` with activation `relu` and one or two hidden layers of at most 2,048 units.

    >>> from blindroute import export
    >>> class MLPRegressor:
    ...     activation, out_activation_ = "relu", "identity"
    ...     coefs_, intercepts_ = [[[0.1, 0.2], [0.3, -0.4]], [[1.0, 0.0], [0.5, 0.2]]], [[0.0, 0.1], [0.2, 0.3]]
    >>> export.from_mlp(MLPRegressor())
    <blindroute rule mlp, 2 inputs, 2 models>
    """
    scaler, last = _pipeline(model)
    _expect(last, {"MLPRegressor"}, "an MLPRegressor")
    activation, output = _fitted(last, "activation"), _fitted(last, "out_activation_")
    if activation != "relu" or output != "identity":
        raise _refused(
            f"a network with activation {activation} and output {output}", 'fit an MLPRegressor with activation="relu"'
        )
    layers = [
        (flat(weight, "coefs_", "d"), _row(bias, "intercepts_"))
        for weight, bias in zip(_fitted(last, "coefs_"), _fitted(last, "intercepts_"), strict=True)
    ]
    return _engine.rule_mlp(layers, scaler)


def from_neighbours(model: Any) -> Rule:
    """The scores of a fitted `KNeighborsRegressor` with uniform weights and the metric `euclidean` or `cosine`, whose targets are the
    outcomes of all models.

    The stored prompts become secret weights of the servers; their number (at most 4,096) and k are public. Of prompts that are equally
    near, those that came first in training are taken; scikit-learn does not say which it takes.

    >>> from blindroute import export
    >>> class KNeighborsRegressor:
    ...     weights, n_neighbors, effective_metric_ = "uniform", 1, "cosine"
    ...     _fit_X, _y = [[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.2, 0.8]]
    >>> export.from_neighbours(KNeighborsRegressor())
    <blindroute rule neighbours, 2 inputs, 2 models>
    """
    scaler, last = _pipeline(model)
    _expect(last, {"KNeighborsRegressor"}, "a KNeighborsRegressor")
    weights = _fitted(last, "weights")
    if weights not in ("uniform", None):
        raise _refused(f"neighbours with weights={weights!r}", 'fit with weights="uniform"')
    metric = _fitted(last, "effective_metric_")
    if metric not in ("euclidean", "l2", "cosine"):
        raise _refused(f"neighbours with metric {metric!r}", 'fit with metric "euclidean" or "cosine"')
    stored, outcomes = flat(_fitted(last, "_fit_X"), "_fit_X", "d"), flat(_fitted(last, "_y"), "outcomes", "d")
    return _engine.rule_neighbours(stored, outcomes, int(_fitted(last, "n_neighbors")), metric == "cosine", scaler)


def from_kmeans(model: Any, outcomes: Any) -> Rule:
    """The outcomes of the nearest cluster of a fitted `KMeans` or `MiniBatchKMeans`; `outcomes` is `[clusters, models]`, the mean
    score of each model in each cluster.

    >>> from blindroute import export
    >>> class KMeans:
    ...     cluster_centers_ = [[1.0, 0.0], [0.0, 2.0]]
    >>> export.from_kmeans(KMeans(), [[0.9, 0.1], [0.2, 0.8]])
    <blindroute rule neighbours, 2 inputs, 2 models>
    """
    scaler, last = _pipeline(model)
    _expect(last, {"KMeans", "MiniBatchKMeans"}, "a KMeans")
    centres = flat(_fitted(last, "cluster_centers_"), "cluster_centers_", "d")
    return _engine.rule_neighbours(centres, flat(outcomes, "outcomes", "d"), 1, False, scaler)


def from_routellm_mf(
    state: Mapping[str, Any], models: Sequence[int], *, strong: int | None = None, threshold: float | None = None
) -> Rule:
    """RouteLLM's matrix factorisation, from the arrays of its `state_dict`: `P.weight`, `text_proj.0.weight`, `classifier.0.weight`.

    `models` are the rows of `P` of the bundle's models, in the bundle's order (RouteLLM's `MODEL_IDS`). With `strong`, the place of the strong model
    in the bundle, and a `threshold` between 0 and 1, a route with λ = 0 decides as RouteLLM does: strong if its win rate
    reaches the threshold. The factorisation must have been trained on the bundle's embeddings: the published one reads others, of width 1536.

    >>> from blindroute import export
    >>> state = {"P.weight": [[1.0, 0.0], [0.0, 1.0]], "classifier.0.weight": [[0.5, 0.7]]}
    >>> export.from_routellm_mf(state | {"text_proj.0.weight": [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]}, [0, 1], strong=1, threshold=0.3)
    <blindroute rule direct, 3 inputs, 2 models>
    """
    for needed in ("P.weight", "classifier.0.weight"):
        if needed not in state:
            raise InputError(f"there is no {needed!r}: expected the state_dict of RouteLLM's MFModel", "export")
    if (strong is None) != (threshold is None):
        raise InputError("only one of strong and threshold is given: expected both or neither", "export")
    classifier, (rows, _) = flat(state["classifier.0.weight"], "classifier.0.weight", "d")
    if rows != 1:
        raise _refused(f"a classifier of {rows} classes", "train with num_classes=1")
    projection = state.get("text_proj.0.weight")
    projected = None if projection is None else flat(projection, "text_proj.0.weight", "d")
    decided = None if strong is None or threshold is None else (strong, float(threshold))
    places = [int(place) for place in models]
    return _engine.rule_routellm_mf(flat(state["P.weight"], "P.weight", "d"), projected, classifier, places, decided)


def _name(model: Any) -> str:
    return type(model).__name__


def _refused(what: str, instead: str) -> InputError:
    return InputError(f"{what} cannot be a private rule: {instead}", "export")


def _expect(model: Any, names: set[str], expected: str) -> None:
    found = _name(model)
    if found not in names:
        raise _refused(found, _INSTEAD.get(found, f"expected {expected}, which is what this function takes"))


def _fitted(model: Any, attribute: str) -> Any:
    try:
        return getattr(model, attribute)
    except AttributeError as error:
        raise InputError(f"the {_name(model)} has no {attribute}: fit it first", "export") from error


def _pipeline(model: Any) -> tuple[tuple[bytes, bytes] | None, Any]:
    """The standardisation in front of a model, if there is one, and the model."""
    if _name(model) != "Pipeline":
        return None, model
    *before, (_, last) = _fitted(model, "steps")
    before = [step for _, step in before if step not in ("passthrough", None)]
    for step in before:
        _expect(step, {"StandardScaler"}, "only a StandardScaler before the model")
    if len(before) > 1:
        raise _refused("more than one StandardScaler", "one is enough")
    if not before:
        return None, last
    width = int(_fitted(before[0], "n_features_in_"))
    mean, scale = _fitted(before[0], "mean_"), _fitted(before[0], "scale_")
    mean, scale = [0.0] * width if mean is None else mean, [1.0] * width if scale is None else scale
    return (_row(mean, "mean_"), _row(scale, "scale_")), last


def _list(values: Any) -> list[Any]:
    listed = values.tolist() if hasattr(values, "tolist") else values
    return list(listed) if isinstance(listed, (list, tuple)) else [listed]


def _row(values: Any, name: str) -> bytes:
    return flat([_list(values)], name, "d")[0]


def _linear(model: Any) -> tuple[list[list[float]], list[float]]:
    """Rows of weights, one for each output, and as many intercepts."""
    _expect(model, _LINEAR | _LINEAR_CLASSIFIERS, "a linear model")
    rows, bias = _list(_fitted(model, "coef_")), _list(_fitted(model, "intercept_"))
    if rows and not isinstance(rows[0], list):
        rows = [rows]
    if len(bias) == 1:
        bias = bias * len(rows)
    return rows, bias


def _one_for_each(models: Sequence[Any]) -> tuple[list[list[float]], list[float]]:
    """The same of one model for each LLM."""
    rows, bias = [], []
    for model in models:
        if _name(model) == "Pipeline":
            raise _refused(
                "a pipeline for each model", "put one StandardScaler before a MultiOutputRegressor, or fit without"
            )
        row, intercept = _linear(model)
        if len(row) != 1:
            raise _refused(f"a list with a model of {len(row)} outputs", "give one model of one output for each LLM")
        rows.extend(row)
        bias.extend(intercept)
    return rows, bias

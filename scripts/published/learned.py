"""The published routers that are trained by gradients, on JAX. See routers.py for what they share."""

import jax
import jax.numpy as jnp
import numpy

from .routers import by_threshold, by_utility

DIMENSIONS = 128


def adam(loss, rate, decay=0.0, decoupled=False, with_output=False):
    """A step of Adam: (parameters, moments, step number) and the loss's further arguments to the next state.

    With `with_output`, the loss returns a pair, and the step returns its second part too.
    """

    def step(state, arguments):
        parameters, first, second, number = state
        gradient = jax.grad(loss, has_aux=with_output)(parameters, *arguments)
        gradient, output = gradient if with_output else (gradient, None)
        if decay and not decoupled:
            gradient = jax.tree.map(lambda g, p: g + decay * p, gradient, parameters)
        number += 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        scale = rate * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        shrink = 1 - rate * decay if decoupled else 1.0
        update = lambda p, m, v: shrink * p - scale * m / (jnp.sqrt(v) + 1e-8)
        return (jax.tree.map(update, parameters, first, second), first, second, number), output

    return step


def start(parameters):
    """The state of Adam before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, zeros, zeros, jnp.float32(0)


def _uniform(random, rows, columns):
    bound = columns**-0.5
    return jnp.asarray(random.uniform(-bound, bound, (rows, columns)), dtype=jnp.float32)


def _factors(random, models, width):
    return {
        "models": jnp.asarray(random.normal(size=(models, DIMENSIONS)), dtype=jnp.float32),
        "project": _uniform(random, DIMENSIONS, width),
        "weigh": _uniform(random, 1, DIMENSIONS)[0],
    }


def _direction(models):
    return models / jnp.maximum(jnp.linalg.norm(models, axis=-1, keepdims=True), 1e-12)


def _factor_loss(p, x, winner, loser):
    ahead = _direction(p["models"][winner]) - _direction(p["models"][loser])
    logit = (ahead * (x @ p["project"].T)) @ p["weigh"]
    return jnp.mean(jax.nn.softplus(-logit))


def _factor_scores(p, x):
    return numpy.asarray((x @ p["project"].T * p["weigh"]) @ _direction(p["models"]).T)


def win_factorisation(task, seed):
    """RouteLLM: logit of a win = w · ((v of a - v of b) * W q); Adam 3e-4, 100 passes, batches of 64, noise 0.1 on q."""
    random = numpy.random.default_rng(seed)
    strong, weak = task.pair()
    prompt, winner, loser = numpy.nonzero(task.train_scores[:, :, None] > task.train_scores[:, None, :])
    batches = max(1, min(len(prompt), 4 * len(task.train)) // 64)
    x = jnp.asarray(task.train, dtype=jnp.float32)

    def loss(p, place, winner, loser, key):
        noise = 0.1 * jax.random.normal(key, (64, x.shape[1]))
        return _factor_loss(p, x[place] + noise, winner, loser)

    step = adam(loss, 3e-4, decay=1e-5)
    one_pass = jax.jit(lambda state, arguments: jax.lax.scan(step, state, arguments)[0])
    state = start(_factors(random, task.models, x.shape[1]))
    for number in range(100):
        drawn = random.integers(0, len(prompt), (batches, 64))
        keys = jax.random.split(jax.random.key(1000 * seed + number), batches)
        state = one_pass(state, (prompt[drawn], winner[drawn], loser[drawn], keys))

    def strength(x):
        scores = _factor_scores(state[0], x)
        return 1 / (1 + numpy.exp(scores[:, weak] - scores[:, strong]))

    return by_threshold(task, strength, strong, weak)


def best_factorisation(task, seed):
    """LLMRouter: the same form, from each prompt's best model against every other; Adam 1e-3, 5 passes, batches of 64."""
    random = numpy.random.default_rng(seed)
    prompt, loser = numpy.nonzero(numpy.arange(task.models)[None, :] != task.best[:, None])
    batches = max(1, len(prompt) // 64)
    x, best = jnp.asarray(task.train, dtype=jnp.float32), jnp.asarray(task.best)
    step = adam(lambda p, place, loser: _factor_loss(p, x[place], best[place], loser), 1e-3)
    one_pass = jax.jit(lambda state, arguments: jax.lax.scan(step, state, arguments)[0])
    state = start(_factors(random, task.models, x.shape[1]))
    for _ in range(5):
        order = numpy.resize(random.permutation(len(prompt)), (batches, 64))
        state = one_pass(state, (prompt[order], loser[order]))
    return by_utility(task, lambda x: _factor_scores(state[0], x))


def _cosines(a, b):
    length = lambda m: jnp.linalg.norm(m, axis=-1)
    return (a @ b.T) / jnp.maximum(length(a)[:, None] * length(b)[None, :], 1e-12)


def _contrast(random, groups, batch):
    """Per prompt of a batch: the place of one of its group, three places of other groups, and whether there are three."""
    places = numpy.zeros((len(batch), 4), dtype=int)
    usable = numpy.zeros(len(batch), dtype=numpy.float32)
    for row, group in enumerate(groups[batch]):
        same, other = numpy.flatnonzero(groups[batch] == group), numpy.flatnonzero(groups[batch] != group)
        if len(other) >= 3:
            places[row] = [random.choice(same), *random.choice(other, 3, replace=False)]
            usable[row] = 1
    return places, usable


def dual_contrastive(task, seed):
    """RouterDC: cosines of the prompt with learnt vectors of models; the best three against the worst three models, and
    prompts of one cluster of scores (K-means, 3) against three others. AdamW, 500 steps of 32 prompts.

    The published rate of 5e-5 is for a whole encoder; for the linear head it is chosen on valid, as is the step, in 50s.
    """
    from sklearn.cluster import KMeans

    groups = KMeans(3, n_init=10, random_state=seed).fit(task.train_scores).labels_
    x = jnp.asarray(task.train, dtype=jnp.float32)
    scores = jnp.asarray(task.train_scores, dtype=jnp.float32)
    width, count = x.shape[1], min(3, task.models - 1)

    def loss(p, batch, places, usable):
        hidden = x[batch] @ p["head"]
        similar = _cosines(hidden, p["models"])
        order = jnp.argsort(-scores[batch], axis=1, stable=True)
        take = lambda of, places: jnp.take_along_axis(of, places, axis=1)
        worst = order[:, -count:]
        negative = jnp.where(take(scores[batch], worst) > 0.5, -jnp.inf, take(similar, worst))
        total = 0.0
        for rank in range(count):
            top = order[:, rank : rank + 1]
            positive = take(similar, top)
            log_odds = positive[:, 0] - jax.nn.logsumexp(jnp.concatenate([positive, negative], axis=1), axis=1)
            total -= jnp.mean(jnp.where(take(scores[batch], top)[:, 0] > 0, log_odds, 0.0))
        near = take(_cosines(hidden, hidden), places)
        grouped = (near[:, 0] - jax.nn.logsumexp(near, axis=1)) * usable
        return total - grouped.sum() / jnp.maximum(usable.sum(), 1)

    def choose(p, x):
        return numpy.asarray(_cosines(jnp.asarray(x, dtype=jnp.float32) @ p["head"], p["models"]))

    best = (-1.0, None)
    for rate in (5e-5, 5e-4, 5e-3):
        random = numpy.random.default_rng(seed)
        models = jnp.asarray(random.normal(0, 0.78, (task.models, width)), dtype=jnp.float32)
        state = start({"head": jnp.eye(width), "models": models})
        step = adam(loss, rate, decay=0.01, decoupled=True)
        fifty = jax.jit(lambda state, arguments: jax.lax.scan(step, state, arguments)[0])
        for _ in range(10):
            batches = random.integers(0, len(x), (50, 32))
            contrasts = [_contrast(random, groups, batch) for batch in batches]
            places, usable = (numpy.stack(part) for part in zip(*contrasts))
            state = fifty(state, (batches, places, usable))
            chosen = choose(state[0], task.valid).argmax(1)
            score = task.valid_scores[numpy.arange(len(chosen)), chosen].mean()
            best = max(best, (score, state[0]), key=lambda pair: pair[0])
    return by_utility(task, lambda x: choose(best[1], x))


def _graph_vectors(p, x, scores, seen, moments):
    """The models' vectors from the edges `seen`, and the mean and variance of both normalisations, or those given."""
    prompts, models = _apply(p["prompt"], x), p["model"]
    edge = jax.nn.leaky_relu(p["edge"][0] * scores + p["edge"][1], 0.01)
    used = []
    for number in range(2):
        edge_layer, degree = p["of_edge"][number], seen.sum(0)[:, None]
        sums = seen.T @ _apply(p["message"][number], prompts) + degree * edge_layer["b"]
        models = models + sums + (seen * edge).sum(0)[:, None] * edge_layer["w"][:, 0]
        nodes = jnp.concatenate([prompts, models])
        mean, variance = (nodes.mean(0), nodes.var(0)) if moments is None else moments[number]
        used.append((mean, variance))
        nodes = (nodes - mean) / jnp.sqrt(variance + 1e-5) * p["scale"][number] + p["shift"][number]
        nodes = jax.nn.leaky_relu(nodes, 0.01) if number == 0 else nodes
        prompts, models = nodes[: len(x)], nodes[len(x) :]
    return models, used


def _apply(layer, x):
    return x @ layer["w"].T + layer["b"]


def graph(task, seed):
    """GraphRouter: prompts and models are nodes, and each score is an edge from its prompt to its model. Two convolutions
    (64 wide, sums over the edges seen, batch normalisation) give the models' vectors; sigmoid(mean(prompt * model)) says
    how probably the model is the best. AdamW 1e-3, four random masks a pass: 30% of the edges are seen, the others
    predicted. The pass is chosen on valid, of 300: LLMRouter's 100 are too few here.
    """
    random = numpy.random.default_rng(seed)
    low, high = task.train.min(0), task.train.max(0)

    def scaled(x):
        return jnp.asarray((x - low) / numpy.maximum(high - low, 1e-12), dtype=jnp.float32)

    def layer(rows, columns):
        return {"w": _uniform(random, rows, columns), "b": jnp.zeros(rows)}

    x, scores = scaled(task.train), jnp.asarray(task.train_scores, dtype=jnp.float32)
    label, wide = jnp.eye(task.models)[task.best], 64
    parameters = {
        "prompt": layer(wide, x.shape[1]), "model": _uniform(random, task.models, wide), "edge": jnp.array([1.0, 0.0]),
        "message": [layer(wide, wide), layer(wide, wide)], "of_edge": [layer(wide, 1), layer(wide, 1)],
        "scale": [jnp.ones(wide), jnp.ones(wide)], "shift": [jnp.zeros(wide), jnp.zeros(wide)],
    }

    def loss(p, key):
        total, moments = 0.0, []
        for seen in (jax.random.uniform(key, (4, *scores.shape)) < 0.3).astype(jnp.float32):
            models, used = _graph_vectors(p, x, scores, seen, None)
            moments.append(used)
            logit = _apply(p["prompt"], x) @ models.T / wide
            error = jax.nn.softplus(logit) - label * logit
            total += (error * (1 - seen)).sum() / jnp.maximum((1 - seen).sum(), 1)
        return total / 4, jax.tree.map(lambda *each: sum(each) / 4, *moments)

    step = adam(loss, 1e-3, decay=1e-4, decoupled=True, with_output=True)
    passes = jax.jit(lambda state, keys: jax.lax.scan(step, state, (keys,)))
    models_of = jax.jit(lambda p, moments: _graph_vectors(p, x, scores, jnp.ones_like(scores), moments)[0])

    def score(p, models, x):
        return numpy.asarray(jax.nn.sigmoid(_apply(p["prompt"], scaled(x)) @ models.T / wide))

    state, best = start(parameters), (-1.0, None)
    for number in range(30):
        state, moments = passes(state, jax.random.split(jax.random.key(1000 * seed + number), 10))
        # The mean over the last ten passes stands for the published program's running mean.
        models = models_of(state[0], jax.tree.map(lambda each: each.mean(0), moments))
        chosen = score(state[0], models, task.valid).argmax(1)
        value = task.valid_scores[numpy.arange(len(chosen)), chosen].mean()
        best = max(best, (value, (state[0], models)), key=lambda pair: pair[0])
    return by_utility(task, lambda x: score(*best[1], x))

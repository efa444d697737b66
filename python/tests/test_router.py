"""Routing and classification."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest

import blindroute

PROMPTS = [
    "What is the capital of France?",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Prove that the square root of 2 is irrational.",
    "Translate good morning into Thai",
]


def test_private_choices_are_those_in_the_clear(
    router: blindroute.PrivateRouter, local: blindroute.PrivateRouter
) -> None:
    clear = local.route_many(PROMPTS, placement="local", progress=False)
    assert [route.model for route in router.route_many(PROMPTS, progress=False)] == [route.model for route in clear]
    head = router.route(PROMPTS[0], placement="head")
    assert (head.model, head.placement, head.bucket) == (clear[0].model, "head", None)
    full = router.route(PROMPTS[0])
    assert (full.model, full.bucket, full.batch) == (clear[0].model, 32, 1)
    assert full.openings > head.openings > 0
    assert full.bytes["client_sent"] > 0
    assert set(full.ms) == {"client", "wait", "offline", "online", "total"}
    assert full.to_dict()["lambda"] == full.weight


def test_the_weight_of_cost_decides(local: blindroute.PrivateRouter) -> None:
    prices = [local.route(PROMPTS[2], placement="local", weight=weight).price for weight in (0.0, 0.1, 15.0)]
    assert prices == sorted(prices, reverse=True)
    assert prices[0] > prices[-1]

    class Calibrated:
        weight = 15.0

    assert local.route(PROMPTS[2], placement="local", weight=Calibrated()).price == prices[-1]


def test_messages_are_routed_by_their_last_user_message(local: blindroute.PrivateRouter) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": PROMPTS[1]}]},
    ]
    of_messages = local.route(messages, placement="local")
    of_text = local.route(PROMPTS[1], placement="local")
    assert (of_messages.model, of_messages.tokens) == (of_text.model, of_text.tokens)
    wrongs: list[Any] = [
        [],
        [{"role": "user", "content": ""}],
        [{"role": "assistant", "content": "Hi"}],
        [{"content": 3}],
        5,
    ]
    for wrong in wrongs:
        with pytest.raises(blindroute.InputError):
            local.route(wrong, placement="local")


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        ({"weight": 16.0}, "lambda", "expected a number from 0 to 15"),
        ({"weight": float("nan")}, "lambda", "expected a number from 0 to 15"),
        ({"router": "oracle"}, "unknown_router", "it has: "),
        ({"ranked": 0}, "ranking", "expected 1 to"),
        ({"placement": "cloud"}, "placement", 'expected "local", "head" or "full"'),
        ({"unknown_text": (0.5, "huge")}, "unknown_model", "not in this bundle's pool"),
        ({"placement": "full"}, "needs_servers", "needs servers"),
    ],
)
def test_options_that_cannot_be_followed_say_why(
    local: blindroute.PrivateRouter, options: dict[str, object], code: str, part: str
) -> None:
    with pytest.raises(blindroute.InputError, match=part) as raised:
        local.route("secret words", **{"placement": "local", **options})  # type: ignore[arg-type]
    assert raised.value.code == code
    assert "secret" not in str(raised.value)
    assert isinstance(raised.value, (blindroute.BlindrouteError, ValueError))
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.code, str(again)) == (code, str(raised.value))


def test_prompts_without_an_answer_do_not_disturb_others(local: blindroute.PrivateRouter) -> None:
    prompts = ["", *PROMPTS, " ", 7]
    answers = local.route_many(prompts, placement="local", batch=2, progress=False, errors="return")  # type: ignore[arg-type]
    kinds = [isinstance(answer, blindroute.Route) for answer in answers]
    assert kinds == [False, True, True, True, True, False, False]
    with pytest.raises(blindroute.InputError) as raised:
        local.route_many(prompts, placement="local", progress=False)  # type: ignore[arg-type]
    assert [isinstance(answer, blindroute.Route) for answer in raised.value.results] == kinds
    assert local.route_many([], placement="local") == []
    with pytest.raises(blindroute.InputError, match="batch is 0"):
        local.route_many(PROMPTS, placement="local", batch=0)


def test_progress_is_told_to_a_function(local: blindroute.PrivateRouter) -> None:
    told: list[tuple[int, int]] = []
    local.route_many(PROMPTS, placement="local", batch=3, progress=lambda done, of: told.append((done, of)))
    assert told == [(3, 4), (4, 4)]


def test_a_time_that_is_up_is_an_error_and_the_router_goes_on(router: blindroute.PrivateRouter) -> None:
    with pytest.raises(blindroute.RouteTimeoutError) as raised:
        router.route(PROMPTS[0], timeout=0.001)
    assert raised.value.code == "timeout"
    assert isinstance(raised.value, TimeoutError)
    assert router.route(PROMPTS[0]).model
    with pytest.raises(ValueError, match="timeout is -1"):
        router.route(PROMPTS[0], timeout=-1.0)


def test_threads_share_a_router(router: blindroute.PrivateRouter, local: blindroute.PrivateRouter) -> None:
    expected = [local.route(prompt, placement="local").model for prompt in PROMPTS]
    found: dict[int, list[str]] = {}

    def work(thread: int) -> None:
        found[thread] = [router.route(prompt, placement="head").model for prompt in PROMPTS]

    threads = [threading.Thread(target=work, args=[thread]) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(8), expected)


def test_asyncio_under_load(router: blindroute.PrivateRouter, local: blindroute.PrivateRouter) -> None:
    expected = [local.route(prompt, placement="local").model for prompt in PROMPTS]

    async def work() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        routes = await asyncio.gather(*(router.aroute(PROMPTS[n % 4], placement="head") for n in range(40)))
        ticking.cancel()
        assert [route.model for route in routes] == [expected[n % 4] for n in range(40)]
        # The loop went on meanwhile.
        assert ticks > 10
        many = await router.aroute_many(PROMPTS, placement="head", progress=False)
        assert [route.model for route in many] == expected

    asyncio.run(work())


def test_a_cancelled_task_cancels_its_route(router: blindroute.PrivateRouter) -> None:
    async def work() -> None:
        many = asyncio.create_task(router.aroute_many(PROMPTS * 50, batch=4, progress=False))
        await asyncio.sleep(0.3)
        many.cancel()
        with pytest.raises(asyncio.CancelledError):
            await many
        assert (await router.aroute(PROMPTS[0])).model

    asyncio.run(work())


def test_sessions_are_kept_ready(router: blindroute.PrivateRouter) -> None:
    assert router.keep_ready(PROMPTS[0], 2, placement="head")
    try:
        waited = router.route(PROMPTS[0], placement="head").ms
        assert waited["wait"] < waited["offline"]
    finally:
        assert router.keep_ready(PROMPTS[0], 0, placement="head")


def test_a_closed_router_says_so() -> None:
    router = blindroute.PrivateRouter.local()
    router.close()
    router.close()
    with pytest.raises(blindroute.InputError, match="was closed"):
        router.route("x", placement="local")


def test_texts_are_classified(pool: blindroute.PrivateRouter) -> None:
    texts = ["a gripping, funny film", "a dull mess"]
    labels = pool.classify_many(texts, task="sst2", placement="local", progress=False)
    assert [label.label for label in labels] == ["1", "0"]
    assert pool.classify(texts[0], task="sst2").label == "1"
    with pytest.raises(blindroute.InputError) as raised:
        pool.classify(texts[0], task="sst2", text2="another")
    assert raised.value.code == "second_superfluous"
    with pytest.raises(blindroute.InputError, match="expected a str or a pair"):
        pool.classify_many([("a", "b", "c")], progress=False)  # type: ignore[list-item]


def test_the_default_bundle_has_no_classifiers(local: blindroute.PrivateRouter) -> None:
    with pytest.raises(blindroute.InputError) as raised:
        local.classify("x", placement="local")
    assert raised.value.code == "no_pool"


def test_no_report_shows_the_prompt(local: blindroute.PrivateRouter) -> None:
    route = local.route("xylophone quince", placement="local")
    assert "xylophone" not in repr(route) + str(route.to_dict())


def test_answers_are_equal_after_a_pickle_and_cannot_be_changed(
    local: blindroute.PrivateRouter, pool: blindroute.PrivateRouter
) -> None:
    answers: list[blindroute.Route | blindroute.Label] = [
        local.route(PROMPTS[0], placement="local", ranked=2),
        pool.classify("a gripping, funny film", task="sst2", placement="local", scores=True),
    ]
    for answer in answers:
        # Nothing but the name was read before.
        back = pickle.loads(pickle.dumps(answer))
        assert (back, hash(back), repr(back)) == (answer, hash(answer), repr(answer))
        assert copy.deepcopy(answer).to_dict() == answer.to_dict()
        assert answer != answers[0] or answer is answers[0]
        for name in ("model", "label", "tokens", "more"):
            with pytest.raises(AttributeError):
                setattr(answer, name, "other")
        # What it gives is the caller's own.
        answer.to_dict()["ms"].clear()
        assert isinstance(answer.ms, dict)
        assert answer.ms["total"] > 0
        answer.ms.clear()
        assert answer.ms == back.ms
    assert answers[0] != local.route(PROMPTS[1], placement="local", ranked=2)
    assert answers[0] != answers[1]

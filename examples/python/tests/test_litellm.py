"""LiteLLM's router, with answers that LiteLLM makes up itself or the gateway's model gives."""

import asyncio
import inspect
import logging
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import pytest
from conftest import EASY, HARD
from litellm.types.router import RoutingPlugin

import blindroute
from litellm_plugin import BlindroutePlugin, BlindrouteStrategy

ASYNC_KINDS = pytest.mark.parametrize("kind", ["plugin", "strategy"])


def names(pool):
    return {name: f"openai/{name}" for name in pool.names}


def deployments(pool, failing=(), group="auto", **parameters):
    """One deployment for each model of the pool, which answers with the model's name."""
    error = Exception("the provider is down")
    return [
        {
            "model_name": group,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_key": "unused",
                "mock_response": error if name in failing else name,
                **parameters,
            },
        }
        for name in pool.names
    ]


def make(kind, router, pool, models=None, **options):
    models = deployments(pool) if models is None else models
    if kind == "plugin":
        return litellm.Router(model_list=models, plugins=[BlindroutePlugin(router, names(pool))], **options)
    llm = litellm.Router(model_list=models, **options)
    llm.register_plugin(BlindrouteStrategy(llm, router, names(pool)))
    return llm


def said(prompt):
    return [{"role": "system", "content": "Be short."}, {"role": "user", "content": prompt}]


def ask(llm, prompt, model="auto", **options):
    return asyncio.run(llm.acompletion(model=model, messages=said(prompt), **options)).choices[0].message.content


@ASYNC_KINDS
def test_each_message_goes_to_the_model_of_its_route(kind, router, pool):
    llm = make(kind, router, pool)
    assert [ask(llm, prompt) for prompt in (EASY, HARD)] == [pool.best[EASY][0], pool.best[HARD][0]]
    assert router.asked == 2


@ASYNC_KINDS
def test_streams_and_messages_in_parts(kind, router, pool):
    async def stream():
        parts = [{"type": "text", "text": HARD}]
        answer = await make(kind, router, pool).acompletion(model="auto", messages=said(parts), stream=True)
        return "".join([part.choices[0].delta.content or "" async for part in answer])

    assert asyncio.run(stream()) == pool.best[HARD][0]


@ASYNC_KINDS
def test_responses(kind, router, pool):
    llm = make(kind, router, pool)
    answers = [asyncio.run(llm.aresponses(model="auto", input=prompt)) for prompt in (EASY, HARD)]
    assert [each.output[0].content[0].text for each in answers] == [pool.best[EASY][0], pool.best[HARD][0]]


@ASYNC_KINDS
def test_the_next_model_answers_if_the_best_one_fails_and_nobody_is_asked_again(kind, router, pool):
    failing = pool.best[HARD][:2]
    assert ask(make(kind, router, pool, deployments(pool, failing), num_retries=2), HARD) == pool.best[HARD][2]
    assert router.asked == 1


@ASYNC_KINDS
def test_metadata_that_a_caller_uses_twice_keeps_no_choice(kind, router, pool):
    llm, metadata = make(kind, router, pool, deployments(pool, pool.best[EASY][:1]), num_retries=1), {"mine": 1}
    assert ask(llm, EASY, metadata=metadata) == pool.best[EASY][1]
    assert ask(llm, HARD, metadata=metadata) == pool.best[HARD][0]
    assert EASY not in repr(metadata) and HARD not in repr(metadata)


@ASYNC_KINDS
def test_groups_of_one_model_are_not_routed(kind, router, pool):
    models = [*deployments(pool), *deployments(pool, group="one")[:1]]
    assert ask(make(kind, router, pool, models), HARD, model="one") == pool.names[0]
    assert router.asked == 0


@ASYNC_KINDS
def test_embeddings_are_not_routed(kind, router, pool):
    llm = make(kind, router, pool, deployments(pool, mock_response=[0.5, 0.25]))
    assert asyncio.run(llm.aembedding(model="auto", input=[HARD])).data[0]["embedding"] == [0.5, 0.25]
    assert router.asked == 0


@ASYNC_KINDS
def test_without_a_route_no_model_is_called(kind, router, pool):
    llm = make(kind, router, pool, num_retries=0, fallbacks=[])
    with pytest.raises(blindroute.InputError):
        ask(llm, [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])
    with pytest.raises(LookupError, match="add a deployment"):
        ask(
            make(
                kind,
                router,
                pool,
                [
                    {**each, "litellm_params": {**each["litellm_params"], "model": f"openai/other{place}"}}
                    for place, each in enumerate(deployments(pool))
                ],
                num_retries=0,
            ),
            HARD,
        )


def test_plugins_are_for_asynchronous_calls(router, pool):
    with pytest.raises(ValueError, match="synchronous"):
        make("plugin", router, pool).completion(model="auto", messages=said(HARD))


def test_synchronous_calls_take_the_strategy(router, pool):
    llm = make("strategy", router, pool, deployments(pool, pool.best[EASY][:1]), num_retries=1)
    answers = [
        llm.completion(model="auto", messages=said(prompt)).choices[0].message.content for prompt in (EASY, HARD)
    ]
    assert answers == [pool.best[EASY][1], pool.best[HARD][0]]
    assert router.asked == 2


def cool(llm, name):
    """Has LiteLLM rest the deployment of this model in the group `auto`."""
    [found] = [
        each["model_info"]["id"]
        for each in llm.registry().deployments("auto")
        if each["litellm_params"]["model"] == f"openai/{name}"
    ]
    llm.health().cooldowns.add_deployment_to_cooldown(found, Exception("too many requests"), 429, 60.0)


def test_the_strategy_passes_by_what_cools_down(router, pool):
    llm = make("strategy", router, pool)
    cool(llm, pool.best[HARD][0])
    assert ask(llm, HARD) == pool.best[HARD][1]


def test_after_the_plugin_a_model_that_cools_down_is_an_error_or_the_fallback_group(router, pool):
    left = [
        each
        for each in deployments(pool, group="others")
        if each["litellm_params"]["mock_response"] in pool.best[HARD][1:3]
    ]
    others = [*deployments(pool), *left]
    for options in ({}, {"fallbacks": [{"auto": ["others"]}]}):
        llm = make("plugin", router, pool, others, num_retries=1, **options)
        cool(llm, pool.best[HARD][0])
        if options:
            assert ask(llm, HARD) == pool.best[HARD][1]
        else:
            with pytest.raises(ValueError, match="routing-plugin filtering"):
                ask(llm, HARD)


def test_the_strategy_serves_fallbacks_of_one_model(router, pool):
    models = [*deployments(pool, pool.names), *deployments(pool, group="last")[:1]]
    llm = make("strategy", router, pool, models, num_retries=1, fallbacks=[{"auto": ["last"]}])
    assert ask(llm, HARD) == pool.names[0]
    assert router.asked == 1


def test_the_proxy_takes_the_plugin(router, pool):
    plugin = BlindroutePlugin(router, names(pool))
    assert isinstance(plugin, RoutingPlugin) and inspect.iscoroutinefunction(plugin.run)


def test_models_that_the_gateway_answers_for(servers, pool, base_url):
    models = deployments(pool, mock_response=None, api_base=base_url)
    assert pool.best[HARD][0] in ask(make("plugin", servers, pool, models), HARD)


def test_the_log_names_models_only(router, pool, caplog):
    caplog.set_level(logging.INFO)
    ask(make("plugin", router, pool), HARD)
    assert HARD not in caplog.text

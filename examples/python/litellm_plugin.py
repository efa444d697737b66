"""LiteLLM: a private route chooses among the models of a group.

    litellm.Router(model_list=[...], plugins=[BlindroutePlugin(router, models)])  # asynchronous calls, LiteLLM's proxy

    llm = litellm.Router(model_list=[...])  # synchronous and asynchronous calls
    llm.register_plugin(BlindrouteStrategy(llm, router, models))

`models` has LiteLLM's name for each model of the bundle's pool, for instance `{"llama-3.1-8b": "openai/llama-3.1-8b"}`.
Groups with one model, such as those of `fallbacks`, and calls without messages, such as embeddings, are not routed.
Further options, such as `placement` and `weight`, are those of `PrivateRouter.route`. LiteLLM's proxy takes the plugin
as `router_settings: {plugins: [MODULE.INSTANCE]}`.
"""

import random
from collections.abc import Collection, Mapping
from typing import Any

from litellm.litellm_core_utils.prompt_templates.factory import resolve_structured_messages
from litellm.router import Router
from litellm.types.router import CustomRoutingStrategyBase, RoutingContext

import blindroute

# Where a request's metadata keeps what was asked for it. It holds names of models only.
SIGNALS, KEY = "routing_plugin_signals", "blindroute"


class _Models:
    """What the models of the pool are called in LiteLLM."""

    def __init__(self, models: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self.models = models
        self.options = {"ranked": min(4, len(models)), **options}

    def ranking(self, route: blindroute.Route) -> list[str]:
        return [self.models[model.model] for model in route.ranking if model.model in self.models]

    def best(self, ranking: list[str], candidates: Collection[str], failed: Collection[str]) -> str:
        """The first of the ranking that LiteLLM has and that did not fail in this call."""
        able = [model for model in ranking if model in candidates]
        if not able:
            found = f"blindroute ranked {ranking}, and LiteLLM can call {sorted(candidates)} in this group"
            raise LookupError(f"{found}: add a deployment for each model of the bundle's pool, and name it in `models`")
        return next((model for model in able if model not in failed), able[0])


def _failed(metadata: Mapping[str, Any]) -> list[str]:
    """The models that failed in earlier attempts of this call."""
    return [str(call.get("model")) for call in metadata.get("previous_models") or ()]


def _kept(metadata: Mapping[str, Any]) -> list[str] | None:
    """The ranking, if this is not the first attempt: LiteLLM chooses anew for each retry.

    At the first attempt the metadata may hold that of another call, because LiteLLM writes into the caller's own.
    """
    return (metadata.get(SIGNALS) or {}).get(KEY) if _failed(metadata) else None


class BlindroutePlugin:
    """For `litellm.Router(plugins=[...])`. LiteLLM runs plugins in asynchronous calls and refuses synchronous ones."""

    def __init__(self, router: blindroute.PrivateRouter, models: Mapping[str, str], **options: Any) -> None:
        self._router, self._models = router, _Models(models, options)

    async def run(self, context: RoutingContext) -> RoutingContext:
        """Leaves one candidate."""
        candidates = set(context.candidate_models)
        if context.structured_messages and len(candidates) > 1:
            ranking = _kept(context.metadata)
            if ranking is None:
                route = await self._router.aroute(context.structured_messages, **self._models.options)
                ranking = self._models.ranking(route)
            context.signals[KEY] = ranking
            context.candidate_models = [self._models.best(ranking, candidates, _failed(context.metadata))]
        return context


class BlindrouteStrategy(CustomRoutingStrategyBase):
    """For `register_plugin`. It takes the place of LiteLLM's own choice, so it passes by deployments that cool down."""

    def __init__(
        self, llm: Router, router: blindroute.PrivateRouter, models: Mapping[str, str], **options: Any
    ) -> None:
        self._llm, self._router, self._models = llm, router, _Models(models, options)

    # LiteLLM's own class says that these return nothing, and it uses what they return.
    def get_available_deployment(
        self,
        model: str,
        messages: list[dict[str, Any]] | None = None,
        input: str | list[Any] | None = None,
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """A deployment of the group `model`."""
        call = _Call(self._llm, model, messages, request_kwargs)
        if call.is_new:
            call.keep(self._models.ranking(self._router.route(call.messages, **self._models.options)))
        return call.deployment(self._models)

    async def async_get_available_deployment(
        self,
        model: str,
        messages: list[dict[str, Any]] | None = None,
        input: str | list[Any] | None = None,
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """A deployment of the group `model`."""
        call = _Call(self._llm, model, messages, request_kwargs)
        if call.is_new:
            call.keep(self._models.ranking(await self._router.aroute(call.messages, **self._models.options)))
        return call.deployment(self._models)


class _Call:
    """One attempt of a call for which a deployment is sought."""

    def __init__(self, llm: Router, group: str, messages: Any, request: dict[str, Any] | None) -> None:
        request = {} if request is None else request
        self.messages = resolve_structured_messages(messages=messages, request_kwargs=request) or []
        self._metadata = request.setdefault("litellm_metadata" if "litellm_metadata" in request else "metadata", {})
        deployments = llm.registry().deployments(group) or []
        cooling = llm.health().cooldowns.get_active_cooldowns([each["model_info"]["id"] for each in deployments], None)
        resting = {name for name, _ in cooling}
        self._deployments = [each for each in deployments if each["model_info"]["id"] not in resting] or deployments
        self._candidates = {each["litellm_params"]["model"] for each in self._deployments}
        self._is_routed = bool(self.messages) and len(self._candidates) > 1
        self.is_new = self._is_routed and _kept(self._metadata) is None

    def keep(self, ranking: list[str]) -> None:
        self._metadata[SIGNALS] = {KEY: ranking}

    def deployment(self, models: _Models) -> Any:
        """One of those of the best model."""
        able = self._deployments
        if self._is_routed:
            ranking = self._metadata[SIGNALS][KEY]
            best = models.best(ranking, self._candidates, _failed(self._metadata))
            able = [each for each in able if each["litellm_params"]["model"] == best]
        return random.choice(able)

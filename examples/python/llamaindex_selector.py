"""LlamaIndex: a selector for `RouterQueryEngine` whose choice is a private route.

    tools = [QueryEngineTool(engine, ToolMetadata("...", name="MODEL")), ...]
    RouterQueryEngine(PrivateSelector(router), tools, llm=llm)

Each tool is a query engine with an LLM of its own, and has the name of a model of the bundle's pool. Further options,
such as `placement` and `weight`, are those of `PrivateRouter.route`.
"""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import ToolMetadata

import blindroute


class PrivateSelector(BaseSelector):
    """Selects the tool that has the name of the best model, of those that have a tool."""

    def __init__(self, router: blindroute.PrivateRouter, *, ranked: int = 4, **options: Any) -> None:
        self._router, self._options = router, {"ranked": ranked, **options}

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        return _selection(choices, self._router.route(query.query_str, **self._options))

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        return _selection(choices, await self._router.aroute(query.query_str, **self._options))

    # No LLM is asked for the choice, so there are no prompts.
    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: dict[str, Any]) -> None:
        pass


def _selection(choices: Sequence[ToolMetadata], route: blindroute.Route) -> SelectorResult:
    names = [choice.name for choice in choices]
    for place, model in enumerate(route.ranking, 1):
        if model.model in names:
            # The reason is logged, and part of the response.
            reason = f"{model.model} is number {place} for this query at {model.price} {model.price_unit}"
            return SelectorResult(selections=[SingleSelection(index=names.index(model.model), reason=reason)])
    chosen = ", ".join(model.model for model in route.ranking)
    raise LookupError(f"blindroute chose {chosen}; the tools are {names}: name a tool after each model of the pool")

"""LangChain: a private route chooses the chat model, of an agent or of a chain.

    agent = create_agent(models["small"], tools, middleware=[PrivateModelRouter(router, models)])
    chain = prompt | private_chat_model(router, models) | StrOutputParser()

`models` has a chat model for each name of the bundle's pool. Further options, such as `placement` and `weight`, are
those of `PrivateRouter.route`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr, TracePolicy, omit_payload
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AnyMessage, convert_to_openai_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableLambda
from typing_extensions import NotRequired

import blindroute

T = TypeVar("T")


class Routed(AgentState[Any]):
    """An agent's state with the model that was chosen for this run."""

    routed_model: NotRequired[Annotated[str, PrivateStateAttr]]


class PrivateModelRouter(AgentMiddleware[Routed]):
    """Routes the last message of the user, once per run: within a loop of tools the model stays."""

    state_schema = Routed
    # Traces of this step have no messages.
    trace_policy = TracePolicy(process_inputs=omit_payload)

    def __init__(self, router: blindroute.PrivateRouter, models: Mapping[str, BaseChatModel], **options: Any) -> None:
        super().__init__()
        self._router, self._models, self._options = router, models, options

    def before_agent(self, state: Routed, runtime: Any) -> dict[str, str]:
        return {"routed_model": self._router.route(_conversation(state["messages"]), **self._options).model}

    async def abefore_agent(self, state: Routed, runtime: Any) -> dict[str, str]:
        return {"routed_model": (await self._router.aroute(_conversation(state["messages"]), **self._options)).model}

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        return handler(self._routed(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        return await handler(self._routed(request))

    def _routed(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        return request.override(model=_named(self._models, request.state["routed_model"]))  # type: ignore[typeddict-item]


def private_chat_model(
    router: blindroute.PrivateRouter, models: Mapping[str, Runnable[LanguageModelInput, Any]], **options: Any
) -> Runnable[LanguageModelInput, Any]:
    """A chat model that is another one for each input. Models with tools: `{name: model.bind_tools(tools), ...}`."""

    def choose(given: LanguageModelInput) -> Runnable[LanguageModelInput, Any]:
        return _named(models, router.route(_conversation(given), **options).model)

    async def achoose(given: LanguageModelInput) -> Runnable[LanguageModelInput, Any]:
        return _named(models, (await router.aroute(_conversation(given), **options)).model)

    # LangChain calls the runnable that the function returns, and streams if the caller does.
    return RunnableLambda(choose, achoose, name="blindroute")


def _named(models: Mapping[str, T], name: str) -> T:
    if name not in models:
        raise LookupError(f"blindroute chose {name}; `models` has {', '.join(models)}: add a chat model of this name")
    return models[name]


def _conversation(given: LanguageModelInput | list[AnyMessage]) -> str | list[dict[str, Any]]:
    """What is routed: a text as it is, messages in the form of OpenAI."""
    if isinstance(given, str):
        return given
    messages = convert_to_openai_messages(given.to_messages() if isinstance(given, PromptValue) else list(given))
    return messages if isinstance(messages, list) else [messages]

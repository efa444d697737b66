"""LangChain's agents and chains, with models of LangChain that answer what they are told to."""

import asyncio
import itertools

import pytest
from conftest import EASY, HARD
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool

import blindroute
from langchain_router import PrivateModelRouter, private_chat_model


@pytest.fixture
def models(pool):
    return {name: FakeListChatModel(responses=[name]) for name in pool.names}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Tools(GenericFakeChatModel):
    """Calls the tool, then says its own name."""

    name: str

    def bind_tools(self, tools, **_):
        return self


def calling(name):
    call = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Paris"}, "id": "1"}])
    return Tools(name=name, messages=itertools.cycle([call, AIMessage(name)]))


def agent(router, pool):
    models = {name: calling(name) for name in pool.names}
    return create_agent(models[pool.names[0]], [weather], middleware=[PrivateModelRouter(router, models)])


def given(prompt):
    return {"messages": [HumanMessage("Hello"), AIMessage("Hello"), HumanMessage([{"type": "text", "text": prompt}])]}


def test_an_agent_asks_once_per_run_and_stays_with_the_model(router, pool):
    made = agent(router, pool)
    for place, prompt in enumerate((EASY, HARD), 1):
        answer = made.invoke(given(prompt))
        assert [message.type for message in answer["messages"][2:]] == ["human", "ai", "tool", "ai"]
        assert answer["messages"][-1].content == pool.best[prompt][0]
        assert router.asked == place
        assert "routed_model" not in answer


def test_an_agent_that_is_asked_asynchronously(router, pool):
    answer = asyncio.run(agent(router, pool).ainvoke(given(HARD)))
    assert answer["messages"][-1].content == pool.best[HARD][0]
    assert router.asked == 1


def test_an_agent_under_mpc(servers, pool):
    assert agent(servers, pool).invoke(given(HARD))["messages"][-1].content == pool.best[HARD][0]


def test_a_model_that_is_missing_is_named(router, pool):
    model = calling(pool.best[EASY][0])
    with pytest.raises(LookupError, match=f"blindroute chose {pool.best[HARD][0]}"):
        create_agent(model, [weather], middleware=[PrivateModelRouter(router, {model.name: model})]).invoke(given(HARD))


def test_a_conversation_without_a_text_is_an_error(router, pool):
    with pytest.raises(blindroute.InputError):
        agent(router, pool).invoke({"messages": [AIMessage("Hello")]})


@pytest.mark.parametrize("form", [str, HumanMessage, lambda text: [SystemMessage("Be short."), ("user", text)]])
def test_a_chain_takes_what_chat_models_take(router, pool, models, form):
    chain = private_chat_model(router, models)
    given = [form(prompt) for prompt in (EASY, HARD)]
    given = [[each] if isinstance(each, HumanMessage) else each for each in given]
    expected = [pool.best[prompt][0] for prompt in (EASY, HARD)]
    assert [chain.invoke(each).content for each in given] == expected
    assert [answer.content for answer in chain.batch(given)] == expected
    assert [asyncio.run(chain.ainvoke(each)).content for each in given] == expected


def test_a_chain_of_a_prompt_and_a_parser_streams(router, pool, models):
    template = ChatPromptTemplate.from_messages([("system", "Be short."), ("user", "{question}")])
    chain = template | private_chat_model(router, models) | StrOutputParser()
    parts = list(chain.stream({"question": HARD}))
    assert "".join(parts) == pool.best[HARD][0] and len(parts) > 1

    async def stream():
        return [part async for part in chain.astream({"question": EASY})]

    parts = asyncio.run(stream())
    assert "".join(parts) == pool.best[EASY][0] and len(parts) > 1
    assert router.asked == 2

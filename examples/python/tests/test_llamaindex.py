"""LlamaIndex's RouterQueryEngine, with engines that answer with their names."""

import asyncio
import logging

import pytest
from conftest import EASY, HARD
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import CustomQueryEngine, RouterQueryEngine
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import QueryEngineTool, ToolMetadata

from llamaindex_selector import PrivateSelector


class Named(CustomQueryEngine):
    """Answers with its name."""

    name: str

    def custom_query(self, query_str: str) -> str:
        return self.name


def engine(router, names):
    tools = [QueryEngineTool(Named(name=name), ToolMetadata("questions for this model", name=name)) for name in names]
    return RouterQueryEngine(PrivateSelector(router), tools, llm=MockLLM())


def test_each_query_goes_to_the_tool_of_its_route(router, pool):
    made = engine(router, pool.names)
    for prompt in (EASY, HARD):
        answer = made.query(prompt)
        assert str(answer) == pool.best[prompt][0]
        assert answer.metadata["selector_result"].reason.startswith(pool.best[prompt][0])
        assert str(asyncio.run(made.aquery(QueryBundle(prompt)))) == pool.best[prompt][0]
    assert router.asked == 4


def test_a_model_without_a_tool_is_passed_by(router, pool):
    left = [name for name in pool.names if name not in pool.best[HARD][:2]]
    answer = engine(router, left).query(HARD)
    assert str(answer) == pool.best[HARD][2]
    assert "is number 3 for this query" in answer.metadata["selector_result"].reason


def test_tools_of_other_names_are_an_error(router):
    with pytest.raises(LookupError, match="name a tool after each model"):
        engine(router, ["one", "two"]).query(HARD)


def test_under_mpc(servers, pool):
    assert str(engine(servers, pool.names).query(HARD)) == pool.best[HARD][0]


def test_the_log_has_no_query(router, pool, caplog):
    caplog.set_level(logging.INFO)
    engine(router, pool.names).query(HARD)
    assert pool.best[HARD][0] in caplog.text and HARD not in caplog.text

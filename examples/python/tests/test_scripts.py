"""The scripts, run as a user runs them, and OpenAI's client through the gateway."""

import pathlib
import subprocess
import sys

import openai
import pytest
from conftest import EASY, HARD

FOLDER = pathlib.Path(__file__).resolve().parent.parent


def run(name, *arguments):
    ended = subprocess.run([sys.executable, FOLDER / name, *arguments], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_quickstart(pool):
    [line] = run("quickstart.py")
    model, price, unit = line.split(maxsplit=2)
    assert model == pool.best[HARD][0] and float(price) > 0 and unit.startswith("USD")


def test_asyncio_many(pool):
    *table, beside = run("asyncio_many.py")
    models = [line.split()[-1] for line in table]
    assert len(models) == 4 and models[0] == pool.best[EASY][0]
    assert str(models) == beside


def test_openai_gateway(pool, gateway_config, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    model, answer = run("openai_gateway.py", gateway_config)
    assert model == pool.best[EASY][0]
    assert model in answer and EASY in answer


@pytest.mark.parametrize("prompt", [EASY, HARD])
def test_the_gateway_routes_as_the_package_does(prompt, pool, base_url):
    with openai.OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": prompt}]
        )
        assert answer.headers["x-blindroute-model"] == pool.best[prompt][0]
        assert prompt in answer.parse().choices[0].message.content
        response = client.responses.create(model="auto", input=prompt)
        assert prompt in response.output_text

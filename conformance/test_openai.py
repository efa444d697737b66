"""openai-python, with nothing changed but `base_url`."""

import openai


def test_a_question_is_answered(gateway):
    client = openai.OpenAI(base_url=gateway.base_url, api_key="unused")
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert "What is the capital of France?" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


def test_through_each_dialect(translating):
    client = openai.OpenAI(base_url=translating.base_url, api_key="unused")
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert "What is the capital of France?" in answer.choices[0].message.content

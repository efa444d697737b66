"""An application of OpenAI's client that changes only its `base_url`: each message is routed privately, then answered.

Without a configuration, a model that is built into the gateway repeats the message. `blindroute gateway init` writes a
configuration to fill in, with your providers and the names of the variables that hold your keys.
"""

import sys

import openai

import blindroute


def main(config: str | None = None) -> None:
    """Asks one question and prints which model answered it, and the answer as it arrives."""
    with blindroute.gateway(config) as base_url, openai.OpenAI(base_url=base_url, api_key="unused") as client:
        answer = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": "What is the capital of France?"}], stream=True
        )
        print(answer.headers["x-blindroute-model"])
        for part in answer.parse():
            print((part.choices[0].delta.content if part.choices else None) or "", end="")
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])

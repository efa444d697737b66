#!/usr/bin/env python3
"""Times ONNX Runtime on the shape of the published encoder, beside `blindroute bench route`.

    pip install onnx onnxruntime numpy
    python3 scripts/onnx_time.py [THREADS]

The graph is that of all-MiniLM-L6-v2 (BERT, 6 layers, hidden 384, 12 attention heads, feed-forward width 1536, mean
pooling) for one text of 32, 128 and 256 tokens, in f32. Its weights are random: the time does not depend on them.
Prints the median of 50 runs after a warm-up, in milliseconds, as one JSON object per length.
"""

import json
import statistics
import sys
import time

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LAYERS, HIDDEN, HEADS, FFN, VOCABULARY, POSITIONS = 6, 384, 12, 1536, 30522, 512
RUNS = 50


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0
        self.random = numpy.random.default_rng(0)

    def constant(self, value):
        self.count += 1
        name = f"w{self.count}"
        self.weights.append(numpy_helper.from_array(numpy.asarray(value), name))
        return name

    def weight(self, *shape):
        return self.constant(self.random.normal(0, 0.05, shape).astype(numpy.float32))

    def node(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"n{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, x, inner, columns):
        return self.node("Add", self.node("MatMul", x, self.weight(inner, columns)), self.weight(columns))

    def norm(self, x):
        return self.node("LayerNormalization", x, self.weight(HIDDEN), self.weight(HIDDEN), axis=-1)

    def heads(self, x, permutation):
        split = self.constant(numpy.array([0, 0, HEADS, HIDDEN // HEADS], dtype=numpy.int64))
        return self.node("Transpose", self.node("Reshape", x, split), perm=permutation)

    def layer(self, x):
        queries = self.heads(self.linear(x, HIDDEN, HIDDEN), [0, 2, 1, 3])
        keys = self.heads(self.linear(x, HIDDEN, HIDDEN), [0, 2, 3, 1])
        values = self.heads(self.linear(x, HIDDEN, HIDDEN), [0, 2, 1, 3])
        scale = self.constant(numpy.float32((HIDDEN // HEADS) ** -0.5))
        scores = self.node("Softmax", self.node("Mul", self.node("MatMul", queries, keys), scale), axis=-1)
        context = self.node("Transpose", self.node("MatMul", scores, values), perm=[0, 2, 1, 3])
        merged = self.node("Reshape", context, self.constant(numpy.array([0, 0, HIDDEN], dtype=numpy.int64)))
        x = self.norm(self.node("Add", self.linear(merged, HIDDEN, HIDDEN), x))
        inner = self.node("Gelu", self.linear(x, HIDDEN, FFN))
        return self.norm(self.node("Add", self.linear(inner, FFN, HIDDEN), x))


def encoder():
    graph = Graph()
    x = graph.node("Gather", graph.weight(VOCABULARY, HIDDEN), "tokens")
    positions = graph.node("Gather", graph.weight(POSITIONS, HIDDEN), "positions")
    x = graph.norm(graph.node("Add", x, positions))
    for _ in range(LAYERS):
        x = graph.layer(x)
    axes = graph.constant(numpy.array([1], dtype=numpy.int64))
    embedding = graph.node("ReduceMean", x, axes, keepdims=0)
    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, [1, "length"]) for name in ("tokens", "positions")]
    out = helper.make_tensor_value_info(embedding, TensorProto.FLOAT, [1, HIDDEN])
    model = helper.make_graph(graph.nodes, "encoder", ids, [out], graph.weights)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = encoder()
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for length in (32, 128, 256):
        tokens = numpy.random.default_rng(1).integers(0, VOCABULARY, (1, length))
        inputs = {"tokens": tokens, "positions": numpy.arange(length)[None, :]}
        times = []
        for _ in range(RUNS + 10):
            started = time.perf_counter()
            session.run(None, inputs)
            times.append(1000 * (time.perf_counter() - started))
        print(json.dumps({"tokens": length, "threads": threads, "milliseconds": round(statistics.median(times[10:]), 2)}))


if __name__ == "__main__":
    main()

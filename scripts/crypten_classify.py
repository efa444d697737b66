#!/usr/bin/env python3
"""Times a classifier under CrypTen, of the shape of the shipped pool's largest model, beside `bench classify`.

    python3 scripts/crypten_classify.py [--batch 1,8] [--repeat 3] [--provider default|ttp] [--program 2relu|polynomial]

Two parties run as processes with one thread each and speak over the loopback interface. The encoder has the shape of
BERT (hidden 384, 12 attention heads, feed-forward width 1152). Program `2relu` has 2ReLU attention, ReLU, and two layer
normalisations per layer; `polynomial` has what the shipped pool has: linear attention, squares, and one layer
normalisation per layer. Both start from embeddings that are already normalised, and end with mean pooling, a linear
head and the label, the only value that is opened in the measured time. Weights and embeddings are shared; they are
random, of the size of trained ones, from `--seed`. What to install: README.md in this folder.

Prints one JSON object per batch on stdout. Exits with 1 if a score is further from plaintext torch than `--tolerance`,
or if a label differs although its score leads by more than twice that.
"""

import argparse
import json
import multiprocessing
import os
import queue
import resource
import socket
import statistics
import sys
import time

HIDDEN, HEADS, FFN = 384, 12, 1152
INSTALL = "in a virtual environment outside the repository, install what scripts/README.md lists under CrypTen"
PROVIDERS = {"default": "TFP", "ttp": "TTP"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--batch", default="1,8", help="texts that are classified together, separated by commas")
    parser.add_argument("--repeat", type=int, default=3, help="measured runs after one warm-up run")
    parser.add_argument("--provider", choices=sorted(PROVIDERS), default="default", help="who makes random numbers")
    parser.add_argument("--program", choices=("2relu", "polynomial"), default="2relu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tolerance", type=float, default=0.02, help="largest accepted error of a score")
    options = parser.parse_args()
    try:
        options.batch = [int(batch) for batch in options.batch.split(",")]
    except ValueError:
        parser.error(f"--batch: found {options.batch!r}, expected whole numbers such as 1,8")
    if options.labels < 2:
        parser.error(f"--labels: found {options.labels}, expected at least 2")
    for name in ("layers", "tokens", "repeat"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: found {getattr(options, name)}, expected at least 1")
    if min(options.batch) < 1:
        parser.error(f"--batch: found {min(options.batch)}, expected at least 1")
    return options


def random_model(options):
    """The weights of each layer and of the head, in float64. The scale of attention is part of the query weights."""
    import torch

    generator = torch.Generator().manual_seed(options.seed)

    def normal(*shape, deviation=0.05):
        return deviation * torch.randn(*shape, generator=generator, dtype=torch.float64)

    def norm():
        return {"gain": 1 + normal(HIDDEN), "bias": normal(HIDDEN)}

    def linear(inner, columns):
        return {"weight": normal(inner, columns), "bias": normal(columns)}

    layers = []
    for _ in range(options.layers):
        inputs = linear(HIDDEN, 3 * HIDDEN)
        for part in inputs.values():
            part[..., :HIDDEN] *= (HIDDEN // HEADS) ** -0.5
        layers.append({
            "inputs": inputs, "output": linear(HIDDEN, HIDDEN), "first_norm": norm(),
            "inner": linear(HIDDEN, FFN), "outer": linear(FFN, HIDDEN), "second_norm": norm(),
        })
    return {"layers": layers, "head": linear(HIDDEN, options.labels)}


def random_embeddings(options, batch):
    import torch

    generator = torch.Generator().manual_seed(options.seed + 1000 + batch)
    return torch.randn(batch, options.tokens, HIDDEN, generator=generator, dtype=torch.float64)


def map_tensors(weights, change):
    """The same nested weights, with `change` applied to each tensor."""
    if isinstance(weights, dict):
        return {name: map_tensors(part, change) for name, part in weights.items()}
    if isinstance(weights, list):
        return [map_tensors(part, change) for part in weights]
    return change(weights)


class Encoder:
    """The program, for tensors of torch and of CrypTen alike: they differ in the inverse square root's name."""

    def __init__(self, program, weights, inverse_root):
        self.polynomial, self.weights, self.inverse_root = program == "polynomial", weights, inverse_root

    def linear(self, x, part):
        return x.matmul(part["weight"]) + part["bias"]

    def norm(self, x, part):
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        return centred * self.inverse_root(variance + 1e-5) * part["gain"] + part["bias"]

    def attention(self, x, layer, batch, tokens):
        inputs = self.linear(x, layer["inputs"]).reshape(batch, tokens, 3, HEADS, HIDDEN // HEADS)
        queries, keys, values = (inputs[:, :, part].transpose(1, 2) for part in range(3))
        if self.polynomial:
            # The weight of a token is 1 + score, over their number, so that the product of keys and values comes first.
            context = (queries.matmul(keys.transpose(2, 3).matmul(values)) + values.sum(2, keepdim=True)) * (1 / tokens)
        else:
            positive = queries.matmul(keys.transpose(2, 3)).relu()
            context = (positive * (positive.sum(-1, keepdim=True) + 1e-3).reciprocal()).matmul(values)
        return self.linear(context.transpose(1, 2).reshape(batch * tokens, HIDDEN), layer["output"])

    def scores(self, embeddings):
        batch, tokens = embeddings.size(0), embeddings.size(1)
        x = embeddings.reshape(batch * tokens, HIDDEN)
        for layer in self.weights["layers"]:
            x = x + self.attention(x, layer, batch, tokens)
            if not self.polynomial:
                x = self.norm(x, layer["first_norm"])
            inner = self.linear(x, layer["inner"])
            inner = inner.square() if self.polynomial else inner.relu()
            x = self.norm(x + self.linear(inner, layer["outer"]), layer["second_norm"])
        pooled = x.reshape(batch, tokens, HIDDEN).mean(1)
        return self.linear(pooled, self.weights["head"])


def measure(crypten, encoder, embeddings):
    """One run: seconds, seconds of processor, rounds, bytes both ways, labels, and the scores, opened afterwards."""
    communicator = crypten.communicator.get()
    shared = crypten.cryptensor(embeddings, src=0)
    communicator.barrier()
    communicator.reset_communication_stats()
    started, processor = time.perf_counter(), time.process_time()
    scores = encoder.scores(shared)
    labels = scores.argmax(dim=-1, one_hot=True).get_plain_text().argmax(-1)
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    counts = communicator.get_communication_stats()
    return {
        "seconds": seconds, "processor": processor, "rounds": counts["rounds"], "bytes": int(counts["bytes"]),
        "labels": labels.tolist(), "scores": scores.get_plain_text().tolist(),
    }


def party(rank, options, port, results):
    """Runs one party, or the third party that makes random numbers (rank 2), and puts its runs into `results`."""
    os.environ.update(
        OMP_NUM_THREADS="1", WORLD_SIZE="2", RANK=str(rank), RENDEZVOUS=f"tcp://127.0.0.1:{port}",
        DISTRIBUTED_BACKEND="gloo",
    )
    if sys.platform.startswith("linux"):
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch
    import crypten

    torch.set_num_threads(1)
    crypten.cfg.communicator.verbose = True
    crypten.cfg.mpc.provider = PROVIDERS[options.provider]
    crypten.cfg.functions.reciprocal_all_pos = True
    if rank == 2:
        crypten.mpc.provider.TTPServer()
        return
    crypten.init()
    with crypten.no_grad():
        weights = map_tensors(random_model(options), lambda tensor: crypten.cryptensor(tensor, src=1))
        encoder = Encoder(options.program, weights, lambda x: x.inv_sqrt())
        for batch in options.batch:
            embeddings = random_embeddings(options, batch)
            for _ in range(options.repeat + 1):
                run = measure(crypten, encoder, embeddings)
                run["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                results.put((rank, run))
    crypten.uninit()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Parties:
    """The processes of all parties. Closing ends those that still run."""

    def __init__(self, options):
        context = multiprocessing.get_context("spawn")
        self.results, port = context.Queue(), free_port()
        ranks = range(3 if options.provider == "ttp" else 2)
        self.waiting = {0: [], 1: []}
        inputs = [(rank, options, port, self.results) for rank in ranks]
        self.processes = [context.Process(target=party, args=each, daemon=True) for each in inputs]
        for process in self.processes:
            process.start()

    def next_run(self):
        """The next run, as both parties saw it."""
        while not all(self.waiting.values()):
            try:
                rank, run = self.results.get(timeout=1)
                self.waiting[rank].append(run)
            except queue.Empty:
                for rank, process in enumerate(self.processes):
                    if process.exitcode not in (None, 0):
                        sys.exit(f"party {rank} ended with code {process.exitcode}; its error stands above")
        return [self.waiting[rank].pop(0) for rank in (0, 1)]

    def close(self):
        for process in self.processes:
            process.join(timeout=10)
            if process.is_alive():
                process.terminate()


def check(expected, run, tolerance):
    """The largest error of the scores; ends the program if a score or a label is wrong."""
    import torch

    found = torch.tensor(run["scores"], dtype=torch.float64)
    error = (found - expected).abs().max().item()
    if not error <= tolerance:
        sys.exit(f"the scores differ from plaintext by {error:.4f}, expected at most {tolerance}: try another --seed")
    leading = expected.topk(2, dim=-1).values
    certain = leading[:, 0] - leading[:, 1] > 2 * tolerance
    if not torch.equal(torch.tensor(run["labels"])[certain], expected.argmax(-1)[certain]):
        sys.exit(f"labels {run['labels']} were opened, expected {expected.argmax(-1).tolist()}")
    return error, int((torch.tensor(run["labels"]) == expected.argmax(-1)).sum())


def report(options, batch, runs, expected):
    checks = [check(expected, run, options.tolerance) for pair in runs for run in pair]
    seconds = [max(run["seconds"] for run in pair) / batch for pair in runs[1:]]
    processor = [sum(run["processor"] for run in pair) / batch for pair in runs[1:]]
    return {
        "with": "crypten", "program": options.program, "provider": options.provider, "layers": options.layers,
        "tokens": options.tokens,
        "batch": batch, "seconds_per_text": round(statistics.median(seconds), 4),
        "seconds_of_runs": [round(value, 4) for value in seconds],
        "processor_seconds_per_text": round(statistics.median(processor), 4), "load": round(os.getloadavg()[0], 2),
        "rounds": runs[-1][0]["rounds"], "bytes_sent": [run["bytes"] // 2 for run in runs[-1]],
        "peak_mib": [run["peak_bytes"] >> 20 for run in runs[-1]],
        "largest_error": max(error for error, _ in checks), "equal_labels": min(equal for _, equal in checks),
    }


def main():
    options = arguments()
    try:
        import torch
        import crypten
    except ImportError as error:
        sys.exit(f"{error}: {INSTALL}")
    torch.set_num_threads(1)
    print(f"crypten {crypten.__version__}, torch {torch.__version__}, numbers by {options.provider}", file=sys.stderr)
    encoder = Encoder(options.program, random_model(options), torch.rsqrt)
    parties = Parties(options)
    try:
        for batch in options.batch:
            expected = encoder.scores(random_embeddings(options, batch))
            runs = []
            for number in range(options.repeat + 1):
                runs.append(parties.next_run())
                taken = max(run["seconds"] for run in runs[-1])
                print(f"batch {batch}, run {number} of {options.repeat}: {taken:.2f} s", file=sys.stderr)
            print(json.dumps(report(options, batch, runs, expected)), flush=True)
    except BaseException:
        for process in parties.processes:
            process.terminate()
        raise
    finally:
        parties.close()


if __name__ == "__main__":
    main()

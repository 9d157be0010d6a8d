"""cuDNN's algorithms for the convolutions of some models, in both layouts and all types."""
import json

from ceilings import read_lines
from running import Skipped

WORKSPACE = 512 << 20  # of src/ops/conv/conv.cu, which takes none that needs more
DIRECTIONS = {"forward": "fwd", "data gradient": "data", "filter gradient": "filter"}


def timed(line):
    return [each for each in line["algorithms"] if "us" in each]


def usable(line):
    """The algorithms that Lockstep may take, in cuDNN's order."""
    return [each for each in timed(line) if each["deterministic"] and each["workspace"] <= WORKSPACE]


def fastest(algorithms):
    return min(algorithms, key=lambda each: each["us"], default=None)


def describe(algorithm):
    """"1d 35.2, 12 MiB": algorithm 1, deterministic, its time in us and workspace."""
    if algorithm is None:
        return "none"
    workspace = f", {algorithm['workspace'] / 2**20:.0f} MiB" if algorithm["workspace"] >= 2**19 else ""
    number = f"{algorithm['algorithm']}{'d' if algorithm['deterministic'] else ''}"
    return f"{number} {algorithm['us']:.1f}{workspace}"


def cell(line):
    """The fastest usable algorithm; also the first such and the fastest of all, where they differ."""
    mine = usable(line)
    best, anyone = fastest(mine), fastest(timed(line))
    text = describe(best)
    if best and mine[0] is not best:
        text += f"; first {describe(mine[0])}"
    if anyone and anyone is not best and (best is None or anyone["us"] < 0.95 * best["us"]):
        text += f"; any {describe(anyone)}"
    return text


def shape_table(lines):
    kinds = list(dict.fromkeys((line["layout"], line["type"]) for line in lines))
    rows = {}
    for line in lines:
        key = f"{line['model']} | {line['shape']} | {DIRECTIONS[line['direction']]}"
        rows.setdefault(key, {})[line["layout"], line["type"]] = cell(line)
    header = " | ".join(f"{layout} {kind}" for layout, kind in kinds)
    return (f"| model | convolution | | {header} |\n|---|---|---|{'---|' * len(kinds)}\n"
            + "\n".join(f"| {key} | " + " | ".join(cells.get(kind, "") for kind in kinds) + " |"
                        for key, cells in rows.items()) + "\n")


def sum_table(lines):
    """For each model, layout and type: the sum over its different convolutions, for three ways to choose."""
    sums = {}
    for line in lines:
        entry = sums.setdefault((line["model"], line["layout"], line["type"]), [0, 0.0, 0.0, 0.0, 0])
        mine, anyone = usable(line), fastest(timed(line))
        if not mine:
            entry[4] += 1
            continue
        entry[0] += 1
        for i, algorithm in enumerate((mine[0], fastest(mine), anyone)):
            entry[1 + i] += algorithm["us"]
    return ("| model | layout | type | convolutions | first deterministic, us | fastest deterministic, us | "
            "fastest, us | without a deterministic one |\n|---|---|---|---:|---:|---:|---:|---:|\n"
            + "\n".join(
                f"| {' | '.join(key)} | {n} | {first:,.0f} | {best:,.0f} | {anyone:,.0f} | {none} |"
                for key, (n, first, best, anyone, none) in sums.items()) + "\n")


def time_algorithms(session):
    if session.device == "cpu":
        raise Skipped("It needs a GPU.")
    seconds = max(3, session.left() - 8)
    run = session.run([f"{session.pack}/bin/gpu_cudnn_algorithms", "--seconds", f"{seconds:.0f}"],
                      seconds + 6, must=False)
    found = read_lines(run.output)
    lines = [line for line in found if "algorithms" in line]
    with open(f"{session.work}/algorithms.json", "w") as file:
        json.dump(lines, file)
    if lines:
        session.note("Only what is deterministic and needs at most 512 MiB is of use to Lockstep, which "
                     "takes the first that cuDNN recommends.\n")
        session.note(sum_table(lines))
        session.note("Each: number of the fastest such algorithm, d for deterministic, us, workspace; "
                     "`first` is what Lockstep takes, `any` the fastest of all, where they differ.\n")
        session.note(shape_table(lines))
    left_out = next((line["left_out"] for line in found if "left_out" in line), None)
    if left_out:
        session.note(f"- {left_out} were left out for lack of time")
    tail = "" if run.code == 0 else f"\n\n```\n{run.tail()}\n```"
    session.expect(run.code == 0, f"`gpu_cudnn_algorithms` {run.ended()}{tail}")

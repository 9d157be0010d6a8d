#!/usr/bin/env python3
"""Times Lockstep's training step against the same work in PyTorch, in turn on one machine.

usage: bench/versus_pytorch.py PEER.py [--python PYTHON] [--lockstep PROGRAM]
                               [--models mlp,cnn,resnet18,gpt] [--ranks 2] [--batch 64] [--rounds 5]
                               [--precisions fp32,bf16] [--steps mlp=2000,cnn=100] [--out FILE.json]

PEER.py is a script with the command line `MODEL BATCH_PER_RANK STEPS --threads T [--amp]` that trains MODEL
with PyTorch's DistributedDataParallel on inputs in memory and prints `samples_per_s=X`; ranks come from RANK
and WORLD_SIZE; with --amp it runs under autocast in bfloat16. Both sides train the same network with Adam in
each of the precisions with one thread a rank, on inputs in memory, and time the steady state.
"""
import argparse
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# The options of `lockstep bench step` for each of the peer's models.
MODELS = {
    "mlp": ["--set", "model.name=mlp"],
    "cnn": ["--set", "model.name=cnn"],
    "resnet18": ["--input", "32,32,3", "--set", "model.name=resnet18", "--set", "model.stem=cifar"],
    "gpt": ["--input", "128", "--outputs", "256", "--set", "data.task=tokens",
            "--set", "model.name=gpt2_mini", "--set", "model.context=128", "--set", "model.dropout=0.0"],
}


def time_lockstep(args, model, precision, steps):
    command = ["mpirun", "--oversubscribe", "-np", str(args.ranks), args.lockstep, "bench", "step", "--json",
               "--steps", str(steps), "--device", "cpu", "--set", "run.threads=1",
               "--set", f"run.precision={precision}",
               "--set", f"train.global_batch={args.batch * args.ranks}", *MODELS[model]]
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    output = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return json.loads(output[output.index("{"):])["step"]["samples_per_s"]


def time_peer(args, model, precision, steps):
    port = free_port()
    ranks = []
    for rank in range(args.ranks):
        env = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(args.ranks), MASTER_ADDR="127.0.0.1",
                   MASTER_PORT=str(port), OMP_NUM_THREADS="1")
        command = [args.python, args.peer, model, str(args.batch), str(steps), "--threads", "1"]
        if precision == "bf16":
            command.append("--amp")
        ranks.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in ranks]
    if any(process.returncode for process in ranks):
        sys.exit(f"{args.peer} failed")
    args.peer_version = outputs[0].split()[1]
    return float(re.search(r"samples_per_s=([0-9.]+)", outputs[0]).group(1))


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


def in_words(values, digits=1):
    """The median, and the range of all."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--lockstep", default="build/release/launch/lockstep")
    parser.add_argument("--models", default="mlp,cnn")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", default="mlp=2000,cnn=100,resnet18=5,gpt=10")
    parser.add_argument("--precisions", default="fp32", help="fp32, bf16 or both (default: fp32)")
    parser.add_argument("--out")
    args = parser.parse_args()
    precisions = args.precisions.split(",")
    if unknown := set(precisions) - {"fp32", "bf16"}:
        parser.error(f"--precisions: {', '.join(unknown)} cannot be compared; there are fp32 and bf16")
    steps = dict(pair.split("=") for pair in args.steps.split(","))

    result = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "ranks": args.ranks,
              "batch_per_rank": args.batch, "threads_per_rank": 1, "rounds": args.rounds, "models": {}}
    for model in args.models.split(","):
        ours, theirs = {p: [] for p in precisions}, {p: [] for p in precisions}
        for _ in range(args.rounds):
            for precision in precisions:
                ours[precision].append(time_lockstep(args, model, precision, int(steps[model])))
                theirs[precision].append(time_peer(args, model, precision, int(steps[model])))
        result["pytorch"] = args.peer_version
        of_model = result["models"][model] = {}
        for precision in precisions:
            ratios = [a / b for a, b in zip(ours[precision], theirs[precision])]
            of_model[precision] = {"lockstep": summary(ours[precision]),
                                   "pytorch": summary(theirs[precision]), "ratio": summary(ratios)}
            print(f"{model} in {precision}: Lockstep {in_words(ours[precision])} samples/s, "
                  f"PyTorch {args.peer_version} {in_words(theirs[precision])}; "
                  f"ratio pair by pair {in_words(ratios, 2)}", flush=True)
        if len(precisions) == 2:
            gains = [a / b for a, b in zip(ours["bf16"], ours["fp32"])]
            of_model["bf16_over_fp32"] = summary(gains)
            print(f"{model}: Lockstep's bf16 over its fp32 {in_words(gains, 2)}", flush=True)
    if args.out:
        with open(args.out, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()

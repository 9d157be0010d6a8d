#!/usr/bin/env python3
"""Times Lockstep's training step against the same work in PyTorch, in turn on one machine.

usage: bench/versus_pytorch.py PEER.py [--python PYTHON] [--lockstep PROGRAM]
                               [--models mlp,cnn,resnet18,gpt] [--ranks 2] [--batch 64] [--rounds 5]
                               [--steps mlp=2000,cnn=100] [--out FILE.json]

PEER.py is a script with the command line `MODEL BATCH_PER_RANK STEPS --threads T` that trains MODEL with
PyTorch's DistributedDataParallel on inputs in memory and prints `samples_per_s=X`; ranks come from RANK and
WORLD_SIZE. Both sides train the same network with Adam on float32 with one thread a rank, on inputs in
memory, and time the steady state.
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


def time_lockstep(args, model, steps):
    command = ["mpirun", "--oversubscribe", "-np", str(args.ranks), args.lockstep, "bench", "step", "--json",
               "--steps", str(steps), "--device", "cpu", "--set", "run.threads=1",
               "--set", f"train.global_batch={args.batch * args.ranks}", *MODELS[model]]
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    output = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return json.loads(output[output.index("{"):])["step"]["samples_per_s"]


def time_peer(args, model, steps):
    port = free_port()
    ranks = []
    for rank in range(args.ranks):
        env = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(args.ranks), MASTER_ADDR="127.0.0.1",
                   MASTER_PORT=str(port), OMP_NUM_THREADS="1")
        command = [args.python, args.peer, model, str(args.batch), str(steps), "--threads", "1"]
        ranks.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in ranks]
    if any(process.returncode for process in ranks):
        sys.exit(f"{args.peer} failed")
    args.peer_version = outputs[0].split()[1]
    return float(re.search(r"samples_per_s=([0-9.]+)", outputs[0]).group(1))


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


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
    parser.add_argument("--out")
    args = parser.parse_args()
    steps = dict(pair.split("=") for pair in args.steps.split(","))

    result = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "ranks": args.ranks,
              "batch_per_rank": args.batch, "threads_per_rank": 1, "rounds": args.rounds, "models": {}}
    for model in args.models.split(","):
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(time_lockstep(args, model, int(steps[model])))
            theirs.append(time_peer(args, model, int(steps[model])))
        ratios = [a / b for a, b in zip(ours, theirs)]
        result["pytorch"] = args.peer_version
        result["models"][model] = {"lockstep": summary(ours), "pytorch": summary(theirs),
                                   "ratio": summary(ratios)}
        print(f"{model}: Lockstep {statistics.median(ours):,.0f} samples/s "
              f"({min(ours):,.0f} to {max(ours):,.0f}), "
              f"PyTorch {args.peer_version} {statistics.median(theirs):,.0f} "
              f"({min(theirs):,.0f} to {max(theirs):,.0f}); "
              f"ratio pair by pair {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    if args.out:
        with open(args.out, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()

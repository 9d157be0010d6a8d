#!/usr/bin/env python3
"""What checkpoints cost a training: runs with one every few steps against runs without, in turn on one
machine.

usage: bench/checkpoint_stall.py [--lockstep PROGRAM] [--folder FOLDER] [--model cnn] [--every 20]
                                 [--threads 1,2] [--ranks 1] [--rounds 6] [--epochs 6] [--batch 128]
                                 [--out FILE.json]

Prints, as the median over the rounds and from the least to the most:
  stall      how long steps stood still while a save was started, which a run measures itself, in per cent
             of its time
  slow-down  how much longer a run took with checkpoints than its neighbour without: what the writing thread
             takes from threads that compute counts too
Each epoch has 100 steps, the first of a run is not counted. Checkpoints go below FOLDER: its disk takes part.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

STEPS_PER_EPOCH = 100


def train(args, folder, threads, every):
    """Seconds of all epochs but the first, and the end event, of one run."""
    run = folder / "run"
    settings = [f"data.train={folder / 'digits.h5'}:/train", f"model.name={args.model}", "run.device=cpu",
                f"run.threads={threads}", f"train.global_batch={args.batch}", f"train.epochs={args.epochs}",
                f"checkpoint.every_steps={every}", "checkpoint.every_epochs=0"]
    command = [args.lockstep, "train", "--run", str(run)]
    for setting in settings:
        command += ["--set", setting]
    if args.ranks > 1:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(args.ranks)] + command
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    subprocess.run(command, check=True, capture_output=True, env=environment)
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    subprocess.run(["rm", "-r", str(run)], check=True)
    seconds = sum(event["seconds"] for event in events if event["event"] == "epoch" and event["epoch"] > 1)
    return seconds, events[-1]


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


def measure(args, folder, threads):
    without, with_saves, slow_down, stall, each = [], [], [], [], []
    steps = (args.epochs - 1) * STEPS_PER_EPOCH
    for number in range(args.rounds):
        seconds = {}
        # Who goes first changes, because a machine may slow down or speed up over a round.
        for every in (0, args.every) if number % 2 else (args.every, 0):
            seconds[every], end = train(args, folder, threads, every)
            if every:
                each.append(1e6 * end["save_seconds"] / end["saves"])
        without.append(1e3 * seconds[0] / steps)
        with_saves.append(1e3 * seconds[args.every] / steps)
        slow_down.append(100 * (seconds[args.every] / seconds[0] - 1))
        stall.append(100 * (each[-1] / 1e3 / args.every) / without[-1])
    return {"ms_a_step_without": summary(without), "ms_a_step_with": summary(with_saves),
            "stall_us_a_save": summary(each), "stall_percent": summary(stall),
            "slow_down_percent": summary(slow_down)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", default="build/release/launch/lockstep")
    parser.add_argument("--folder", default=".")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--out")
    args = parser.parse_args()

    result = {"model": args.model, "every_steps": args.every, "ranks": args.ranks, "batch": args.batch,
              "cores": os.cpu_count(), "rounds": args.rounds,
              "steps_a_run": (args.epochs - 1) * STEPS_PER_EPOCH, "threads": {}}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name).absolute()
        subprocess.run([args.lockstep, "data", "synth", "digits", str(folder / "digits.h5"), "--train",
                        str(STEPS_PER_EPOCH * args.batch), "--test", "10"], check=True, capture_output=True)
        for threads in args.threads.split(","):
            measured = measure(args, folder, int(threads))
            result["threads"][threads] = measured
            print(f"{args.model}, {args.ranks} x {threads} threads, "
                  f"a checkpoint every {args.every} steps:", flush=True)
            for key, value in measured.items():
                text = "{median:.3f} ({min:.3f} to {max:.3f})".format(**value)
                print(f"  {key:20} {text}", flush=True)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

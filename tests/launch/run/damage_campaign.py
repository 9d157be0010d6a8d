#!/usr/bin/env python3
"""Damages the newest checkpoint of a run, in each case elsewhere, and resumes: never from what was not
saved, never without a sentence.

A checkpoint is cut at a random offset, or one random bit of it is flipped. Named itself, it must be refused
with one sentence and exit code 3, or be read as it was written where the bit means nothing. With --resume
auto the run must go on and end with the weights of one that was never stopped, with a warning when the
checkpoint before was used.
"""
import argparse
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is left behind in the source tree
from kill_campaign import end_of  # noqa: E402

SETTINGS = ["run.reproducible=true", "run.threads=1", "run.device=cpu", "model.name=mlp", "model.hidden=[4]",
            "optimizer.name=adam", "train.global_batch=32", "checkpoint.every_steps=8",
            "checkpoint.every_epochs=0"]


def train(arguments, run, steps, more=()):
    data = arguments.folder / "digits.h5"
    command = [arguments.lockstep, "train", "--run", str(run), "--set", f"data.train={data}:/train",
               "--set", f"train.steps={steps}", *more]
    for setting in SETTINGS:
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)


def damaged(whole, case, chance):
    """What the bytes of a file become, and how to call it."""
    if case == "cut":
        size = chance.randrange(len(whole))
        return whole[:size], f"cut to {size} of {len(whole)} bytes"
    at, bit = chance.randrange(len(whole)), chance.randrange(8)
    return whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1:], f"bit {bit} of byte {at} flipped"


def what_is_wrong(arguments, stopped, wanted, newest):
    """With the newest checkpoint of `stopped` as it is now: ("", whether it was refused), or what went
    wrong."""
    run, other = arguments.folder / "run", arguments.folder / "other"
    for folder in (run, other):
        shutil.rmtree(folder, ignore_errors=True)
    named = train(arguments, other, 20, ["--resume", str(newest)])
    refused = named.returncode != 0
    errors = [line for line in named.stderr.splitlines() if line.startswith("error: ")]
    if refused and (named.returncode != 3 or len(errors) != 1 or str(newest) not in errors[0]
                    or named.stderr != errors[0] + "\n"):
        return f"named, it ended with {named.returncode}: {named.stderr}", refused
    if not refused and end_of(other)["weights_hash"] != wanted:
        return "named, it was read as something else", refused

    shutil.copytree(stopped, run)
    result = train(arguments, run, 20, ["--resume", "auto"])
    if result.returncode != 0:
        return f"--resume auto ended with {result.returncode}: {result.stderr}", refused
    if end_of(run)["weights_hash"] != wanted:
        return "--resume auto ended with other weights", refused
    warned = (str(run / "checkpoints" / newest.name) in result.stderr
              and "is used in its place" in result.stderr)
    if warned != refused:
        return f"--resume auto said: {result.stderr}", refused
    return "", refused


def campaign(arguments, chance):
    made = subprocess.run([arguments.lockstep, "data", "synth", "digits", str(arguments.folder / "digits.h5"),
                           "--train", "200", "--test", "10"], capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(made.stderr)
    stopped = arguments.folder / "stopped"
    for run, steps in ((arguments.folder / "whole", 20), (stopped, 12)):
        if (result := train(arguments, run, steps)).returncode != 0:
            sys.exit(result.stderr)
    wanted = end_of(arguments.folder / "whole")["weights_hash"]
    newest = stopped / "checkpoints" / "step-00000012.h5"
    whole = newest.read_bytes()

    wrong, refusals = 0, {"cut": 0, "flip": 0}
    for case in ["cut"] * arguments.cuts + ["flip"] * arguments.flips:
        content, name = damaged(whole, case, chance)
        newest.write_bytes(content)
        fault, refused = what_is_wrong(arguments, stopped, wanted, newest)
        refusals[case] += refused
        if fault:
            wrong += 1
            print(f"{name}: WRONG: {fault}", flush=True)
    print(f"{arguments.cuts} cuts, {refusals['cut']} of them refused; {arguments.flips} flipped bits, "
          f"{refusals['flip']} of them refused and the others read as they were written; {wrong} wrong")
    return wrong == 0 and refusals["cut"] == arguments.cuts


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lockstep", help="the program")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lockstep-damage-") as folder:
        arguments.folder = pathlib.Path(folder)
        return 0 if campaign(arguments, random.Random(arguments.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Kills training runs at random times and resumes them: each must end with the weights of an uninterrupted
run.

Every run starts on a random number of ranks. At a random moment, in every second run one in which a
checkpoint is being written, one rank or the whole job gets SIGKILL; then the run is resumed on another number
of ranks, until it has finished.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

RANKS = (1, 2, 4)
SETTINGS = ["run.reproducible=true", "run.threads=1", "model.name=mlp", "model.hidden=[512, 512]",
            "train.epochs=8", "train.global_batch=64", "train.micro_batch=16", "optimizer.name=adam",
            "schedule.name=cosine", "checkpoint.every_steps=3", "checkpoint.keep=2",
            "data.validation_split=0.1"]


def command(arguments, ranks, run):
    launcher = [arguments.mpirun, "--allow-run-as-root", "--oversubscribe",
                "--mca", "mpi_yield_when_idle", "1", "-np", str(ranks)]
    data = arguments.folder / "digits.h5"
    result = launcher + [arguments.lockstep, "train", "--run", str(run), "--resume", "auto",
                         "--set", f"data.train={data}:/train", "--set", f"data.test={data}:/test"]
    for setting in SETTINGS:
        result += ["--set", setting]
    return result


def descendants(root):
    """Process numbers of all processes that root has started, and what they started."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, open_ = [], [root]
    while open_:
        for child in children.get(open_.pop(), []):
            found.append(child)
            open_.append(child)
    return found


def kill(process):
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def unfinished_files(run):
    """Files of checkpoints that are being written, or were when somebody killed their writer."""
    return {file.name for file in (run / "checkpoints").glob("*.tmp-*")}


def end_of(run):
    """The end event of a run that has finished, or None."""
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
    except OSError:
        return None
    ends = [json.loads(line) for line in lines if '"end"' in line]
    return ends[-1] if ends and ends[-1]["reason"] == "finished" else None


def attempt(arguments, ranks, run, moment, while_writing, everybody, chance):
    """Starts or resumes a run. From `moment` seconds on, kills it, when a checkpoint is being written if
    asked to. Returns what was killed ("" when it ended before) and the exit code."""
    output = open(arguments.folder / "output.txt", "w+")
    job = subprocess.Popen(command(arguments, ranks, run), stdout=output, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL)
    started, killed, left_behind = time.monotonic(), "", unfinished_files(run)
    while job.poll() is None:
        time.sleep(0.0005)
        if moment is None or time.monotonic() - started < moment:
            continue
        if while_writing and not unfinished_files(run) - left_behind:
            continue
        processes = descendants(job.pid)
        if everybody:
            for process in [job.pid] + processes:
                kill(process)
            killed = "all"
        elif processes:
            kill(chance.choice(processes))
            killed = "one"
        else:
            continue
        break
    code = job.wait()
    output.seek(0)
    return killed, code, output.read()


def campaign(arguments, chance):
    made = subprocess.run([arguments.lockstep, "data", "synth", "digits", str(arguments.folder / "digits.h5"),
                           "--train", "1500", "--test", "200"], capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(made.stderr)
    begin = time.monotonic()
    _, code, text = attempt(arguments, 1, arguments.folder / "uninterrupted", None, False, False, chance)
    seconds = time.monotonic() - begin
    if code != 0:
        sys.exit(f"the uninterrupted run ended with {code}:\n{text}")
    wanted = end_of(arguments.folder / "uninterrupted")["weights_hash"]
    print(f"uninterrupted: {wanted} after {seconds:.1f} s on 1 rank")

    wrong, kills, while_writing_kills, everybody_kills, changes, spared = 0, 0, 0, 0, 0, 0
    for number in range(arguments.runs):
        run = arguments.folder / f"run-{number}"
        history, ranks = [], chance.choice(RANKS)
        for resumes in range(100):
            # What is left of a resumed run may end before its moment comes.
            moment = chance.uniform(0, 0.8 * seconds) if resumes < arguments.kills else None
            while_writing, everybody = number % 2 == 1, chance.random() < 0.5
            killed, code, text = attempt(arguments, ranks, run, moment, while_writing, everybody, chance)
            if killed:
                kills += 1
                while_writing_kills += while_writing
                everybody_kills += killed == "all"
                history.append(f"{ranks}:{killed}@{moment:.2f}s")
            elif code != 0:
                print(f"run {number}: ended with {code} although no rank was killed:\n{text}")
                wrong += 1
                break
            if end_of(run):
                break
            other = chance.choice([count for count in RANKS if count != ranks])
            changes += 1
            ranks = other
        spared += not history
        end = end_of(run)
        right = end is not None and end["weights_hash"] == wanted
        wrong += end is not None and not right
        print(f"run {number}: {' '.join(history)} -> {ranks} ranks: "
              f"{end['weights_hash'] if end else 'no end'}{'' if right else '  WRONG'}", flush=True)
        shutil.rmtree(run, ignore_errors=True)
    print(f"{arguments.runs} runs, {spared} of them never killed; {kills} kills ({while_writing_kills} "
          f"while a checkpoint was written, {everybody_kills} of all processes), {changes} resumes on "
          f"another number of ranks: {arguments.runs - wrong} right, {wrong} wrong")
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lockstep", help="the program")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=3, help="of one run, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mpirun", default="mpirun")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lockstep-kills-") as folder:
        arguments.folder = pathlib.Path(folder)
        return 0 if campaign(arguments, random.Random(arguments.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Several ranks that share the one GPU: that they agree in every mode, and end if one of them is lost."""
import functools
import os
import re
import signal
import time

import gtests
from running import CommandFailed
from training import SHORT, describe, end_of, ranks_command, ranks_environment, settings, train

REPRODUCIBLE = {"run.reproducible": "true"}
DEFAULT = {"run.reproducible": "false"}
# {name: config}. On GPUs the all-reduces are NCCL's unless comm.transport says otherwise.
MODES = {
    "NCCL, reproducible": REPRODUCIBLE,
    "NCCL": DEFAULT,
    "NCCL, uncaptured": {**DEFAULT, "run.capture": "false"},
    "NCCL, gradients sent in bf16": {**DEFAULT, "comm.gradients": "bf16"},
    "NCCL, gradients sent in fp16": {**DEFAULT, "comm.gradients": "fp16"},
    "NCCL, hierarchical": {**DEFAULT, "comm.hierarchical": "true"},
    "NCCL, sharded optimizer": {**DEFAULT, "optimizer.sharded": "true"},
    "NCCL, reproducible and sharded": {**REPRODUCIBLE, "optimizer.sharded": "true"},
    "MPI, reproducible": {**REPRODUCIBLE, "comm.transport": "mpi"},
    "MPI": {**DEFAULT, "comm.transport": "mpi"},
    "MPI, uncaptured": {**DEFAULT, "comm.transport": "mpi", "run.capture": "false"},
    "MPI, gradients sent in bf16": {**DEFAULT, "comm.transport": "mpi", "comm.gradients": "bf16"},
    "MPI, sharded optimizer": {**DEFAULT, "comm.transport": "mpi", "optimizer.sharded": "true"},
}


def training_command(session, run, changes, ranks):
    return ranks_command(session, ranks, "lockstep", "train", f"{session.pack}/examples/mnist-cnn.toml",
                         "--run", run, "--device", session.device, *settings(session, changes))


def in_every_mode(ranks):
    """The part that trains in each of MODES. Those that are reproducible have the bits of one rank."""
    def run(session):
        short = {**SHORT, "train.steps": 40}
        alone = train(session, "alone", "mnist-cnn", {**short, **REPRODUCIBLE})
        session.expect(True, f"1 rank: {describe(alone)}")
        runs = {name: f"ranks-{ranks}-{i}" for i, name in enumerate(MODES)}
        finished = session.run_together(
            [training_command(session, runs[name], {**short, **MODES[name]}, ranks) for name in MODES],
            # Most of their time is their start.
            4, 45, ranks_environment(session))
        for name, result in zip(MODES, finished):
            if result.code != 0:
                session.expect(False, f"{name}: {result.ended()}\n\n```\n{result.tail(1500)}\n```")
                continue
            end = end_of(session, runs[name])
            if MODES[name]["run.reproducible"] == "true":
                session.expect(end["weights_hash"] == alone["weights_hash"], f"{name}: {describe(end)}")
            else:
                session.expect(end["test_accuracy"] > 0.8, f"{name}: {describe(end)}")
    return run


def mpi_tests(ranks):
    def run(session):
        tests = session.run(ranks_command(session, ranks, "mpi_tests", "--gtest_color=no"), 60,
                            ranks_environment(session), must=False)
        counts = gtests.count(gtests.results_of(tests.output))
        tail = "" if tests.code == 0 else f"\n\n```\n{tests.tail()}\n```"
        session.expect(tests.code == 0, f"mpi_tests on {ranks} ranks {tests.ended()}: {counts}{tail}")
    return run


def four_ranks(session):
    short = {**SHORT, "train.steps": 40}
    first = train(session, "before-4", "mnist-cnn", {**short, **REPRODUCIBLE})
    for changes in (REPRODUCIBLE, DEFAULT):
        name = "reproducible" if changes is REPRODUCIBLE else "not reproducible"
        try:
            end = train(session, f"4-{name[:3]}", "mnist-cnn", {**short, **changes}, 4, seconds=60)
        except CommandFailed as failure:
            session.expect(False, f"4 ranks, {name}: {failure}")
            continue
        same = end["weights_hash"] == first["weights_hash"]
        session.expect(same if changes is REPRODUCIBLE else end["test_accuracy"] > 0.8,
                       f"4 ranks, {name}: {describe(end)}")


def process_of_rank(rank, run):
    """The process that computes as this rank of the run: the child of the one that mpirun started."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                mine = f"OMPI_COMM_WORLD_RANK={rank}".encode() in file.read().split(b"\0")
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                mine = mine and run.encode() in file.read().split(b"\0")
            if mine:
                with open(f"/proc/{pid}/stat") as file:
                    found[int(pid)] = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has ended
    return next((pid for pid, parent in found.items() if parent in found), None)


def lose_a_rank(session, transport, number):
    """Sends a signal to rank 1 in the middle of a run, which must end with 4 (lost), and soon."""
    what = "killed" if number == signal.SIGKILL else "stopped"
    run = f"lost-{transport}-{what}"
    changes = {**SHORT, **DEFAULT, "train.steps": 1000000, "comm.timeout_seconds": 5}
    if transport == "MPI":
        changes["comm.transport"] = "mpi"
    sent = []

    def when_it_trains(process):
        metrics, patience = f"{session.work}/{run}/metrics.jsonl", time.monotonic() + 30
        while process.poll() is None and time.monotonic() < patience and session.left() > 0:
            if os.path.exists(metrics) and os.path.getsize(metrics) > 0:
                if victim := process_of_rank(1, run):
                    time.sleep(0.5)
                    os.kill(victim, number)
                    sent.append(time.monotonic())
                    return
            time.sleep(0.05)

    result = session.run(training_command(session, run, changes, 2), 30, ranks_environment(session),
                         must=False, meanwhile=when_it_trains)
    if not sent:
        session.expect(False, f"{transport}: did not train\n\n```\n{result.tail(1500)}\n```")
        return
    took = time.monotonic() - sent[0]
    says = re.search(r"error: .*", result.output)
    session.expect(result.code == 4, f"{transport}, rank 1 {what}: {result.ended()} after {took:.1f} s "
                   f"({says.group(0)[:300] if says else 'without a word'})")
    if result.code != 4:
        session.note(f"\n```\n{result.tail(1500)}\n```\n")


def lost_rank(session):
    session.in_parallel([
        functools.partial(lose_a_rank, transport=transport, number=number)
        for transport in ("NCCL", "MPI") for number in (signal.SIGKILL, signal.SIGSTOP)
    ], 2)

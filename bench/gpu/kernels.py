"""The time of each kernel on the GPU: from ncu, for Lockstep and PyTorch alike, or from torch.profiler."""
import csv
import json
import os

from libraries import find_tool
from peers import ABSENT
from running import CommandFailed, Skipped
from workloads import ON_GPU

MICROSECONDS = {
    "ns": 1e-3,
    "nsecond": 1e-3,
    "us": 1,
    "usecond": 1,
    "ms": 1e3,
    "msecond": 1e3,
    "s": 1e6,
    "second": 1e6
}
TORCH_STEPS = 3
# `bench step --steps 10` on a GPU: 4 of warm-up, 10 timed as a whole and 2 timed by the GPU.
LOCKSTEP_STEPS = 16


def profiled():
    """The workloads: one precision of each model."""
    models = {}
    for workload in ON_GPU:
        models.setdefault(workload.model, workload)
    return list(models.values())


def kernel_table(kernels, steps):
    """kernels: {name: [calls, microseconds]}."""
    total = sum(time for _, time in kernels.values())
    rows = [f"| `{name[:90]}` | {calls / steps:.1f} | {time / steps:.1f} | {100 * time / total:.0f} % |"
            for name, (calls, time) in sorted(kernels.items(), key=lambda item: -item[1][1])[:15]]
    launches = sum(calls for calls, _ in kernels.values())
    return (f"{total / steps:.1f} us of the device per step, {launches / steps:.1f} launches per step\n\n"
            "| kernel | launches per step | us per step | |\n|---|---:|---:|---:|\n" + "\n".join(rows))


def read_ncu(path):
    """{kernel: [calls, microseconds]} from ncu's CSV."""
    with open(path, errors="replace") as file:
        lines = [line for line in file if line.startswith('"')]
    kernels = {}
    for row in csv.DictReader(lines):
        if row["Metric Name"] == "gpu__time_duration.sum":
            entry = kernels.setdefault(row["Kernel Name"], [0, 0.0])
            entry[0] += 1
            entry[1] += float(row["Metric Value"].replace(",", "")) * MICROSECONDS[row["Metric Unit"]]
    return kernels


def by_ncu(session, ncu, name, command, options=(), environment=None):
    """{kernel: [calls, microseconds]} of a command's kernels."""
    path = f"{session.work}/{name}.csv"
    # A step finds the caches as the previous kernel left them: no cache control.
    session.run([
        ncu, "--csv", "--log-file", path, "--clock-control", "none", "--cache-control", "none",
        "--target-processes", "all", "--metrics", "gpu__time_duration.sum", *options, *command
    ], 60, environment)
    return read_ncu(path)


def record(session, title, kernels, steps):
    session.expect(len(kernels) > 0, title)
    if kernels:
        session.note("\n" + kernel_table(kernels, steps) + "\n")


def each_workload(session, run):
    """One that fails, or has no time left, does not keep the others from the report."""
    for workload in profiled():
        try:
            run(workload)
        except CommandFailed as failure:
            session.expect(False, f"{workload.name}: {failure}")


def lockstep_kernels(session):
    ncu = find_tool("ncu")
    if session.device == "cpu":
        raise Skipped("It needs a GPU.")
    if ncu is None:
        raise Skipped("There is no ncu on this machine.")

    def run(workload):
        kernels = by_ncu(session, ncu, f"lockstep-{workload.model}", [
            f"{session.pack}/bin/lockstep", "bench", "step", "--steps", "10", "--device", "cuda",
            *workload.lockstep(), "--set", "run.capture=false"
        ])
        record(session, f"{workload.name}, uncaptured, from ncu, with what comes before the steps:", kernels,
               LOCKSTEP_STEPS)
    each_workload(session, run)


def torch_kernels(python):
    """The part for PyTorch in eager mode."""
    def run(session):
        ncu = find_tool("ncu")
        if session.device == "cpu":
            raise Skipped("It needs a GPU.")
        if python is None:
            raise Skipped(ABSENT)

        def profile(workload):
            command = [python, f"{session.pack}/torch_steps.py", *workload.torch("eager"), "--device", "cuda"]
            if ncu:
                kernels = by_ncu(session, ncu, f"torch-{workload.model}", [*command, "--steps", TORCH_STEPS],
                                 ["--profile-from-start", "off"], os.environ)
                record(session, f"{workload.name}, eager, from ncu:", kernels, TORCH_STEPS)
                return
            output = session.run([*command, "--profile"], 60, os.environ, merge=False).output
            facts = json.loads(output[output.index("{"):])
            record(session, f"{workload.name}, eager, from torch.profiler:", facts["kernels"], facts["steps"])
        each_workload(session, profile)
    return run

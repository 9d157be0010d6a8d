"""Training fed by the loader against the same steps on one batch in memory."""
import json
import os
import statistics
import subprocess

from running import Skipped
from timings import lockstep_steps
from training import SHORT, train
from workloads import Workload, workloads

HAS_H5PY = "import importlib.util, sys; sys.exit(importlib.util.find_spec('h5py') is None)"
# Random images of ImageNet's size: x (N, 224, 224, 3) in uint8, y (N).
MAKE_IMAGES = """
import h5py, numpy, sys
random, count = numpy.random.default_rng(1), int(sys.argv[2])
with h5py.File(sys.argv[1], "w") as file:
    file["train/x"] = random.integers(0, 256, (count, 224, 224, 3), numpy.uint8)
    file["train/y"] = random.integers(0, 1000, count)
"""


def samples_per_s(session, run):
    """The median of what the steps of a run report, without the first, in which the loader has just begun."""
    with open(f"{session.work}/{run}/metrics.jsonl") as file:
        rates = [json.loads(line)["samples_per_s"] for line in file if '"event":"step"' in line]
    return statistics.median(rates[1:] or rates)


def compare(session, workload, name, run):
    steps = 200 if session.device == "cuda" else 10
    memory = 1000 * workload.batch / lockstep_steps(session, workload, steps)["ms_per_step"]
    fed = samples_per_s(session, run)
    session.data.setdefault("samples per second, fed and in memory", {})[name] = [fed, memory]
    session.expect(
        True, f"{name}: {fed:,.0f} samples/s from the loader, {memory:,.0f} with a batch in memory: "
        f"{fed / memory:.2f}")


def mnist(session):
    steps = 20000 if session.device == "cuda" else 40
    for workload in workloads(session.device)[:2]:  # mlp and cnn
        for source, budget in (("held in memory", None), ("read from the file", 0)):
            changes = {**SHORT, "train.steps": steps, "train.micro_batch": workload.batch,
                       "run.reproducible": "false", "run.precision": workload.precision,
                       "checkpoint.every_epochs": 0}
            if budget is not None:
                changes["data.memory_budget"] = budget
            run = f"fed-{workload.model}-{source.split()[0]}"
            train(session, run, f"mnist-{workload.model}", changes)
            compare(session, workload, f"{workload.name}, MNIST {source}", run)


def images(session, python):
    """ResNet-50 in bf16 on images of 224 x 224, which need a GB a second at the goal."""
    if session.device == "cpu":
        return
    if python is None or subprocess.run([python, "-c", HAS_H5PY]).returncode != 0:
        session.note("- ResNet-50 on images: not run, because no Python has h5py")
        return
    session.run([python, "-c", MAKE_IMAGES, "images.h5", "2048"], 30, os.environ)
    workload = Workload("resnet50", "bf16", 64, 224)
    arguments = workload.lockstep()
    changes = arguments[arguments.index("--set"):]
    session.run([f"{session.pack}/bin/lockstep", "train", "--run", "fed-images", "--device", session.device,
                 *changes, "--set", f"data.train={session.work}/images.h5:/train", "--set", "train.steps=300",
                 "--set", "checkpoint.every_epochs=0"], 60)
    compare(session, workload, "resnet50 bf16, 2,048 images of 224 x 224", "fed-images")


def fed_against_memory(python):
    def run(session):
        mnist(session)
        images(session, python)
    return run

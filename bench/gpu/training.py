"""Whole training runs on MNIST: their accuracy, and that they are bit-identical however they are run."""
import json
import os

# Ranks that share a GPU: NCCL allows this only if each seems to be on its own machine, connected by sockets.
ONE_GPU = {"NCCL_SOCKET_IFNAME": "lo", "NCCL_MAX_CTAS": "1", "NCCL_IB_DISABLE": "1", "NCCL_DEBUG": "WARN"}
OWN_HOST_ID = 'NCCL_HOSTID=rank$OMPI_COMM_WORLD_RANK exec "$0" "$@"'


def ranks_command(session, ranks, program, *arguments):
    command = [f"{session.pack}/bin/{program}", *arguments]
    if ranks == 1:
        return command
    return [
        "mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-np", ranks,
        "sh", "-c", OWN_HOST_ID, *command
    ]


def ranks_environment(session):
    return dict(session.environment, **ONE_GPU)


def import_mnist(session):
    session.run([
        f"{session.pack}/bin/lockstep", "data", "import", "mnist", f"{session.pack}/mnist", "mnist.h5",
        "--force"
    ], 60)
    session.expect(os.path.exists(f"{session.work}/mnist.h5"), "the idx files are converted to HDF5")


def end_of(session, run):
    """The last event of a run: its accuracy, hash, time and memory."""
    with open(f"{session.work}/{run}/metrics.jsonl") as file:
        return [json.loads(line) for line in file if '"event":"end"' in line][-1]


def settings(session, changes):
    data = {
        "data.train": f"{session.work}/mnist.h5:/train",
        "data.test": f"{session.work}/mnist.h5:/test",
        **changes
    }
    return [word for key, value in data.items() for word in ("--set", f"{key}={value}")]


def train(session, run, config, changes=None, ranks=1, device=None, seconds=60):
    """Trains examples/CONFIG.toml into the folder `run`; returns its last event."""
    arguments = [
        "train", f"{session.pack}/examples/{config}.toml", "--run", run, "--device", device or session.device
    ]
    session.run(ranks_command(session, ranks, "lockstep", *arguments, *settings(session, changes or {})),
                seconds,
                ranks_environment(session) if ranks > 1 else None)
    return end_of(session, run)


def resume(session, run, changes, device=None, ranks=1, seconds=60):
    arguments = ["train", "--resume", run, "--device", device or session.device]
    for key, value in changes.items():
        arguments += ["--set", f"{key}={value}"]
    session.run(ranks_command(session, ranks, "lockstep", *arguments), seconds,
                ranks_environment(session) if ranks > 1 else None)
    return end_of(session, run)


def evaluate(session, run, device):
    output = session.run([f"{session.pack}/bin/lockstep", "eval", run, "--device", device, "--json"], 60,
                         merge=False).output
    return json.loads(output[output.index("{"):])


def describe(end):
    used = end.get("peak_device_bytes")
    memory = f", {used / 2**20:,.0f} MiB of the GPU in use" if used else ""
    return (f"{100 * end['test_accuracy']:.2f} % of the test images, {end['seconds']:.1f} s, "
            f"weights {end['weights_hash']}{memory}")


def reaches(config, accuracy):
    """The part that trains an example to its expected accuracy."""
    def run(session):
        end = train(session, f"full-{config}", config, seconds=90)
        session.expect(end["test_accuracy"] >= accuracy,
                       f"{config}: {describe(end)} (wanted: {100 * accuracy:.0f} %)")
    return run


def captured_equals_uncaptured(session):
    for config in ("mnist-cnn", "mnist-mlp"):
        ends = [
            train(session, f"{config}-capture-{capture}", config, {
                "train.steps": 150,
                "run.capture": capture,
                "run.reproducible": "true"
            }) for capture in ("true", "false")
        ]
        same = ends[0]["weights_hash"] == ends[1]["weights_hash"]
        session.expect(same,
                       f"{config}, 150 steps captured: {describe(ends[0])}; uncaptured: {describe(ends[1])}")


# Steps do not depend on the length of the run.
SHORT = {"schedule.name": "constant", "schedule.warmup_steps": 0}


def resumed_equals_uninterrupted(session):
    whole = train(session, "whole", "mnist-cnn", {**SHORT, "train.steps": 200})
    train(session, "parts", "mnist-cnn", {**SHORT, "train.steps": 90})
    parts = resume(session, "parts", {"train.steps": 200})
    session.expect(whole["weights_hash"] == parts["weights_hash"],
                   f"200 steps: {describe(whole)}; 90 steps and, resumed, 110 more: {describe(parts)}")


def continues_from_the_cpu(session):
    train(session, "from-cpu", "mnist-cnn", {**SHORT, "train.steps": 100}, device="cpu", seconds=90)
    there, here = evaluate(session, "from-cpu", "cpu"), evaluate(session, "from-cpu", session.device)
    a, b = there["loss"], here["loss"]
    session.expect(
        abs(a - b) <= 1e-4 * max(a, b),
        f"100 steps on the CPU; the test loss of that checkpoint is {a:.7f} on the CPU "
        f"and {b:.7f} on the {session.device}")
    session.run(["cp", "-r", "from-cpu", "stays-on-cpu"], 10)
    end = resume(session, "from-cpu", {"train.steps": 200})
    same = resume(session, "stays-on-cpu", {"train.steps": 200}, device="cpu", seconds=90)
    session.expect(abs(end["test_accuracy"] - same["test_accuracy"]) < 0.01,
                   f"100 more steps on the {session.device}: {describe(end)}; on the CPU: {describe(same)}")

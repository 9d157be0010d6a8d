"""Times training steps of Lockstep and PyTorch, alternating on the same device, and each GPU kernel."""
import csv
import json
import os
import select
import statistics
import subprocess
import tempfile

from libraries import find_tool
from running import CommandFailed, Skipped, end_group

MODELS = ("mlp", "cnn")
BATCH = 128
ROUNDS = 5
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


class Peer:
    """A torch_steps.py that is warm and times a round when told to."""

    def __init__(self, session, python, model, mode):
        self.model, self.mode = model, mode
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([
            python, f"{session.pack}/torch_steps.py", model, mode, "--device", session.device, "--batch",
            str(BATCH), "--seconds", "0.7", "--follow"
        ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=session.work,
                                        start_new_session=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
        self.facts = None

    def answer(self, seconds):
        """The next line that it prints; raises CommandFailed with its last words when there is none."""
        if select.select([self.process.stdout], [], [], max(0, seconds))[0]:
            line = self.process.stdout.readline()
            if line:
                return json.loads(line)
        self.errors.seek(0)
        words = self.errors.read().strip()[-1500:]
        ended = "ended" if self.process.poll() is not None else "did not answer in time"
        self.stop()
        raise CommandFailed(f"PyTorch, {self.model} {self.mode}, {ended}:\n\n```\n{words}\n```")

    def round(self, seconds):
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended, as answer() will say
        return self.answer(seconds)

    def stop(self):
        if self.process.poll() is None:
            end_group(self.process)
        for file in (self.process.stdout, self.errors):
            file.close()


class Peers:
    """All peers, started at once: they compile for half a minute, while other parts run."""

    def __init__(self, session, python):
        modes = ("eager",) if session.device == "cpu" else ("eager", "compile", "graphs")
        self.peers = [Peer(session, python, model, mode) for model in MODELS
                      for mode in modes] if python else []

    def of(self, model):
        return [peer for peer in self.peers if peer.model == model]

    def stop(self):
        for peer in self.peers:
            peer.stop()


def find_torch(pythons):
    """The first Python that has PyTorch, or None."""
    for python in dict.fromkeys(filter(None, pythons)):
        try:
            if subprocess.run([python, "-c", "import torch"], capture_output=True,
                              timeout=90).returncode == 0:
                return python
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


def lockstep_steps(session, model, steps, changes=()):
    output = session.run([
        f"{session.pack}/bin/lockstep", "bench", "step", "--json", "--steps", steps, "--device",
        session.device, "--set", f"model.name={model}", "--set", f"train.global_batch={BATCH}", *changes
    ], 60, merge=False).output
    return json.loads(output[output.index("{"):])["step"]


def spread(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def time_model(session, model, peers):
    """{"lockstep": [...], "pytorch eager": [...], ...} in steps/s, and {name: bytes} of GPU memory."""
    # About 0.7 s a round for each, from a first look at how long a step takes.
    steps = max(10, int(700 / lockstep_steps(session, model, 10)["ms_per_step"]))
    ready = []
    for peer in peers:
        try:
            peer.facts = peer.facts or peer.answer(min(60, session.left() - 20))
            ready.append(peer)
        except CommandFailed as failure:
            session.expect(False, str(failure))
    rates, memory = {"lockstep": []}, {}
    for _ in range(ROUNDS):
        facts = lockstep_steps(session, model, steps)
        rates["lockstep"].append(1000 / facts["ms_per_step"])
        memory["lockstep"] = facts.get("device_bytes", 0)
        for peer in list(ready):
            try:
                result = peer.round(min(30, session.left()))
            except CommandFailed as failure:
                session.expect(False, str(failure))
                ready.remove(peer)
                continue
            rates.setdefault(f"pytorch {peer.mode}", []).append(result["steps_per_s"])
            memory[f"pytorch {peer.mode}"] = result.get("reserved_bytes", 0)
    for peer in ready:
        session.expect(
            peer.facts["parameters"] == facts["parameters"],
            f"{model} has {facts['parameters']:,} parameters, "
            f"and {peer.facts['parameters']:,} in PyTorch {peer.mode}"
        )
    return rates, memory


def versus_pytorch(peers):
    """The part that times both. It only requires that all ran; the results state the expected ratios."""
    def run(session):
        rows = []
        for model in MODELS:
            rates, memory = time_model(session, model, peers.of(model))
            session.data[f"steps per second, {model}"] = rates
            for name, values in rates.items():
                ratio = ""
                if name != "lockstep":
                    ratios = [ours / theirs for ours, theirs in zip(rates["lockstep"], values)]
                    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                rows.append(
                    f"| {model} | {name} | {spread(values)} | {ratio} | {memory[name] / 2**20:,.0f} MiB |")
        version = next((f"PyTorch {peer.facts['torch']}" for peer in peers.peers if peer.facts),
                       "no PyTorch on this machine")
        session.note(
            f"\nBatch {BATCH}, Adam, float32 without TF32 on both sides, {version}; "
            f"{ROUNDS} alternating rounds, each about 0.7 s. "
            "Lockstep also copies each batch to the GPU, converts it and reads the loss back; "
            "PyTorch's inputs are already there. "
            "Memory besides the CUDA context: Lockstep: all allocations; PyTorch: those of its allocator.\n\n"
            "| model | | steps/s: median (min to max) | Lockstep / PyTorch, of the pairs | memory |\n"
            "|---|---|---|---|---|\n"
            + "\n".join(rows) + "\n\nExpected: at least 10 times eager and 2 times the CUDA graph.")
        if not peers.peers:
            raise Skipped("Only Lockstep was timed.")
    return run


def kernel_table(kernels, steps):
    """kernels: {name: [calls, microseconds]}."""
    total = sum(time for _, time in kernels.values())
    rows = [f"| `{name[:110]}` | {calls / steps:.1f} | {time / steps:.1f} | {100 * time / total:.0f} % |"
            for name, (calls, time) in sorted(kernels.items(), key=lambda item: -item[1][1])[:25]]
    launches = sum(calls for calls, _ in kernels.values())
    return (f"{total / steps:.1f} us of the device per step, {launches / steps:.1f} launches per step\n\n"
            "| kernel | launches per step | us per step | |\n|---|---|---|---|\n" + "\n".join(rows))


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


def lockstep_kernels(session):
    ncu = find_tool("ncu")
    if session.device == "cpu":
        raise Skipped("It needs a GPU.")
    if ncu is None:
        raise Skipped("There is no ncu on this machine.")
    for model in MODELS:
        steps = 13  # 3 of warm-up and 10 timed ones
        # A step finds the caches as the previous kernel left them: no cache control.
        session.run([
            ncu, "--csv", "--log-file", f"{model}.csv", "--clock-control", "none", "--cache-control", "none",
            "--target-processes", "all", "--metrics", "gpu__time_duration.sum",
            f"{session.pack}/bin/lockstep", "bench", "step", "--steps", "10", "--device", session.device,
            "--set", f"model.name={model}", "--set", f"train.global_batch={BATCH}", "--set",
            "run.capture=false"
        ], 60)
        kernels = read_ncu(f"{session.work}/{model}.csv")
        session.expect(
            len(kernels) > 0,
            f"{model}, uncaptured, from ncu, over {steps} steps and what comes before them:")
        if kernels:
            session.note("\n" + kernel_table(kernels, steps) + "\n")


def torch_kernels(python):
    def run(session):
        if session.device == "cpu":
            raise Skipped("It needs a GPU.")
        if python is None:
            raise Skipped("There is no PyTorch on this machine.")
        for model in MODELS:
            output = session.run([
                python, f"{session.pack}/torch_steps.py", model, "eager", "--device", session.device,
                "--profile"
            ], 60, os.environ, merge=False).output
            facts = json.loads(output[output.index("{"):])
            session.expect(len(facts["kernels"]) > 0, f"{model}, eager, from torch.profiler:")
            if facts["kernels"]:
                session.note("\n" + kernel_table(facts["kernels"], facts["steps"]) + "\n")
    return run

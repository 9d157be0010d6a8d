"""PyTorch's side of the timings: processes of torch_steps.py that are warm and time a round when told to."""
import contextlib
import json
import os
import select
import subprocess
import tempfile
import time

from running import CommandFailed, Skipped, end_group
from workloads import workloads

MODES = {"cuda": ("eager", "compile", "reduce-overhead", "graphs"), "cpu": ("eager",)}
HAS_TORCH = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
ABSENT = "There is no PyTorch on this machine: --python names a Python that has it."


def find_torch(pythons):
    """The first Python that has PyTorch, or None."""
    for python in dict.fromkeys(filter(None, pythons)):
        try:
            if subprocess.run([python, "-c", HAS_TORCH], capture_output=True, timeout=30).returncode == 0:
                return python
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


class Peer:
    """One workload in one mode."""

    def __init__(self, session, python, workload, mode):
        self.workload, self.mode = workload, mode
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([
            python, f"{session.pack}/torch_steps.py", *workload.torch(mode), "--device", session.device,
            "--seconds", "0.5", "--follow"
        ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=session.work,
                                        start_new_session=True,
                                        # All peers compile at the same time.
                                        env=dict(os.environ, OMP_NUM_THREADS="1",
                                                 TORCHINDUCTOR_COMPILE_THREADS="2"))
        self.facts = None  # once it is ready
        self.failure = None  # why it never will be

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
        raise CommandFailed(f"PyTorch, {self.workload.name} {self.mode}, {ended}:\n\n```\n{words}\n```")

    def await_ready(self, seconds):
        if self.facts or self.failure:
            return
        try:
            self.facts = self.answer(seconds)
        except CommandFailed as failure:
            self.failure = str(failure)

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
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class Peers:
    """All peers. They compile for a minute, so they start before their time is taken, but after the tests."""

    def __init__(self, python):
        self.python, self.started = python, None

    def start(self, session):
        """The part that starts them all at once."""
        if self.python is None:
            raise Skipped(ABSENT)
        if self.started is not None:
            return
        self.started = [Peer(session, self.python, workload, mode)
                        for workload in workloads(session.device) for mode in MODES[session.device]]
        session.note(f"{len(self.started)} processes")

    def await_all(self, seconds):
        """Until none of them is at work, so that they do not disturb each other's timings. Those that are not
        ready by then are stopped."""
        end = time.monotonic() + seconds
        for peer in self.started or []:
            peer.await_ready(end - time.monotonic())

    def of(self, workload):
        return [peer for peer in self.started or [] if peer.workload == workload]

    def version(self):
        return next((f"PyTorch {peer.facts['torch']}" for peer in self.started or [] if peer.facts),
                    "no PyTorch")

    def stop(self):
        for peer in self.started or []:
            peer.stop()
        self.started = []

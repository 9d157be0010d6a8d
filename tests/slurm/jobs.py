"""Jobs of the cluster, and the base class of their tests."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import cluster

SOURCE = os.path.realpath(f"{os.path.dirname(os.path.realpath(__file__))}/../..")
LOCKSTEP = os.path.realpath(sys.argv[1]) if len(sys.argv) > 1 else ""
SHARED = f"{cluster.ROOT}/tests"
PATIENCE = 150  # seconds; an idle machine needs only a few
STEPS = 1200
CONFIG = """\
[run]
reproducible = true
[data]
train = "{folder}/digits.h5:/train"
[model]
name = "mlp"
hidden = [256]
[train]
steps = {steps}
global_batch = 256
micro_batch = 64
[checkpoint]
every_epochs = 0
every_steps = 100
"""


def run(*command, code=0, stderr=subprocess.STDOUT, **more):
    """Returns the output of the command, which must end with `code`."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=PATIENCE,
                            check=False, **more)
    if result.returncode != code:
        raise AssertionError(
            f"{' '.join(command)} ended with {result.returncode}, not {code}:\n{result.stdout}")
    return result.stdout


def wait_until(condition, what, state=lambda: ""):
    patience = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > patience:
            raise AssertionError(f"{what}: not within {PATIENCE} s\n{state()}")
        time.sleep(0.05)


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def with_values(template, values):
    """A template of slurm/ with other values in the block at its top.

    values: {start of a line: the line that replaces it}
    """
    lines = read(f"{SOURCE}/slurm/{template}").split("\n")
    end = lines.index("# ---- End of the values ----")
    for beginning, line in values.items():
        found = [i for i in range(end) if lines[i].startswith(beginning)]
        assert len(found) == 1, (beginning, found)
        lines[found[0]] = line
    return "\n".join(lines)


class Job:
    """A job of the cluster, seen through the files in its folder."""

    def __init__(self, folder, printed, name):
        self.number = re.search(r"Submitted batch job (\d+)", printed).group(1)
        self.log_path = f"{folder}/{name}-{self.number}.log"
        self.run = f"{folder}/runs/{name}-{self.number}"

    def log(self):
        """The log without the lines of progress."""
        return "".join(line for line in read(self.log_path).splitlines(True)
                       if not re.match("epoch |.* slows each step down ", line))

    def state(self):
        return re.search(r"JobState=(\S+)", run("scontrol", "show", "job", self.number)).group(1)

    def exit_code(self):
        return re.search(r"ExitCode=(\d+:\d+)", run("scontrol", "show", "job", self.number)).group(1)

    def events(self, kind):
        # The last line may be incomplete.
        lines = read(f"{self.run}/metrics.jsonl").split("\n")[:-1]
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def step(self):
        steps = self.events("step")
        return steps[-1]["step"] if steps else 0

    def wait_for_step(self, step):
        wait_until(lambda: self.step() >= step or self.ended(), f"job {self.number} at step {step}",
                   self.log)
        assert not self.ended(), self.log()

    def ended(self):
        return self.state() in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL",
                                "DEADLINE", "OUT_OF_MEMORY", "PREEMPTED")

    def wait_for_log(self, words):
        wait_until(lambda: words in self.log() or self.ended(),
                   f"'{words}' in the log of job {self.number}", self.log)
        assert words in self.log(), f"{self.state()}\n{self.log()}"

    def wait(self):
        wait_until(self.ended, f"the end of job {self.number}", self.log)


class Slurm(unittest.TestCase):
    """A test with its own folder; its jobs are cancelled at its end."""

    hashes = {}

    def setUp(self):
        self.folder = f"{SHARED}/{self.id().rsplit('.', 1)[1]}"
        os.makedirs(self.folder)
        self.write("config.toml", CONFIG.format(folder=SHARED, steps=STEPS))
        self.jobs = []

    def tearDown(self):
        for job in self.jobs:
            if not job.ended():
                run("scancel", job.number)
                job.wait()

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    @classmethod
    def uninterrupted(cls, *arguments):
        """weights_hash of a run with these arguments, uninterrupted and without Slurm."""
        if arguments not in cls.hashes:
            number = len(cls.hashes)
            config = f"{SHARED}/reference-{number}.toml"
            with open(config, "w") as file:
                file.write(CONFIG.format(folder=SHARED, steps=STEPS))
            folder = f"{SHARED}/reference-{number}"
            run(LOCKSTEP, "train", config, "--run", folder, "--device", "cpu", *arguments)
            end = json.loads(read(f"{folder}/metrics.jsonl").splitlines()[-1])
            cls.hashes[arguments] = end["weights_hash"]
        return cls.hashes[arguments]

    def submit(self, script, name):
        self.write("job.sbatch", script)
        return self.submitted(run("sbatch", "job.sbatch", cwd=self.folder), name)

    def submitted(self, printed, name):
        self.jobs.append(Job(self.folder, printed, name))
        return self.jobs[-1]

    def lockstep_slurm(self, *arguments, config="config.toml", name="job"):
        return run(LOCKSTEP, "slurm", "train", config, "--nodes", "2", "--job-name", name, *arguments,
                   stderr=None, cwd=self.folder)

    def check_finished(self, job, starts, *arguments):
        """The job has ended after this many starts, with the weights of the uninterrupted run."""
        job.wait()
        log = job.log()
        self.assertEqual(job.state(), "COMPLETED", log)
        end = job.events("end")[-1]
        self.assertEqual(end["reason"], "finished")
        self.assertEqual(end["weights_hash"], self.uninterrupted(*arguments), log)
        self.assertEqual(re.findall(r"job [\d_]+: start (\d+) on n\[0-1\]", log),
                         [str(n + 1) for n in range(starts)], log)

    def kill_a_rank(self):
        """Kills the process of one rank, the child of the one that srun or mpirun started."""
        parents = {}
        for process in filter(str.isdigit, os.listdir("/proc")):
            words = read(f"/proc/{process}/cmdline").split("\0")
            if words[0] == LOCKSTEP and "train" in words:
                parents[int(process)] = int(read(f"/proc/{process}/stat").rsplit(")", 1)[1].split()[1])
        ranks = [process for process, parent in parents.items() if parent in parents]
        self.assertEqual(len(ranks), 2, parents)
        os.kill(ranks[1], signal.SIGKILL)

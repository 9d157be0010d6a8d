#!/usr/bin/env python3
"""Tests slurm/ and `lockstep slurm` on a real Slurm cluster of two nodes.

Usage: slurm_test.py LOCKSTEP [TEST ...]

If no cluster can be started, it prints the reason and exits with 77 (skipped).
"""
import csv
import json
import os
import re
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import cluster  # noqa: E402
from jobs import (  # noqa: E402
    CONFIG, LOCKSTEP, SHARED, SOURCE, Job, Slurm, read, run, wait_until, with_values)


def setUpModule():
    """All tests share one cluster, one data set and the results of uninterrupted runs."""
    here = cluster.Cluster()
    unittest.addModuleCleanup(here.__exit__)
    os.makedirs(SHARED)
    run(LOCKSTEP, "data", "synth", "digits", f"{SHARED}/digits.h5", "--train", "2048", "--test", "10")


class Starts(Slurm):
    def test_doctor_says_what_is_here(self):
        facts = json.loads(run(LOCKSTEP, "doctor", "--device", "cpu", "--json"))["cluster"]
        self.assertTrue(facts["slurm"]["sbatch"])
        self.assertIn("pmix", facts["srun_mpi"])
        self.assertIn("can start ranks (--mpi=pmix)", run(LOCKSTEP, "doctor", "--device", "cpu"))

    def test_srun_without_pmix_is_refused_with_the_flag_to_add(self):
        text = run("srun", "-n2", LOCKSTEP, "train", "config.toml", code=2, cwd=self.folder)
        self.assertIn("error: srun did not inform MPI of its 2 tasks: each would be rank 0 of 1. "
                      "Start them with `srun --mpi=pmix`", text)
        self.assertEqual(os.listdir(self.folder), ["config.toml"])

    def test_a_lone_task_of_srun_trains_without_pmix(self):
        text = run("srun", "-n1", LOCKSTEP, "train", "config.toml", "--set", "train.steps=2", cwd=self.folder)
        self.assertIn("batch: 256 = 1 rank x", text)

    def test_train_sbatch(self):
        """The template itself, with the GPUs that the cluster claims to have."""
        for launcher in ("srun", "mpirun"):
            job = self.submit(
                with_values(
                    "train.sbatch", {
                        "#SBATCH --ntasks-per-node=": "#SBATCH --ntasks-per-node=2",
                        "#SBATCH --gpus-per-node=": "#SBATCH --gpus-per-node=2",
                        "#SBATCH --cpus-per-task=": "#SBATCH --cpus-per-task=1",
                        "launcher=": f"launcher={launcher}",
                        "program=": f"program=({LOCKSTEP})",
                        "arguments=": "arguments=(config.toml --device cpu --set train.steps=50)"
                    }), "train")
            self.check_finished(job, 1, "--set", "train.steps=50")
            self.assertIn("batch: 256 = 4 ranks x 1 micro-batch x 64", job.log())

    def test_each_rank_sees_the_gpus_of_its_node(self):
        self.write("show", '#!/bin/sh\necho "gpus $SLURMD_NODENAME $SLURM_LOCALID: $CUDA_VISIBLE_DEVICES"\n')
        os.chmod(f"{self.folder}/show", 0o700)
        job = self.submit(
            with_values(
                "train.sbatch", {
                    "#SBATCH --ntasks-per-node=": "#SBATCH --ntasks-per-node=2",
                    "#SBATCH --gpus-per-node=": "#SBATCH --gpus-per-node=2",
                    "#SBATCH --cpus-per-task=": "#SBATCH --cpus-per-task=2",
                    "program=": "program=(./show)"
                }), "train")
        job.wait()
        self.assertEqual(sorted(re.findall("^gpus (.*)$", job.log(), re.M)),
                         ["n0 0: 0,1", "n0 1: 0,1", "n1 0: 0,1", "n1 1: 0,1"], job.log())

    def test_array_sbatch(self):
        job = self.submit(
            with_values(
                "array.sbatch", {
                    "#SBATCH --nodes=": "#SBATCH --nodes=2",
                    "#SBATCH --ntasks-per-node=": "#SBATCH --ntasks-per-node=1",
                    "#SBATCH --gpus-per-node=": "",
                    "#SBATCH --cpus-per-task=": "#SBATCH --cpus-per-task=1",
                    "#SBATCH --array=": "#SBATCH --array=0-1",
                    "program=": f"program=({LOCKSTEP})",
                    "arguments=(": "arguments=(config.toml --device cpu --set train.steps=60)",
                    '  "--set optimizer.lr=3e-4"': '  "--set optimizer.lr=2e-3 --set schedule.name=cosine"'
                }), "sweep")
        sweep = {0: ("optimizer.lr=2e-3", "schedule.name=cosine"), 1: ("optimizer.lr=1e-3",)}
        for index, sets in sweep.items():
            element = Job(self.folder, f"Submitted batch job {job.number}", "sweep")
            element.number = f"{job.number}_{index}"
            element.log_path = f"{self.folder}/sweep-{job.number}-{index}.log"
            element.run = f"{self.folder}/runs/sweep-{job.number}-{index}"
            self.check_finished(element, 1, "--set", "train.steps=60",
                                *(word for text in sets for word in ("--set", text)))

    def test_array_sbatch_differs_from_train_sbatch_in_its_values_alone(self):
        [train, array] = [
            read(f"{SOURCE}/slurm/{name}.sbatch").split("# ---- End of the values ----")
            for name in ("train", "array")
        ]
        self.assertEqual(train[1], array[1])

    def test_scaling_sbatch(self):
        for launcher in ("srun", "mpirun"):
            job = self.submit(
                with_values(
                    "scaling.sbatch", {
                        "#SBATCH --ntasks-per-node=": "#SBATCH --ntasks-per-node=1",
                        "#SBATCH --gpus-per-node=": "",
                        "#SBATCH --cpus-per-task=": "#SBATCH --cpus-per-task=1",
                        "program=": f"program=({LOCKSTEP})",
                        "launcher=": f"launcher={launcher}",
                        "arguments=": "arguments=(config.toml --device cpu --steps 5 --repeats 1 "
                        "--mode strong --input 28,28,1)"
                    }), "scaling")
            job.wait()
            self.assertEqual(job.state(), "COMPLETED", job.log())
            with open(f"{self.folder}/scaling-{job.number}.csv") as file:
                self.assertEqual([row["ranks"] for row in csv.DictReader(file)], ["1", "2"])
            self.assertIn("</svg>", read(f"{self.folder}/scaling-{job.number}.svg"))

    def test_lockstep_slurm_prints_what_it_submits(self):
        """Unusual names reach the run unchanged, from a script in another folder."""
        odd = f"{self.folder}/o d$'\""
        os.makedirs(odd)
        with open(f"{odd}/c'1 $x.toml", "w") as file:
            file.write(CONFIG.format(folder=SHARED, steps=10))
        arguments = [
            "slurm", "train", "c'1 $x.toml", "--nodes", "2", "--time", "5", "--job-name", "odd", "--set",
            'run.name="it\'s $HOME `x`"', "--setup", "export GREETING='hello there'", "--setup",
            'echo "$GREETING"', "--sbatch=--comment=test"
        ]
        printed = subprocess.run([LOCKSTEP, *arguments, "--run", "r'n $x %j"], cwd=odd,
                                 stdout=subprocess.PIPE, text=True, check=True).stdout
        job = self.submit(printed, "odd")
        job.run = f"{odd}/r'n $x %j"
        self.check_finished(job, 1, "--set", "train.steps=10")
        self.assertIn("\nhello there\n", "\n" + job.log())
        self.assertIn("name = \"it's $HOME `x`\"", read(f"{job.run}/config.toml"))
        self.assertIn("Comment=test", run("scontrol", "show", "job", job.number))
        submitted = self.submitted(run(LOCKSTEP, *arguments, "--submit", "--run", "again", cwd=odd), "odd")
        submitted.run, submitted.log_path = f"{odd}/again", f"{odd}/odd-{submitted.number}.log"
        self.check_finished(submitted, 1, "--set", "train.steps=10")

    def test_what_sbatch_refuses_is_said(self):
        text = run(LOCKSTEP, "slurm", "train", "config.toml", "--time", "5", "--partition", "nowhere",
                   "--submit", code=2, cwd=self.folder)
        self.assertIn("error: sbatch refuses the job: sbatch: error: invalid partition specified: nowhere",
                      text)


class Requeues(Slurm):
    def test_a_signal_saves_and_requeues(self):
        for launcher in ("srun", "mpirun"):
            job = self.submitted(self.lockstep_slurm("--time", "10", "--launcher", launcher, "--submit"),
                                 "job")
            job.wait_for_step(50)
            run("scancel", "--batch", "--signal=USR1", job.number)
            self.check_finished(job, 2)
            self.assertRegex(
                job.log(),
                r"USR1: the ranks save and end\n(.*\n)*.*saved step-\d+\.h5 before the end: requeued")

    def test_a_busy_slurmctld(self):
        """The job retries when squeue fails, and is requeued even while Slurm sends its signal."""
        self.write("squeue", f"""#!/bin/sh
n=$(cat '{self.folder}/asked' 2>/dev/null || echo 0)
echo $((n + 1)) >'{self.folder}/asked'
case "$n $*" in 2*%T*) echo SIGNALING; exit ;; esac
[ "$n" -ge 2 ] && exec /usr/bin/env PATH="${{PATH#*:}}" squeue "$@"
echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2
exit 1
""")
        os.chmod(f"{self.folder}/squeue", 0o700)
        job = self.submitted(
            self.lockstep_slurm("--time", "10", "--setup", f"PATH='{self.folder}':$PATH", "--submit"), "job")
        job.wait_for_step(50)
        run("scancel", "--batch", "--signal=USR1", job.number)
        self.check_finished(job, 2)
        self.assertEqual(job.log().count("Unable to contact"), 2, job.log())

    def test_scontrol_requeue(self):
        job = self.submitted(self.lockstep_slurm("--time", "10", "--submit"), "job")
        job.wait_for_step(50)
        run("scontrol", "requeue", job.number)
        self.check_finished(job, 2)
        self.assertRegex(job.log(), r"saved step-\d+\.h5 before the end; Slurm decides")

    def test_a_killed_rank(self):
        for launcher in ("srun", "mpirun"):
            job = self.submitted(self.lockstep_slurm("--time", "10", "--launcher", launcher, "--submit"),
                                 "job")
            job.wait_for_step(150)
            self.kill_a_rank()
            self.check_finished(job, 2)
            self.assertRegex(
                job.log(),
                r"lost a rank \((4|14|137|143)\): requeued\n(.*\n)*.*start 2 .* resuming from step-\d+\.h5")


class Stops(Slurm):
    def test_the_time_limit(self):
        """Slurm sends the signal, and the second start has the weights of an uninterrupted run. The number of
        steps depends on the machine, so the run is cancelled at some step."""
        script = self.lockstep_slurm("--time", "1", "--set", "train.steps=1000000")
        job = self.submit(script.replace("B:USR1@15", "B:USR1@50"), "job")
        job.wait_for_log("requeued")
        self.assertRegex(
            job.log(), r"USR1: the ranks save and end\n(.*\n)*.*saved step-\d+\.h5 before the end: requeued")
        before = job.step()
        job.wait_for_step(before + 20)
        run("scancel", job.number)
        job.wait()
        end = job.events("end")[-1]
        self.assertEqual(end["reason"], "preempted", job.log())
        self.assertGreater(end["step"], before)
        self.assertEqual(end["weights_hash"], self.uninterrupted("--set", f"train.steps={end['step']}"),
                         job.log())

    def test_scancel_saves_and_does_not_requeue(self):
        job = self.submitted(self.lockstep_slurm("--time", "10", "--submit"), "job")
        job.wait_for_step(50)
        run("scancel", job.number)
        job.wait()
        self.assertEqual(job.state(), "CANCELLED")
        self.assertRegex(job.log(), r"saved step-\d+\.h5 before the end; Slurm decides")
        # Another job resumes from its folder.
        other = self.submitted(
            self.lockstep_slurm("--time", "10", "--run", job.run, "--launcher", "mpirun", "--submit"), "job")
        other.run = job.run
        self.check_finished(other, 1)

    def test_a_mistake_is_not_repeated(self):
        job = self.submit(self.lockstep_slurm("--time", "10").replace("config.toml", "no.toml"), "job")
        job.wait()
        self.assertEqual((job.state(), job.exit_code()), ("FAILED", "2:0"), job.log())
        self.assertEqual(job.log().count(": start "), 1, job.log())

    def test_starts_that_save_nothing_come_to_an_end(self):
        # One rank: with two, srun may kill the other before it crashes, and would then report that exit code.
        script = with_values(
            "train.sbatch", {
                "#SBATCH --nodes=": "#SBATCH --nodes=1",
                "#SBATCH --ntasks-per-node=": "#SBATCH --ntasks-per-node=1",
                "#SBATCH --gpus-per-node=": "",
                "#SBATCH --cpus-per-task=": "#SBATCH --cpus-per-task=1",
                "program=": "program=(sh -c 'kill -SEGV $$')",
                "attempts=": "attempts=2"
            })
        job = self.submit(script, "train")
        job.wait()
        self.assertEqual((job.state(), job.exit_code()), ("FAILED", "139:0"), job.log())
        self.assertEqual(job.log().count("lost a rank (139)"), 2, job.log())
        self.assertIn("2 starts in a row saved nothing new: not requeued", job.log())


class Ends(unittest.TestCase):
    def test_a_killed_cluster_leaves_no_process(self):
        environment = {name: value for name, value in os.environ.items() if name != cluster.INSIDE}

        def processes():
            return [p for p in os.listdir("/proc") if p.isdigit() and "slurmd" in read(f"/proc/{p}/cmdline")]
        before = set(processes())
        for how in (signal.SIGKILL, signal.SIGTERM):
            command = [sys.executable, f"{HERE}/cluster.py", "sleep", "1000"]
            with subprocess.Popen(command, env=environment) as program:
                wait_until(lambda: len(set(processes()) - before) >= 2, "the cluster to be killed")
                program.send_signal(how)
            wait_until(lambda: not set(processes()) - before, "the end of every slurmd")


if __name__ == "__main__":
    WHY = None if os.environ.get(cluster.INSIDE) else cluster.obstacle()
    if WHY:
        print(f"skipped: {WHY}")
        sys.exit(77)
    cluster.enter_namespaces()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[2:]])

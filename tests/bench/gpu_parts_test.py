#!/usr/bin/env python3
"""Tests the parts of bench/gpu/check with programs that pretend. Usage: gpu_parts_test.py"""
import json
import signal
import subprocess
import sys
import unittest
from unittest import mock

from gpu_folder import CHECK, Folder

import algorithms  # noqa: E402
import ceilings  # noqa: E402
import kernels  # noqa: E402
import ladder  # noqa: E402
import loader  # noqa: E402
import predictions  # noqa: E402
import ranks  # noqa: E402
import sanitizers  # noqa: E402
import timings  # noqa: E402
from peers import Peer, Peers, find_torch  # noqa: E402
from running import CommandFailed  # noqa: E402
from workloads import ON_CPU, ON_GPU  # noqa: E402

# `bench step` of everything but cnn in bf16.
LOCKSTEP = """
import json, sys
if "model.name=cnn" in sys.argv and "run.precision=bf16" in sys.argv:
    sys.exit("no kernel image")
if "--steps" in sys.argv: open("steps", "a").write(sys.argv[sys.argv.index("--steps") + 1] + " ")
print(json.dumps({"step": {"ms_per_step": 40.0, "parameters": 7, "nodes": 3, "bytes": 5e9, "flops": 1}}))
"""
TORCH_STEPS = """
import json, sys
facts = dict(zip(("model", "mode"), sys.argv[1:]), torch="9.9", parameters=7, steps=21)
if facts["model"] == "mlp": sys.exit("no CUDA here")
print(json.dumps(facts), flush=True)
for _ in sys.stdin: print(json.dumps({"steps_per_s": 12.5}), flush=True)
"""


def no_tool(name):
    return None


class OnGpu(Folder):
    device = "cuda"


class Ladder(OnGpu):
    def test_ends_at_its_first_failure_and_the_other_ladders_do_not(self):
        self.write_program("lockstep", LOCKSTEP)
        with mock.patch("ladder.find_tool", no_tool):
            outcome = self.outcome(ladder.smoke)
        self.assert_says(outcome, "FAILED", "- cnn, fp32, captured: 40.000 ms a step",
                         "**FAILED** cnn, bf16, uncaptured ended with 1", "no kernel image",
                         "- skipped: cnn, bf16, captured, because of the failure of cnn, bf16, uncaptured",
                         "- gpt2_mini, bf16, captured: 40.000 ms a step")
        self.assertEqual(outcome.text.count("FAILED"), 1)
        self.assertEqual(outcome.text.count("skipped"), 1)

    def test_examines_what_failed(self):
        self.write_program("lockstep", LOCKSTEP)
        tool = self.write_program("sanitizer", "print('Invalid __global__ write')")
        with mock.patch("ladder.find_tool", lambda name: tool):
            self.assert_says(self.outcome(ladder.smoke), "FAILED", "Invalid __global__ write")


class Tables(OnGpu):
    def test_what_was_measured_before_a_crash_is_kept(self):
        self.write_program("gpu_ceilings", """
print('{"what": "copy", "unit": "TB/s", "measured": 2.15, "assumed": 4.3}', flush=True)
print('{"what": "host", "unit": "GB/s", "measured": 50, "assumed": null}', flush=True)
raise SystemExit("an illegal memory access")
""")
        self.assert_says(self.outcome(ceilings.measure_ceilings), "FAILED",
                         "| copy | 2.15 TB/s | 4.3 TB/s | 0.50 |", "| host | 50 GB/s | | |",
                         "an illegal memory access")

    def test_of_cudnns_algorithms(self):
        def algorithm(number, deterministic, us, workspace=0):
            return {"algorithm": number, "deterministic": deterministic, "us": us, "workspace": workspace}
        line = {"model": "cnn", "shape": "1 x 2", "direction": "forward", "layout": "NHWC", "type": "bf16",
                "algorithms": [algorithm(0, False, 5), algorithm(1, True, 40), algorithm(2, True, 20, 2**20),
                               algorithm(3, True, 1, 2**30), {"algorithm": 4, "error": "x"}]}
        none = dict(line, type="fp32", algorithms=[algorithm(0, False, 7)])
        self.write_program("gpu_cudnn_algorithms", "\n".join(
            f"print({json.dumps(each)!r})" for each in (line, none, {"left_out": 3})))
        self.assert_says(
            self.outcome(algorithms.time_algorithms), "passed",
            "| cnn | 1 x 2 | fwd | 2d 20.0, 1 MiB; first 1d 40.0; any 3d 1.0, 1024 MiB | none; any 0 7.0 |",
            "| cnn | NHWC | bf16 | 1 | 40 | 20 | 1 | 0 |", "| cnn | NHWC | fp32 | 0 | 0 | 0 | 0 | 1 |",
            "3 were left out")

    def test_of_predictions_beside_measurements(self):
        self.write_program("lockstep", LOCKSTEP)
        entry = {"ms": 20, "nodes": 12, "bytes": 3e9, "commit": "abc"}
        self.write("predictions.json", json.dumps({"workloads": dict.fromkeys(
            ("mlp fp32", "gpt2 bf16", "cnn bf16"), entry)}))
        self.session.data["steps per second, mlp fp32"] = {"lockstep": [10.0, 20.0, 30.0]}
        self.assert_says(self.outcome(predictions.compare), "FAILED", "**FAILED** cnn bf16: ",
                         "no kernel image",
                         "| mlp fp32 | 128 | 12 | 3.000 | 20.000 | 50.000 | 2.50 | abc |",
                         "| gpt2 bf16 | 8 | 12 | 3.000 | 20.000 | 40.000 | 2.00 | abc |",
                         "- resnet50 bf16 has no recorded prediction")


class MissingTools(OnGpu):
    def test_a_machine_without_pytorch(self):
        python = self.write_program("python-without", "raise SystemExit(1)")
        self.assertIsNone(find_torch([None, python, "/nonexistent/python"]))
        self.assertEqual(find_torch([python, self.write_program("python-with", "")]),
                         f"{self.folder}/bin/python-with")
        peers = Peers(None)
        self.assert_says(self.outcome(peers.start), "skipped", "There is no PyTorch on this machine")
        self.assert_says(self.outcome(kernels.torch_kernels(None)), "skipped", "There is no PyTorch")

    def test_lockstep_is_timed_without_pytorch_too(self):
        self.write_program("lockstep", LOCKSTEP.replace('"cnn"', '"none"').replace("=cnn", "=none"))
        outcome = self.outcome(timings.versus_pytorch(Peers(None)))
        self.assert_says(outcome, "skipped", "There is no PyTorch on this machine",
                         "| gpt2 bf16 | lockstep | 25.0 (25.0 to 25.0) | 200 |")

    def test_a_machine_without_the_tools_of_cuda(self):
        with mock.patch("kernels.find_tool", no_tool), mock.patch("sanitizers.find_tool", no_tool):
            self.assert_says(self.outcome(kernels.lockstep_kernels), "skipped", "There is no ncu")
            for tool in sanitizers.TOOLS:
                self.assert_says(self.outcome(sanitizers.sanitized(tool)), "skipped",
                                 "There is no compute-sanitizer")

    def test_without_h5py_there_are_no_images(self):
        python = self.write_program("python-without", "raise SystemExit(1)")
        self.assert_says(self.outcome(lambda session: loader.images(session, python)), "passed",
                         "not run, because no Python has h5py")


class Sanitizers(OnGpu):
    def test_reads_their_verdict(self):
        self.assertTrue(sanitizers.is_clean("========= ERROR SUMMARY: 0 errors\n"))
        self.assertTrue(
            sanitizers.is_clean("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n"))
        self.assertFalse(sanitizers.is_clean("========= ERROR SUMMARY: 2 errors\n"))
        self.assertFalse(
            sanitizers.is_clean("========= RACECHECK SUMMARY: 1 hazard displayed (0 errors, 1 warning)\n"))
        self.assertFalse(sanitizers.is_clean("Segmentation fault\n"), "it did not get to a verdict")

    def test_suites_that_have_not_ended_in_time_are_no_failure(self):
        self.write_program("unit_tests", """
import sys, time
if "--gtest_list_tests" in sys.argv: print("A.\\n  X/cuda\\nB.\\n  Y/cuda"); sys.exit()
test = "A.X/cuda" if "--gtest_filter=A.X/cuda" in sys.argv else "B.Y/cuda"
print(f"[ RUN      ] {test}", flush=True)
if test == "B.Y/cuda": time.sleep(100)
print(f"[       OK ] {test} (0 ms)")
""")
        tool = self.write_program("sanitizer", """
import os, subprocess, sys
start = next(i for i, word in enumerate(sys.argv) if word.endswith("unit_tests"))
subprocess.run(sys.argv[start:])
print(f"{sys.argv[2]} ERROR SUMMARY: 0 errors")
""")
        with mock.patch("sanitizers.find_tool", lambda name: tool):
            outcome = self.outcome(sanitizers.sanitized("initcheck"), 10)
        self.assert_says(outcome, "passed", "1 of 2 suites ran to their end and are clean",
                         "not ended in time, so not judged: B")


class PyTorch(Folder):
    def test_a_peer_that_ends_is_a_failure_with_its_last_words(self):
        self.write("torch_steps.py", TORCH_STEPS)
        peer = Peer(self.session, sys.executable, ON_CPU[0], "eager")
        self.addCleanup(peer.stop)
        with self.assertRaisesRegex(CommandFailed, "(?s)mlp fp32 eager, .*no CUDA here"):
            peer.answer(60)

    def test_is_timed_in_turn_and_one_that_fails_is_left_out(self):
        self.write("torch_steps.py", TORCH_STEPS)
        self.write_program("lockstep", LOCKSTEP)
        peers = Peers(sys.executable)
        self.addCleanup(peers.stop)
        self.assert_says(self.outcome(peers.start), "passed", "4 processes")
        self.assert_says(self.outcome(timings.versus_pytorch(peers)), "FAILED",
                         "no CUDA here", "| mlp fp32 | lockstep |",
                         "| cnn fp32 | pytorch eager | 12.5 (12.5 to 12.5) | 1,600 | 2.00 (2.00 to 2.00) |")
        self.assertEqual(peers.started, [])
        with open(f"{self.folder}/steps") as file:  # mlp, after a first look, and then as many as the peers
            self.assertEqual(file.read().split()[:5], ["10", "12", "12", "21", "21"])


class Ncu(OnGpu):
    CSV = ('==PROF== Connected to process 7\n"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"\n'
           '"0","add(float *, int)","gpu__time_duration.sum","ns","1,500"\n'
           '"1","add(float *, int)","gpu__time_duration.sum","us","2.5"\n'
           '"1","add(float *, int)","other","ns","9"\n')

    def test_reads_what_it_writes(self):
        path = self.write("ncu.csv", self.CSV)
        self.assertEqual(kernels.read_ncu(path), {"add(float *, int)": [2, 4.0]})

    def test_a_model_that_fails_under_it_does_not_keep_the_others_from_the_report(self):
        tool = self.write_program("ncu", f"""
import sys
if "model.name=cnn" in sys.argv: sys.exit("LibraryNotLoaded")
assert sys.argv[sys.argv.index("--cache-control") + 1] == "none"
open(sys.argv[sys.argv.index("--log-file") + 1], "w").write({self.CSV!r})
""")
        with mock.patch("kernels.find_tool", lambda name: tool):
            outcome = self.outcome(kernels.lockstep_kernels)
        self.assert_says(outcome, "FAILED", "**FAILED** cnn fp32", "LibraryNotLoaded",
                         "- gpt2 bf16, uncaptured")
        self.assertEqual(outcome.text.count("| `add(float *, int)` |"), 3)


# Starts rank 1 as mpirun and Lockstep do: a process that waits for its child.
MPIRUN = """
import os, subprocess, sys, time
run = sys.argv[sys.argv.index("--run") + 1]
child = [sys.executable, "-c", "import time; time.sleep(60)", run]
parent = [sys.executable, "-c", f"import subprocess, sys; sys.exit(-subprocess.call({child!r}))", run]
rank = subprocess.Popen(parent, env=dict(os.environ, OMPI_COMM_WORLD_RANK="1"))
os.makedirs(run)
open(f"{run}/metrics.jsonl", "w").write("{}")
code = rank.wait()
print(f"error: rank 1 was killed by {code}", flush=True)
if "comm.transport=mpi" in sys.argv: time.sleep(60)
sys.exit(4)
"""


class LostRank(Folder):
    def test_is_the_child_and_the_run_must_end_with_4(self):
        self.write_program("mpirun", MPIRUN)
        self.assert_says(self.outcome(lambda session: ranks.lose_a_rank(session, "NCCL", signal.SIGKILL)),
                         "passed", "NCCL, rank 1 killed: ended with 4 after ", "rank 1 was killed by 9")

    def test_a_run_that_hangs_is_a_failure(self):
        self.write_program("mpirun", MPIRUN)
        self.assert_says(self.outcome(lambda session: ranks.lose_a_rank(session, "MPI", signal.SIGKILL), 12),
                         "FAILED", "MPI, rank 1 killed: did not end within its time")

    def test_a_run_that_never_trains_is_a_failure(self):
        self.write_program("mpirun", "raise SystemExit('no NCCL')")
        self.assert_says(self.outcome(lambda session: ranks.lose_a_rank(session, "NCCL", signal.SIGKILL)),
                         "FAILED", "NCCL: did not train", "no NCCL")


class Predict(Folder):
    def predict(self, only):
        subprocess.run([sys.executable, f"{CHECK}/predict", "--lockstep", f"{self.folder}/bin/lockstep",
                        "--commit", "abc", "--out", f"{self.folder}/p.json", "--only", only],
                       check=True, cwd=self.folder, stdout=subprocess.DEVNULL)
        with open(f"{self.folder}/p.json") as file:
            return json.load(file)["workloads"]

    def test_records_what_is_predicted_and_keeps_the_rest(self):
        self.write_program("lockstep", LOCKSTEP)
        entry = {"ms": 40.0, "nodes": 3, "bytes": 5e9, "flops": 1, "commit": "abc"}
        self.assertEqual(self.predict("mlp fp32"), {"mlp fp32": entry})
        self.assertEqual(self.predict("gpt2 bf16"), {"mlp fp32": entry, "gpt2 bf16": entry})

    def test_every_workload_has_been_recorded(self):
        with open(f"{CHECK}/predictions.json") as file:
            self.assertEqual(set(json.load(file)["workloads"]), {workload.name for workload in ON_GPU})


class Workloads(unittest.TestCase):
    def test_are_different_and_have_a_time_of_each_model(self):
        for each in (ON_GPU, ON_CPU):
            self.assertEqual(len({workload.name for workload in each}), len(each))
            self.assertEqual({workload.model for workload in each}, {"mlp", "cnn", "resnet50", "gpt2"})


if __name__ == "__main__":
    unittest.main()

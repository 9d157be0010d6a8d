#!/usr/bin/env python3
"""Tests bench/gpu/check without a GPU. Usage: gpu_check_test.py LOCKSTEP, the program."""
import gzip
import os
import struct
import subprocess
import sys
import time
import unittest

from gpu_folder import CHECK, Folder

import gtests  # noqa: E402
import libraries  # noqa: E402
import report  # noqa: E402
from running import Part, Skipped, run_parts  # noqa: E402


class Running(Folder):
    def test_goes_on_whatever_a_part_does(self):
        def passes(session):
            session.note("fine")

        def fails(session):
            session.note("found before it failed")
            session.run(["sh", "-c", "echo last words; exit 3"])

        def does_not_end(session):
            session.run(["sleep", "1000"])

        def is_wrong(session):
            return session.nothing_of_that_name

        def finds_a_fault(session):
            session.expect(False, "two is three")
            session.expect(True, "three is three")

        def cannot(_):
            raise Skipped("There is no such tool.")

        parts = [Part(run.__name__, 60, run) for run in (fails, is_wrong, finds_a_fault, cannot, passes)]
        parts.insert(1, Part("does_not_end", 4, does_not_end))
        path = os.path.join(self.folder, "results.md")
        write, seen = report.writer(path, "Title", [], {}), []

        def watch(outcomes):
            write(outcomes)
            with open(path) as file:
                seen.append(file.read().count("\n## "))
        outcomes = run_parts(self.session, parts, 600, watch)
        self.assertEqual({o.name: o.status for o in outcomes},
                         {"fails": "FAILED", "does_not_end": "FAILED", "is_wrong": "FAILED",
                          "finds_a_fault": "FAILED", "cannot": "skipped", "passes": "passed"})
        self.assertEqual(seen, [1, 2, 3, 4, 5, 6], "the file is written after each part")
        with open(path) as file:
            text = file.read()
        for words in ("found before it failed", "last words", "ended with 3",
                      "did not end within its time", "nothing_of_that_name", "**FAILED** two is three",
                      "- three is three", "There is no such tool.", "| passes | passed | 0 | 60 |"):
            self.assertIn(words, text)

    def test_does_not_begin_what_there_is_no_time_for(self):
        late = Part("late", 60, lambda session: self.fail("it ran"))
        outcomes = run_parts(self.session, [late], 1, lambda _: None)
        self.assertEqual([(o.status, o.seconds) for o in outcomes], [("not run", 0)])

    def test_no_part_takes_the_time_of_all(self):
        def greedy(session):
            session.run(["sleep", "1000"], 500)

        start, parts = time.monotonic(), [Part(name, limit, greedy) for name, limit in
                                          (("limited", 4), ("until the end", 60), ("late", 60))]
        path = os.path.join(self.folder, "results.md")
        outcomes = run_parts(self.session, parts, 9, report.writer(path, "Title", [], {}))
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual([o.status for o in outcomes], ["FAILED", "FAILED", "not run"])
        self.assertLess(outcomes[0].seconds, 8)
        with open(path) as file:
            self.assertIn("| late | not run | 0 | 60 |", file.read())

    def test_what_runs_in_parallel_is_noted_in_order(self):
        def slow(session):
            session.run(["sleep", "0.5"])
            session.note("slow")

        def fails(session):
            session.note("before")
            session.run(["false"])

        outcome = self.outcome(lambda session: session.in_parallel(
            [slow, fails, lambda session: session.note("last")], 3))
        self.assertEqual(outcome.status, "FAILED")
        self.assertRegex(outcome.text, "(?s)^slow\nbefore\n.*`false` ended with 1 .*\nlast$")

    def test_what_happens_while_a_command_runs(self):
        seen = []
        run = self.session.run(["sh", "-c", "read line; echo $line"], 30, must=False,
                               meanwhile=lambda process: seen.append(process.poll()))
        self.assertEqual(len(seen), 1)
        self.assertIsNotNone(run.code)

        def is_wrong(process):
            seen.append(process)
            raise KeyError("x")
        with self.assertRaises(KeyError):
            self.session.run(["sleep", "1000"], 30, meanwhile=is_wrong)
        self.assertIsNotNone(seen[1].poll(), "the command has been ended")

    def test_ends_the_descendants_of_what_takes_too_long(self):
        run = self.session.run(["sh", "-c", "sleep 1000 & echo $!; wait"], 5, must=False)
        self.assertIsNone(run.code)

        def state():
            try:
                with open(f"/proc/{run.output.strip()}/stat") as file:
                    return file.read().rsplit(")", 1)[1].split()[0]
            except FileNotFoundError:
                return "gone"
        # The signal is sent, and takes effect when the process is next scheduled.
        patience = time.monotonic() + 30
        while state() not in ("gone", "Z") and time.monotonic() < patience:
            time.sleep(0.02)
        self.assertIn(state(), ("gone", "Z"), "nobody may have waited for it yet")


FAKE_TESTS = """#!/bin/sh
case "$*" in
*--gtest_list_tests*) printf 'Good.\\n  One\\n\
Backends/Bad.\\n  Crashes/cpu  # GetParam() = cpu\\n  Never/cpu  # GetParam() = cpu\\n' ;;
*=Backends/Bad.Never/cpu) printf '[ RUN      ] Backends/Bad.Never/cpu\\n\
[       OK ] Backends/Bad.Never/cpu (0 ms)\\n' ;;
*Bad*) printf '[ RUN      ] Backends/Bad.Crashes/cpu\\n'; kill -SEGV $$ ;;
*) printf '[ RUN      ] Good.One\\n[       OK ] Good.One (0 ms)\\n' ;;
esac
"""


class Tests(Folder):
    def test_reads_what_googletest_prints(self):
        printed = ("[ RUN      ] A.One\n[       OK ] A.One (3 ms)\n"
                   "[ RUN      ] B/C.Two/cuda\nx.cpp:1: Failure\n"
                   "[  FAILED  ] B/C.Two/cuda, where GetParam() = 1 (0 ms)\n"
                   "[ RUN      ] A.Three\n[  SKIPPED ] A.Three (0 ms)\n[ RUN      ] A.Four\n")
        self.assertEqual(gtests.results_of(printed),
                         {"A.One": "passed", "B/C.Two/cuda": "failed",
                          "A.Three": "skipped", "A.Four": "crashed"})

    def test_a_crash_is_named_and_takes_no_other_suite_along(self):
        self.write("bin/unit_tests", FAKE_TESTS, executable=True)
        [outcome] = run_parts(self.session, [Part("tests", 30, gtests.backend_tests)], 60, lambda _: None)
        self.assertEqual(outcome.status, "FAILED")
        for words in ("| Good | 1 passed |", "Backends/Bad.Crashes/cpu crashed; alone it crashed",
                      "Backends/Bad.Never/cpu not run; alone it passed", "- 1 tests passed"):
            self.assertIn(words, outcome.text)


class Libraries(Folder):
    def test_finds_them_in_pythons_packages_and_in_toolkits(self):
        for name in ("site/nvidia/cudnn/lib/libcudnn.so.9", "site/nvidia/cu13/lib/libcublasLt.so.13",
                     "toolkit/lib64/libnccl.so.2"):
            self.write(name, "")
        sys.path.append(f"{self.folder}/site")
        self.addCleanup(sys.path.remove, f"{self.folder}/site")
        self.assertIn(f"{self.folder}/site/nvidia/cudnn/lib", libraries.python_folders())
        self.assertIn(f"{self.folder}/site/nvidia/cu13/lib", libraries.python_folders())
        os.environ["CUDA_HOME"] = f"{self.folder}/toolkit"
        self.addCleanup(os.environ.pop, "CUDA_HOME")
        if "LD_LIBRARY_PATH" not in os.environ:
            self.assertEqual(libraries.find_libraries()["libnccl.so.2"], f"{self.folder}/toolkit/lib64")


class RealProgram(Folder):
    """A part with the real program on the CPU, so that its options and this script's stay one."""

    def write_idx(self, name, header, data):
        os.makedirs(f"{self.folder}/mnist", exist_ok=True)
        with gzip.open(f"{self.folder}/mnist/{name}-ubyte.gz", "wb") as file:
            file.write(header + data)

    def test_trains_in_a_folder_as_pack_makes_it(self):
        for part, count in (("train", 256), ("t10k", 64)):
            images = bytes(i % 251 for i in range(count * 784))
            labels = bytes(i % 10 for i in range(count))
            self.write_idx(f"{part}-images-idx3", struct.pack(">4i", 2051, count, 28, 28), images)
            self.write_idx(f"{part}-labels-idx1", struct.pack(">2i", 2049, count), labels)
        os.makedirs(f"{self.folder}/bin")
        os.symlink(os.path.realpath(LOCKSTEP), f"{self.folder}/bin/lockstep")
        os.symlink(f"{CHECK}/../../examples", f"{self.folder}/examples")
        self.write("commit", "abc")
        run = subprocess.run([sys.executable, f"{CHECK}/check", "--pack", self.folder, "--device", "cpu",
                              "--only", "data,mlp", "--out", f"{self.folder}/results.md"],
                             capture_output=True, text=True)
        with open(f"{self.folder}/results.md") as file:
            text = file.read()
        # Nobody can tell these pictures apart, so the accuracy is not reached: that is said, with what was.
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr + text)
        self.assertIn("| MNIST is imported | passed |", text)
        self.assertRegex(text, r"\*\*FAILED\*\* mnist-mlp: [0-9.]+ % of the test images, [0-9.]+ s, "
                               r"weights [0-9a-f]{16} \(wanted: 97 %\)")


if __name__ == "__main__":
    LOCKSTEP = sys.argv.pop(1)
    unittest.main()

#!/usr/bin/env python3
"""Runs gpu_ceilings and gpu_cudnn_algorithms on an emulated GPU. Usage: gpu_programs_test.py THEIR_FOLDER"""
import os
import subprocess
import sys
import unittest

from gpu_folder import Folder

import algorithms  # noqa: E402
import ceilings  # noqa: E402

ENVIRONMENT = dict(os.environ, LOCKSTEP_EMULATED_GPUS="1")


def lines_of(program, *arguments):
    run = subprocess.run([f"{PROGRAMS}/{program}", "--small", *arguments], env=ENVIRONMENT, text=True,
                         stdout=subprocess.PIPE, check=True)
    return ceilings.read_lines(run.stdout)


class Programs(Folder):
    def test_every_ceiling_is_measured(self):
        lines = lines_of("gpu_ceilings")
        self.assertEqual([line["assumed"] for line in lines], [4.3, 4.3, None, 1.5, 790, 400, 60])
        for line in lines:
            self.assertGreater(line["measured"], 0, line)
        self.assertEqual(ceilings.table(lines).count("\n"), 2 + len(lines))

    def test_every_convolution_is_timed(self):
        lines = lines_of("gpu_cudnn_algorithms")
        self.assertEqual(lines.pop(), {"left_out": 0})
        keys = ("model", "direction", "layout", "type")
        self.assertEqual(len({tuple(line[key] for key in keys) for line in lines}), 2 * 3 * 2 * 3)
        for line in lines:
            if line["model"] == "cnn" and line["layout"] == "NHWC":
                self.assertGreater(algorithms.fastest(algorithms.usable(line))["us"], 0, line)
        self.assertIn("| cnn | 2 x 1x9x9, 4 of 3x3 | filter | 1d ", algorithms.shape_table(lines))

    def test_what_there_is_no_time_for_is_counted(self):
        self.assertEqual(lines_of("gpu_cudnn_algorithms", "--seconds", "0"), [{"left_out": 36}])


if __name__ == "__main__":
    PROGRAMS = sys.argv.pop(1)
    unittest.main()

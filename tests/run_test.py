#!/usr/bin/env python3
"""What tests/run does when a preset does not build or a test fails, on its own presets of a second each."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

RUN = pathlib.Path(__file__).resolve().parent / "run"

PROJECT = """cmake_minimum_required(VERSION 3.25)
project(presets NONE)
enable_testing()
add_custom_target(everything ALL COMMAND ${COMMAND})
add_test(NAME First COMMAND true)
add_test(NAME Second COMMAND ${SECOND})
"""

PRESETS = """{
  "version": 6,
  "configurePresets": [
    { "name": "base", "hidden": true, "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}",
      "cacheVariables": { "COMMAND": "true", "SECOND": "true" } },
    { "name": "good", "inherits": "base" },
    { "name": "failing", "inherits": "base", "cacheVariables": { "SECOND": "false" } },
    { "name": "broken", "inherits": "base", "cacheVariables": { "COMMAND": "false" } }
  ],
  "buildPresets": [
    { "name": "good", "configurePreset": "good" },
    { "name": "failing", "configurePreset": "failing" },
    { "name": "broken", "configurePreset": "broken" }
  ]
}
"""


class RunTest(unittest.TestCase):
    def run_presets(self, *presets):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            (root / "tests").mkdir()
            (root / "launch").mkdir()
            shutil.copy(RUN, root / "tests/run")
            installer = root / "launch/install-dependencies"
            installer.write_text("#!/bin/sh\n")
            installer.chmod(0o755)
            (root / "CMakeLists.txt").write_text(PROJECT)
            (root / "CMakePresets.json").write_text(PRESETS)
            # The ctest that runs this test has told its children about itself.
            environment = {key: value for key, value in os.environ.items() if not key.startswith("CTEST_")}
            return subprocess.run([root / "tests/run", *presets], env=environment, text=True,
                                  capture_output=True)

    def test_all_presets_pass(self):
        result = self.run_presets("good")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"\ngood: built in \d+ s\ngood: passed in \d+ s\n")
        self.assertRegex(result.stdout.strip().splitlines()[-1], r"^Total Test time")

    def test_the_others_run_when_one_fails_and_the_last_lines_are_of_the_failure(self):
        result = self.run_presets("failing", "good")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        summary = result.stdout[result.stdout.index("== All presets"):]
        self.assertRegex(summary, r"\nfailing: FAILED after \d+ s\ngood: passed in \d+ s\n")
        self.assertRegex(summary, r"(?s)== good\n100% tests passed, 0 tests failed out of 2\n.*"
                                  r"== failing\n50% tests passed, 1 tests failed out of 2\n")
        self.assertIn("2 - Second (Failed)", summary)

    def test_the_others_run_when_one_does_not_build(self):
        result = self.run_presets("broken", "good")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        summary = result.stdout[result.stdout.index("== All presets"):]
        self.assertRegex(summary, r"\nbroken: FAILED to build\n(.*\n)*good: passed in \d+ s\n")
        self.assertIn("100% tests passed, 0 tests failed out of 2", summary)
        self.assertIn("FAILED to build", summary.strip().splitlines()[-1])

    def test_an_unknown_preset_counts_as_one_that_does_not_build(self):
        result = self.run_presets("unheard-of", "good")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn("\nunheard-of: FAILED to build\n", result.stdout)
        self.assertRegex(result.stdout, r"\ngood: passed in \d+ s\n")


if __name__ == "__main__":
    unittest.main()

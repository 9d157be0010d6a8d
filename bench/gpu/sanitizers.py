"""The tests that use the GPU under compute-sanitizer, as many as fit in the time."""
import re

import gtests
from libraries import find_tool
from running import Skipped

TOOLS = ("memcheck", "synccheck", "initcheck", "racecheck")


def is_clean(output):
    """Whether the summary of a tool of compute-sanitizer reports no error."""
    return re.search(r"ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards", output) is not None


def sanitized(tool):
    """The part that runs the GPU tests under one of TOOLS."""
    def run(session):
        sanitizer = find_tool("compute-sanitizer")
        if session.device == "cpu":
            raise Skipped("It needs a GPU.")
        if sanitizer is None:
            raise Skipped("There is no compute-sanitizer on this machine.")
        suites = gtests.list_tests(session, gtests.KERNEL_TESTS)
        prefix = [
            sanitizer, "--tool", tool, "--error-exitcode", "99", "--print-limit", "5", "--target-processes",
            "all"
        ]
        # By far the longest part: suites for which no time is left are reported, and are no failure.
        results, runs = gtests.run_suites(session, suites, prefix)
        if any("Device not supported" in run.output for run in runs.values()):
            raise Skipped("compute-sanitizer says that it does not support this device.")
        gtests.note_results(session, suites, results)
        unfinished = [suite for suite, run in runs.items() if run.code is None]
        for suite, run in runs.items():
            if run.code is not None and (run.code != 0 or not is_clean(run.output)):
                session.expect(False, f"{suite}:\n\n```\n{run.tail()}\n```")
        gtests.expect_none_skipped(session, results)
        ran = {test.rsplit(".", 1)[0] for test, result in results.items() if result == "passed"}
        clean = [suite for suite in ran if runs[suite].code == 0]
        session.expect(len(clean) > 0, f"{len(clean)} of {len(suites)} suites ran to their end and are clean")
        if unfinished:
            session.note("- not ended in time, so not judged: " + ", ".join(unfinished))
    return run

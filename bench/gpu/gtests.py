"""The GoogleTest programs. Each suite runs in its own process: after an invalid access, all CUDA calls of a
process fail."""
import re

# The tests that use a GPU, by words in their names; those of them that need exactly one GPU, so that none may
# be skipped; and those that need files of the repository.
GPU_TESTS = ("*cuda*:*Cuda*:*Captured*:*Cublas*:*CuBlas*:*Cudnn*:*Nccl*:*Gpu*"
             "-*Emulat*:Compatibility.*:CommandLine*:*BadInput*:Config*")
KERNEL_TESTS = "*/cuda*:*Captured*"
NEED_REPOSITORY = "Layering.HoldsInEverySourceFile:Config.HelpFitsATerminalAndTheDocumentationHoldsIt"

RUN_AGAIN = 20  # at most this many tests


def filter_of(session):
    return "*/cpu" if session.device == "cpu" else GPU_TESTS


def list_tests(session, tests):
    """{suite: [test, ...]} of unit_tests."""
    command = [f"{session.pack}/bin/unit_tests", "--gtest_list_tests", f"--gtest_filter={tests}"]
    suites, suite = {}, None
    for line in session.run(command, 30, merge=False).output.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            suites[suite].append(name.strip())
        elif name.endswith("."):
            suite = name[:-1]
            suites[suite] = []
    return {suite: tests for suite, tests in suites.items() if tests}


def results_of(output):
    """{test: "passed", "failed", "skipped" or, if it did not end, "crashed"} from GoogleTest's output."""
    words = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped", "RUN": "crashed"}
    results = {}
    for word, test in re.findall(r"^\[\s+(OK|FAILED|SKIPPED|RUN)\s+\] (\S+?)(?:,| \(|$)", output,
                                 re.MULTILINE):
        if "." in test:
            results[test] = words[word]
    return results


def run_suites(session, suites, prefix=(), parallel=8, seconds=60):
    """Runs each suite's tests in a process. Returns ({test: result}, {suite: Finished})."""
    names = list(suites)
    commands = [[
        *prefix, f"{session.pack}/bin/unit_tests", "--gtest_color=no",
        "--gtest_filter=" + ":".join(f"{suite}.{test}" for test in suites[suite])
    ] for suite in names]
    finished = session.run_together(commands, parallel, seconds)
    results = {f"{suite}.{test}": "not run" for suite in names for test in suites[suite]}
    for run in finished:
        results.update(results_of(run.output))
    return results, dict(zip(names, finished))


def count(results):
    """"12 passed, 1 failed"."""
    counts = {}
    for result in results.values():
        counts[result] = counts.get(result, 0) + 1
    return ", ".join(f"{counts[word]} {word}"
                     for word in ("passed", "failed", "crashed", "not run", "skipped") if word in counts)


def note_results(session, suites, results):
    rows = []
    for suite in suites:
        mine = {test: result for test, result in results.items() if test.startswith(suite + ".")}
        rows.append(f"| {suite} | {count(mine)} |")
    session.note("| suite | tests |\n|---|---|\n" + "\n".join(rows) + "\n")


def run_and_judge(session, suites):
    """Runs the suites; failed tests run again, alone, to exclude effects of earlier tests."""
    results, runs = run_suites(session, suites)
    note_results(session, suites, results)
    bad = [test for test, result in results.items() if result not in ("passed", "skipped")]
    again = session.run_together(
        [[f"{session.pack}/bin/unit_tests", "--gtest_color=no", f"--gtest_filter={test}"]
         for test in bad[:RUN_AGAIN]], 4, 30)
    for test, alone in zip(bad, again):
        session.expect(
            False, f"{test} {results[test]}; alone it {results_of(alone.output).get(test, 'did not run')}"
            f"\n\n```\n{alone.tail(1500)}\n```")
    if len(bad) > RUN_AGAIN:
        session.expect(False, "and " + ", ".join(f"{test} {results[test]}" for test in bad[RUN_AGAIN:]))
    for suite, run in runs.items():
        if run.code != 0 and not any(test.startswith(suite + ".") for test in bad):
            session.expect(False,
                           f"{suite} {run.ended()} though each test passed\n\n```\n{run.tail(1500)}\n```")
    passed = sum(result == "passed" for result in results.values())
    skipped = [test for test, result in results.items() if result == "skipped"]
    session.expect(passed > 0, f"{passed} tests passed")
    if skipped:
        session.note("- skipped: " + ", ".join(skipped))
    return results


def backend_tests(session):
    results = run_and_judge(session, list_tests(session, filter_of(session)))
    expect_none_skipped(session, results)


def expect_none_skipped(session, results):
    """On a GPU, a test of one backend is skipped only if it found none."""
    if session.device == "cpu":
        return
    skipped = sum(result == "skipped" and ("/" in test.rsplit(".", 1)[1] or "Captured" in test)
                  for test, result in results.items())
    session.expect(skipped == 0, f"{skipped} of them skipped that need one GPU")


def other_tests(session):
    """Everything else: tests that passed on a machine without a GPU may fail on one with a GPU."""
    done = list_tests(session, filter_of(session))
    rest = {suite: [test for test in tests if test not in done.get(suite, [])]
            for suite, tests in list_tests(session, f"-{NEED_REPOSITORY}").items()}
    run_and_judge(session, {suite: tests for suite, tests in rest.items() if tests})

#!/usr/bin/env python3
"""Writes the table of docs/parity.md from the results of the parity tests.

usage: unit_tests --gtest_filter='Golden/*' --gtest_output=json:RESULTS.json
       tests/golden/table.py RESULTS.json
"""

import json
import pathlib
import sys

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "parity.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"
KINDS = [("output", "outputs"), ("gradient", "gradients"), ("first", "statistics"), ("last", "three steps")]
RUNS = [("cpu", "CPU"), ("cuda", "GPU"), ("pytorch", "PyTorch")]


def read(path):
    """{row: {backend: facts}} of what the tests reported. Fails unless all of them have passed."""
    rows = {}
    for suite in json.loads(pathlib.Path(path).read_text())["testsuites"]:
        for test in suite["testsuite"]:
            if "parity" not in test or "failures" in test:
                sys.exit(f"{test['name']} did not pass")
            backend = test["name"].split("/")[-1].partition("_")[0]
            for row, facts in json.loads(test["parity"]).items():
                rows.setdefault(row, {})[backend] = facts
    return rows


def cells(runs):
    """The largest relative norms of a row: Lockstep's on each backend, and those of PyTorch's float32."""
    for kind, _ in KINDS:
        for run, _ in RUNS:
            worst = runs["cpu"]["pytorch"] if run == "pytorch" else runs[run]["lockstep"]
            yield f"{worst[kind]:.0e}" if kind in runs["cpu"]["lockstep"] else "-"


def main():
    rows = read(sys.argv[1])
    header = ["model", "cases", "parameters"] + [f"{kind}: {run}" for _, kind in KINDS for _, run in RUNS]
    lines = [" | ".join(header), "|".join(["---"] + ["---:"] * (len(header) - 1))]
    for name, runs in sorted(rows.items()):
        facts = runs["cpu"]
        lines.append(" | ".join([name, str(facts["cases"]), f"{facts['parameters']:,}", *cells(runs)]))
    torch = sorted({runs["cpu"]["torch"] for runs in rows.values()})
    table = "\n".join(f"| {line} |" for line in lines) + f"\n\nWritten with PyTorch {', '.join(torch)}.\n"
    page = PAGE.read_text()
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    PAGE.write_text(page[:start] + table + page[end:])


if __name__ == "__main__":
    main()

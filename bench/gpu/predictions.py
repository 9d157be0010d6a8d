"""The account of a step, as recorded for an H200 by predict in predictions.json, beside what was measured."""
import json
import statistics

from running import CommandFailed, Skipped
from timings import lockstep_steps
from workloads import ON_GPU


def measured_ms(session, workload):
    """Milliseconds a step from the timings, or else measured now."""
    rates = session.data.get(f"steps per second, {workload.name}")
    if rates:
        return 1000 / statistics.median(rates["lockstep"])
    return lockstep_steps(session, workload, 100)["ms_per_step"]


def compare(session):
    if session.device == "cpu":
        raise Skipped("It needs a GPU.")
    with open(f"{session.pack}/predictions.json") as file:
        predicted = json.load(file)["workloads"]
    rows = []
    for workload in ON_GPU:
        if workload.name not in predicted:
            session.note(f"- {workload.name} has no recorded prediction")
            continue
        try:
            entry, ms = predicted[workload.name], measured_ms(session, workload)
        except CommandFailed as failure:
            session.expect(False, f"{workload.name}: {failure}")
            continue
        rows.append(f"| {workload.name} | {workload.batch} | {entry['nodes']} | {entry['bytes'] / 1e9:.3f} | "
                    f"{entry['ms']:.3f} | {ms:.3f} | {ms / entry['ms']:.2f} | {entry['commit']} |")
    session.note("Predictions are lower bounds at the assumed ceilings of an H200.\n\n"
                 "| | batch | nodes | GB | predicted ms | measured ms | measured / predicted | counted at |\n"
                 "|---|---:|---:|---:|---:|---:|---:|---|\n" + "\n".join(rows) + "\n")

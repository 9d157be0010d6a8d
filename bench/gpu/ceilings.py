"""What this GPU can do at most, beside what the account of a step assumes."""
import json


def read_lines(output):
    """The objects of a program that prints one on each line."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def table(rows):
    lines = ["| | measured | assumed | measured / assumed |", "|---|---:|---:|---:|"]
    for row in rows:
        assumed = row["assumed"]
        of = f"{assumed:g} {row['unit']} | {row['measured'] / assumed:.2f}" if assumed else "|"
        lines.append(f"| {row['what']} | {row['measured']:,.3g} {row['unit']} | {of} |")
    return "\n".join(lines) + "\n"


def measure_ceilings(session):
    small = ["--small"] if session.device == "cpu" else []
    run = session.run([f"{session.pack}/bin/gpu_ceilings", "--device", session.device, *small], 60,
                      merge=False, must=False)
    rows = read_lines(run.output)
    if rows:
        session.data["ceilings"] = rows
        session.note(table(rows))
    tail = "" if run.code == 0 else f"\n\n```\n{run.tail()}\n```"
    session.expect(run.code == 0, f"`gpu_ceilings` {run.ended()}{tail}")

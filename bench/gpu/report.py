"""The results file: Markdown, most important first, with all numbers as JSON at its end."""
import datetime
import json
import os


def markdown(title, facts, outcomes, data):
    lines = [f"# {title}", ""]
    lines += [f"{name}: {value}  " for name, value in facts]
    lines += ["", "| part | result | seconds | at most |", "|---|---|---:|---:|"]
    lines += [f"| {outcome.name} | {outcome.status} | {outcome.seconds:.0f} | {outcome.limit} |"
              for outcome in outcomes]
    for outcome in outcomes:
        lines += ["", f"## {outcome.name}: {outcome.status}", "", outcome.text]
    if data:
        lines += ["", "## All values", "", "```json", json.dumps(data), "```"]
    return "\n".join(lines) + "\n"


def writer(path, title, facts, data):
    """A function that writes the file anew with the outcomes so far; it is whole at any moment."""
    def write(outcomes):
        with open(path + ".new", "w") as file:
            file.write(markdown(title, facts, outcomes, data))
        os.replace(path + ".new", path)
    return write


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")

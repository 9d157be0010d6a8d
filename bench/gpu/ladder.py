"""A few steps of each kind of model, from the simplest way to run them on. A ladder ends at its first
failure: what comes after it would only fail for the same reason."""
import functools
import json
from dataclasses import dataclass

from libraries import find_tool


@dataclass
class Rung:
    name: str
    arguments: list  # of `lockstep bench step`


def rungs(model, arguments):
    return [Rung(f"{model}, {precision}, {'captured' if capture == 'true' else 'uncaptured'}",
                 ["--set", f"model.name={model}", "--set", f"run.precision={precision}", "--set",
                  f"run.capture={capture}", *arguments])
            for precision in ("fp32", "bf16") for capture in ("false", "true")]


def ladders():
    """The libraries that each brings along are what may fail: cuBLASLt, cuDNN, batch norm, attention."""
    def batch(samples):
        return ["--set", f"train.global_batch={samples}", "--set", f"train.micro_batch={samples}"]
    tokens = ["--input", "128", "--outputs", "256", "--set", "data.task=tokens"]
    return [rungs("mlp", batch(128)), rungs("cnn", batch(128)),
            rungs("resnet50", ["--input", "32,32,3", *batch(2)]),
            rungs("gpt2_mini", [*tokens, *batch(2)])]


def command(session, rung):
    return [f"{session.pack}/bin/lockstep", "bench", "step", "--json", "--steps", "10", "--device",
            session.device, *rung.arguments]


def examine(session, rung):
    """What memcheck says of a rung that failed: of an uncaptured step it names the kernel."""
    sanitizer = find_tool("compute-sanitizer")
    if session.device == "cpu" or sanitizer is None:
        return
    run = session.run([sanitizer, "--print-limit", "3", *command(session, rung)], 30, must=False)
    session.note(f"Under compute-sanitizer it {run.ended()}:\n\n```\n{run.tail(2500)}\n```\n")


def climb(session, ladder):
    failed = None
    for rung in ladder:
        if failed:
            session.note(f"- skipped: {rung.name}, because of the failure of {failed}")
            continue
        if session.left() < 2:
            session.note(f"- not run: {rung.name}, for lack of time")
            continue
        run = session.run(command(session, rung), 40, merge=False, must=False)
        if run.code == 0:
            step = json.loads(run.output[run.output.index("{"):])["step"]
            session.expect(True, f"{rung.name}: {step['ms_per_step']:.3f} ms a step")
        else:
            failed = rung.name
            session.expect(False, f"{rung.name} {run.ended()}\n\n```\n{run.tail(2500)}\n```")
            examine(session, rung)


def smoke(session):
    session.in_parallel([functools.partial(climb, ladder=ladder) for ladder in ladders()], 4)

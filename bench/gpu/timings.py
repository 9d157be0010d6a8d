"""Times training steps of Lockstep and PyTorch, alternating on the same device."""
import json
import statistics

from peers import ABSENT
from running import CommandFailed, Skipped
from workloads import workloads

COMPILE_SECONDS = 60  # for which PyTorch is waited for at most


def lockstep_steps(session, workload, steps):
    """What `lockstep bench step` reports."""
    output = session.run([
        f"{session.pack}/bin/lockstep", "bench", "step", "--json", "--steps", steps, "--device",
        session.device, *workload.lockstep()
    ], 60, merge=False).output
    return json.loads(output[output.index("{"):])["step"]


def spread(values):
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} to {max(values):,.1f})"


def time_workload(session, workload, peers):
    """{"lockstep": [...], "pytorch eager": [...], ...} in steps/s, and {name: bytes} of GPU memory."""
    ready = [peer for peer in peers if peer.facts]
    for peer in peers:
        if peer.failure:
            session.expect(False, peer.failure)
    # About half a second a round: as many steps as the fastest peer, or from a first look.
    steps = max((peer.facts["steps"] for peer in ready), default=0)
    steps = max(10, steps or int(500 / lockstep_steps(session, workload, 10)["ms_per_step"]))
    rates, memory = {"lockstep": []}, {}
    for _ in range(workload.rounds):
        facts = lockstep_steps(session, workload, steps)
        rates["lockstep"].append(1000 / facts["ms_per_step"])
        memory["lockstep"] = facts.get("device_bytes", 0)
        for peer in list(ready):
            try:
                result = peer.round(min(30, session.left()))
            except CommandFailed as failure:
                session.expect(False, str(failure))
                ready.remove(peer)
                continue
            rates.setdefault(f"pytorch {peer.mode}", []).append(result["steps_per_s"])
            memory[f"pytorch {peer.mode}"] = result.get("reserved_bytes", 0)
    for peer in ready:
        session.expect(
            peer.facts["parameters"] == facts["parameters"],
            f"{workload.name} has {facts['parameters']:,} parameters, "
            f"and {peer.facts['parameters']:,} in PyTorch {peer.mode}"
        )
    return rates, memory


def rows_of(workload, rates, memory):
    rows = []
    for name, values in rates.items():
        ratio = ""
        if name != "lockstep":
            ratios = [ours / theirs for ours, theirs in zip(rates["lockstep"], values)]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append(f"| {workload.name} | {name} | {spread(values)} | "
                    f"{workload.batch * statistics.median(values):,.0f} | {ratio} | "
                    f"{memory[name] / 2**20:,.0f} MiB |")
    return rows


HEADER = ("| | | steps/s: median (min to max) | samples/s | Lockstep / PyTorch, of the pairs | memory |\n"
          "|---|---|---:|---:|---:|---:|\n")


def time_all(session, peers):
    """The rows of the table. Workloads that fail, or for which no time is left, have none."""
    rows = []
    for workload in workloads(session.device):
        try:
            rates, memory = time_workload(session, workload, peers.of(workload))
        except CommandFailed as failure:
            session.expect(False, f"{workload.name}: {failure}")
            continue
        session.data[f"steps per second, {workload.name}"] = rates
        rows += rows_of(workload, rates, memory)
    return rows


def versus_pytorch(peers):
    """The part that times both. It only requires that all ran; the results state the expected ratios."""
    def run(session):
        if peers.python:
            peers.start(session)
        try:
            peers.await_all(min(COMPILE_SECONDS, session.left() - 30))
            rows = time_all(session, peers)
            version = peers.version()
        finally:
            peers.stop()  # they hold memory of the GPU
        session.note(
            f"\nfp32: without TF32 on both sides; bf16: torch.autocast and run.precision. {version}; "
            "alternating rounds, each about half a second. "
            "Lockstep also copies each batch to the GPU, converts it and reads the loss back; "
            "PyTorch's inputs are already there. "
            "Memory besides the CUDA context: Lockstep: all allocations; PyTorch: those of its allocator.\n\n"
            + HEADER + "\n".join(rows)
            + "\n\nExpected of mlp and cnn: at least 10 times eager and 2 times the CUDA graph.")
        if not peers.python:
            if session.failures == 0:
                raise Skipped(f"Only Lockstep was timed. {ABSENT}")
            session.note(ABSENT)
    return run

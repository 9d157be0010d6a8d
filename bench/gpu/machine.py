"""This machine: GPU, driver, libraries, and the output of `lockstep doctor`."""
import os
import platform
import subprocess

from libraries import find_tool, library_version


def cpu_model():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else 'unknown'}, {os.cpu_count()} cores"


def query_gpu():
    """What nvidia-smi says of the first GPU, as (name, value) pairs."""
    smi = find_tool("nvidia-smi")
    fields = [
        "name", "driver_version", "memory.total", "memory.free", "compute_cap", "clocks.sm", "clocks.mem",
        "power.draw", "temperature.gpu"
    ]
    if smi is None:
        return [("GPU", "no nvidia-smi")]
    try:
        text = subprocess.run([smi, "--query-gpu=" + ",".join(fields), "--format=csv,noheader"],
                              capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return [("GPU", "nvidia-smi does not answer")]
    values = [value.strip() for value in (text.stdout.splitlines() or [""])[0].split(",")]
    if text.returncode != 0 or len(values) != len(fields):
        return [("GPU", "nvidia-smi: " + (text.stdout + text.stderr).strip())]
    return [("GPU", values[0]), ("driver", values[1]), ("GPU memory", f"{values[2]}, {values[3]} free"),
            ("compute capability", values[4]), ("clocks when idle", f"{values[5]}, memory {values[6]}"),
            ("power and temperature when idle", f"{values[7]}, {values[8]} C")]


def describe_machine(libraries, torch):
    def run(session):
        facts = [("CPU", cpu_model()),
                 ("system", f"{platform.platform()}, {' '.join(platform.libc_ver())}")] + query_gpu()
        for name, folder in libraries.items():
            facts.append(
                (name, f"{library_version(name, folder)} in {folder}".strip() if folder else "not found"))
        facts.append(("PyTorch", torch or "not found"))
        for tool in ("compute-sanitizer", "ncu"):
            facts.append((tool, find_tool(tool) or "not found"))
        session.note("| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |"
                                                      for name, value in facts) + "\n")
        doctor = session.run([f"{session.pack}/bin/lockstep", "doctor", "--device", session.device], 60,
                             must=False)
        session.expect(doctor.code == 0,
                       f"`lockstep doctor` {doctor.ended()}\n\n```\n{doctor.tail(6000)}\n```")
    return run

#!/usr/bin/env python3
"""Damages small HDF5 files in random places and reads each with `data check` and `train`.

Whatever the damage, both must end by themselves, with an exit code for the user and one sentence of error:
never by a signal, never as a bug of Lockstep, not after a minute, and without much memory. Prints how often
each exit code was seen.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

try:
    import h5py
    import numpy
except ImportError:
    h5py = None

SKIPPED = 77
SECONDS = 60
MEMORY_MIB = 1024  # train's own libraries take 100 to 200
ROWS, VALUES = 40, 12
SETTINGS = ["run.threads=1", "run.device=cpu", "model.name=mlp", "model.hidden=[4]", "train.steps=2",
            "train.global_batch=8", "data.memory_budget=64MiB", "checkpoint.every_epochs=0"]
# Formats of HDF5 1.10, which every supported version reads.
NEWER = ("v110", "v110")
GOOD_CODES = {"check": {0, 3}, "train": {0, 2, 3, 5}}


def samples(chance):
    return numpy.array([[chance.randrange(50) for _ in range(VALUES)] for _ in range(ROWS)])


def classes():
    return numpy.arange(ROWS) % 3


def probabilities():
    return numpy.eye(3, dtype="f4")[classes()]


def write(path, chance, kind="f4", y=None, libver="earliest", **storage):
    """x with the storage given, y plain, unless y says otherwise."""
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("train/x", data=samples(chance).astype(kind), **storage)
        file["train/y"] = classes().astype("i8") if y is None else y
    return [path]


def write_nbit(path, chance):
    """12 of 16 bits stored."""
    with h5py.File(path, "w") as file:
        group = file.create_group("train")
        stored = h5py.h5t.STD_I16LE.copy()
        stored.set_precision(12)
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((8, VALUES))
        properties.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_OPTIONAL, ())
        x = h5py.h5d.create(group.id, b"x", stored, h5py.h5s.create_simple((ROWS, VALUES)), properties)
        x.write(h5py.h5s.ALL, h5py.h5s.ALL, numpy.ascontiguousarray(samples(chance).astype("i2")))
        group["y"] = classes()
    return [path]


def write_virtual(path, chance):
    """Two sources of half the rows each, which may be damaged too."""
    half = ROWS // 2
    layout = h5py.VirtualLayout((ROWS, VALUES), "f4")
    files = [path]
    for part in range(2):
        source = path.with_name(f"{path.stem}-{part}.h5")
        with h5py.File(source, "w") as file:
            x = samples(chance).astype("f4")[:half]
            file.create_dataset("x", data=x, chunks=(7, 5), compression="gzip")
        layout[part * half:(part + 1) * half] = h5py.VirtualSource(source.name, "x", (half, VALUES))
        files.append(source)
    with h5py.File(path, "w", libver=NEWER) as file:
        group = file.create_group("train")
        group.create_virtual_dataset("x", layout)
        group["y"] = classes()
    return files


def write_names(path, chance):
    """Classes as strings of variable length, behind a filter."""
    with h5py.File(path, "w") as file:
        file["train/x"] = samples(chance).astype("f4")
        file.create_dataset("train/y", data=[["cat", "dog", "bee"][c] for c in classes()], chunks=(8,),
                            dtype=h5py.string_dtype(), compression="gzip")
    return [path]


def write_sequences(path, chance):
    with h5py.File(path, "w") as file:
        x = file.create_dataset("train/x", (ROWS,), h5py.vlen_dtype("f4"), chunks=(8,))
        for row, values in enumerate(samples(chance).astype("f4")):
            x[row] = values[:chance.randrange(1, VALUES + 1)]
        file["train/y"] = classes()
    return [path]


def write_sparse(path, chance):
    """CSR, as AnnData has it."""
    rows = [sorted(chance.sample(range(VALUES), chance.randrange(VALUES))) for _ in range(ROWS)]
    columns = numpy.array([column for row in rows for column in row], "i4")
    with h5py.File(path, "w") as file:
        x = file.create_group("train/x")
        x.attrs["encoding-type"] = "csr_matrix"
        x.attrs["shape"] = (ROWS, VALUES)
        x.create_dataset("data", data=columns.astype("f4") / 3, chunks=(16,), compression="gzip")
        x["indices"] = columns
        x["indptr"] = numpy.cumsum([0] + [len(row) for row in rows])
        file["train/y"] = classes()
    return [path]


def png(values):
    """An image of one row of gray pixels."""
    def part(name, content):
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
    header = struct.pack(">IIBBBBB", len(values), 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + bytes(int(value) for value in values))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", pixels) + part(b"IEND", b"")


def write_images(path, chance):
    with h5py.File(path, "w") as file:
        x = file.create_dataset("train/x", (ROWS,), h5py.vlen_dtype("u1"))
        for row, values in enumerate(samples(chance)):
            x[row] = numpy.frombuffer(png(values), "u1")
        file["train/y"] = classes()
    return [path]


def write_packed(path, chance):
    """Numbers by the CF conventions."""
    write(path, chance, "i2", chunks=(8, VALUES), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["train/x"].attrs.update(scale_factor=numpy.float32(0.1), add_offset=numpy.float32(3),
                                     _FillValue=numpy.int16(-9))
    return [path]


WRITERS = {
    "contiguous": lambda path, chance: write(path, chance),
    "chunked": lambda path, chance: write(path, chance, "u1", chunks=(7, 5)),
    "gzip": lambda path, chance: write(path, chance, chunks=(8, VALUES), compression="gzip"),
    "shuffle-gzip": lambda path, chance: write(path, chance, ">i4", probabilities(), chunks=(7, 5),
                                               compression="gzip", shuffle=True),
    "fletcher32": lambda path, chance: write(path, chance, chunks=(8, VALUES), compression="gzip",
                                             fletcher32=True),
    "lzf": lambda path, chance: write(path, chance, "f8", chunks=(7, 5), compression="lzf", shuffle=True),
    "nbit": write_nbit,
    "scale-offset": lambda path, chance: write(path, chance, "i4", chunks=(8, VALUES), scaleoffset=0),
    "virtual": write_virtual,
    "names": write_names,
    "sequences": write_sequences,
    "sparse": write_sparse,
    "images": write_images,
    "packed": write_packed,
    "latest": lambda path, chance: write(path, chance, "f4", probabilities(), NEWER, chunks=(8, 5),
                                         compression="gzip"),
}


def mutated(whole, chance):
    """The bytes of a file with something wrong, and how to call it."""
    content = bytearray(whole)
    at = chance.randrange(len(content))
    kind = chance.choice(["flip", "flip", "noise", "zeros", "ones", "swap", "cut"])
    if kind == "flip":
        bit = chance.randrange(8)
        content[at] ^= 1 << bit
        return bytes(content), f"bit {bit} of byte {at} flipped"
    if kind == "cut":
        return bytes(content[:at]), f"cut to {at} bytes"
    count = min(chance.choice([1, 2, 4, 8, 16, 64]), len(content) - at)
    if kind == "swap":
        other = chance.randrange(len(content) - count + 1)
        here, there = slice(at, at + count), slice(other, other + count)
        content[here], content[there] = content[there], content[here]
        return bytes(content), f"{count} bytes at {at} and {other} swapped"
    damage = {"noise": chance.randbytes(count), "zeros": bytes(count), "ones": b"\xff" * count}
    content[at:at + count] = damage[kind]
    return bytes(content), f"{count} bytes at {at} are {kind}"


def end_of(command, run):
    """Exit code as a shell has it ("time" when the time was up), what was printed as errors, and MiB of
    memory."""
    shutil.rmtree(run, ignore_errors=True)
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=errors, start_new_session=True)
        deadline = time.monotonic() + SECONDS
        timed_out = False
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline and not timed_out:
                timed_out = True
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.005)
        process.returncode = 0  # it is waited for
        code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        errors.seek(0)
        return "time" if timed_out else code, errors.read(), used.ru_maxrss / 1024


def what_is_wrong(task, code, errors, memory):
    if code not in GOOD_CODES[task]:
        return f"ended with {code}: {errors}"
    if memory > MEMORY_MIB:
        return f"took {memory:.0f} MiB"
    sentences = [line for line in errors.splitlines() if line.startswith("error: ")]
    if code != 0 and len(sentences) != 1:
        return f"ended with {code} and {len(sentences)} sentences: {errors}"
    return ""


def commands(arguments, path):
    train = [arguments.lockstep, "train", "--run", str(arguments.folder / "run"),
             "--set", f"data.train={path}:/train"]
    for setting in SETTINGS:
        train += ["--set", setting]
    return {"check": [arguments.lockstep, "data", "check", str(path)], "train": train}


def campaign(arguments):
    counts, wrong, longest, largest = collections.Counter(), 0, 0.0, 0.0
    names = [name for name in WRITERS if not arguments.only or name in arguments.only]
    for name in names:
        chance = random.Random(f"{arguments.seed} {name}")
        folder = arguments.folder / name
        folder.mkdir()
        files = WRITERS[name](folder / f"{name}.h5", chance)
        both = commands(arguments, files[0])
        for task, command in both.items():
            code, errors, _ = end_of(command, arguments.folder / "run")
            if code != 0:
                sys.exit(f"{name} as it was written: {task} ended with {code}: {errors}")
        wholes = [file.read_bytes() for file in files]
        for _ in range(arguments.mutations):
            which = chance.randrange(len(files))
            content, damage = mutated(wholes[which], chance)
            files[which].write_bytes(content)
            for task, command in both.items():
                begin = time.monotonic()
                code, errors, memory = end_of(command, arguments.folder / "run")
                longest, largest = max(longest, time.monotonic() - begin), max(largest, memory)
                counts[name, task, code] += 1
                if fault := what_is_wrong(task, code, errors, memory):
                    wrong += 1
                    print(f"{files[which].name}, {damage}: WRONG: {task} {fault.strip()}", flush=True)
                    if arguments.keep:
                        kept = arguments.keep / f"{wrong}-{files[which].name}"
                        kept.write_bytes(content)
            files[which].write_bytes(wholes[which])
    print_table(names, counts)
    print(f"{arguments.mutations} mutations of each of {len(names)} files: {wrong} wrong; "
          f"at most {longest:.1f} s and {largest:.0f} MiB")
    return wrong == 0


def print_table(names, counts):
    codes = sorted({(task, code) for _, task, code in counts}, key=str)
    print(" | ".join(["file"] + [f"{task} {code}" for task, code in codes]))
    for name in names:
        print(" | ".join([name] + [str(counts[(name, *code)]) for code in codes]))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lockstep", help="the program")
    parser.add_argument("--mutations", type=int, default=300, help="of each file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(WRITERS), help="these files alone")
    parser.add_argument("--keep", type=pathlib.Path, help="an existing folder for files that went wrong")
    arguments = parser.parse_args()
    if h5py is None:
        print("skipped: h5py is absent")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="lockstep-mutations-") as folder:
        arguments.folder = pathlib.Path(folder)
        return 0 if campaign(arguments) else 1


if __name__ == "__main__":
    sys.exit(main())

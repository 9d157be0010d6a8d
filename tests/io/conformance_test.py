#!/usr/bin/env python3
"""Compares every value that Lockstep reads of other people's HDF5 files with what h5py reads.

Arguments: the program read_values, and folders of files. Each data set of each file is either equal to the
bit, read directly and by libhdf5, or refused with a reason.
"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
except ImportError:
    h5py = None
try:
    import hdf5plugin  # noqa: F401 (more filters for h5py)
except ImportError:
    pass

SKIPPED = 77
TYPES = {"uint8": "u1", "int32": "<i4", "int64": "<i8", "float16": "<f2", "float32": "<f4",
         "float64": "<f8"}


def same_bits(stored, expected):
    """NaN may be any: a conversion need not keep its payload."""
    if stored.tobytes() == expected.tobytes():
        return True
    return expected.dtype.kind == "f" and numpy.array_equal(stored, expected, equal_nan=True)


def fault_of(dataset, line, out):
    """What is wrong with a data set that was read; "" if nothing, None if h5py cannot read it."""
    kind = TYPES.get(line["type"])
    if kind is None:
        return f"unknown type {line['type']}"
    try:
        expected = dataset[...]
    except (OSError, TypeError, ValueError, KeyError):
        return None
    if expected.dtype.kind not in "iufb":
        return f"h5py reads {expected.dtype}, Lockstep numbers"
    expected = numpy.ascontiguousarray(expected.astype(kind)).reshape(-1)
    for route in ("direct", "libhdf5"):
        file = out.with_suffix("." + route)
        if route == "libhdf5" and "not_by_libhdf5" in line:
            continue
        values = numpy.frombuffer(file.read_bytes(), kind)
        if values.shape != expected.shape:
            return f"{route}: {values.size} values, not {expected.size}"
        if not same_bits(values, expected):
            at = int(numpy.flatnonzero(values != expected)[0])
            return f"{route}: value {at} is {values[at]}, not {expected[at]}"
    return ""


def check_file(program, path, counts, refusals):
    """Number of faults."""
    with tempfile.TemporaryDirectory(prefix="lockstep-conformance-") as folder:
        done = subprocess.run([program, path.name, folder], cwd=path.parent, capture_output=True, text=True,
                              errors="replace", timeout=300)
        if done.returncode != 0:
            # libhdf5 may crash on a file, which `lockstep` sees in a child process.
            print(f"{path}: read_values ended with {done.returncode}: {done.stderr}")
            return 1
        wrong = 0
        lines = [json.loads(text) for text in done.stdout.splitlines()]
        for number, line in enumerate(lines):
            if "refused" in line:
                counts["refused"] += 1
                refusals[reason_of(line)] += 1
                if not line["refused"]:
                    print(f"{path}:{line.get('name')}: refused without a reason")
                    wrong += 1
                continue
            try:
                with h5py.File(path, "r") as file:
                    fault = fault_of(file[line["name"]], line, pathlib.Path(folder) / str(number))
            except (OSError, KeyError):
                fault = None
            if fault is None:
                counts["h5py cannot read it"] += 1
            elif fault:
                print(f"{path}:{line['name']}: {fault}")
                wrong += 1
            else:
                counts["equal, read directly" if line["is_direct"] else "equal, read by libhdf5"] += 1
        return wrong


def reason_of(line):
    """The reason without the name of the file, shortened, to count refusals by."""
    return " ".join(line["refused"].split(":", 2)[-1].split()[1:6])


def main():
    if h5py is None:
        print("skipped: h5py is absent")
        return SKIPPED
    program = pathlib.Path(sys.argv[1]).resolve()
    files = [file for folder in sys.argv[2:] for file in sorted(pathlib.Path(folder).rglob("*"))
             if file.suffix in (".h5", ".hdf5", ".nc")]
    if not files:
        print(f"skipped: no files in {sys.argv[2:]}")
        return SKIPPED
    counts, refusals = collections.Counter(), collections.Counter()
    wrong = sum(check_file(program, file.resolve(), counts, refusals) for file in files)
    print(f"{len(files)} files: " + ", ".join(f"{count} data sets {what}" for what, count in counts.items()))
    for reason, count in refusals.most_common():
        print(f"  refused {count}: ... {reason} ...")
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What `data info`, `data check` and `train` say of each file of shared/data/hdf5-trials, which stand for
what real writers produce.

Each row of TRIALS is a command and what it must end with and say. No command may crash, take long, or print
what is not meant for people.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
SECONDS = 120
DONE, USAGE, DATA = 0, 2, 3
MODEL = ["model.name=mlp", "model.hidden=[4]", "run.device=cpu", "run.threads=1", "train.steps=2",
         "train.global_batch=8", "checkpoint.every_epochs=0"]
TRIALS = [
    # (file, command, exit code, patterns in the output[, names of x and y])
    ("float_labels.h5", "train", DONE, ["classification, 4 classes", "the floats take few integer values"]),
    ("float_labels.h5", "check", DONE, ["task: classification, 4 classes"]),
    ("minus_one.h5", "train", DATA, ["label -1", "Number the classes from 0 on", "data.task"]),
    ("u16.h5", "train", DONE, ["uint16", "data.normalize"]),
    ("y_row.h5", "train", DONE, [r"/train/y \(1, 64\) has its samples on the last axis", "4 classes"]),
    ("bools.h5", "train", DONE, ["classification, 2 classes"]),
    ("strings.h5", "train", DONE, ["class names, from 0 on: cat, cow, dog, hen"]),
    ("strings.h5", "check", DONE, ["names of 4 classes", "cat 16"]),
    ("nan.h5", "train", DATA, ["/train/x: sample 13 holds NaN or infinity"]),
    ("nan.h5", "check", DATA, ["/train/x holds NaN or infinity in 2 of 1024 values, the first in sample 13"]),
    ("nan.h5", "stats", DONE, [r"all +\S+ +\S+ +\S+ +\S+ +2\n"]),
    ("vds_missing.h5", "train", DATA, ["rows 0 to 31 from x of vds_have.h5", "does not exist"]),
    ("vds_missing.h5", "check", DATA, ["rows 0 to 31 from x of vds_have.h5", "does not exist"]),
    ("vds_missing.h5", "info", DONE, ["/train/x cannot be trained on", "vds_have.h5", "/train/y"]),
    ("extlink.h5", "train", DONE, ["finished at step 2"]),
    ("extlink.h5", "info", DONE, ["external link to /images of extlink_target.h5", "soft link to /labels"]),
    ("extlink_gone.h5", "train", DATA, ["/train/x is an external link to /images of nowhere.h5",
                                        "does not exist"]),
    ("extlink_gone.h5", "info", DONE, ["nowhere.h5", "/train/y"]),
    ("extraw.h5", "train", DONE, ["finished at step 2"]),
    ("extraw_gone.h5", "train", DATA, ["raw file .*extraw_gone.bin, which does not exist"]),
    ("lzf.h5", "train", DONE, ["finished at step 2"]),
    ("lzf.h5", "check", DONE, ["task: classification"]),
    ("latest_v2.h5", "info", DATA, ["needs HDF5 2.0 or newer|/btree2", "/one", "/train/y"]),
    ("complex_h5t.h5", "info", DATA, ["HDF5 2.0 or newer|complex", "/y +"]),
    ("one_bad_among_good.h5", "info", DATA, ["/bad", "/a +", "/c +"]),
    ("one_bad_among_good.h5", "check", DATA, ["/bad", "/a +", "/c +"]),
    ("many_datasets.h5", "info", DONE, ["1,?500 data sets"]),
    ("many_datasets.h5", "check", DATA, ["/s1499 holds NaN or infinity"]),
    ("never_written.h5", "info", DONE, ["/train/x holds nothing"]),
    ("never_written.h5", "check", DONE, ["/train/x holds nothing"]),
    ("never_written.h5", "train", DONE, ["/train/x holds nothing", "finished at step 2"]),
    ("short_middle_chunk.h5", "train", DATA, [r"the chunk at \(4, 0\) is damaged"]),
    ("short_middle_chunk.h5", "check", DATA, [r"the chunk at \(4, 0\) is damaged"]),
    ("short_middle_chunk.h5", "stats", DATA, [r"the chunk at \(4, 0\) is damaged"]),
    ("matlab_like.mat", "train", DONE, [r"/X \(3, 8, 8, 64\) has its samples on the last axis",
                                        r"/y \(1, 64\) has its samples", "run from 1 to 4"], ("/X", "/y")),
    ("compound.h5", "info", DONE, ["/train is usable as .*pixels"]),
    ("compound.h5", "train", DATA, ["/train.pixels", "label"], ("/train", "/train.label")),
    ("compound.h5", "train", DONE, [r"/train.pixels \(64, 8, 8\) uint8", "classification"],
     ("/train.pixels", "/train.label")),
    ("fuel_like.h5", "train", DONE, [r"/features \(64, 8, 8, 3\)", "4 classes"], ("/features", "/targets")),
    ("fuel_like.h5", "train", DATA, ["/features", "/targets"]),
    ("anndata_csr_like.h5ad", "train", DONE, [r"sparse matrix \(CSR\)", "class names, from 0 on: a, b, c, d"],
     ("/X", "/obs/cell_type")),
    ("anndata_csr_like.h5ad", "train", DATA, ["/X/data"]),
    ("anndata_csr_like.h5ad", "info", DONE,
     [r'x = "/X", y = "/obs/cell_type"', r"/X: \(64, 100\) float32, a sparse"]),
    ("anndata_csr_like.h5ad", "check", DONE,
     ["names of 4 classes, with their targets: a 16, b 16, c 16, d 16"]),
    ("matlab_like.mat", "info", DONE,
     [r"/X \(3, 8, 8, 64\) has its samples on the last axis", 'x = "/X", y = "/y"']),
    ("matlab_like.mat", "check", DONE, ["classes 1 to 4, targets of each: 16 16 16 16"]),
    ("compound.h5", "info", DONE, ['x = "/train.pixels", y = "/train.label"']),
    ("compound.h5", "check", DONE, ["x = /train.pixels, y = /train.label: task: classification, 4 classes"]),
]


def words(lockstep, command, file, run, names=None):
    if command == "stats":
        return [lockstep, "data", "stats", f"{file}:/train"]
    if command != "train":
        return [lockstep, "data", command, str(file)]
    source = f'{{ files = "{file}", x = "{names[0]}", y = "{names[1]}" }}' if names else f"{file}:/train"
    settings = [f"data.train={source}", *MODEL]
    return [lockstep, "train", "--run", str(run)] + [word for set_ in settings for word in ("--set", set_)]


def fault_of(lockstep, folder, trial, run):
    """What is wrong with the outcome of a trial; "" if nothing is."""
    name, command, code, patterns = trial[:4]
    try:
        done = subprocess.run(words(str(lockstep), command, folder / name, run, *trial[4:]),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=SECONDS, cwd=run.parent)
    except subprocess.TimeoutExpired:
        return f"took more than {SECONDS} s"
    output = done.stdout + done.stderr
    if "HDF5-DIAG" in output or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", output):
        return f"printed what is not for people:\n{output}"
    if done.returncode != code:
        return f"ended with {done.returncode}, not {code}:\n{output}"
    if done.returncode != DONE and len(re.findall("^error: ", done.stderr, re.MULTILINE)) != 1:
        return f"said no one sentence of error:\n{done.stderr}"
    output = re.sub(r"\n +", " ", output)  # long lines are wrapped
    missing = [pattern for pattern in patterns if not re.search(pattern, output)]
    return f"does not say {missing}:\n{output}" if missing else ""


def unnamed(folder):
    """Files of the folder that no trial reads."""
    others = {"README.md", "extraw.bin", "extlink_target.h5"}
    return {file.name for file in folder.iterdir()} - others - {trial[0] for trial in TRIALS}


def counts_all(lockstep, folder):
    """data info --json lists each data set, however many there are."""
    done = subprocess.run(words(str(lockstep), "info", folder / "many_datasets.h5", None) + ["--json"],
                          capture_output=True, check=True)
    return len(json.loads(done.stdout)["datasets"]) == 1500


def main():
    lockstep, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    if not folder.is_dir():
        print(f"skipped: {folder} is absent")
        return SKIPPED
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="lockstep-trials-") as scratch:
        for number, trial in enumerate(TRIALS):
            run = pathlib.Path(scratch) / f"run-{number}"
            if fault := fault_of(lockstep, folder, trial, run):
                wrong += 1
                print(f"{trial[1]} {trial[0]}: {fault}")
    if missing := unnamed(folder):
        wrong += 1
        print(f"no trial reads {sorted(missing)}")
    if not counts_all(lockstep, folder):
        wrong += 1
        print("data info --json leaves out data sets of many_datasets.h5")
    print(f"{len(TRIALS)} trials, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

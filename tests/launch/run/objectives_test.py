#!/usr/bin/env python3
"""Trains one small model for each kind of target on 1, 2 and 4 ranks: what is reported must be equal to the
last digit. Then computes every metric from what `lockstep predict` wrote (judges.py), and compares it with
`lockstep eval`.

The targets are made from images of digits: a class, of which some are rare; several labels of 0 and 1; a
class of each pixel, some of which are ignored; a class of each voxel of a volume, and of each row; the next
gray of a row of pixels; and numbers. objectives_test.py LOCKSTEP [--digits FILE.h5]
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

sys.dont_write_bytecode = True  # nothing is left behind in the source tree
import judges  # noqa: E402
from judges import IGNORED  # noqa: E402

RANKS = (1, 2, 4)
CLASS_METRICS = ["accuracy", "top_3", "balanced_accuracy", "precision", "recall", "f1", "iou", "auc",
                 "perplexity", "recall_7", "auc_7"]
LABEL_METRICS = ["accuracy", "precision", "recall", "f1", "iou", "auc"]
MASK_METRICS = ["accuracy", "balanced_accuracy", "f1", "iou", "perplexity"]
NUMBER_METRICS = ["mae", "rmse", "r2"]

TOKEN_NET = """
[[layer]]
kind = "embedding"
entries = "classes"
width = 5
[[layer]]
kind = "linear"
outputs = "classes"
"""

POSITION_NET = """
[[layer]]
kind = "linear"
outputs = 16
[[layer]]
kind = "relu"
[[layer]]
kind = "linear"
outputs = "classes"
"""

MASK_NET = """
[[layer]]
kind = "conv2d"
filters = 8
kernel = 3
padding = 1
[[layer]]
kind = "relu"
[[layer]]
kind = "conv2d"
filters = 8
kernel = 5
padding = 2
[[layer]]
kind = "relu"
[[layer]]
kind = "linear"
outputs = "classes"
"""


def make_rare(x, y):
    """Classes 5 to 9 lose four of five samples."""
    keep = (y < 5) | (np.arange(len(y)) % 5 == 0)
    return x[keep], y[keep]


def make_labels(x, y):
    """Even, above 4, prime, with a loop."""
    labels = [y % 2 == 0, y > 4, np.isin(y, (2, 3, 5, 7)), np.isin(y, (0, 6, 8, 9))]
    return x, np.stack(labels, 1).astype(np.uint8)


def make_masks(x, y):
    """Background, ink of a digit below 5, ink of another; the edges of strokes are ignored."""
    ink = np.where(y < 5, 1, 2)[:, None, None]
    masks = np.where(x > 160, ink, 0)
    masks[(x > 40) & (x <= 160)] = IGNORED
    return x, masks.astype(np.uint8)


def make_volumes(x, y):
    """Images in four layers of seven rows; each voxel is background, pale or dark."""
    volumes = x.reshape(len(x), 4, 7, x.shape[2])
    return volumes[..., None], np.digitize(volumes, (40, 160)).astype(np.uint8)


def make_rows(x, y):
    """Each row of an image is a vector, of the class of how much ink it has."""
    return x.astype(np.float32) / 255, np.digitize((x > 100).sum(2), (1, 4)).astype(np.int32)


def make_tokens(x, y):
    """Rows of pixels in eight grays; each is to be told from the one before."""
    return (x // 32).reshape(-1, x.shape[2]), None


def make_numbers(x, y):
    """Mean of the pixels, and height of the ink's center."""
    rows = x.astype(np.float64).sum(2)
    center = (rows * np.arange(x.shape[1])).sum(1) / np.maximum(rows.sum(1), 1)
    return x, np.stack([x.mean((1, 2)) / 32, center / 10], 1).astype(np.float32)


class Kind:
    def __init__(self, make, metrics, compute, sklearn_compute, settings):
        self.make, self.metrics, self.settings = make, metrics, settings
        self.judges = {"NumPy": compute}
        if judges.sklearn is not None:
            self.judges["scikit-learn"] = sklearn_compute


def kinds(folder):
    net, position_net = folder / "mask-net.toml", folder / "position-net.toml"
    token_net = folder / "token-net.toml"
    net.write_text(MASK_NET)
    position_net.write_text(POSITION_NET)
    token_net.write_text(TOKEN_NET)
    return {
        "rare": Kind(make_rare, CLASS_METRICS, judges.compute_rare, judges.sklearn_rare,
                     ["model.name=mlp", "train.class_weights=balanced", "train.label_smoothing=0.05"]),
        "labels": Kind(make_labels, LABEL_METRICS, judges.compute_labels, judges.sklearn_labels,
                       ["model.name=mlp", "train.pos_weight=[1, 1, 2, 1.5]"]),
        "masks": Kind(make_masks, MASK_METRICS, judges.compute_masks, judges.sklearn_masks,
                      [f"model.file={net}", f"train.ignore_label={IGNORED}",
                       "train.class_weights=[1, 4, 4]"]),
        "volumes": Kind(make_volumes, MASK_METRICS, judges.compute_positions, judges.sklearn_masks,
                        [f"model.file={position_net}", "train.class_weights=balanced"]),
        "rows": Kind(make_rows, MASK_METRICS, judges.compute_positions, judges.sklearn_masks,
                     [f"model.file={position_net}", "data.normalize=none"]),
        "tokens": Kind(make_tokens, MASK_METRICS, judges.compute_positions, judges.sklearn_masks,
                       [f"model.file={token_net}", "data.task=tokens", "data.classes=8"]),
        "numbers": Kind(make_numbers, NUMBER_METRICS, judges.compute_numbers, judges.sklearn_numbers,
                        ["model.name=mlp", "train.loss=huber", "train.huber_delta=0.5",
                         "train.early_stop={ metric = \"validation_r2\" }"])}


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        text = " ".join(map(str, command))
        sys.exit(f"{text}\nended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def on_ranks(arguments, ranks):
    return [arguments.mpirun, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "-np", str(ranks),
            arguments.lockstep]


def train(arguments, name, kind, data, ranks):
    """The metrics of all epochs and of the end."""
    folder = arguments.folder / f"{name}-{ranks}"
    settings = [f"data.train={data}:/train", f"data.test={data}:/test", "data.validation_split=0.1",
                "run.reproducible=true", "run.threads=1", f"train.epochs={arguments.epochs}",
                "train.metrics=" + json.dumps(kind.metrics)] + kind.settings
    command = on_ranks(arguments, ranks) + ["train", "--run", str(folder)]
    for setting in settings:
        command += ["--set", setting]
    run(command)
    found = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] in ("epoch", "end"):
            found.append({key: value for key, value in event.items()
                          if key.startswith(("train_", "validation_", "test_", "weights_hash"))})
    return folder, found


def evaluate(arguments, folder, ranks):
    return json.loads(run(on_ranks(arguments, ranks) + ["eval", str(folder), "--json"]))


def check(arguments, name, kind, data):
    """Whether this kind of target is trained alike on all ranks and measured as NumPy does."""
    runs = {ranks: train(arguments, name, kind, data, ranks) for ranks in RANKS}
    folder, reference = runs[1]
    equal = all(found == reference for _, found in runs.values())
    report = evaluate(arguments, folder, 1)
    equal = equal and evaluate(arguments, folder, 2) == report
    end = reference[-1]
    equal = equal and all(end[f"test_{metric}"] == report[metric] for metric in kind.metrics)

    out = arguments.folder / f"{name}.h5"
    run([arguments.lockstep, "predict", str(folder), "--data", f"{data}:/test", "--out", str(out)])
    with h5py.File(out) as file:
        answers = {key: values[()] for key, values in file.items()}
    with h5py.File(data) as file:
        targets = file["test/y"][()] if "y" in file["test"] else file["test/x"][:, 1:]
    print(f"{name}: {'equal' if equal else 'DIFFERENT'} on {RANKS} ranks")
    expected = {judge: compute(answers, targets) for judge, compute in kind.judges.items()}
    if "perplexity" in kind.metrics and not any("class_weights" in setting for setting in kind.settings):
        expected["exp(loss)"] = {"perplexity": math.exp(report["loss"])}
    unsure = {"auc": max(values.get("auc_near", 0) for values in expected.values())}
    good = equal
    for metric in kind.metrics:
        line = f"  {metric:18} {report[metric]:.12g}"
        for judge, values in expected.items():
            if metric not in values:
                continue
            same = math.isclose(report[metric], values[metric], rel_tol=1e-6, abs_tol=unsure.get(metric, 0))
            line += f"  {judge} {values[metric]:.12g}{'' if same else ' DIFFERENT'}"
            good = good and same
        print(line)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("lockstep")
    parser.add_argument("--digits", help="train and test images and their classes; default: generated")
    parser.add_argument("--mpirun", default="mpirun")
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lockstep-objectives-") as folder:
        arguments.folder = pathlib.Path(folder)
        digits = arguments.digits
        if not digits:
            digits = arguments.folder / "digits.h5"
            run([arguments.lockstep, "data", "synth", "digits", str(digits),
                 "--train", str(arguments.samples), "--test", str(arguments.samples // 2)])
        good = True
        for name, kind in kinds(arguments.folder).items():
            data = arguments.folder / f"{name}-data.h5"
            with h5py.File(digits) as source, h5py.File(data, "w") as file:
                for split, samples in (("train", arguments.samples), ("test", arguments.samples // 2)):
                    x, y = kind.make(source[f"{split}/x"][:samples], source[f"{split}/y"][:samples])
                    file[f"{split}/x"] = x
                    if y is not None:
                        file[f"{split}/y"] = y
            good = check(arguments, name, kind, data) and good
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    sys.exit(main())

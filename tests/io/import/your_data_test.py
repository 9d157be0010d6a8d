#!/usr/bin/env python3
"""Runs every command of docs/your-data.md, in a folder with the files that it speaks of.
your_data_test.py LOCKSTEP DOCS
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

SMALL = ["--set", "run.device=cpu", "--set", "run.threads=1", "--set", "train.epochs=1", "--set",
         "train.global_batch=8", "--set", "train.micro_batch=8"]


def write_images(folder):
    """Photos of two classes, and scans with tables of classes and of numbers."""
    random = np.random.default_rng(1)
    (folder / "scans").mkdir()
    classes, ages = ["file,class"], ["file,age"]
    for i in range(40):
        name = ("cat", "dog")[i % 2]
        image = Image.fromarray(random.integers(0, 256, (70 + i, 80, 3), np.uint8))
        (folder / "photos" / name).mkdir(parents=True, exist_ok=True)
        image.save(folder / "photos" / name / f"{i}.jpg")
        image.convert("L").save(folder / "scans" / f"{i}.png")
        classes.append(f"{i}.png,\"{name}, {i % 2}\"")
        ages.append(f"{i},{i * 1.5}")
    (folder / "classes.csv").write_text("\n".join(classes))
    (folder / "ages.csv").write_text("\n".join(ages))


def write_arrays(folder):
    """Arrays in files of their own, and in .npz files with Keras's names and with others."""
    random = np.random.default_rng(2)
    images, labels = random.integers(0, 256, (60, 28, 28), np.uint8), random.integers(0, 10, 60)
    np.save(folder / "x.npy", images)
    np.save(folder / "y.npy", labels)
    np.savez(folder / "digits.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    np.savez_compressed(folder / "measured.npz", signals=random.normal(size=(60, 50)), labels=labels)


def commands_of(page):
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()]


def main():
    lockstep = pathlib.Path(sys.argv[1]).resolve()
    commands = commands_of(pathlib.Path(sys.argv[2]) / "your-data.md")
    assert len(commands) >= 12, commands
    environment = dict(os.environ, PATH=f"{lockstep.parent}:{os.environ['PATH']}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_images(folder)
        write_arrays(folder)
        for command in commands:
            words = command.split()
            assert words[0] == "lockstep", command
            if words[1] == "train":
                words += SMALL
            done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            print(f"ran {command}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the data sets that compare.py measures: the same images, stored in different ways.

usage: bench/loader/make_data.py FOLDER [--samples 20000]

Each file has train/x (N, 64, 64, 3) and train/y (N). The images are smooth with a little noise and have 32
levels per channel, so that gzip halves them. Needs h5py and NumPy.
"""
import argparse
import os

import h5py
import numpy

SIZE = 64
SAMPLES_AT_ONCE = 512
# Name, type in the file, and h5py's options; "rows" is the number of samples of a chunk.
STORAGES = {
    "contiguous": ("u1", {}),
    "chunked": ("u1", {"rows": 16}),
    "gzip-16": ("u1", {"rows": 16, "compression": "gzip"}),
    "gzip-512": ("u1", {"rows": 512, "compression": "gzip"}),
    "lzf": ("u1", {"rows": 16, "compression": "lzf"}),
    "f16": ("f2", {}),
    "f32-big-endian": (">f4", {}),
    "shuffle-gzip-fletcher32": ("f4", {"rows": 16, "compression": "gzip", "shuffle": True,
                                       "fletcher32": True}),
}


def images(random, count):
    """uint8: two waves per image and channel, and noise."""
    at = numpy.linspace(0, 2 * numpy.pi, SIZE, dtype=numpy.float32)
    frequency = random.uniform(0.3, 2, (2, count, 1, 1, 3)).astype(numpy.float32)
    phase = random.uniform(0, 6, (2, count, 1, 1, 3)).astype(numpy.float32)
    waves = (numpy.sin(frequency[0] * at[:, None, None] + phase[0]) +
             numpy.sin(frequency[1] * at[None, :, None] + phase[1]))
    noise = random.standard_normal(waves.shape, numpy.float32)
    return numpy.clip(128 + 50 * waves + noise, 0, 255).astype(numpy.uint8) // 8 * 8


def write(path, samples, dtype, options):
    random = numpy.random.default_rng(1)
    options = dict(options)
    if rows := options.pop("rows", None):
        options["chunks"] = (rows, SIZE, SIZE, 3)
    # Complete, or not there.
    with h5py.File(path + ".part", "w") as file:
        x = file.create_dataset("train/x", (samples, SIZE, SIZE, 3), dtype, **options)
        for first in range(0, samples, SAMPLES_AT_ONCE):
            values = images(random, min(SAMPLES_AT_ONCE, samples - first))
            x[first:first + len(values)] = values if dtype == "u1" else values / numpy.float32(256)
        file["train/y"] = random.integers(0, 10, samples)
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--samples", type=int, default=20000)
    parser.add_argument("--only", default=",".join(STORAGES), help="names of files (default: all)")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    for name in args.only.split(","):
        path = os.path.join(args.folder, name + ".h5")
        write(path, args.samples, *STORAGES[name])
        print(f"{path}: {os.path.getsize(path) / 2**20:,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()

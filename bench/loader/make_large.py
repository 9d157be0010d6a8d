#!/usr/bin/env python3
"""Makes files that are large by their headers and small on disk, to see what starting on such files takes.

contiguous: x (N, 64, 64, 3) uint8 of 100 GB in one piece. chunks: x (N, 4096) uint8 in 10 million chunks of a
sample, all of which have a place in the file. datasets: 10,000 data sets of a sample each. No value of x was
ever written, so that the file system stores nothing but the indexes.
"""
import argparse
import time

import h5py
import numpy


def unwritten(group, name, shape, chunks=None):
    """A data set of uint8 that has a place in the file, and no values."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    if chunks:
        properties.set_chunk(chunks)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_U8LE, h5py.h5s.create_simple(shape), properties)


def make(path, kind, count, libver):
    with h5py.File(path, "w", libver=libver) as file:
        group = file.create_group("train")
        if kind == "datasets":
            data = file.create_group("data")
            for number in range(count):
                data.create_dataset(str(number), data=numpy.full((28, 28), number % 255, "f4"))
            return
        group["y"] = (numpy.arange(count) % 10).astype("u1")
        if kind == "contiguous":
            unwritten(group, "x", (count, 64, 64, 3))
        else:
            unwritten(group, "x", (count, 4096), (1, 4096))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["contiguous", "chunks", "datasets"])
    parser.add_argument("file")
    parser.add_argument("--count", type=int, help="samples, chunks or data sets")
    parser.add_argument("--libver", default="earliest", help="format of the file: earliest or latest")
    arguments = parser.parse_args()
    counts = {"contiguous": 8_138_021, "chunks": 10_000_000, "datasets": 10_000}
    begin = time.monotonic()
    make(arguments.file, arguments.kind, arguments.count or counts[arguments.kind], arguments.libver)
    print(f"{arguments.file}: made in {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()

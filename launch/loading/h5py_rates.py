"""Reads a data set as Python programs do, and prints samples per second as JSON.

usage: h5py_rates.py FILE X Y BATCH SECONDS WORKERS,WORKERS,...   (Y: "" if there are no targets)

`lockstep bench loader` contains this file and runs it.
"""
import json
import sys
import time

path, x_name, y_name, batch, seconds = *sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5])
workers = [int(number) for number in sys.argv[6].split(",")]
try:
    import h5py
    import numpy
except ImportError as error:
    print(json.dumps({"reason": f"{sys.executable}: {error}"}))
    sys.exit()
try:
    import torch
except ImportError:
    torch = None


def median_rate(batches):
    """Samples per second: the median over five parts of the time, after a tenth of it untimed."""
    def samples_until(end):
        samples, start = 0, time.perf_counter()
        while True:
            samples += next(batches)
            if (now := time.perf_counter()) >= end:
                return samples / (now - start)

    samples_until(time.perf_counter() + seconds / 10)
    return sorted(samples_until(time.perf_counter() + seconds / 5) for _ in range(5))[2]


def in_order(x, y):
    while True:
        for first in range(0, len(x), batch):
            rows = x[first:first + batch]
            if y is not None:
                y[first:first + batch]
            yield len(rows)


def random_batches(count):
    random = numpy.random.default_rng(1)
    while True:
        order = random.permutation(count)
        for first in range(0, count, batch):
            yield order[first:first + batch]


def by_list(x, y):
    """One selection per batch, which h5py wants sorted."""
    for rows in random_batches(len(x)):
        rows.sort()
        x[rows]
        if y is not None:
            y[rows]
        yield len(rows)


def row_by_row(x, y):
    for rows in random_batches(len(x)):
        numpy.stack([x[row] for row in rows])
        if y is not None:
            numpy.stack([y[row] for row in rows])
        yield len(rows)


class Samples:
    """A map-style data set for torch's DataLoader; each worker opens the file itself."""

    def __init__(self, count):
        self.count, self.file = count, None

    def __len__(self):
        return self.count

    def __getitem__(self, row):
        if self.file is None:
            self.file = h5py.File(path)
            self.x, self.y = self.file[x_name], self.file[y_name] if y_name else None
            self.native = self.x.dtype.newbyteorder("=")  # torch refuses the other byte order
        sample = self.x[row].astype(self.native, copy=False)
        return sample if self.y is None else (sample, self.y[row])


def through_torch(count, number):
    loader = torch.utils.data.DataLoader(Samples(count), batch, shuffle=True, num_workers=number,
                                         persistent_workers=number > 0)
    while True:
        for samples in loader:
            yield len(samples if not y_name else samples[0])


with h5py.File(path) as file:
    x, y = file[x_name], file[y_name] if y_name else None
    rates = {"in_order": median_rate(in_order(x, y)), "by_list": median_rate(by_list(x, y)),
             "row_by_row": median_rate(row_by_row(x, y))}
    count = len(x)
result = {"h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version, "torch": None,
          "samples_per_s": rates, "dataloader": []}
if torch is not None:
    torch.set_num_threads(1)
    result["torch"] = torch.__version__
    try:
        for number in workers:
            result["dataloader"].append({"workers": number,
                                         "samples_per_s": median_rate(through_torch(count, number))})
    except Exception as error:  # of a type that torch does not know
        result["dataloader_reason"] = str(error).splitlines()[-1]
print(json.dumps(result))

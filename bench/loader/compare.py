#!/usr/bin/env python3
"""Runs `lockstep bench loader` on each file that make_data.py wrote, and writes Markdown tables.

usage: bench/loader/compare.py FOLDER [--lockstep PROGRAM] [--python PYTHON] [--seconds 3] [--threads 1,2]
                               [--batch 128] [--only NAME,...] [--orders full,off] [--out FILE.md]
                               [--json FILE.json]

Each data set is streamed (--memory-budget 0), in every order. PYTHON needs h5py, and torch for the column
DataLoader. "CPU us" and "... us" are CPU times for a sample and, with the limits, for as many bytes.
"""
import argparse
import glob
import json
import os
import subprocess
import sys

LIMITS = ("copy", "read_in_order", "read_scattered")


def measure(args, path, order, python):
    command = [args.lockstep, "bench", "loader", "--json", "--data", f"{path}:/train", "--shuffle", order,
               "--memory-budget", "0", "--threads", args.threads, "--batch", str(args.batch),
               "--seconds", str(args.seconds), "--python", python]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{path}: {result.stderr}")
    return json.loads(result.stdout)


def rate(spread):
    """Median, and the range of the repeats."""
    return f"{spread['median']:,.0f} ({spread['min']:,.0f} to {spread['max']:,.0f})"


def loader_rows(name, result):
    for at in result["loader"]:
        yield [name, result["order"], result["route"], at["threads"], rate(at["samples_per_s"]),
               f"{at['gb_per_s']['median']:.2f}", f"{at['decode_us_per_sample']:.2f}",
               *(f"{at[limit]['cpu_us_per_sample']:.2f}" for limit in LIMITS),
               f"{at['first_batch_ms']:.1f}", f"{result['peak_host_bytes'] / 2**20:,.0f}"]


def limit_rows(name, result):
    for at in result["loader"]:
        yield [name, result["order"], at["threads"],
               *(f"{at[limit]['gb_per_s']['median']:.2f} ({100 * at[limit]['share']:.0f} %)"
                 for limit in LIMITS), f"{result['cold_read_gb_per_s']:.2f}"]


def h5py_row(name, result):
    h5py = result["h5py"]
    if "reason" in h5py:
        return [name, h5py["reason"], "", "", ""]
    rates = h5py["samples_per_s"]
    return [name, *(f"{rates[key]:,.0f}" for key in ("in_order", "by_list", "row_by_row")),
            ", ".join(f"{of['samples_per_s']:,.0f} ({of['workers']})" for of in h5py["dataloader"])]


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--lockstep", default="build/release/launch/lockstep")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--only", help="names of files without .h5 (default: all in FOLDER)")
    parser.add_argument("--orders", default="full,off")
    parser.add_argument("--out", help="Markdown (default: standard output)")
    parser.add_argument("--json", help="also write everything that was measured")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else sorted(
        os.path.basename(path)[:-3] for path in glob.glob(os.path.join(args.folder, "*.h5")))

    results, rates, limits, peers = [], [], [], []
    for name in names:
        for order in (orders := args.orders.split(",")):
            # What h5py does is the same in every order, so once is enough.
            python = args.python if order == orders[0] else ""
            result = measure(args, os.path.join(args.folder, name + ".h5"), order, python)
            results.append({"name": name, **result})
            rates += loader_rows(name, result)
            limits += limit_rows(name, result)
            if python:
                peers.append(h5py_row(name, result))
            print(f"{name}, {order}: " + "; ".join(
                f"{each['threads']} threads {rate(each['samples_per_s'])}" for each in result["loader"]),
                file=sys.stderr, flush=True)
    text = table(["data", "order", "route", "threads", "samples/s", "GB/s", "CPU us", "copy us", "read us",
                  "scattered us", "first ms", "peak MiB"], rates)
    text += "\n" + table(["data", "order", "threads", "copy GB/s (reached)", "read GB/s (reached)",
                          "scattered GB/s (reached)", "cold GB/s"], limits)
    text += "\n" + table(["data", "h5py in order", "random, by list", "random, row by row",
                          "DataLoader (workers)"], peers)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    if args.out:
        with open(args.out, "w") as file:
            file.write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()

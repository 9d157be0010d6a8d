#!/usr/bin/env python3
"""Writes golden files, all by default. Needs PyTorch, torchvision and h5py.

usage: tests/golden/write.py [NAME ...]
"""

import importlib
import pathlib
import sys

import golden

HERE = pathlib.Path(__file__).parent


def main():
    for module in sorted(HERE.glob("cases_*.py")):
        importlib.import_module(module.stem)
    unknown = [name for name in sys.argv[1:] if name not in golden.FILES]
    if unknown:
        sys.exit(f"unknown golden file '{unknown[0]}'; known are {', '.join(golden.FILES)}")
    for name in sys.argv[1:] or golden.FILES:
        golden.write(name)


if __name__ == "__main__":
    main()

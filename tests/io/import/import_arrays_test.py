#!/usr/bin/env python3
"""Compares `lockstep data import npy` and `npz` with what NumPy wrote: every type of numbers, both byte orders
and both orders of elements, all versions of the format, members stored, deflated and of zip64; and what is
refused. import_arrays_test.py LOCKSTEP
"""
import io
import pathlib
import subprocess
import sys
import tempfile
import zipfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TYPES = ["?", "i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8",
         "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16"]
DATA = 3


class Trial:
    def __init__(self, lockstep, folder):
        self.lockstep, self.folder = lockstep, folder

    def run(self, *words):
        command = [self.lockstep, "data", "import", *words, "out.h5", "--force"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)

    def expect(self, arrays, *words):
        """Imports and compares data sets with arrays, by bytes."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        with h5py.File(self.folder / "out.h5") as file:
            found = []
            file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
            assert sorted(found) == sorted(arrays), (found, list(arrays))
            for name, array in arrays.items():
                stored = file[name][:]
                assert stored.dtype == array.dtype, f"{words}: {stored.dtype}, not {array.dtype}"
                assert stored.shape == array.shape, f"{words}: {stored.shape}, not {array.shape}"
                assert stored.tobytes() == np.ascontiguousarray(array).tobytes(), f"{words}: {name} differs"
        return done.stdout

    def refuse(self, parts, *words):
        (self.folder / "out.h5").unlink(missing_ok=True)
        done = self.run(*words)
        assert done.returncode == DATA, f"{words}: {done.returncode}: {done.stderr}"
        for part in parts:
            assert part in done.stderr, f"{words}: '{part}' is missing in: {done.stderr}"
        assert not list(self.folder.glob("out.h5*")), "something was left behind"


def import_types(trial, random):
    for text in TYPES:
        for shape in ((7,), (5, 3), (4, 3, 2, 5)):
            for order in "CF":
                bits = random.integers(0, 2, shape) if text == "?" else random.normal(0, 50, shape)
                if np.dtype(text).kind == "u":
                    bits = np.abs(bits)
                array = np.asarray(bits.astype(text), order=order)
                np.save(trial.folder / "x.npy", array)
                trial.expect({"train/x": array}, "npy", "x.npy")
    print(f"{len(TYPES)} types are imported bit by bit")


def import_versions(trial, random):
    x, y = random.normal(size=(1000, 40)).astype("f4"), random.integers(0, 9, 1000)
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(trial.folder / "x.npy", "wb") as file:
            np.lib.format.write_array(file, x, version)
        np.save(trial.folder / "y.npy", y)
        trial.expect({"train/x": x, "train/y": y}, "npy", "x.npy", "y.npy")


def import_npz(trial, random):
    arrays = {name: random.integers(0, 256, (100 if "train" in name else 20,) + shape, dtype=np.uint8)
              for name, shape in (("x_train", (28, 28)), ("y_train", ()), ("x_test", (28, 28)), ("y_test", ()))}
    groups = {f"{name[2:]}/{name[0]}": array for name, array in arrays.items()}
    for save in (np.savez, np.savez_compressed):
        save(trial.folder / "a.npz", **arrays, more=np.arange(3))
        print(trial.expect(groups, "npz", "a.npz"))
        named = trial.run("npz", "a.npz", "--x", "x_test", "--y", "y_test")
        assert named.returncode == 0, named.stderr
    fortran = np.asfortranarray(random.normal(size=(300, 17, 5)))
    np.savez_compressed(trial.folder / "a.npz", X=fortran, y=np.arange(300))
    trial.expect({"train/x": fortran, "train/y": np.arange(300)}, "npz", "a.npz")
    trial.refuse(["no array z there. It holds: X float64 (300, 17, 5), y int64 (300)"], "npz", "a.npz", "--x", "z")
    np.savez(trial.folder / "a.npz", images=fortran, classes=np.arange(300))
    trial.refuse(["Name the samples with --x", "images float64"], "npz", "a.npz")


def import_zip64(trial):
    """As if the limits of zip were reached."""
    x = np.arange(600).reshape(100, 6)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 100
    try:
        with zipfile.ZipFile(trial.folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
            for name in ("y", "x"):
                content = io.BytesIO()
                np.save(content, x)
                file.writestr(name + ".npy", content.getvalue())
            file.comment = b"a comment"
    finally:
        zipfile.ZIP64_LIMIT = limit
    assert b"PK\x06\x06" in (trial.folder / "a.npz").read_bytes()
    trial.expect({"train/x": x, "train/y": x}, "npz", "a.npz")


def refuse_others(trial):
    wrong = {"Python objects": np.array([1, None, "a"], object), "text": np.array(["cat", "dog"]),
             "dates or times": np.array(["2026-01-01"], "M8[D]"), "records": np.zeros(3, [("a", "i4")]),
             "extended precision": np.zeros(3, np.longdouble), "one number": np.array(3.5),
             "empty": np.zeros((0, 3))}
    for part, array in wrong.items():
        np.save(trial.folder / "x.npy", array, allow_pickle=True)
        trial.refuse([part], "npy", "x.npy")
    good = trial.folder / "good.npy"
    np.save(good, np.arange(20))
    content = good.read_bytes()
    for bytes_, part in ((content[:-1], "cut short"), (content + b"x", "too long"), (b"text", "not an array"),
                         (content[:60], "ends within its header"), (b"", "not an array"),
                         (content.replace(b"(20,)", b"(21,)"), "cut short"),
                         (content.replace(b"'descr'", b"'descs'"), "header is damaged")):
        (trial.folder / "x.npy").write_bytes(bytes_)
        trial.refuse(["x.npy", part], "npy", "x.npy")
    np.save(trial.folder / "y.npy", np.arange(19))
    trial.refuse(["good.npy has 20 samples, and y.npy has 19"], "npy", "good.npy", "y.npy")
    trial.refuse(["not a zip file", "import it as npy"], "npz", "good.npy")
    np.savez_compressed(trial.folder / "a.npz", x=np.arange(5000))
    content = bytearray((trial.folder / "a.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (trial.folder / "a.npz").write_bytes(content)
    trial.refuse(["a.npz: x is damaged"], "npz", "a.npz")
    (trial.folder / "a.npz").write_bytes(content[:-5])
    trial.refuse(["its end is missing"], "npz", "a.npz")


def main():
    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(name))
        import_types(trial, random)
        import_versions(trial, random)
        import_npz(trial, random)
        import_zip64(trial)
        refuse_others(trial)


if __name__ == "__main__":
    main()

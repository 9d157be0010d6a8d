#!/usr/bin/env python3
"""Compares `lockstep data import images` with Pillow: 200 images of every mode that JPEG and PNG store, the
eight orientations of Exif, all ways to fit a size, one and three channels. import_images_test.py LOCKSTEP
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    from PIL import Image, ImageOps
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

HEIGHT, WIDTH = 24, 32
EXIF_ORIENTATION = 0x0112
# Pillow rounds between its two passes, and decodes JPEG by a library of its own.
MAX_DIFFERENCE = {"png": 1, "jpg": 2}


def smooth(random, height, width, channels):
    """An image that is smooth, as JPEG's rounding of sharp ones hides errors, and differs along both axes."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 60 * np.sin(x / random.uniform(4, 20) + c) + 60 * np.cos(y / random.uniform(4, 20))
             for c in range(channels)]
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)


def odd_images(random):
    """Yields (ending, image, options of save) of 25 kinds, eight of each."""
    for _ in range(8):
        height, width = (int(n) for n in random.integers(20, 90, 2))
        gray, color = smooth(random, height, width, 1)[..., 0], smooth(random, height, width, 3)
        rgba = Image.fromarray(smooth(random, height, width, 4), "RGBA")
        wide = Image.fromarray(gray.astype(np.uint16) * 257)
        yield "png", Image.fromarray(gray), {}
        yield "png", Image.fromarray(color), {}
        yield "png", Image.fromarray(color), {"optimize": True}
        yield "png", rgba, {}
        yield "png", Image.fromarray(smooth(random, height, width, 2), "LA"), {}
        yield "png", Image.fromarray(color).quantize(200), {}
        yield "png", Image.fromarray(color).quantize(13), {}
        yield "png", Image.fromarray(color).quantize(16), {"transparency": 3}
        yield "png", Image.fromarray(gray > 127), {}
        yield "png", wide, {}
        yield "jpg", Image.fromarray(gray), {"quality": 95}
        yield "jpg", Image.fromarray(color), {"quality": 95, "subsampling": 0}
        yield "jpg", Image.fromarray(color), {"quality": 95, "subsampling": 0, "progressive": True}
        yield "jpg", Image.fromarray(gray), {"quality": 90, "progressive": True}
        yield "jpg", rgba.convert("RGB").convert("CMYK"), {"quality": 95}
        yield "jpg", Image.fromarray(color), {"quality": 95, "subsampling": 0, "icc_profile": b"x" * 90000}
        yield "jpg", Image.fromarray(gray), {"quality": 95, "optimize": True}
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[EXIF_ORIENTATION] = orientation
            yield "jpg", Image.fromarray(color), {"quality": 95, "subsampling": 0, "exif": exif}


def expected(path, fit, channels):
    """What Pillow makes of a file."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
    if image.mode.startswith("I"):
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB").convert("L" if channels == 1 else "RGB")
    size, filter = (WIDTH, HEIGHT), Image.Resampling.BILINEAR
    if fit == "resize":
        return np.asarray(image.resize(size, filter))
    if fit == "crop":
        return np.asarray(ImageOps.fit(image, size, filter))
    scale = ImageOps.contain(image, size, filter)
    result = np.zeros((HEIGHT, WIDTH) + np.asarray(scale).shape[2:], np.uint8)
    top, left = (HEIGHT - scale.height) // 2, (WIDTH - scale.width) // 2
    result[top:top + scale.height, left:left + scale.width] = np.asarray(scale)
    return result


def run(lockstep, folder, *options):
    command = [lockstep, "data", "import", "images", "in", "out.h5", "--force", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def compare(lockstep, folder, fit, channels):
    done = run(lockstep, folder, "--size", f"{HEIGHT},{WIDTH}", "--fit", fit, "--channels", str(channels))
    assert done.returncode == 0, done.stderr
    worst = {"png": 0, "jpg": 0}
    with h5py.File(folder / "out.h5") as file:
        names = {value: name for name, value in h5py.check_enum_dtype(file["/train/y"].dtype).items()}
        images, labels = file["/train/x"][:], file["/train/y"][:]
    assert images.shape == (200, HEIGHT, WIDTH, channels), images.shape
    for image, label in zip(images, labels):
        path, = (folder / "in" / names[label]).iterdir()
        wanted = expected(path, fit, channels).reshape(image.shape)
        ending = path.suffix[1:]
        difference = np.abs(image.astype(int) - wanted).max()
        assert difference <= MAX_DIFFERENCE[ending], f"{path}, {fit}, {channels} channels: differs by {difference}"
        worst[ending] = max(worst[ending], int(difference))
    print(f"{fit}, {channels} channels: differs by up to {worst}")


def leave_out(lockstep, folder):
    """A cut file, a text called .jpg and files of other kinds are named; with --strict the first ends it."""
    first = folder / "in" / "000"
    image = (folder / "in" / "011" / "image.jpg").read_bytes()
    (first / "cut.jpg").write_bytes(image[:len(image) // 2])
    (first / "text.jpg").write_text("no image")
    (first / "notes.txt").write_text("notes")
    done = run(lockstep, folder, "--size", "16")
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    for part in ("left out: 2 files that are no images", "000/cut.jpg: its JPEG data is damaged",
                 "000/text.jpg: it is neither JPEG nor PNG", "left out: 1 file of another kind: 1 .txt",
                 "000/notes.txt", "all    200"):
        assert part in done.stdout, part
    report = json.loads(run(lockstep, folder, "--size", "16", "--json").stdout)
    assert len(report["unusable"]) == 2 and report["parts"][0]["images"] == 200, report
    strict = run(lockstep, folder, "--size", "16", "--strict")
    assert strict.returncode == 3 and "text.jpg: it is neither JPEG nor PNG" in strict.stderr, strict.stderr


def main():
    lockstep = pathlib.Path(sys.argv[1]).resolve()
    random = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for index, (ending, image, options) in enumerate(odd_images(random)):
            (folder / "in" / f"{index:03}").mkdir(parents=True)
            image.save(folder / "in" / f"{index:03}" / f"image.{ending}", **options)
        for fit in ("crop", "pad", "resize"):
            for channels in (1, 3):
                compare(lockstep, folder, fit, channels)
        leave_out(lockstep, folder)


if __name__ == "__main__":
    main()

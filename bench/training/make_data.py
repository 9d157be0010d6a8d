#!/usr/bin/env python3
"""Makes the data of three trainings: blobs, volumes and chirps. Needs Python with NumPy and h5py.

usage: make_data.py {blobs,volumes,chirps} OUT.h5 [--strain FILE]

blobs    images (64, 64, 1) of ellipses in noise, and their masks (64, 64): 1 inside an ellipse, 0 outside
volumes  counts (32, 32, 32, 4) of particles in random fields of four parameters, and these, from -1 to 1;
         the channels are the field at four times, as in CosmoFlow
chirps   whitened strain (1024, 1) of a gravitational-wave detector, with (1) or without (0) the signal of two
         merging masses added; FILE is a file of the Gravitational Wave Open Science Center that has
         GW150914, with 4096 samples/s. Training and test are cut from different times, and neither has
         the event itself, which is in /event/x.
"""
import argparse

import h5py
import numpy as np


def write(path, parts):
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            file[name] = values
            print(f"{path}:{name} {values.shape} {values.dtype}")


def blobs(count, random):
    rows, columns = np.mgrid[0:64, 0:64]
    x = np.empty((count, 64, 64, 1), np.float32)
    y = np.zeros((count, 64, 64), np.uint8)
    for image, mask in zip(x, y):
        values = np.zeros((64, 64))
        for _ in range(random.integers(1, 6)):
            row, column = random.uniform(5, 59, 2)
            a, b = random.uniform(3, 11, 2)
            turn = random.uniform(0, np.pi)
            u = (rows - row) * np.cos(turn) + (columns - column) * np.sin(turn)
            v = (columns - column) * np.cos(turn) - (rows - row) * np.sin(turn)
            inside = (u / a)**2 + (v / b)**2 < 1
            values[inside] = random.uniform(0.5, 1)
            mask[inside] = 1
        image[..., 0] = values + random.normal(0, 0.5, (64, 64))
    return x, y


def volumes(count, random):
    """Gaussian fields with the power spectrum amplitude k^slope exp(-(k cut)^2), and the rate at which they
    grow from channel to channel; a particle's chance to be in a cell is exp(field)."""
    frequency = np.fft.fftfreq(32) * 32
    k = np.sqrt(frequency[:, None, None]**2 + frequency[None, :, None]**2 + np.fft.rfftfreq(32)**2 * 32**2)
    k[0, 0, 0] = 1
    x = np.empty((count, 32, 32, 32, 4), np.uint8)
    y = random.uniform(-1, 1, (count, 4)).astype(np.float32)
    for volume, (amplitude, slope, cut, growth) in zip(x, y):
        spectrum = k**(-1.5 + 0.75 * slope) * np.exp(-(k * (0.09 + 0.05 * cut))**2)
        spectrum[0, 0, 0] = 0
        field = np.fft.rfftn(random.normal(size=(32, 32, 32))) * spectrum
        field = np.fft.irfftn(field, (32, 32, 32), axes=(0, 1, 2))
        field *= (1 + 0.5 * amplitude) / field.std()
        for channel in range(4):
            grown = field * (1 + (0.2 + 0.1 * growth) * (channel - 3))
            rate = np.exp(grown)
            volume[..., channel] = np.minimum(random.poisson(3 * rate / rate.mean()), 255)
    return x, y


RATE, EVENT = 4096, 16.43  # samples/s; seconds from the start of the file to the merger


def whitened(strain):
    """Divided by its amplitude spectral density, 35 to 350 Hz, with standard deviation 1."""
    pieces = np.lib.stride_tricks.sliding_window_view(strain, 4 * RATE)[::2 * RATE]
    window = np.hanning(4 * RATE)
    power = np.median(np.abs(np.fft.rfft(pieces * window))**2, axis=0)
    frequencies = np.fft.rfftfreq(len(strain), 1 / RATE)
    density = np.sqrt(np.interp(frequencies, np.fft.rfftfreq(4 * RATE, 1 / RATE), power))
    band = (frequencies > 35) & (frequencies < 350)

    def apply(signal):
        return np.fft.irfft(np.where(band, np.fft.rfft(signal) / density, 0), len(signal))
    scale = apply(strain)[4 * RATE:-4 * RATE].std()
    return lambda signal: apply(signal) / scale


def chirp(mass, random):
    """The inspiral of two bodies to the lowest order (Peters 1964), with the chirp mass in solar masses: the
    last 0.25 s before they merge, and then a quickly damped end."""
    t = np.arange(-1024, 64) / RATE
    solar = 4.925491e-6  # G M / c^3 in seconds
    before = np.maximum(-t, 1e-3)
    frequency = (5 / 256 / before)**0.375 * (solar * mass)**-0.625 / np.pi
    frequency = np.minimum(frequency, 300)
    phase = 2 * np.pi * np.cumsum(frequency) / RATE + random.uniform(0, 2 * np.pi)
    amplitude = frequency**(2 / 3) * np.where(t > 0, np.exp(-t * 300), 1)
    return amplitude / amplitude.max() * np.cos(phase)


def chirps(count, strain, first, last, mixes, random):
    """count windows that start between seconds first and last; signals have 8 to 16 times the noise's
    deviation as their matched-filter signal-to-noise ratio. mixes: the noise is that of two times, added with
    weights whose squares have the sum 1, since a few seconds are too little noise to learn from."""
    whiten = whitened(strain)
    noise = whiten(strain)
    x = np.empty((count, 1024, 1), np.float32)
    y = np.arange(count) % 2
    for window, label in zip(x, y):
        start, other = random.integers(int(first * RATE), int(last * RATE) - 1024, 2)
        turn = random.uniform(0, 2 * np.pi) if mixes else 0
        window[:, 0] = np.cos(turn) * noise[start:start + 1024] + np.sin(turn) * noise[other:other + 1024]
        if label:
            signal = np.zeros(len(strain))
            merger = start + random.integers(600, 960)
            signal[merger - 1024:merger + 64] = chirp(random.uniform(20, 40), random)
            signal = whiten(signal)[start:start + 1024]
            window[:, 0] += signal * random.uniform(8, 16) / np.sqrt((signal**2).sum())
    return x, y.astype(np.int32)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("blobs", "volumes", "chirps"))
    parser.add_argument("out")
    parser.add_argument("--strain", help="for chirps: the detector's file")
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    parts = {}
    if arguments.kind == "chirps":
        if not arguments.strain:
            parser.error("chirps needs --strain")
        with h5py.File(arguments.strain) as file:
            strain = file["/strain/Strain"][:]
        cuts = ("train", 8000, 4, 15.5, True), ("test", 1000, 18, 28, False)
        for name, count, first, last, mixes in cuts:
            parts[f"/{name}/x"], parts[f"/{name}/y"] = chirps(count, strain, first, last, mixes, random)
        event = int(EVENT * RATE)
        parts["/event/x"] = whitened(strain)(strain)[None, event - 800:event + 224, None].astype(np.float32)
    else:
        make, sizes = {"blobs": (blobs, (2000, 400)), "volumes": (volumes, (1600, 200))}[arguments.kind]
        for name, count in zip(("train", "test"), sizes):
            parts[f"/{name}/x"], parts[f"/{name}/y"] = make(count, random)
    write(arguments.out, parts)


if __name__ == "__main__":
    main()

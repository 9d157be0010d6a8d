#!/usr/bin/env python3
"""Writes names.h5: the name and extents of every weight and running statistic of torchvision's models."""

import pathlib

import h5py
import numpy
import torch
import torchvision

MODELS = ["alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn",
          "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2",
          "densenet121", "densenet161", "densenet169", "densenet201", "googlenet", "inception_v3",
          "mobilenet_v2"]


def main():
    with h5py.File(pathlib.Path(__file__).parent / "names.h5", "w") as out:
        for name in MODELS:
            options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            with torch.device("meta"):  # shapes without memory
                model = torchvision.models.get_model(name, weights=None, **options)
            lines = [" ".join([key, *map(str, tensor.shape)]) for key, tensor in model.state_dict().items()
                     if not key.endswith("num_batches_tracked")]
            text = numpy.frombuffer("\n".join(lines).encode(), numpy.uint8)
            out.create_dataset(name, data=text, compression="gzip", compression_opts=9)


if __name__ == "__main__":
    main()

"""Residual networks, from the blocks of torchvision."""

import golden
import torch
from golden import ADAM, SGD, Case
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck


class Padding(nn.Module):
    """Shortcut without parameters: every second position, with channels of zeros (option A of the paper)."""

    def __init__(self, missing, stride):
        super().__init__()
        self.missing, self.stride = missing, stride

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.missing))


class ResNet(nn.Module):
    """torchvision's ResNet, with any number of stages and of filters."""

    def __init__(self, block, blocks, filters, stem="imagenet", shortcut="projection", groups=1,
                 group_width=64, channels=3):
        super().__init__()
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(channels, filters[0], 7 if large else 3, stride=2 if large else 1,
                               padding=3 if large else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        channels = filters[0]
        self.stages = []
        for stage, count in enumerate(blocks):
            layer = nn.Sequential()
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                outputs = filters[stage] * block.expansion
                downsample = None
                if stride != 1 or channels != outputs:
                    downsample = nn.Sequential(
                        nn.Conv2d(channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
                    if shortcut == "padding":
                        downsample = Padding(outputs - channels, stride)
                layer.append(block(channels, filters[stage], stride, downsample, groups, group_width))
                channels = outputs
            self.stages.append(f"layer{stage + 1}")
            self.add_module(self.stages[-1], layer)
        self.fc = nn.Linear(channels, 4)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.fc(x.flatten(2).mean(2))


def along_signals(module):
    """The same network in one dimension."""
    for name, part in module.named_children():
        if isinstance(part, nn.Conv2d):
            part = nn.Conv1d(part.in_channels, part.out_channels, part.kernel_size[0], part.stride[0],
                             part.padding[0], bias=False)
        elif isinstance(part, nn.BatchNorm2d):
            part = nn.BatchNorm1d(part.num_features)
        elif isinstance(part, nn.MaxPool2d):
            part = nn.MaxPool1d(part.kernel_size, part.stride, part.padding)
        else:
            along_signals(part)
        setattr(module, name, part)
    return module


@golden.file
def resnet():
    def case(name, block, blocks, filters, optimizer=SGD, **keys):
        options = {key: value for key, value in keys.items() if key not in ("stem", "shortcut")}
        small = keys.get("stem") == "cifar"
        return name, Case(
            {"name": name, "keys": {"blocks": blocks, "filters": filters, **options}},
            ResNet(block, blocks, filters, **keys), input=(3, 7, 8) if small else (3, 18, 17), outputs=4,
            samples=6, optimizer=optimizer)

    yield case("resnet18", BasicBlock, [1, 2], [4, 4])
    yield case("resnet34", BasicBlock, [2, 1], [4, 6], ADAM)
    yield case("resnet50", Bottleneck, [1, 2], [4, 4])
    yield case("resnet101", Bottleneck, [2, 1], [4, 4], ADAM)
    yield case("resnet152", Bottleneck, [1, 1], [4, 4])
    yield case("resnext50_32x4d", Bottleneck, [1, 2], [4, 4], groups=2, group_width=32)
    yield case("wide_resnet50_2", Bottleneck, [1, 1], [4, 4], group_width=128)
    yield case("resnet20", BasicBlock, [1, 1, 1], [3, 4, 6], stem="cifar", shortcut="padding")
    yield case("resnet56", BasicBlock, [1, 2, 1], [3, 4, 6], ADAM, stem="cifar", shortcut="padding")

    keys = {"blocks": [1, 2], "filters": [4, 4]}
    yield "resnet1d", Case({"name": "resnet1d", "keys": keys},
                           along_signals(ResNet(BasicBlock, **keys, channels=2)), input=(2, 37), outputs=4,
                           samples=6)

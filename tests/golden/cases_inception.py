"""torchvision's GoogLeNet and Inception v3, with all filters multiplied by a width."""

import functools

import golden
import torch
from golden import ADAM, SGD, Case, hwc
from torch import nn
from torchvision.models import inception
from torchvision.models.googlenet import GoogLeNet, Inception, InceptionAux


def narrow(width):
    """A class in place of torchvision's BasicConv2d. It takes its input channels from the first input."""

    class NarrowConv2d(nn.Module):
        def __init__(self, inputs, outputs, **options):
            super().__init__()
            self.conv = nn.LazyConv2d(scaled(outputs, width), bias=False, **options)
            self.bn = nn.BatchNorm2d(scaled(outputs, width), eps=1e-3)

        def forward(self, x):
            return torch.relu(self.bn(self.conv(x)))

    return NarrowConv2d


def scaled(channels, width):
    return max(1, int(channels * width + 0.5))


def materialized(module, extents):
    """The module, whose lazy layers have got their shapes."""
    with torch.no_grad():
        module.train()(torch.randn(2, *extents))
    return module


@golden.file
def googlenet():
    width, extents = 0.03, (3, 36, 35)
    conv = narrow(width)
    module = GoogLeNet(
        num_classes=4, aux_logits=True, init_weights=False, dropout=0.0, dropout_aux=0.0,
        blocks=[conv, functools.partial(Inception, conv_block=conv),
                functools.partial(InceptionAux, conv_block=conv)])
    module.fc = nn.LazyLinear(4)
    for head in (module.aux1, module.aux2):
        head.fc1, head.fc2 = nn.LazyLinear(scaled(1024, width)), nn.LazyLinear(4)
    columns = hwc(scaled(128, width), 4, 4)
    keys = {"width": width, "aux_weight": 0.3, "aux_dropout": 0.0, "dropout": 0.0}
    yield "googlenet", Case(
        {"name": "googlenet", "keys": keys}, materialized(module, extents), input=extents, outputs=4,
        samples=16, heads=(0.3, 0.3), outputs_of=lambda o: [o.logits, o.aux_logits1, o.aux_logits2],
        reorder={"aux1.fc1.weight": columns, "aux2.fc1.weight": columns}, optimizer=ADAM,
        shift=1)


class SmallAux(nn.Module):
    """The auxiliary head for small images, where the windows of torchvision's do not fit."""

    def __init__(self, inputs, classes, conv_block):
        super().__init__()
        self.conv0, self.conv1 = conv_block(inputs, 128, kernel_size=1), conv_block(128, 768, kernel_size=1)
        self.fc = nn.LazyLinear(classes)

    def forward(self, x):
        x = nn.functional.avg_pool2d(x, 3, stride=3)
        return self.fc(self.conv1(self.conv0(x)).mean((2, 3)))


@golden.file
def inception_v3():
    width, extents = 0.03, (3, 79, 80)
    conv = narrow(width)
    blocks = [inception.InceptionA, inception.InceptionB, inception.InceptionC, inception.InceptionD,
              inception.InceptionE, SmallAux]
    module = inception.Inception3(num_classes=4, aux_logits=True, init_weights=False, dropout=0.0,
                                  inception_blocks=[conv, *(functools.partial(block, conv_block=conv)
                                                            for block in blocks)])
    module.fc = nn.LazyLinear(4)
    for name in ("5c", "5d", "6c", "6d", "6e", "7c"):  # one module of each size is left
        setattr(module, "Mixed_" + name, nn.Identity())
    keys = {"width": width, "modules": [1, 1, 1], "aux_weight": 0.4, "dropout": 0.0}
    yield "inception_v3", Case(
        {"name": "inception_v3", "keys": keys}, materialized(module, extents), input=extents, outputs=4,
        samples=6, heads=(0.4,), outputs_of=lambda o: [o.logits, o.aux_logits], optimizer=SGD,
        shift=1)

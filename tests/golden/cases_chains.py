"""AlexNet, the VGGs and the MobileNets, made narrow, with the names of torchvision (MobileNet v1: Keras)."""

import golden
from golden import ADAM, SGD, Case, hwc, named
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual, _make_divisible
from torchvision.models.vgg import make_layers
from torchvision.ops.misc import Conv2dNormActivation


def classifier(inputs, hidden, dropout_first):
    """Linear layers with ReLU and a place for dropout, which is off: before or behind each pair."""
    layers = []
    for size in hidden:
        pair = [nn.Linear(inputs, size), nn.ReLU()]
        layers += [nn.Identity(), *pair] if dropout_first else [*pair, nn.Identity()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, 4))


@golden.file
def alexnet():
    filters, hidden, pooled = [6, 8, 8, 8, 6], [12, 10], 2
    for norm in (False, True):
        def relu():
            """Of the first two convolutions, with the norm in the same module, so that no number changes."""
            return nn.Sequential(nn.ReLU(), nn.LocalResponseNorm(5, 5e-4, 0.75, 2)) if norm else nn.ReLU()

        features = nn.Sequential(
            nn.Conv2d(3, filters[0], 11, stride=2, padding=2), relu(), nn.MaxPool2d(3, 2),
            nn.Conv2d(filters[0], filters[1], 5, padding=2), relu(), nn.MaxPool2d(3, 2),
            nn.Conv2d(filters[1], filters[2], 3, padding=1), nn.ReLU(),
            nn.Conv2d(filters[2], filters[3], 3, padding=1), nn.ReLU(),
            nn.Conv2d(filters[3], filters[4], 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2))
        module = named(features=features, avgpool=nn.AdaptiveAvgPool2d(pooled), flatten=nn.Flatten(),
                       classifier=classifier(filters[4] * pooled * pooled, hidden, dropout_first=True))
        keys = {"filters": filters, "stride": 2, "pooled": pooled, "hidden": hidden, "dropout": 0.0,
                "local_response_norm": norm}
        yield f"alexnet_norm_{norm}".lower(), Case(
            {"name": "alexnet", "keys": keys}, module, input=(3, 35, 36), outputs=4, samples=5,
            optimizer=ADAM, reorder={"classifier.1.weight": hwc(filters[4], pooled, pooled)})


@golden.file
def vgg():
    filters, hidden, pooled = [3, 5], [9, 7], 2
    for depth in (11, 13, 16, 19):
        for batch_norm in (False, True):
            convolutions = [1, {11: 1, 13: 2, 16: 3, 19: 4}[depth]]
            stages = [[width] * count + ["M"] for width, count in zip(filters, convolutions, strict=True)]
            module = named(
                features=make_layers(sum(stages, []), batch_norm), avgpool=nn.AdaptiveAvgPool2d(pooled),
                flatten=nn.Flatten(), classifier=classifier(filters[-1] * pooled * pooled, hidden, False))
            name = f"vgg{depth}" + ("_bn" if batch_norm else "")
            keys = {"convolutions": convolutions, "filters": filters, "pooled": pooled, "hidden": hidden,
                    "dropout": 0.0}
            yield name, Case({"name": name, "keys": keys}, module, input=(3, 13, 12), outputs=4,
                             samples=6, optimizer=SGD if batch_norm else ADAM,
                             reorder={"classifier.0.weight": hwc(filters[-1], pooled, pooled)})


@golden.file
def mobilenet_v1():
    filters, strides, width = [16, 24, 32], [2, 1, 2], 0.25
    module, channels = nn.Sequential(), 3

    def append(name, outputs, *args, **options):
        module.add_module(name, nn.Conv2d(channels, outputs, *args, bias=False, **options))
        module.add_module(name + "_bn", nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01))
        module.add_module(name + "_relu", nn.ReLU6())
        return outputs

    channels = append("conv1", int(filters[0] * width), 3, strides[0], 1)
    for i in (1, 2):
        append(f"conv_dw_{i}", channels, 3, strides[i], 1, groups=channels)
        channels = append(f"conv_pw_{i}", int(filters[i] * width), 1)
    for name, layer in (("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()),
                        ("conv_preds", nn.Linear(channels, 4))):
        module.add_module(name, layer)
    keys = {"width": width, "filters": filters, "strides": strides, "dropout": 0.0}
    yield "mobilenet_v1", Case({"name": "mobilenet_v1", "keys": keys}, module, input=(3, 13, 12), outputs=4,
                               samples=6)


@golden.file
def mobilenet_v2():
    width, repeats, last, round_to = 0.1, [1, 2, 1], 10, 1
    stages = [(1, 16, 1), (6, 24, 2), (6, 32, 2)]  # expansion, filters, stride: the first of torchvision's

    def scaled(filters, factor=width):
        return _make_divisible(filters * factor, round_to)

    channels = scaled(32)
    features = nn.Sequential(Conv2dNormActivation(3, channels, stride=2, activation_layer=nn.ReLU6))
    for (expansion, filters, stride), count in zip(stages, repeats, strict=True):
        for i in range(count):
            features.append(InvertedResidual(channels, scaled(filters), stride if i == 0 else 1, expansion))
            channels = scaled(filters)
    features.append(Conv2dNormActivation(channels, scaled(last, 1), kernel_size=1, activation_layer=nn.ReLU6))
    module = named(features=features, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
                   classifier=nn.Sequential(nn.Identity(), nn.Linear(last, 4)))
    keys = {"width": width, "repeats": repeats, "last_filters": last, "round_to": round_to, "dropout": 0.0}
    yield "mobilenet_v2", Case({"name": "mobilenet_v2", "keys": keys}, module, input=(3, 13, 12), outputs=4,
                               samples=6, optimizer=ADAM)

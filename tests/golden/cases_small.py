"""mlp and cnn."""

import golden
from golden import ADAM, SGD, Case, hwc, named
from torch import nn


@golden.file
def mlp():
    yield "relu", Case(
        {"name": "mlp", "keys": {"hidden": [12, 9]}},
        named(linear1=nn.Linear(10, 12), relu1=nn.ReLU(), linear2=nn.Linear(12, 9), relu2=nn.ReLU(),
              output=nn.Linear(9, 5)),
        input=(10,), samples=7)
    yield "gelu_on_images", Case(
        {"name": "mlp", "keys": {"hidden": [12], "activation": "gelu"}},
        named(flatten=nn.Flatten(), linear1=nn.Linear(60, 12), gelu1=nn.GELU(), output=nn.Linear(12, 5)),
        input=(3, 4, 5), reorder={"linear1.weight": hwc(3, 4, 5)}, optimizer=ADAM)
    yield "regression", Case(
        {"name": "mlp", "keys": {"hidden": [12], "activation": "tanh"}},
        named(linear1=nn.Linear(10, 12), tanh1=nn.Tanh(), output=nn.Linear(12, 3)),
        input=(10,), loss="mean_squared_error", outputs=3, optimizer={**SGD, "nesterov": True})
    yield "labels", Case(
        {"name": "mlp", "keys": {"hidden": [12]}},
        named(linear1=nn.Linear(10, 12), relu1=nn.ReLU(), output=nn.Linear(12, 3)),
        input=(10,), loss="binary_cross_entropy", outputs=3, optimizer={**ADAM, "name": "adamw"})


@golden.file
def cnn():
    yield "two_layers", Case(
        {"name": "cnn", "keys": {"filters": [6, 8]}},
        named(conv1=nn.Conv2d(3, 6, 3), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
              conv2=nn.Conv2d(6, 8, 3), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
              flatten=nn.Flatten(), output=nn.Linear(8 * 2 * 3, 5)),
        input=(3, 15, 18), reorder={"output.weight": hwc(8, 2, 3)}, optimizer=ADAM)

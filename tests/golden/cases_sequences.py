"""Small transformers from model files: a language model, an image classifier, and sequences with padding."""

import golden
import torch
from golden import ADAM, Case, net
from torch import nn

WIDTH, HEADS = 12, 3


def layer(kind, name=None, **options):
    return {"kind": kind, **({"name": name} if name else {}), **options}


def block(name, x, **attention):
    """The layers of a block with norms in front, whose input is the layer `x`."""
    return [
        {**layer("layer_norm", name + ".ln_1"), "input": x},
        layer("multihead_attention", name + ".attention", heads=HEADS, **attention),
        layer("add", name + ".middle", inputs=[name + ".attention", x]),
        layer("layer_norm", name + ".ln_2"),
        layer("linear", name + ".wide", outputs=4 * WIDTH), layer("gelu", approximate=True),
        layer("linear", name + ".narrow", outputs=WIDTH),
        layer("add", name, inputs=[name + ".narrow", name + ".middle"]),
    ]


class Block(nn.Module):
    def __init__(self, causal=False):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.causal = causal

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        y = self.ln_1(x)
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=mask if self.causal else None)[0]
        return x + self.narrow(nn.functional.gelu(self.wide(self.ln_2(x)), approximate="tanh"))


class Positions(nn.Module):
    """A trained vector for each position."""

    def __init__(self, count):
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(count, WIDTH))

    def forward(self, x):
        return x + self.weight[:x.shape[1]]


class ClassToken(nn.Module):
    """A trained vector in front of the sequence."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH))

    def forward(self, x):
        return torch.cat([self.weight.expand(len(x), 1, WIDTH), x], 1)


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


class Padded(nn.Module):
    """Attention that does not read positions where the token is 0, and a mean that does not count them."""

    def __init__(self, tokens):
        super().__init__()
        self.embedding, self.score = nn.Embedding(tokens, WIDTH), nn.Linear(WIDTH, 5)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, ids):
        x, real = self.embedding(ids), (ids != 0)[..., None]
        y = self.attention(x, x, x, need_weights=False, key_padding_mask=ids == 0)[0]
        return self.score((y * real).sum(1) / real.sum(1))


@golden.file
def sequences():
    tokens, length = 11, 7
    layers = net(layer("embedding", "tokens", entries=tokens, width=WIDTH),
                 layer("positional_embedding", "positions", positions=length + 2),
                 *block("block", "positions", causal=True), layer("layer_norm", "norm"),
                 layer("linear", "scores", outputs="classes"))
    module = golden.named(tokens=nn.Embedding(tokens, WIDTH), positions=Positions(length + 2),
                          block=Block(causal=True), norm=nn.LayerNorm(WIDTH), scores=nn.Linear(WIDTH, tokens))
    yield "language_model", Case(layers, module, input=(length,), outputs=tokens, tokens=tokens, samples=3,
                                 channels_first=False)

    layers = net(layer("conv2d", "patches", filters=WIDTH, kernel=3, stride=3), layer("flatten", last=1),
                 layer("class_token", "token"), layer("positional_embedding", "positions"),
                 *block("block", "positions"), layer("layer_norm", "norm"), layer("flatten"),
                 layer("slice", first=0, count=WIDTH), layer("linear", "scores", outputs="classes"))
    module = golden.named(
        patches=nn.Conv2d(3, WIDTH, 3, 3), sequence=Lambda(lambda x: x.flatten(2).transpose(1, 2)),
        token=ClassToken(), positions=Positions(7), block=Block(), norm=nn.LayerNorm(WIDTH),
        first=Lambda(lambda x: x[:, 0]), scores=nn.Linear(WIDTH, 5))
    yield "image_classifier", Case(layers, module, input=(3, 6, 9), optimizer=ADAM)

    tokens = 4
    layers = net(layer("padding_mask", "mask", padding=0),
                 {**layer("embedding", "embedding", entries=tokens, width=WIDTH), "input": "input"},
                 layer("multihead_attention", "attention", heads=HEADS, inputs=["embedding", "mask"]),
                 layer("mean_positions", inputs=["attention", "mask"]),
                 layer("linear", "score", outputs="classes"))
    yield "padding", Case(layers, Padded(tokens), input=(9,), tokens=tokens)

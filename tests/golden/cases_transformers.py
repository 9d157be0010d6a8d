"""GPT-2 with the names of Hugging Face, torchvision's vision transformer, and PyTorch's encoder."""

import golden
import torch
from golden import ADAM, SGD, Case, named
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention
from torchvision.models import VisionTransformer


class Positions(nn.Module):
    """A trained vector for each position."""

    def __init__(self, count, width):
        super().__init__()
        self.weight = nn.Parameter(0.2 * torch.randn(count, width))

    def forward(self, x):
        return x + self.weight[:x.shape[1]]


class GptBlock(nn.Module):
    def __init__(self, heads, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = named(c_attn=nn.Linear(width, 3 * width), c_proj=nn.Linear(width, width))
        self.mlp = named(c_fc=nn.Linear(width, 4 * width), c_proj=nn.Linear(4 * width, width))
        self.heads = heads

    def forward(self, x):
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for part in self.attn.c_attn(self.ln_1(x)).chunk(3, 2))
        y = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).flatten(2))
        return x + self.mlp.c_proj(gelu(self.mlp.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, blocks, heads, width, context, ids, rows):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(rows, width), Positions(context, width)
        self.h = nn.ModuleList(GptBlock(heads, width) for _ in range(blocks))
        self.ln_f = nn.LayerNorm(width)
        self.ids = ids

    def forward(self, ids):
        x = self.wpe(self.wte(ids))
        for block in self.h:
            x = block(x)
        return nn.functional.linear(self.ln_f(x), self.wte.weight)[..., :self.ids]


@golden.file
def gpt2():
    for name, multiple in (("gpt2", 1), ("gpt2_mini", 8)):
        ids = 11
        keys = {"layers": 2, "heads": 2, "width": 8, "context": 9, "dropout": 0.0, "pad_vocabulary": multiple}
        module = Gpt(2, 2, 8, 9, ids, -(-ids // multiple) * multiple)
        yield name, Case({"name": name, "keys": keys}, module, input=(7,), outputs=ids, tokens=ids, samples=3,
                         channels_first=False, optimizer=SGD if multiple == 1 else ADAM)


@golden.file
def vit():
    for name, heads in (("vit_tiny", 1), ("vit_small", 2), ("vit_base", 4)):
        module = VisionTransformer(image_size=12, patch_size=4, num_layers=2, num_heads=heads, hidden_dim=8,
                                   mlp_dim=12, num_classes=4)
        for zeros in (module.class_token, module.heads.head.weight):
            nn.init.normal_(zeros, std=0.5)
        keys = {"patch": 4, "layers": 2, "heads": heads, "width": 8, "mlp": 12, "dropout": 0.0}
        yield name, Case({"name": name, "keys": keys}, module, input=(3, 12, 12), outputs=4, samples=3,
                         optimizer=SGD if heads == 2 else ADAM,
                         rename={"class_token": "class_token.weight",
                                 "encoder.pos_embedding": "encoder.pos_embedding.weight"},
                         reorder={"class_token": torch.flatten, "encoder.pos_embedding": lambda p: p[0]})


class Encoder(nn.Module):
    """PyTorch's encoder layers on token ids (0 is padding) or vectors, and the mean of the positions."""

    def __init__(self, tokens, length, width=8, pre_norm=False, causal=False):
        super().__init__()
        self.embedding = nn.Embedding(tokens, width) if tokens else nn.Linear(5, width)
        self.positions = Positions(length, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 12, dropout=0.0, batch_first=True, norm_first=pre_norm)
            for _ in range(2))
        self.norm = nn.LayerNorm(width) if pre_norm else nn.Identity()
        self.classifier = nn.Linear(width, 4)
        self.causal = causal

    def forward(self, samples):
        x = self.positions(self.embedding(samples))
        mask, padding, real = None, None, torch.ones(x.shape[:2], dtype=x.dtype)
        if self.causal:
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        if not samples.is_floating_point():
            padding = torch.zeros(x.shape[:2], dtype=x.dtype).masked_fill(samples == 0, float("-inf"))
            real = (samples != 0).to(x.dtype)
        for layer in self.layers:
            x = layer(x, src_mask=mask, src_key_padding_mask=padding)
        x = self.norm(x)
        return self.classifier((x * real[..., None]).sum(1) / real.sum(1, keepdim=True))


@golden.file
def transformer():
    sizes = {"layers": 2, "heads": 2, "width": 8, "feed_forward": 12, "dropout": 0.0}
    keys = {**sizes, "vocabulary": 5, "padding": 0}
    yield "padding", Case({"name": "transformer", "keys": keys}, Encoder(5, 7), input=(7,), outputs=4,
                          tokens=5, optimizer=ADAM)
    keys = {**sizes, "pre_norm": True, "causal": True}
    yield "vectors", Case({"name": "transformer", "keys": keys}, Encoder(0, 7, pre_norm=True, causal=True),
                          input=(7, 5), outputs=4, channels_first=False)

#!/usr/bin/env python3
"""Weights of PyTorch's libraries in safetensors, in Lockstep and back.

Each model has random weights and running statistics, and is saved with its library's names. Lockstep imports
the file and computes outputs, which must be PyTorch's; what it exports must have the same bytes for each
tensor, and load into the library's model. Needs torch, torchvision, transformers, timm, safetensors and h5py,
of which a case that lacks its library is skipped.

interchange_test.py LOCKSTEP [CASE ...] [--full] [--table]
--full: also the models at their published sizes. --table: as rows in Markdown, as in docs/weights.md.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1", TRANSFORMERS_VERBOSITY="error")

TOLERANCE = 1e-5  # relative to the largest output


class Case:
    """A model of a library, and what Lockstep calls it."""

    def __init__(self, model, build, input, keys=(), names=None, rename=lambda name: name, samples=3,
                 type=torch.float32):
        self.model, self.build, self.input, self.keys = model, build, input, keys
        self.names = names  # for model export; None: those of the model's first library
        self.rename, self.samples, self.type = rename, samples, type


def torchvision_model(name, **options):
    def build():
        import torchvision
        return torchvision.models.get_model(name, weights=None, **options)
    return build


def small_vit():
    from torchvision.models import VisionTransformer
    return VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=40,
                             num_classes=7)


def timm_vit(**options):
    def build():
        from timm.models.vision_transformer import VisionTransformer
        return VisionTransformer(**options)
    return build


def gpt2(head=True, **options):
    def build():
        from transformers import GPT2Config, GPT2LMHeadModel
        model = GPT2LMHeadModel(GPT2Config(**options))
        return model if head else model.transformer
    return build


def hub_name(name):
    """DenseNet's and ViT's names in the files that torchvision publishes."""
    for new, old in ((".norm1.", ".norm.1."), (".conv1.", ".conv.1."), (".norm2.", ".norm.2."),
                     (".conv2.", ".conv.2."), (".mlp.0.", ".mlp.linear_1."), (".mlp.3.", ".mlp.linear_2.")):
        name = name.replace(new, old)
    return name


SMALL_VIT = ["layers=2", "heads=2", "width=24", "mlp=40", "patch=8"]
SMALL_GPT = {"n_layer": 2, "n_head": 2, "n_embd": 24, "n_positions": 32, "vocab_size": 50}
SMALL_GPT_KEYS = ["layers=2", "heads=2", "width=24", "context=32"]
CASES = {
    "resnet18": Case("resnet18", torchvision_model("resnet18"), (64, 64, 3)),
    "resnet18, 5 classes, bf16": Case("resnet18", torchvision_model("resnet18", num_classes=5), (64, 64, 3),
                                      type=torch.bfloat16),
    "mobilenet_v2": Case("mobilenet_v2", torchvision_model("mobilenet_v2"), (64, 64, 3)),
    "densenet121": Case("densenet121", torchvision_model("densenet121"), (64, 64, 3)),
    "densenet121, names of the hub": Case("densenet121", torchvision_model("densenet121"), (64, 64, 3),
                                          names="torchvision-hub", rename=hub_name),
    "googlenet": Case("googlenet", torchvision_model("googlenet", aux_logits=True, init_weights=False),
                      (224, 224, 3), samples=1),
    "vgg11": Case("vgg11", torchvision_model("vgg11", num_classes=10), (32, 32, 3)),
    "vit": Case("vit_tiny", small_vit, (32, 32, 3), SMALL_VIT),
    "vit, names of the hub": Case("vit_tiny", small_vit, (32, 32, 3), SMALL_VIT, names="torchvision-hub",
                                  rename=hub_name),
    "vit, timm": Case("vit_tiny", timm_vit(img_size=32, patch_size=8, depth=2, num_heads=2, embed_dim=24,
                                           mlp_ratio=2, num_classes=7), (32, 32, 3),
                      SMALL_VIT[:3] + ["mlp=48", "patch=8"], names="timm"),
    "gpt2": Case("gpt2", gpt2(**SMALL_GPT), (16,), SMALL_GPT_KEYS),
    "gpt2 without head": Case("gpt2", gpt2(head=False, **SMALL_GPT), (16,), SMALL_GPT_KEYS),
}
FULL = {
    "resnet18, 224 x 224": Case("resnet18", torchvision_model("resnet18"), (224, 224, 3)),
    "mobilenet_v2, 224 x 224": Case("mobilenet_v2", torchvision_model("mobilenet_v2"), (224, 224, 3)),
    "densenet121, 224 x 224": Case("densenet121", torchvision_model("densenet121"), (224, 224, 3)),
    "vit_b_16": Case("vit_base", torchvision_model("vit_b_16"), (224, 224, 3)),
    "gpt2, 124 million": Case("gpt2", gpt2(), (64,)),
}


def run(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def randomize(model):
    """Weights that keep the size of activations, and running statistics of their own."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim < 2:
                tensor.normal_(1 if name.endswith("weight") else 0, 0.1)
            else:
                tensor.normal_(0, min(1, (2 / tensor[0].numel())**0.5))


def is_language_model(case):
    return len(case.input) == 1


def outputs_of(model, case, samples):
    """Of PyTorch."""
    with torch.no_grad():
        if not is_language_model(case):
            return model(torch.from_numpy(samples).permute(0, 3, 1, 2)).numpy()
        result = model(torch.from_numpy(samples[:, :-1].astype(np.int64)))
        hidden = getattr(result, "last_hidden_state", None)
        return (result.logits if hidden is None else hidden @ model.wte.weight.T).numpy()


def check(program, folder, name, case):
    """The largest difference of outputs, relative to the largest output."""
    torch.manual_seed(0)
    model = case.build().eval()
    randomize(model)
    weights = {case.rename(key): tensor.detach().to(case.type) if tensor.is_floating_point() else tensor
               for key, tensor in model.state_dict().items() if key != "lm_head.weight"}
    model.load_state_dict({**model.state_dict(), **{
        key: weights[case.rename(key)].to(tensor.dtype) for key, tensor in model.state_dict().items()
        if key != "lm_head.weight"}})
    checkpoint, exported = folder / "model.h5", folder / "out.safetensors"
    if is_language_model(case):
        model.save_pretrained(folder / "saved")
        saved = folder / "saved/model.safetensors"
    else:
        saved = folder / "saved.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in weights.items()}, saved, {"format": "pt"})

    keys = [word for key in case.keys for word in ("--set", "model." + key)]
    if not is_language_model(case):  # numbers to predict are written as they are, those of classes as a softmax
        keys += ["--set", "data.task=values", "--type", "float32"]
    run(program, "model", "import", saved, checkpoint, "--force", "--model", case.model, "--input",
        ",".join(map(str, case.input)), *keys)
    run(program, "model", "export", checkpoint, exported, "--force",
        *(["--names", case.names] if case.names else []))
    difference = compare_outputs(program, folder, model, case, checkpoint)
    compare_files(name, weights, exported)
    compare_bytes(name, saved, exported)
    if case.names != "torchvision-hub":
        load_into(name, case, model, exported)
    return difference


def compare_outputs(program, folder, model, case, checkpoint):
    data, predicted = folder / "data.h5", folder / "predicted.h5"
    random = np.random.default_rng(1)
    if is_language_model(case):
        samples = random.integers(0, model.config.vocab_size, (case.samples, case.input[0] + 1)).astype(np.int32)
    else:
        samples = random.standard_normal((case.samples, *case.input), np.float32)
    with h5py.File(data, "w") as file:
        file["test/x"] = samples
    expected = outputs_of(model, case, samples)
    run(program, "predict", checkpoint, "--data", f"{data}:/test", "--out", predicted, "--force",
        "--device", "cpu")
    with h5py.File(predicted) as file:
        actual = file["prediction"][:]
    if not is_language_model(case):
        return float(np.abs(actual - expected).max() / np.abs(expected).max())
    # Of language models, the predicted tokens are written, and the loss is reported.
    best = expected.max(-1)
    chosen = np.take_along_axis(expected, actual[..., None].astype(np.int64), -1)[..., 0]
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(expected).flatten(0, 1),
                                             torch.from_numpy(samples[:, 1:].astype(np.int64)).flatten()).item()
    report = json.loads(run(program, "eval", checkpoint, "--data", f"{data}:/test", "--json", "--device", "cpu"))
    return float(max(np.abs(best - chosen).max() / np.abs(best).max(), abs(report["loss"] - loss) / loss))


def without_prefix(name):
    return name.removeprefix("transformer.")


def compare_files(name, weights, exported):
    """Each tensor has the bytes of the one that was imported."""
    expected = {without_prefix(key): tensor.float() for key, tensor in weights.items()
                if tensor.is_floating_point() and not key.endswith("masked_bias")}
    actual = load_file(exported)
    if actual.keys() != expected.keys():
        sys.exit(f"{name}: tensors of one file alone: {sorted(actual.keys() ^ expected.keys())[:8]}")
    for key, tensor in expected.items():
        if actual[key].shape != tensor.shape or actual[key].numpy().tobytes() != tensor.numpy().tobytes():
            sys.exit(f"{name}: {key} differs")


def compare_bytes(name, saved, exported):
    """Where the library's file has the same tensors, it has the same bytes."""
    theirs, ours = load_file(saved), load_file(exported)
    same = all(key in theirs and theirs[key].dtype == tensor.dtype for key, tensor in ours.items())
    if same and len(theirs) == len(ours) and saved.read_bytes() != exported.read_bytes():
        sys.exit(f"{name}: the exported file differs from the library's")


def load_into(name, case, model, exported):
    """The library's own model takes what was exported."""
    if is_language_model(case):
        folder = exported.parent / "loaded"
        model.config.save_pretrained(folder)
        shutil.copy(exported, folder / "model.safetensors")
        fresh = type(model).from_pretrained(folder)
    else:
        fresh = case.build()
        fresh.load_state_dict(load_file(exported), strict=True)
    for key, tensor in fresh.state_dict().items():
        if tensor.is_floating_point() and not torch.equal(tensor, model.state_dict()[key]):
            sys.exit(f"{name}: {key} is not what was exported")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("lockstep")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--full", action="store_true", help="also the models at their published sizes")
    parser.add_argument("--table", action="store_true", help="print rows of a table in Markdown")
    args = parser.parse_args()
    program = os.path.abspath(args.lockstep)
    cases = {**CASES, **(FULL if args.full else {})}
    failed = ran = 0
    for name, case in cases.items():
        if args.cases and name not in args.cases:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                difference = check(program, pathlib.Path(folder), name, case)
            except ImportError as missing:
                print(f"skipped: {name}: {missing}")
                continue
        ran += 1
        failed += difference > TOLERANCE
        print(f"| {name} | {difference:.0e} |" if args.table else f"{name}: outputs differ by {difference:.1e}",
              flush=True)
    if ran == 0:
        print("skipped: no library has models to compare with")
        return 77
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

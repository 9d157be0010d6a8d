"""The trainings that are timed and predicted: as arguments of `lockstep bench step` and of torch_steps.py."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    model: str
    precision: str
    batch: int
    size: int  # pixels along an edge of an image, or tokens of a sequence
    layers: int = 12  # of gpt2, as the next
    vocabulary: int = 50257
    rounds: int = 2  # in which its time is taken

    @property
    def name(self):
        return f"{self.model} {self.precision}"

    def lockstep(self):
        """Arguments of `lockstep bench step`."""
        changes = {"model.name": self.model, "run.precision": self.precision,
                   "train.global_batch": self.batch, "train.micro_batch": self.batch}
        arguments = []
        if self.model == "resnet50":
            arguments += ["--input", f"{self.size},{self.size},3", "--outputs", "1000"]
            changes.update({"optimizer.name": "sgd", "optimizer.momentum": 0.9})
        elif self.model == "gpt2":
            # Without dropout, and with a vocabulary that suits tensor cores, as it is usually timed.
            arguments += ["--input", self.size, "--outputs", self.vocabulary]
            changes.update({"data.task": "tokens", "model.dropout": 0, "model.pad_vocabulary": 64,
                            "model.layers": self.layers})
        for key, value in changes.items():
            arguments += ["--set", f"{key}={value}"]
        return [str(word) for word in arguments]

    def torch(self, mode):
        """Arguments of torch_steps.py."""
        return [str(word) for word in (self.model, mode, "--precision", self.precision, "--batch", self.batch,
                                       "--size", self.size, "--layers", self.layers, "--vocabulary",
                                       self.vocabulary)]


# The goals' first, then the others.
ON_GPU = (Workload("mlp", "fp32", 128, 28, rounds=3), Workload("cnn", "fp32", 128, 28, rounds=3),
          Workload("resnet50", "bf16", 64, 224), Workload("gpt2", "bf16", 8, 1024),
          Workload("mlp", "bf16", 128, 28), Workload("cnn", "bf16", 128, 28))

# To try this out.
ON_CPU = (Workload("mlp", "fp32", 128, 28), Workload("cnn", "fp32", 128, 28),
          Workload("resnet50", "fp32", 2, 32), Workload("gpt2", "fp32", 1, 32, layers=1, vocabulary=250))


def workloads(device):
    return ON_GPU if device == "cuda" else ON_CPU

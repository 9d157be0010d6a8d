"""All parts, in the order in which they run: what is at risk first, in case the time runs out."""
import algorithms
import ceilings
import gtests
import kernels
import ladder
import loader
import machine
import predictions
import ranks
import sanitizers
import timings
import training
from running import Part


def all_parts(found, peers):
    """{key: Part}, each with the seconds that it may take at most. found: CUDA's libraries."""
    torch = peers.python
    return {
        "machine": Part("The machine", 40, machine.describe_machine(found, torch)),
        "ceilings": Part("What the GPU can do at most", 30, ceilings.measure_ceilings),
        "ladder": Part("A few steps of each kind of model", 60, ladder.smoke),
        "algorithms": Part("cuDNN's algorithms", 36, algorithms.time_algorithms),
        "tests": Part("Every test that uses the GPU", 90, gtests.backend_tests),
        "data": Part("MNIST is imported", 20, training.import_mnist),
        "modes": Part("2 ranks on one GPU, in every mode", 60, ranks.in_every_mode(2)),
        "lost": Part("A run that loses a rank ends", 60, ranks.lost_rank),
        "mpi-tests": Part("The tests of several ranks, on 2", 45, ranks.mpi_tests(2)),
        "torch": Part("PyTorch starts, and compiles during the next parts", 10, peers.start),
        "capture": Part("Captured and uncaptured steps have the same bits", 40,
                        training.captured_equals_uncaptured),
        "resume": Part("Stopped and resumed, or uninterrupted: the same bits", 30,
                       training.resumed_equals_uninterrupted),
        "cnn": Part("The CNN learns MNIST", 90, training.reaches("mnist-cnn", 0.99)),
        "mlp": Part("The perceptron learns MNIST", 30, training.reaches("mnist-mlp", 0.97)),
        "cpu": Part("A checkpoint of the CPU resumes on the GPU", 30, training.continues_from_the_cpu),
        "timings": Part("Training steps against PyTorch", 150, timings.versus_pytorch(peers)),
        "predictions": Part("What was predicted and what was measured", 30, predictions.compare),
        "loader": Part("Fed by the loader, or from memory", 45, loader.fed_against_memory(torch)),
        "kernels": Part("Time on the GPU by kernel: Lockstep", 60, kernels.lockstep_kernels),
        "torch-kernels": Part("Time on the GPU by kernel: PyTorch", 50, kernels.torch_kernels(torch)),
        "memcheck": Part("compute-sanitizer memcheck", 60, sanitizers.sanitized("memcheck")),
        "synccheck": Part("compute-sanitizer synccheck", 25, sanitizers.sanitized("synccheck")),
        "initcheck": Part("compute-sanitizer initcheck", 25, sanitizers.sanitized("initcheck")),
        "racecheck": Part("compute-sanitizer racecheck", 60, sanitizers.sanitized("racecheck")),
        "ranks": Part("4 ranks on one GPU", 60, ranks.four_ranks),
        "mpi-tests-4": Part("The tests of several ranks, on 4", 90, ranks.mpi_tests(4)),
        "others": Part("All other tests", 60, gtests.other_tests),
    }

"""The metrics that objectives_test.py compares with those of `lockstep eval`, computed with NumPy, and with
scikit-learn where it is installed. Each function takes what `lockstep predict` wrote, and the targets.
"""
import math

import numpy as np

try:
    import sklearn.metrics as sklearn
except ImportError:
    sklearn = None

IGNORED = 255


def ratio(some, all_):
    return np.divide(some, all_, out=np.zeros(len(some)), where=all_ > 0)


def of_counts(hits, targets, answers):
    """Means over the classes that occur among the targets or the answers."""
    occur = (targets + answers) > 0
    return {"precision": ratio(hits, answers)[occur].mean(), "recall": ratio(hits, targets)[occur].mean(),
            "f1": ratio(2 * hits, targets + answers)[occur].mean(),
            "iou": ratio(hits, targets + answers - hits)[occur].mean()}


def area(scores, positive):
    """The Mann-Whitney statistic: ranks, where equal scores share the mean of theirs."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    p, n = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - p * (p + 1) / 2) / (p * n)


def near(scores, positive):
    """The share of pairs whose scores differ by no more than their rounding: so much of the area is
    unsure."""
    p, n = scores[positive].astype(float)[:, None], scores[~positive].astype(float)[None, :]
    return (abs(p - n) <= 2 ** -22 * np.maximum(abs(p), abs(n))).mean()


def of_classes(prediction, probabilities, targets):
    classes = int(targets.max()) + 1 if probabilities is None else probabilities.shape[1]
    hits = np.array([((prediction == c) & (targets == c)).sum() for c in range(classes)], float)
    support = np.array([(targets == c).sum() for c in range(classes)], float)
    answers = np.array([(prediction == c).sum() for c in range(classes)], float)
    found = of_counts(hits, support, answers)
    found["accuracy"] = (prediction == targets).mean()
    found["balanced_accuracy"] = (hits[support > 0] / support[support > 0]).mean()
    if probabilities is None:
        return found
    own = probabilities[np.arange(len(targets)), targets]
    found["top_3"] = ((probabilities > own[:, None]).sum(1) < 3).mean()
    found["perplexity"] = math.exp(-np.log(own.astype(float)).mean())
    areas = [area(probabilities[:, c], targets == c) for c in range(classes)]
    found["auc"] = np.mean(areas)
    if classes > 7:
        found["recall_7"], found["auc_7"] = hits[7] / support[7], areas[7]
    return found


def compute_rare(answers, y):
    return of_classes(answers["prediction"], answers["probabilities"], y.astype(int))


def compute_labels(answers, y):
    prediction, y = answers["prediction"].astype(bool), y.astype(bool)
    found = of_counts(*((labels.sum(0).astype(float)) for labels in (prediction & y, y, prediction)))
    found["accuracy"] = (prediction == y).mean()
    found["auc"] = np.mean([area(answers["probabilities"][:, c], y[:, c]) for c in range(y.shape[1])])
    # The batches of `predict` are not those of `eval`, so a score may differ in its last bits.
    found["auc_near"] = np.mean([near(answers["probabilities"][:, c], y[:, c]) for c in range(y.shape[1])])
    return found


def compute_masks(answers, y):
    counts = y != IGNORED
    return of_classes(answers["prediction"][counts], None, y[counts].astype(int))


def compute_positions(answers, y):
    return of_classes(answers["prediction"].reshape(-1), None, y.reshape(-1).astype(int))


def compute_numbers(answers, y):
    error = answers["prediction"].astype(float) - y
    deviation = y.astype(float) - y.astype(float).mean(0)
    return {"mae": np.abs(error).mean(), "rmse": math.sqrt((error ** 2).mean()),
            "r2": (1 - (error ** 2).sum(0) / (deviation ** 2).sum(0)).mean()}


def sklearn_of_classes(prediction, targets):
    """Macro means over the classes that have targets or predictions."""
    found = {name: getattr(sklearn, f"{name}_score")(targets, prediction, average="macro", zero_division=0)
             for name in ("precision", "recall", "f1", "jaccard")}
    found["iou"] = found.pop("jaccard")
    found["accuracy"] = sklearn.accuracy_score(targets.reshape(-1), prediction.reshape(-1))
    if targets.ndim == 1:
        found["balanced_accuracy"] = sklearn.balanced_accuracy_score(targets, prediction)
    return found


def sklearn_rare(answers, y):
    y, probabilities = y.astype(int), answers["probabilities"].astype(float)
    classes = np.arange(probabilities.shape[1])
    found = sklearn_of_classes(answers["prediction"], y)
    found["top_3"] = sklearn.top_k_accuracy_score(y, probabilities, k=3)
    found["perplexity"] = math.exp(sklearn.log_loss(y, probabilities, labels=classes))
    found["auc"] = np.mean([sklearn.roc_auc_score(y == c, probabilities[:, c]) for c in classes])
    return found


def sklearn_labels(answers, y):
    found = sklearn_of_classes(answers["prediction"], y.astype(int))
    found["auc"] = sklearn.roc_auc_score(y, answers["probabilities"])
    return found


def sklearn_masks(answers, y):
    counts = y != IGNORED
    return sklearn_of_classes(answers["prediction"][counts], y[counts].astype(int))


def sklearn_numbers(answers, y):
    prediction, y = answers["prediction"].astype(float), y.astype(float)
    return {"mae": sklearn.mean_absolute_error(y, prediction),
            "rmse": math.sqrt(sklearn.mean_squared_error(y, prediction)),
            "r2": sklearn.r2_score(y, prediction)}

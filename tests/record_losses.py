"""Writes losses.json: values and gradients of PyTorch's losses in float64, which test_loss_kinds.py holds
ours to. Needs torch:  python tests/record_losses.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path

FILE = Path(__file__).with_name("losses.json")

OUTPUT = [[0.3, -1.2, 2.1, 0.0], [1.7, 0.4, -0.6, 3.2], [-2.5, 0.9, 1.1, -0.1]]
REAL = [[0.5, -0.7, 1.4, 0.2], [0.1, 0.4, -2.6, 1.5], [1.5, -0.3, 0.8, 0.6]]
COUNTS = [[0.0, 3.0, 1.0, 7.0], [2.0, 0.0, 5.0, 1.0], [1.0, 12.0, 0.0, 4.0]]
RATES = [[0.2, 1.5, 3.0, 6.5], [2.2, 0.1, 4.0, 0.7], [1.1, 9.0, 0.3, 5.0]]
LABELS = [2, 0, 3]
BINARY = [[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1]]
POSITIVE = [[0.5, 2.0, 0.1, 1.3], [0.02, 1.0, 4.0, 0.7], [1e-7, 0.3, 2.5, 9.0]]
LOGITS = [[0.3, -0.2, 0.7, 0.1], [1.0, -1.0, 0.5, 0.0], [-0.4, 0.6, 0.2, -1.1]]
WEIGHT = [1.0, 0.5, 2.0, 1.5]

# Ours: name, arguments, output, target. Theirs: a function in torch_loss.
CASES = [
    ("PoissonNLLLoss", {}, OUTPUT, COUNTS),
    ("PoissonNLLLoss", {"full": True}, OUTPUT, COUNTS),
    ("PoissonNLLLoss", {"log_input": False}, RATES, COUNTS),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 0.01}, RATES, COUNTS),
    ("GaussianNLLLoss", {"log_variance": False}, [OUTPUT, POSITIVE], REAL),
    ("GaussianNLLLoss", {"log_variance": False, "full": True, "eps": 0.05}, [OUTPUT, POSITIVE], REAL),
    ("CosineSimilarityLoss", {}, OUTPUT, REAL),
    ("MultiMarginLoss", {}, OUTPUT, LABELS),
    ("MultiMarginLoss", {"p": 2, "margin": 0.7}, OUTPUT, LABELS),
    ("MultiMarginLoss", {"weight": WEIGHT}, OUTPUT, LABELS),
    ("BCEWithLogitsLoss", {"pos_weight": WEIGHT}, OUTPUT, BINARY),
    ("BinaryFocalLoss", {}, OUTPUT, BINARY),
    ("BinaryFocalLoss", {"gamma": 1.5, "alpha": -1.0}, OUTPUT, BINARY),
    ("FocalLoss", {}, OUTPUT, LABELS),
    ("FocalLoss", {"gamma": 0.5, "alpha": WEIGHT}, OUTPUT, LABELS),
    ("KLDivLoss", {}, OUTPUT, LOGITS),
    ("KLDivLoss", {"log_target": True}, OUTPUT, LOGITS),
]
REDUCTIONS = ("mean", "sum", "none")


def log_softmax(rows):
    def of(row):
        top = max(row)
        total = top + math.log(sum(math.exp(x - top) for x in row))
        return [x - total for x in row]

    return [of(row) for row in rows]


def prepared(name, given, output, target):
    """Log-probabilities on both sides of KLDivLoss; its targets as they are asked for."""
    if name != "KLDivLoss":
        return output, target
    q = log_softmax(target)
    if not given.get("log_target"):
        q = [[math.exp(x) for x in row] for row in q]
    return log_softmax(output), q


def torch_loss(name, given, output, target, reduction):
    import torch
    import torch.nn.functional as F

    def reduced(values):
        return {"mean": values.mean, "sum": values.sum, "none": lambda: values}[reduction]()

    if name == "PoissonNLLLoss":
        return F.poisson_nll_loss(output, target, **given, reduction=reduction)
    if name == "GaussianNLLLoss":
        kept = {key: value for key, value in given.items() if key != "log_variance"}
        return F.gaussian_nll_loss(output[0], target, output[1], **kept, reduction=reduction)
    if name == "CosineSimilarityLoss":
        return reduced(1 - F.cosine_similarity(output, target, dim=-1, eps=1e-8))
    if name in ("MultiMarginLoss", "BCEWithLogitsLoss"):
        kept = {
            key: torch.tensor(v, dtype=torch.float64) if "weight" in key else v for key, v in given.items()
        }
        of = F.multi_margin_loss if name == "MultiMarginLoss" else F.binary_cross_entropy_with_logits
        return of(output, target, **kept, reduction=reduction)
    if name == "BinaryFocalLoss":  # torchvision.ops.sigmoid_focal_loss, line by line
        gamma, alpha = given.get("gamma", 2.0), given.get("alpha", 0.25)
        p = torch.sigmoid(output)
        ce = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        p_t = p * target + (1 - p) * (1 - target)
        loss = ce * ((1 - p_t) ** gamma)
        if alpha >= 0:
            loss = (alpha * target + (1 - alpha) * (1 - target)) * loss
        return reduced(loss)
    if name == "FocalLoss":
        logp = F.log_softmax(output, dim=-1).gather(1, target[:, None])[:, 0]
        loss = -((1 - logp.exp()) ** given.get("gamma", 2.0)) * logp
        if "alpha" in given:
            loss = torch.tensor(given["alpha"], dtype=torch.float64)[target] * loss
        return reduced(loss)
    assert name == "KLDivLoss"
    if reduction == "none":
        return F.kl_div(output, target, **given, reduction="none").sum(-1)
    return F.kl_div(output, target, **given, reduction="batchmean" if reduction == "mean" else "sum")


def main() -> None:
    import torch

    rows = []
    for name, given, output, target in CASES:
        output, target = prepared(name, given, output, target)
        row = {"name": name, "arguments": given, "output": output, "target": target}
        y = torch.tensor(target, dtype=torch.int64 if target is LABELS else torch.float64)
        for reduction in REDUCTIONS:
            several = isinstance(output[0][0], list)
            parts = [
                torch.tensor(part, dtype=torch.float64, requires_grad=True)
                for part in (output if several else [output])
            ]
            loss = torch_loss(name, given, parts if several else parts[0], y, reduction)
            row[reduction] = loss.tolist()
            if reduction != "none":
                loss.backward()
                grads = [part.grad.tolist() for part in parts]
                row[f"{reduction} gradient"] = grads if several else grads[0]
        rows.append(row)
    FILE.write_text(json.dumps(rows) + "\n")
    print(f"{FILE.name}: {len(rows)} cases, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""Writes layers.json: outputs and gradients of PyTorch's layers in float64, which test_layers.py holds ours
to. Needs torch:  python tests/record_layers.py
"""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).with_name("layers.json")

X = [[0.3, -1.2, 2.1, 0.0], [1.7, 0.4, -0.6, 3.2], [-2.5, 0.9, 1.1, -0.1]]
WEIGHT = [0.25, -0.1, 0.6, 1.5]
TABLE = [[0.1, -0.4], [0.0, 0.0], [1.5, 0.7], [-0.9, 2.2]]
INDEX = [[0, 3, 3], [1, 2, 0]]

# Ours: layer, positional and named arguments, parameters, input. Theirs: the layer of the same name.
CASES = [
    ("SELU", [], {}, {}, X),
    ("Mish", [], {}, {}, X),
    ("Softsign", [], {}, {}, X),
    ("Hardtanh", [], {}, {}, X),
    ("Hardtanh", [], {"min_val": -0.5, "max_val": 2.0}, {}, X),
    ("GLU", [], {}, {}, X),
    ("PReLU", [], {}, {"weight": [0.25]}, X),
    ("PReLU", [4], {}, {"weight": WEIGHT}, X),
    ("RMSNorm", [4], {}, {"weight": WEIGHT}, X),
    ("RMSNorm", [4], {"eps": 0.1, "elementwise_affine": False}, {}, X),
    ("Embedding", [4, 2], {}, {"weight": TABLE}, INDEX),
    ("Embedding", [4, 2], {"padding_idx": 1}, {"weight": TABLE}, INDEX),
]


def main() -> None:
    import torch

    rows = []
    for name, args, kwargs, parameters, given in CASES:
        layer = getattr(torch.nn, name)(*args, **kwargs).double()
        layer.load_state_dict(
            {key: torch.tensor(value, dtype=torch.float64) for key, value in parameters.items()}
        )
        whole = name == "Embedding"
        x = torch.tensor(given) if whole else torch.tensor(given, dtype=torch.float64, requires_grad=True)
        y = layer(x)
        torch.sin(y).sum().backward()  # a cotangent that differs from place to place
        row = {"name": name, "args": args, "kwargs": kwargs, "parameters": parameters, "x": given}
        row["y"] = y.tolist()
        row["gradient"] = None if whole else x.grad.tolist()
        row["gradients"] = {key: p.grad.tolist() for key, p in layer.named_parameters()}
        rows.append(row)
    FILE.write_text(json.dumps(rows) + "\n")
    print(f"{FILE.name}: {len(rows)} cases, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

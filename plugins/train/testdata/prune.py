"""Writes which weights L1 pruning leaves: by torch.nn.utils.prune where there is torch, or else
by its rule: of n weights, round(amount * n) of the smallest absolute value become 0."""

import json
import pathlib
import random

HERE = pathlib.Path(__file__).parent
SHAPES = [[4, 6], [5, 5], [3, 7]]
AMOUNTS = [0.0, 0.1, 0.25, 0.5, 0.7, 0.9]


def by_torch(tensors, amount, scope):
    import torch
    from torch.nn.utils import prune

    class Holder(torch.nn.Module):
        def __init__(self, values, shape):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(values).reshape(shape))

    holders = [Holder(values, shape) for values, shape in zip(tensors, SHAPES)]
    if scope == "global":
        pairs = [(holder, "weight") for holder in holders]
        prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=amount)
    else:
        for holder in holders:
            prune.l1_unstructured(holder, "weight", amount)
    return [holder.weight_mask.flatten().int().tolist() for holder in holders]


def by_rule(tensors, amount, scope):
    groups = [range(len(tensors))] if scope == "global" else [[i] for i in range(len(tensors))]
    masks = [[1] * len(values) for values in tensors]
    for group in groups:
        places = [(abs(tensors[i][at]), i, at) for i in group for at in range(len(tensors[i]))]
        for _, i, at in sorted(places)[: round(amount * len(places))]:
            masks[i][at] = 0
    return masks


def main():
    source = random.Random(5)
    # Of different widths, so that global pruning takes more of some; all are exact in f32.
    tensors = [[round(source.gauss(0, width) * 4096) / 4096 for _ in range(rows * columns)]
               for (rows, columns), width in zip(SHAPES, (1, 0.3, 2))]
    try:
        import torch.nn  # noqa: F401  (beside this file is a folder of that name)
        masks = by_torch
    except ImportError:
        masks = by_rule
    cases = [{"scope": scope, "amount": amount,
              "masks": ["".join(map(str, mask)) for mask in masks(tensors, amount, scope)]}
             for scope in ("layer", "global") for amount in AMOUNTS]
    made = {"shapes": SHAPES, "tensors": tensors, "cases": cases}
    (HERE / "prune.json").write_text(json.dumps(made, indent=1) + "\n")


main()

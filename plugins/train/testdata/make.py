"""Writes a tiny model as PyTorch does and as safetensors. Needs torch and safetensors."""

import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
H, F = 4, 6


def main():
    shapes = {f"embeddings.{n}_embeddings.weight": [r, H]
              for n, r in [("word", 5), ("position", 3), ("token_type", 2)]}
    layer = "encoder.layer.0."
    dense = [(f"attention.self.{n}", H, H) for n in ("query", "key", "value")]
    dense += [("attention.output.dense", H, H), ("intermediate.dense", F, H), ("output.dense", H, F)]
    for name, outputs, inputs in [(layer + n, o, i) for n, o, i in dense] + [("pooler.dense", H, H)]:
        shapes |= {f"{name}.weight": [outputs, inputs], f"{name}.bias": [outputs]}
    for name in ["embeddings", layer + "attention.output", layer + "output"]:
        shapes |= {f"{name}.LayerNorm.weight": [H], f"{name}.LayerNorm.bias": [H]}
    torch.manual_seed(1)
    tensors = {f"bert.{name}": torch.randn(shape) for name, shape in shapes.items()}
    tensors["bert.embeddings.LayerNorm.weight"] = torch.arange(4) + 0.5
    tensors["bert.embeddings.LayerNorm.bias"] = torch.arange(4) / 4
    # Half of it in 16 bits, and one tensor that does not lie row after row.
    tensors["bert.pooler.dense.weight"] = tensors["bert.pooler.dense.weight"].half()
    tensors["bert.pooler.dense.bias"] = tensors["bert.pooler.dense.bias"].half()
    down = f"bert.{layer}output.dense.weight"
    save_file(tensors, HERE / "safe/model.safetensors")
    tensors[down] = tensors[down].t().contiguous().t()
    torch.save(tensors, HERE / "torch/pytorch_model.bin")


main()

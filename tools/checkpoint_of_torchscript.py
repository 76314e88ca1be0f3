#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `finpercep export` wrote and a training in Python has changed, as a checkpoint again: for `finpercep score`, `map`, `eval`, `rl` and, of a chain, `upscale`.
Usage: checkpoint_of_torchscript.py MODEL.safetensors TRAINED.pt OUT.safetensors      MODEL is what was exported; OUT gets its metadata. A reward's other stages keep their own
heads and levels, which no longer fit: judge by the stage that was exported. Needs torch and numpy."""
import sys
from pathlib import Path

import torch

from fetch_weights import encode, write_atomically
from mean_of_models import read


def main(model, trained, out):
    if Path(out).exists():
        sys.exit(f"checkpoint_of_torchscript: {out}: exists. choose another name")
    tensors, metadata = read(model)
    weights = dict(torch.jit.load(trained, map_location="cpu").named_parameters())
    parameter = {name.replace(".", "_"): name for name in tensors}  # as nets/script.h's script_name
    for name, value in weights.items():
        expected = list(tensors[parameter[name]].shape) if name in parameter else None
        if list(value.shape) != expected:
            sys.exit(f"checkpoint_of_torchscript: {trained}: {name}: expected {expected or 'none'} as in {model}, found {list(value.shape)}. give the model that was exported")
        if not value.isfinite().all():
            sys.exit(f"checkpoint_of_torchscript: {trained}: {name}: expected finite numbers. the training has diverged")
        tensors[parameter[name]] = value.detach().float().numpy()
    metadata.pop("checksum", None)
    metadata["training"] = f"in Python, from {Path(model).stem}"
    write_atomically(Path(out), encode(tensors, metadata, "F16"))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

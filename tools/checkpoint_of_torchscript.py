#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `finpercep export` wrote and a training in Python has changed, as a checkpoint again: for `finpercep score`, `map`, `eval`, `rl` and, of a chain, `upscale`.
Usage: checkpoint_of_torchscript.py MODEL.safetensors TRAINED.pt OUT.safetensors      MODEL is what was exported; OUT gets its metadata. Needs torch and numpy."""
import sys
from pathlib import Path

import numpy as np
import torch

from fetch_weights import encode, write_atomically
from mean_of_models import read


def main(model, trained, out):
    if Path(out).exists():
        sys.exit(f"checkpoint_of_torchscript: {out}: exists. choose another name")
    tensors, metadata = read(model)
    weights = dict(torch.jit.load(trained, map_location="cpu").named_parameters())
    found = {name: weights.get(name.replace(".", "_")) for name in tensors}  # as nets/script.h's script_name
    for name, value in found.items():
        if value is None or list(value.shape) != list(tensors[name].shape):
            sys.exit(f"checkpoint_of_torchscript: {trained}: {name}: expected {list(tensors[name].shape)} as in {model}, found "
                     f"{'none' if value is None else list(value.shape)}. give the model that was exported")
        if not value.isfinite().all():
            sys.exit(f"checkpoint_of_torchscript: {trained}: {name}: expected finite numbers. the training has diverged")
    metadata.pop("checksum", None)
    metadata["training"] = f"in Python, from {Path(model).stem}"
    write_atomically(Path(out), encode({name: value.detach().float().numpy().astype(np.float32) for name, value in found.items()}, metadata, "F16"))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The weighted mean of the weights of several fp16 models of one architecture and, for it to make sense, of one origin (Wortsman et al.: WiSE-FT, CVPR 2022; model soups, ICML 2022).
The result has the first model's metadata.
Usage: mean_of_models.py OUT FILE:SHARE FILE:SHARE ..      shares are in proportion. Needs numpy."""
import json
import sys
from pathlib import Path

import numpy as np

from fetch_weights import checksum_holds, encode, write_atomically


def read(path):
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:end])
    except ValueError:
        sys.exit(f"mean_of_models: {path}: expected a checkpoint (.safetensors), found another kind of file")
    holds = checksum_holds(data)
    if not holds:
        sys.exit(f"mean_of_models: {path}: expected the checksum that the program writes, found {'none' if holds is None else 'another: it is damaged'}")
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, about in header.items():
        if about["dtype"] != "F16":
            sys.exit(f"mean_of_models: {path}: {name}: expected F16, found {about['dtype']}. give checkpoints, not training states")
        first, last = about["data_offsets"]
        tensors[name] = np.frombuffer(data[end + first:end + last], "<f2").reshape(about["shape"])
    return tensors, metadata


def main(out, given):
    if Path(out).exists():
        sys.exit(f"mean_of_models: {out}: exists. choose another name")
    paths, shares = zip(*(word.rsplit(":", 1) for word in given))
    try:
        shares = [float(share) for share in shares]
    except ValueError:
        sys.exit(f"mean_of_models: expected FILE:SHARE with a number, found {' '.join(given)}")
    if not sum(shares) > 0:
        sys.exit("mean_of_models: expected shares whose sum is above 0")
    parts = [(*read(path), share) for path, share in zip(paths, shares)]
    tensors, metadata, _ = parts[0]
    shapes = {name: value.shape for name, value in tensors.items()}
    for (others, _, _), word in zip(parts, given):
        if {name: value.shape for name, value in others.items()} != shapes:
            sys.exit(f"mean_of_models: {word}: expected the tensors of {given[0]}, found others. models of one architecture have a mean")
    total = sum(share for _, _, share in parts)
    mean = {name: sum(part[name].astype(np.float64) * (share / total) for part, _, share in parts) for name in tensors}
    metadata.pop("checksum", None)
    write_atomically(Path(out), encode(mean, metadata, "F16"))


if __name__ == "__main__":
    if len(sys.argv) < 4 or any(":" not in word for word in sys.argv[2:]):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])

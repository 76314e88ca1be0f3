#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A control for RL: the reward whose finest map is 1 - map and whose S is 1 - S, exactly. What a generator gains by a reward it must lose by this one (docs/results/rl-studies.md).
Usage: reversed_reward.py MODEL.safetensors OUT.safetensors      of a model with the default head, defect_and_clean; for stages=[4]. Needs numpy."""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from fetch_weights import encode, write_atomically  # noqa: E402
from mean_of_models import read  # noqa: E402

tensors, metadata = read(sys.argv[1])
metadata.pop("checksum", None)
for name in tensors:
    if ".logits." in name or name.startswith("head.4.out."):
        tensors[name] = -tensors[name]
seen = tensors["head.4.hidden.weight"]  # of defects, then of what is clean
tensors["head.4.hidden.weight"] = np.roll(seen, seen.shape[1] // 2, axis=1)
write_atomically(Path(sys.argv[2]), encode(tensors, metadata, "F16"))

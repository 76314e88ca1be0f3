# SPDX-License-Identifier: Apache-2.0
"""What the dump scripts share: images that C++ computes exactly alike, a summary of a tensor, and the writing of a fixture."""
import importlib.util
import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def formula(height, width, fx=0.37, fy=0.61, phase=0.0):
    """image[c,y,x] = 0.5 + 0.5 sin(fx x + fy y + 1.3 c + phase), in double, 1 x 3 x H x W."""
    c, y, x = (torch.arange(n, dtype=torch.float64) for n in (3, height, width))
    return (0.5 + 0.5 * torch.sin(fx * x.view(1, 1, -1) + fy * y.view(1, -1, 1) + 1.3 * c.view(-1, 1, 1) + phase))[None]


def summary(tensor):
    """Shape, mean, standard deviation (of the population) and eight values at flat positions (13 + 7919 k) mod size."""
    flat = tensor.flatten()
    index = [(13 + 7919 * k) % flat.numel() for k in range(8)]
    return {"shape": list(tensor.shape), "mean": flat.mean().item(), "std": flat.std(unbiased=False).item(),
            "index": index, "values": [flat[i].item() for i in index]}


def weights(name):
    """From the cache folder, in double: the fixtures are to be nearer the truth than the float32 program they check."""
    spec = importlib.util.spec_from_file_location("fetch_weights", ROOT / "tools" / "fetch_weights.py")
    fetch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch)
    file = fetch.cache_folder() / f"{name}.safetensors"
    problem = fetch.problem_with(file, name)
    if problem:
        raise SystemExit(f"{file}: {problem}. Run tools/fetch_weights.py --only {name}")
    return {key: value.double() for key, value in load_file(os.fspath(file)).items()}, fetch.TABLE[name].package.sha256


def write(name, fixture):
    path = HERE / name
    path.write_text(json.dumps(fixture, indent=1) + "\n")
    print(path)

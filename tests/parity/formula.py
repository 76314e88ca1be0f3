# SPDX-License-Identifier: Apache-2.0
"""What the dump scripts share: images that C++ computes exactly alike, a summary of a tensor, and the writing of a fixture."""
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def formula(height, width, fx=0.37, fy=0.61, phase=0.0):
    """image[c,y,x] = 0.5 + 0.5 sin(fx x + fy y + 1.3 c + phase), in double, 1 x 3 x H x W."""
    c, y, x = (torch.arange(n, dtype=torch.float64) for n in (3, height, width))
    return (0.5 + 0.5 * torch.sin(fx * x.view(1, 1, -1) + fy * y.view(1, -1, 1) + 1.3 * c.view(-1, 1, 1) + phase))[None]


def summary(tensor, count=8):
    """Shape, mean, standard deviation (of the population) and `count` values at flat positions (13 + 7919 k) mod size."""
    flat = tensor.flatten()
    index = [(13 + 7919 * k) % flat.numel() for k in range(count)]
    return {"shape": list(tensor.shape), "mean": flat.mean().item(), "std": flat.std(unbiased=False).item(),
            "index": index, "values": [flat[i].item() for i in index]}


def fetcher():
    """tools/fetch_weights.py as a module."""
    spec = importlib.util.spec_from_file_location("fetch_weights", ROOT / "tools" / "fetch_weights.py")
    fetch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch)
    return fetch


def weights(name):
    """From the cache folder, in double: the fixtures are to be nearer the truth than the float32 program they check."""
    fetch = fetcher()
    file = fetch.cache_folder() / f"{name}.safetensors"
    problem = fetch.problem_with(file, name)
    if problem:
        raise SystemExit(f"{file}: {problem}. Run tools/fetch_weights.py --only {name}")
    return {key: value.double() for key, value in load_file(os.fspath(file)).items()}, fetch.TABLE[name].package.sha256


def write(name, fixture):
    path = HERE / name
    path.write_text(json.dumps(fixture, indent=1) + "\n")
    print(path)


def formula_noise(name, shape):
    """As in src/finpercep/nets/test_formula_weights.h: uniform in [-sqrt 3, sqrt 3), from SplitMix64 of FNV-1a(name) + position, float32."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    count = int(np.prod(shape)) if len(shape) else 1
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    values = ((z >> np.uint64(40)).astype(np.float64) / 8388608 - 1) * np.sqrt(3.0)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def formula_tensor(name, shape):
    """Kernels and matrices N(0, 1 / fan in), norms' weights 1 + .1 u, variances 1.5 + .25 u, log scales 4.6 + .1 u, all else .1 u."""
    noise = formula_noise(name, shape)
    if name.endswith("running_var"):
        return 1.5 + 0.25 * noise
    if name.endswith("logit_scale"):
        return 4.6 + 0.1 * noise
    if len(shape) >= 2:
        return noise * np.float32(1 / np.sqrt(float(np.prod(shape[1:]))))
    return 1 + 0.1 * noise if name.endswith("weight") else 0.1 * noise

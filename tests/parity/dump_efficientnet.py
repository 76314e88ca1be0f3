#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 in plain torch (Tan & Le 2019; Lite: no squeeze-excitation, ReLU6), and the fixture efficientnet_lite0.json.

The package says neither how images are scaled nor how they are padded. `dump_efficientnet.py --conventions DIR` measures it on up to 48
photographs of DIR: batch norm remembers what the net saw in training, so the right convention is where our statistics meet its own.
On BSDS300, TensorFlow's SAME padding is nearest (variance error 0.13 against 0.17), and (255 x - 127) / 128 and 2 x - 1 are nearer than
the others and cannot be told apart (0.1328, 0.1322); the first is what TensorFlow's own Lite models are given, and is used.
"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from formula import formula, summary, weights, write

STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
TAPS = {0: 2, 1: 4, 2: 8, 4: 16, 6: 32}  # stage -> stride
SCALINGS = {
    "127": lambda x: (255 * x - 127) / 128,
    "half": lambda x: 2 * x - 1,
    "unit": lambda x: x,
    "imagenet": lambda x: (x - torch.tensor([.485, .456, .406]).view(3, 1, 1)) / torch.tensor([.229, .224, .225]).view(3, 1, 1),
}


def pad(x, kernel, stride, same):
    if not same:
        return F.pad(x, [(kernel - 1) // 2] * 4)
    total = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]]
    (top, left) = (t // 2 for t in total)
    return F.pad(x, [left, total[1] - left, top, total[0] - top])


def run(state, x, same=True, seen=None):
    """The five taps and the probabilities. `seen` collects per layer how far batch statistics are from those of the training."""
    def unit(x, conv, norm, kernel, stride, groups, activate):
        x = F.conv2d(pad(x, kernel, stride, same), state[conv + ".weight"], stride=stride, groups=groups)
        mean, var = state[norm + ".running_mean"], state[norm + ".running_var"]
        if seen is not None:
            now = x.var((0, 2, 3))
            seen.append([((x.mean((0, 2, 3)) - mean) ** 2).sum() / var.sum(), ((now + 1e-3) / (var + 1e-3)).log().abs().median()])
        x = F.batch_norm(x, mean, var, state[norm + ".weight"], state[norm + ".bias"], eps=1e-3)
        return x.clamp(0, 6) if activate else x

    x, block, taps = unit(x, "_conv_stem", "_bn0", 3, 2, 1, True), 0, {}
    for index, (repeats, kernel, first_stride, expansion, channels) in enumerate(STAGES):
        for repeat in range(repeats):
            name, stride, before = f"_blocks.{block}.", first_stride if repeat == 0 else 1, x
            if expansion > 1:
                x = unit(x, name + "_expand_conv", name + "_bn0", 1, 1, 1, True)
            x = unit(x, name + "_depthwise_conv", name + "_bn1", kernel, stride, x.shape[1], True)
            x = unit(x, name + "_project_conv", name + "_bn2", 1, 1, 1, False)
            if stride == 1 and x.shape[1] == before.shape[1]:
                x = x + before
            block += 1
        if index in TAPS:
            taps[TAPS[index]] = x
    x = unit(x, "_conv_head", "_bn1", 1, 1, 1, True)
    return taps, (x.mean((2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]).softmax(1)


def conventions(state, folder):
    import numpy as np
    from PIL import Image

    state = {name: value.float() for name, value in state.items()}
    files = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".png"))[:48]
    crops = [np.array(Image.open(p).convert("RGB").resize((256, 256)).crop((16, 16, 240, 240))) for p in files]
    photos = torch.stack([torch.from_numpy(c).permute(2, 0, 1) for c in crops]).float() / 255
    print("scaling   padding    mean error  variance error  confidence")
    for name, scale in SCALINGS.items():
        for same in (True, False):
            seen = []
            with torch.no_grad():
                _, probability = run(state, scale(photos), same, seen)
            mean, var = torch.tensor(seen).mean(0).tolist()
            print(f"{name:9} {'SAME' if same else 'symmetric':9} {mean:11.4f} {var:15.4f} {probability.max(1)[0].mean():11.4f}")


def main():
    parser = argparse.ArgumentParser(description="Writes efficientnet_lite0.json.")
    parser.add_argument("--conventions", metavar="DIR", help="measure scalings and paddings on photographs instead (needs Pillow)")
    options = parser.parse_args()
    state, sha256 = weights("efficientnet_lite0")
    if options.conventions:
        return conventions(state, options.conventions)
    image = formula(64, 96)
    with torch.no_grad():
        taps, probability = run(state, SCALINGS["127"](image))
    write("efficientnet_lite0.json", {
        "made_by": "tests/parity/dump_efficientnet.py", "package_sha256": sha256, "dtype": "float64",
        "image": "x[c,y,x] = 0.5 + 0.5 sin(0.37 x + 0.61 y + 1.3 c), 3 x 64 x 96; the net sees (255 x - 127) / 128",
        "height": 64, "width": 96,
        "taps": [{"stride": stride, **summary(tap)} for stride, tap in taps.items()],
        "top": {"class": probability.argmax().item(), "probability": probability.max().item()},
    })


if __name__ == "__main__":
    main()

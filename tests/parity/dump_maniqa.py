#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MANIQA on weights by formula beside pyiqa's (which is only run, nothing of it is here), and the fixture maniqa.json.

    tests/parity/dump_maniqa.py /tmp/peers        # see peers.py
"""
import collections.abc
import re
import sys
from pathlib import Path

import torch

from formula import formula, summary, write
from peers import fill, import_torchvision, pyiqa_module


GAIN = {"c_q.weight": .125}  # as they come from the formula, a softmax over 3072 channels is all but hard, and float32 no longer follows double


def cropper(folder):
    """uniform_crop alone of pyiqa.archs.arch_util, which imports much that it does not use."""
    text = (Path(folder) / "pyiqa/archs/arch_util.py").read_text()
    start = text.index("def uniform_crop")
    import numpy
    names = {"collections": collections, "F": torch.nn.functional, "np": numpy, "torch": torch, "to_2tuple": lambda n: (n, n)}
    exec(compile(text[start:start + re.search(r"\n\S", text[start:]).start()], "arch_util.py", "exec"), names)
    return names["uniform_crop"]


def places(crop, height, width):
    """Where the public crops lie: cut out of a picture of coordinates."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    corners = crop(torch.stack([y, x])[None], crop_size=224, crop_num=20)[:, :, 0, 0]
    return {"height": height, "width": width, "places": corners.tolist()}


def main():
    folder = sys.argv[1]
    import_torchvision(folder)
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
    import convert_weights
    import timm
    create, crop = timm.create_model, cropper(folder)
    timm.create_model = lambda name, pretrained: create(name, pretrained=False)

    def one_of_equal_crops(x, crop_size, crop_num):  # they are alike where a side is 225: a net of minutes in double is run once, not 20 times
        crops = crop(x, crop_size, crop_num)
        assert (crops == crops[:1]).all()
        return crops[:1]

    module = pyiqa_module(folder, "pyiqa.archs.maniqa_arch", uniform_crop=one_of_equal_crops, random_crop=None)
    fixture = {"made_by": "tests/parity/dump_maniqa.py with pyiqa 0.1.16, timm 1.0.15, float64", "gain": GAIN,
               "crops": [places(crop, *size) for size in ((225, 225), (225, 232), (500, 301))], "models": []}
    for trained_on, scale, side in (("koniq", .8, 225), ("pipal", .13, 90)):
        net = module.MANIQA(pretrained=False, scale=scale).double().eval()
        fixture["tensors"] = fill(net, kept=convert_weights.MANIQA.match, gain=GAIN)
        assert len(fixture["tensors"]) == convert_weights.TABLE["maniqa-koniq"][1], len(fixture["tensors"])
        seen = {}
        for name in ("score", "weight"):
            getattr(net, "fc_" + name).register_forward_hook(lambda _, given, result, name=name: seen.update({name: result[:, :, 0]}))
        with torch.no_grad():
            value = net(formula(side, side)).item()
        fixture["models"].append({"trained_on": trained_on, "side": side, "value": value, **{name: summary(patches) for name, patches in seen.items()}})
    write("maniqa.json", fixture)


if __name__ == "__main__":
    main()

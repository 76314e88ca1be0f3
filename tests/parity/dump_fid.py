#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FID on weights by formula with the public code of pytorch-fid (the net, Apache-2.0) and clean-fid (resizing and distance, MIT), and the fixture fid.json.

    PYTHONPATH=/tmp/peers tests/parity/dump_fid.py /tmp/peers     # see peers.py; the root of a 2048 x 2048 matrix takes a minute
"""
import re
import sys
import types
from pathlib import Path

import numpy as np
import scipy.linalg
import torch

from formula import formula, formula_tensor, summary, write
from peers import gained, import_torchvision, module_of

GAIN = {"conv.weight": 2}  # without it what is seen of a picture dies out on the way up
SETS = {"a": [(70, 90, .37, .61, 0), (310, 250, .05, .02, .3), (64, 64, .9, .2, 1)],  # height, width, and the arguments of formula()
        "b": [(120, 80, .3, .5, .1), (299, 299, .11, .07, 2), (50, 200, .8, .1, .7), (90, 91, .2, .9, 0)]}


def public_net(folder):
    """The net of pytorch-fid, in double, with weights by formula where it would load the published file; {name: shape} of these."""
    torchvision, tensors = import_torchvision(folder), {}
    net = module_of("pytorch_fid_inception", folder / "pytorch_fid/inception.py")
    net.load_state_dict_from_url = lambda *_, **__: {}

    def by_formula(self, _):
        made = {name: value for name, value in self.state_dict().items() if value.is_floating_point() and not name.startswith("fc.")}
        tensors.update({name: list(value.shape) for name, value in made.items()})
        values = {name: formula_tensor(name, shape) * gained(name, GAIN) for name, shape in tensors.items()}
        torch.nn.Module.load_state_dict(self, values, strict=False)

    torchvision.models.inception.Inception3.load_state_dict = by_formula
    return net.InceptionV3([3], resize_input=False, normalize_input=False).double().eval(), tensors


def distance(folder, a, b):
    """clean-fid's own function, of its file alone: the module imports much that it does not use."""
    text = (folder / "cleanfid/fid.py").read_text()
    start = text.index("def frechet_distance")
    end = start + re.search(r"\n\S", text[start:]).start()
    root = scipy.linalg.sqrtm
    names = {"np": np, "linalg": types.SimpleNamespace(sqrtm=lambda x, disp=True: root(x) if disp else (root(x), None))}  # SciPy 1.18 drops `disp`
    exec(compile(text[start:end], "fid.py", "exec"), names)
    return float(names["frechet_distance"](a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False)))


def main():
    folder = Path(sys.argv[1])
    net, tensors = public_net(folder)
    resize = module_of("cleanfid_resize", folder / "cleanfid/resize.py").build_resizer("clean")
    features = {}
    for key, pictures in SETS.items():
        rows = []
        for height, width, fx, fy, phase in pictures:
            picture = (255 * formula(height, width, fx, fy, phase)).round()[0].permute(1, 2, 0).numpy().astype(np.uint8)
            x = torch.from_numpy(resize(picture)).permute(2, 0, 1)[None].double()
            rows.append(net((x - 128) / 128)[0].flatten(1))
        features[key] = torch.cat(rows)
    values = distance(folder, features["a"].numpy(), features["b"].numpy())
    write("fid.json", {"made_by": "tests/parity/dump_fid.py with pytorch-fid 0.3.0 and clean-fid 0.1.35, float64", "gain": GAIN, "sets": SETS, "tensors": tensors,
                       "features": {key: summary(value) for key, value in features.items()}, "value": values})


if __name__ == "__main__":
    with torch.no_grad():
        main()

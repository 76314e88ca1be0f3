#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MUSIQ and LIQE on weights by formula, and the fixtures musiq.json and liqe.json. Their public code runs beside: pyiqa's MUSIQ (which is only
run, nothing of it is here) and OpenAI's CLIP (PyPI clip-anytorch, MIT).

    tests/parity/dump_musiq.py /tmp/peers         # see peers.py
"""
import itertools
import sys
from pathlib import Path

import torch

from dump_clipiqa import MEAN, STD, public_model
from formula import formula, formula_tensor, write
from peers import fill, module_of, pyiqa_module


def musiq(folder):
    module, models = pyiqa_module(folder, "pyiqa.archs.musiq_arch"), []
    for grades in (1, 10):
        net = module.MUSIQ(num_class=grades, pretrained=False).double().eval()
        tensors, cases = fill(net), []
        for height, width in ((90, 130), (260, 200)):
            with torch.no_grad():
                cases.append({"height": height, "width": width, "value": net(formula(height, width)).item()})
        models.append({"grades": grades, "tensors": tensors, "cases": cases})
    write("musiq.json", {"made_by": "tests/parity/dump_musiq.py with pyiqa 0.1.16, float64", "models": models})


def check_words(folder):
    """The numbers of tools/convert_weights.py are what CLIP's tokeniser makes of LIQE's words."""
    sys.path[:0] = [str(folder), str(Path(__file__).parent.parent.parent / "tools")]
    import convert_weights
    encode = module_of("simple_tokenizer", Path(folder) / "clip/simple_tokenizer.py").SimpleTokenizer().encode
    grades = ["bad", "poor", "fair", "good", "perfect"]
    scenes = ["animal", "cityscape", "human", "indoor", "landscape", "night", "plant", "still_life", "others"]
    distortions = ["jpeg2000 compression", "jpeg compression", "noise", "blur", "color", "contrast", "overexposure", "underexposure", "spatial", "quantization",
                   "other"]
    assert convert_weights.QUALITY == [encode(f"a photo with {grade} quality") for grade in grades]
    assert convert_weights.JOINT == [encode(f"a photo of a {scene} with {distortion} artifacts, which is of {grade} quality")
                                     for grade, scene, distortion in itertools.product(grades, scenes, distortions)]


def liqe(folder):
    check_words(folder)
    net = public_model(folder).VisionTransformer(224, 32, 768, 12, 12, 512).double().eval()
    tensors = {**fill(net, "visual."), "logit_scale": [1]}
    net.float()  # its layer norm insists
    scale, cases = formula_tensor("logit_scale", [1]).double(), []
    for height, width in ((224, 300), (330, 420)):
        image = (formula(height, width) - MEAN) / STD
        places = [(y, x) for y in range(0, height - 223, 32) for x in range(0, width - 223, 32)]
        count = min(15, len(places))
        chosen = [places[i * max(1, len(places) // count)] for i in range(count)]
        with torch.no_grad():
            features = net(torch.cat([image[:, :, y:y + 224, x:x + 224] for y, x in chosen]).float()).double()
        values = {}
        for key, prompts in (("value", 5), ("mix", 495))[:2 if len(chosen) < 15 else 1]:
            text = formula_tensor("text.quality", [prompts, 512]).double()
            logits = scale.exp() * features / features.norm(dim=1, keepdim=True) @ (text / text.norm(dim=1, keepdim=True)).T
            values[key] = (logits.mean(0).softmax(0).view(5, -1).sum(1) * torch.arange(1, 6)).sum().item()
        cases.append({"height": height, "width": width, **values})
    write("liqe.json", {"made_by": "tests/parity/dump_musiq.py with clip-anytorch 2.6.0, float32", "tensors": tensors, "cases": cases})


if __name__ == "__main__":
    musiq(sys.argv[1])
    liqe(sys.argv[1])

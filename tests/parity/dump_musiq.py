#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MUSIQ and LIQE on weights by formula, and the fixtures musiq.json and liqe.json. Their public code runs beside: pyiqa's MUSIQ (which is only
run, nothing of it is here) and OpenAI's CLIP (PyPI clip-anytorch, MIT).

    pip download pyiqa==0.1.16 clip-anytorch==2.6.0 --no-deps -d /tmp/peers && cd /tmp/peers && unzip -qo pyiqa*.whl && unzip -qo clip*.whl
    tests/parity/dump_musiq.py /tmp/peers
"""
import importlib.util
import sys
import types
from pathlib import Path

import torch

from dump_clipiqa import MEAN, STD, public_model
from formula import formula, formula_tensor, write


def public_musiq(folder):
    """The module alone: the package would import torchvision and more, which MUSIQ does not use."""
    def stub(name, **parts):
        sys.modules[name] = types.SimpleNamespace(**parts)

    class Registry:
        def register(self):
            return lambda item: item

    def load(name, file):
        spec = importlib.util.spec_from_file_location(name, Path(folder) / "pyiqa" / file)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def dist_to_mos(share):
        grades = torch.arange(1, share.shape[-1] + 1).to(share)
        return share if share.shape[-1] == 1 else (share * grades).sum(-1, keepdim=True)

    for package in ("pyiqa", "pyiqa.archs", "pyiqa.data"):
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = []
    stub("pyiqa.archs.arch_util", dist_to_mos=dist_to_mos, load_pretrained_network=None, get_url_from_name=lambda name: name)
    stub("pyiqa.utils")
    stub("pyiqa.utils.registry", ARCH_REGISTRY=Registry())
    padding = load("pyiqa.padding", "matlab_utils/padding.py")
    stub("pyiqa.matlab_utils", ExactPadding2d=padding.ExactPadding2d, exact_padding_2d=padding.exact_padding_2d)
    load("pyiqa.data.multiscale_trans_util", "data/multiscale_trans_util.py")
    return load("pyiqa.archs.musiq_arch", "archs/musiq_arch.py")


def fill(net, prefix="", skip=()):
    state = {name: value for name, value in net.state_dict().items() if name not in skip}
    net.load_state_dict({name: formula_tensor(prefix + name, list(value.shape)).double() for name, value in state.items()}, strict=False)
    return {prefix + name: list(value.shape) for name, value in state.items()}


def musiq(folder):
    module, models = public_musiq(folder), []
    for grades in (1, 10):
        net = module.MUSIQ(num_class=grades, pretrained=False).double().eval()
        tensors, cases = fill(net), []
        for height, width in ((90, 130), (260, 200)):
            with torch.no_grad():
                cases.append({"height": height, "width": width, "value": net(formula(height, width)).item()})
        models.append({"grades": grades, "tensors": tensors, "cases": cases})
    write("musiq.json", {"made_by": "tests/parity/dump_musiq.py with pyiqa 0.1.16, float64", "models": models})


def liqe(folder):
    net = public_model(folder).VisionTransformer(224, 32, 768, 12, 12, 512).double().eval()
    extra = {"text.quality": [5, 512], "logit_scale": [1]}
    tensors = {**fill(net, "visual."), **extra}
    net.float()  # its layer norm insists
    text, scale = (formula_tensor(name, shape).double() for name, shape in extra.items())
    text, cases = text / text.norm(dim=1, keepdim=True), []
    for height, width in ((224, 300), (330, 420)):
        image = (formula(height, width) - MEAN) / STD
        places = [(y, x) for y in range(0, height - 223, 32) for x in range(0, width - 223, 32)]
        count = min(15, len(places))
        chosen = [places[i * max(1, len(places) // count)] for i in range(count)]
        with torch.no_grad():
            features = net(torch.cat([image[:, :, y:y + 224, x:x + 224] for y, x in chosen]).float()).double()
        logits = scale.exp() * features / features.norm(dim=1, keepdim=True) @ text.T
        cases.append({"height": height, "width": width, "value": (logits.mean(0).softmax(0) * torch.arange(1, 6)).sum().item()})
    write("liqe.json", {"made_by": "tests/parity/dump_musiq.py with clip-anytorch 2.6.0, float32", "tensors": tensors, "cases": cases})


if __name__ == "__main__":
    musiq(sys.argv[1])
    liqe(sys.argv[1])

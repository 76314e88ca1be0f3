# SPDX-License-Identifier: Apache-2.0
"""Public Python packages beside which ours is run. They lie unpacked in one folder; of a package only the modules that are asked for are loaded.

    pip download pyiqa==0.1.16 clip-anytorch==2.6.0 timm==1.0.15 torchvision==0.28.0 pytorch-fid==0.3.0 clean-fid==0.1.35 lpips==0.1.4 --no-deps -d /tmp/peers
    pip install --no-deps --target /tmp/peers einops pyyaml scipy pillow ftfy regex wcwidth tqdm requests
    cd /tmp/peers && for wheel in *.whl; do unzip -qo $wheel; done
"""
import importlib.util
import sys
import types
from pathlib import Path

import torch

from formula import formula_tensor


def module_of(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stand_in(name, **parts):
    sys.modules[name] = types.SimpleNamespace(**parts)


def dist_to_mos(share):
    grades = torch.arange(1, share.shape[-1] + 1).to(share)
    return share if share.shape[-1] == 1 else (share * grades).sum(-1, keepdim=True)


def pyiqa_module(folder, name, **arch_util):
    """`name` of pyiqa without the rest of the package; `arch_util` is what it takes from pyiqa.archs.arch_util."""
    for package in ("pyiqa", "pyiqa.archs", "pyiqa.data", "pyiqa.matlab_utils", "pyiqa.utils"):
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(Path(folder) / package.replace(".", "/"))]
    stand_in("pyiqa.archs.arch_util", **{"load_pretrained_network": None, "get_url_from_name": lambda name: name, "dist_to_mos": dist_to_mos, **arch_util})
    stand_in("pyiqa.utils.registry", ARCH_REGISTRY=types.SimpleNamespace(register=lambda: lambda item: item))
    padding = module_of("pyiqa.padding", Path(folder) / "pyiqa/matlab_utils/padding.py")
    stand_in("pyiqa.matlab_utils", ExactPadding2d=padding.ExactPadding2d, exact_padding_2d=padding.exact_padding_2d)
    return module_of(name, Path(folder) / (name.replace(".", "/") + ".py"))


def import_torchvision(folder):
    """Its compiled operators want the very torch they were built for; nothing here runs them, so their registration is passed over."""
    sys.path.insert(0, str(folder))
    register, torch.library.register_fake = torch.library.register_fake, lambda *_, **__: lambda item: item
    import torchvision
    torch.library.register_fake = register
    return torchvision


def gained(name, gain):
    """The factor of the first of `gain` {end of name: factor} that fits."""
    return next((factor for end, factor in gain.items() if name.endswith(end)), 1)


def fill(net, prefix="", kept=lambda name: True, gain={}):
    """Weights by formula; {name: shape} of those whose names are `kept`."""
    state = net.state_dict()
    real = {name: value for name, value in state.items() if value.is_floating_point() and not name.endswith("attn_mask")}
    net.load_state_dict({**state, **{name: formula_tensor(prefix + name, list(value.shape)).to(value) * gained(name, gain) for name, value in real.items()}})
    return {prefix + name: list(value.shape) for name, value in real.items() if kept(name)}

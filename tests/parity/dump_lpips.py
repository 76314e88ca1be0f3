#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LPIPS v0.1 (Zhang et al. 2018) with AlexNet and VGG16 in plain torch, and the fixture lpips.json. The authors' package runs beside: its distance
is to be the same, its spatial map is part of the fixture.

    tests/parity/dump_lpips.py /tmp/peers         # see peers.py
"""
import sys

import torch
import torch.nn.functional as F

from formula import formula, summary, weights, write
from peers import import_torchvision

SHIFT = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).view(3, 1, 1)
SCALE = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).view(3, 1, 1)


def alex(state, x):
    layers = [(4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False)]  # stride, padding, pooled before
    for k, (stride, padding, pooled) in enumerate(layers):
        x = F.max_pool2d(x, 3, 2) if pooled else x
        x = F.relu(F.conv2d(x, state[f"features.{k}.weight"], state[f"features.{k}.bias"], stride, padding))
        yield x


def vgg(state, x):
    k = 0
    for block, depth in enumerate([2, 2, 3, 3, 3]):
        x = F.max_pool2d(x, 2) if block else x
        for _ in range(depth):
            x = F.relu(F.conv2d(x, state[f"features.{k}.weight"], state[f"features.{k}.bias"], padding=1))
            k += 1
        yield x


def unit(x):
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def lpips(state, net, a, b):
    """Images in [0,1]. The five layers' terms, whose sum is the distance."""
    features = [net(state, (2 * image - 1 - SHIFT) / SCALE) for image in (a, b)]
    return [((unit(p) - unit(q)).square() * state[f"lin{k}.weight"].view(1, -1, 1, 1)).sum(1).mean().item() for k, (p, q) in
            enumerate(zip(*features))]


def public(name, state):
    """The package's net with our trunk: the one that it would fetch is the same file of torchvision."""
    import lpips as package
    net = package.LPIPS(net=name, pnet_rand=True, spatial=True, verbose=False)
    trunk = [layer for part in range(1, 6) for layer in getattr(net.net, f"slice{part}") if hasattr(layer, "weight")]
    for k, layer in enumerate(trunk):
        layer.weight.data, layer.bias.data = state[f"features.{k}.weight"], state[f"features.{k}.bias"]
    return net.double()


def main():
    import_torchvision(sys.argv[1])
    cases, sha256 = [], None
    for name, net in (("alex", alex), ("vgg", vgg)):
        state, sha256 = weights(f"lpips_{name}")
        for height, width in ((64, 96), (67, 81)):  # an odd size tells floor from ceil in the pooling
            a, b = formula(height, width), formula(height, width, fx=0.35, fy=0.64, phase=0.2)
            with torch.no_grad():
                terms = lpips(state, net, a, b)
                peer = public(name, state)
                spatial = peer(a, b, normalize=True)
                peer.spatial = False
                assert abs(peer(a, b, normalize=True).item() - sum(terms)) < 1e-9
            cases.append({"net": name, "height": height, "width": width, "layers": terms, "value": sum(terms), "map": summary(spatial)})
    write("lpips.json", {
        "made_by": "tests/parity/dump_lpips.py", "package_sha256": sha256, "dtype": "float64",
        "a": "x[c,y,x] = 0.5 + 0.5 sin(0.37 x + 0.61 y + 1.3 c)", "b": "x[c,y,x] = 0.5 + 0.5 sin(0.35 x + 0.64 y + 1.3 c + 0.2)",
        "cases": cases,
    })


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The values of `finpercep doctor`: prints the rows of src/finpercep/metrics/calibration.cpp, from plain_metrics.py."""
import numpy as np
import torch

import plain_metrics as plain

WIDTH, HEIGHT = 288, 208


def wave(t):
    """A triangle of period 256 and height 255."""
    t = t % 256
    return np.where(t < 128, 2 * t, 511 - 2 * t)


def mixed(c, y, x):
    """A hash of the position, 32 bits."""
    h = (x * 73856093 ^ y * 19349663 ^ c * 83492791) & 0xFFFFFFFF
    h = (h ^ h >> 13) * 1274126177 & 0xFFFFFFFF
    return h ^ h >> 16


def reference():
    """Integers throughout, so that C++ makes the same picture: two waves, a third where they are dark, and grain of +-12."""
    c, y, x = np.meshgrid(np.arange(3), np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    base = (wave(5 * x + 3 * y + 20 * c) + wave(2 * x - 7 * y + 40 * c) + wave((x * x + y * y) // 97)) // 3
    return np.clip(base + mixed(c, y, x) % 25 - 12, 0, 255)


def distorted(kind, ref):
    c, y, x = np.meshgrid(np.arange(3), np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    if kind == "blur":  # mean of 5 x 5, cut off at the border
        ys, xs = (np.clip(np.arange(n)[:, None] + np.arange(-2, 3), 0, n - 1) for n in (HEIGHT, WIDTH))
        return ref[:, ys].sum(2)[:, :, xs].sum(3) // 25
    if kind == "noise":
        return np.clip(ref + mixed(c + 3, y, x) % 61 - 30, 0, 255)
    blocks = ref[:, :, :].copy()  # flat blocks of 8 x 8 in the left half, a colour cast in the right
    blocks[:, :, :WIDTH // 2] = ref[:, y[0] // 8 * 8, x[0] // 8 * 8][:, :, :WIDTH // 2]
    blocks[0, :, WIDTH // 2:] = np.clip(ref[0, :, WIDTH // 2:] + 20, 0, 255)
    return blocks


def main():
    ref = reference()
    tensor = lambda picture: torch.from_numpy(picture.astype(np.uint8)).float()[None] / 255
    y = tensor(ref)
    for kind in ("blur", "noise", "blocks"):
        x = tensor(distorted(kind, ref))
        values = {("pyiqa", "psnr"): plain.psnr(x, y), ("pyiqa", "psnry"): plain.psnr(x, y, "yiq"), ("stablesr", "psnry"): plain.psnr(x, y, "ycbcr"),
                  ("pyiqa", "ssim"): plain.ssim(x, y), ("stablesr", "ssim"): plain.ssim(x, y, "ycbcr"), ("basicsr", "ssim"): plain.ssim(x, y, "ycbcr", False),
                  ("pyiqa", "ms_ssim"): plain.ms_ssim(x, y), ("pyiqa", "gmsd"): plain.gmsd(x, y), ("pyiqa", "lpips"): plain.lpips(x, y),
                  ("pyiqa", "lpips-vgg"): plain.lpips(x, y, "vgg"), ("pyiqa", "dists"): plain.dists(x, y), ("pyiqa", "niqe"): plain.niqe(x),
                  ("pyiqa", "brisque"): plain.brisque(x)}
        for (protocol, metric), value in values.items():
            print(f'      {{"{metric}", Protocol::{protocol}, "{kind}", {value:.8g}}},')


if __name__ == "__main__":
    with torch.no_grad():
        main()

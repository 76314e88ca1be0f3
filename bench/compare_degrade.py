#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Second-order degradation: our program's code against the public Python pipeline, on the same photographs, in pictures a second a core.

    python3 -m venv --system-site-packages /tmp/peers && /tmp/peers/bin/pip install opencv-python-headless numpy scipy   # torch from the system
    /tmp/peers/bin/python bench/compare_degrade.py build/release/bench/degrade_time PHOTOS [--sizes 256,400] [--count 24] [--batch 4]

The peer is written here from the description of Real-ESRGAN's released training (options train_realesrgan_x4plus.yml) on the same libraries and
in the same places: kernels in numpy, everything after in float32 torch, a batch at a time, draws per batch where the release draws per batch:
USM with a dense 51 x 51 kernel, filter2D as a grouped convolution, torch interpolation, torch.poisson over counted levels, DiffJPEG as
8 x 8 DCT by tensor products. Both sides run on one thread; times are CPU seconds of the process, so another job on the machine does not count.
"""
import argparse
import math
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy import special

SIZES = list(range(7, 22, 2))
KINDS, KIND_SHARES = ["iso", "aniso", "gen_iso", "gen_aniso", "plateau_iso", "plateau_aniso"], [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
FIRST = dict(blur=1.0, sigma=(0.2, 3.0), resize=(0.2, 0.7, 0.1), span=(0.15, 1.5), noise=(1, 30), poisson=(0.05, 3.0))
SECOND = dict(blur=0.8, sigma=(0.2, 1.5), resize=(0.3, 0.4, 0.3), span=(0.3, 1.2), noise=(1, 25), poisson=(0.05, 2.5))
PULSE = np.zeros((21, 21), np.float32)
PULSE[10, 10] = 1


# --- kernels, in numpy

def sinc_kernel(cutoff, size):
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    r = np.hypot(x, y)
    with np.errstate(all="ignore"):
        kernel = cutoff * special.j1(cutoff * r) / (2 * np.pi * r)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return kernel / kernel.sum()


def blur_kernel(stage, size):
    kind = random.choices(KINDS, KIND_SHARES)[0]
    sx, sy, turn = np.random.uniform(*stage["sigma"]), np.random.uniform(*stage["sigma"]), np.random.uniform(-math.pi, math.pi)
    if kind.endswith("_iso") or kind == "iso":
        sy, turn = sx, 0
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    inverse = np.linalg.inv(rotation @ np.diag([sx**2, sy**2]) @ rotation.T)
    axis = np.arange(-size // 2 + 1.0, size // 2 + 1.0)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    q = np.sum((grid @ inverse) * grid, 2)
    if kind.startswith("gen"):
        beta = np.random.uniform(0.5, 1) if np.random.uniform() < 0.5 else np.random.uniform(1, 4)
        kernel = np.exp(-0.5 * q**beta)
    elif kind.startswith("plateau"):
        beta = 1 if np.random.uniform() < 0.5 else np.random.uniform(1, 2)
        kernel = 1 / (1 + q**beta)
    else:
        kernel = np.exp(-0.5 * q)
    return kernel / kernel.sum()


def draw_kernel(stage):
    size = random.choice(SIZES)
    if np.random.uniform() < 0.1:
        kernel = sinc_kernel(np.random.uniform(np.pi / 3 if size < 13 else np.pi / 5, np.pi), size)
    else:
        kernel = blur_kernel(stage, size)
    return np.pad(kernel, (21 - size) // 2).astype(np.float32)


def draw_final_kernel():
    if np.random.uniform() >= 0.8:
        return PULSE
    size = random.choice(SIZES)
    return np.pad(sinc_kernel(np.random.uniform(np.pi / 3, np.pi), size), (21 - size) // 2).astype(np.float32)


# --- operators, in torch

def filter2d(images, kernels):
    b, c, h, w = images.shape
    k = kernels.shape[-1]
    padded = F.pad(images, [k // 2] * 4, mode="reflect")
    if kernels.shape[0] == 1:
        return F.conv2d(padded.reshape(b * c, 1, h + k - 1, w + k - 1), kernels.reshape(1, 1, k, k)).reshape(b, c, h, w)
    padded = padded.reshape(1, b * c, h + k - 1, w + k - 1)
    return F.conv2d(padded, kernels.reshape(b, 1, k, k).repeat(1, c, 1, 1).reshape(b * c, 1, k, k), groups=b * c).reshape(b, c, h, w)


USM_ROW = cv2.getGaussianKernel(51, 0)
USM = torch.from_numpy((USM_ROW @ USM_ROW.T).astype(np.float32))[None]


SEPARABLE = False


def smooth(images):
    if not SEPARABLE:
        return filter2d(images, USM)
    return torch.from_numpy(np.stack([cv2.sepFilter2D(one.permute(1, 2, 0).numpy(), -1, USM_ROW, USM_ROW).transpose(2, 0, 1) for one in images]))


def sharpen(images):
    residual = images - smooth(images)
    mask = smooth((residual.abs() * 255 > 10).float())
    sharp = torch.clip(images + 0.5 * residual, 0, 1)
    return mask * sharp + (1 - mask) * images


def gaussian_noise(images, stage):
    b, _, h, w = images.shape
    sigma = torch.rand(b, 1, 1, 1) * (stage["noise"][1] - stage["noise"][0]) + stage["noise"][0]
    gray = (torch.rand(b, 1, 1, 1) < 0.4).float()
    noise = torch.randn_like(images) * sigma / 255
    if gray.sum() > 0:
        noise = noise * (1 - gray) + (torch.randn(h, w) * sigma / 255).view(b, 1, h, w) * gray
    return torch.clamp(images + noise, 0, 1)


def poisson_noise(images, stage):
    b = images.shape[0]
    scale = torch.rand(b, 1, 1, 1) * (stage["poisson"][1] - stage["poisson"][0]) + stage["poisson"][0]
    gray = (torch.rand(b, 1, 1, 1) < 0.4).float()

    def of(x):
        x = torch.clamp((x * 255).round(), 0, 255) / 255
        levels = torch.tensor([2 ** math.ceil(math.log2(len(torch.unique(one)))) for one in x], dtype=torch.float32).view(b, 1, 1, 1)
        return torch.poisson(x * levels) / levels - x

    gray_noise = 0
    if gray.sum() > 0:
        luma = (0.2989 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:])
        gray_noise = of(luma).expand_as(images)
    noise = of(images)
    noise = noise * (1 - gray) + gray_noise * gray
    return torch.clamp(images + noise * scale, 0, 1)


LUMA = np.array([[16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
                 [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92], [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], np.float32).T
CHROMA = np.full((8, 8), 99, np.float32)
CHROMA[:4, :4] = np.array([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]).T
AXIS = np.arange(8)
COS = np.cos((2 * AXIS[:, None] + 1) * AXIS * np.pi / 16)
DCT = torch.from_numpy(np.einsum("xu,yv->xyuv", COS, COS).astype(np.float32))
IDCT = torch.from_numpy(np.einsum("ux,vy->uvxy", COS.T, COS.T).astype(np.float32).copy())
ALPHA = torch.tensor([1 / math.sqrt(2)] + [1.0] * 7)
ALPHA = torch.outer(ALPHA, ALPHA)
TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = torch.tensor([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])


def jpeg_plane(plane, table, factor):
    b, h, w = plane.shape
    blocks = plane.view(b, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4).reshape(b, -1, 8, 8) - 128
    scaled = 0.25 * ALPHA * torch.tensordot(blocks, DCT, dims=2)
    step = torch.from_numpy(table)[None, None] * factor.view(b, 1, 1, 1)
    scaled = torch.round(scaled / step) * step
    blocks = 0.25 * torch.tensordot(scaled * ALPHA, IDCT, dims=2) + 128
    return blocks.view(b, h // 8, w // 8, 8, 8).permute(0, 1, 3, 2, 4).reshape(b, h, w)


def diff_jpeg(images, quality):
    factor = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    b, _, h, w = images.shape
    x = F.pad(images, (0, -w % 16, 0, -h % 16)) * 255
    ycc = torch.tensordot(x.permute(0, 2, 3, 1), TO_YCC.T, dims=1) + torch.tensor([0.0, 128, 128])
    y = jpeg_plane(ycc[..., 0].contiguous(), LUMA, factor)
    chroma = [F.interpolate(jpeg_plane(F.avg_pool2d(ycc[..., i][:, None].clone(), 2)[:, 0], CHROMA, factor)[:, None], scale_factor=2) for i in (1, 2)]
    merged = torch.stack([y, chroma[0][:, 0] - 128, chroma[1][:, 0] - 128], -1)
    rgb = torch.tensordot(merged, TO_RGB.T, dims=1).permute(0, 3, 1, 2)
    return (torch.clamp(rgb, 0, 255) / 255)[:, :, :h, :w].contiguous()


def resize_factor(stage):
    step = random.choices(["up", "down", "keep"], stage["resize"])[0]
    return np.random.uniform(1, stage["span"][1]) if step == "up" else np.random.uniform(stage["span"][0], 1) if step == "down" else 1


def add_noise(x, stage):
    return gaussian_noise(x, stage) if np.random.uniform() < 0.5 else poisson_noise(x, stage)


def quality(batch):
    return torch.empty(batch).uniform_(30, 95)


@torch.no_grad()
def degrade(photos):
    b, _, h, w = photos.shape
    kernels = [torch.from_numpy(np.stack([draw() for _ in range(b)])) for draw in (lambda: draw_kernel(FIRST), lambda: draw_kernel(SECOND), draw_final_kernel)]
    mode = lambda: random.choice(["area", "bilinear", "bicubic"])
    x = filter2d(sharpen(photos), kernels[0])
    x = F.interpolate(x, scale_factor=resize_factor(FIRST), mode=mode())
    x = diff_jpeg(torch.clamp(add_noise(x, FIRST), 0, 1), quality(b))
    if np.random.uniform() < SECOND["blur"]:
        x = filter2d(x, kernels[1])
    scale = resize_factor(SECOND)
    x = add_noise(F.interpolate(x, size=(int(h / 4 * scale), int(w / 4 * scale)), mode=mode()), SECOND)
    if np.random.uniform() < 0.5:
        x = filter2d(F.interpolate(x, size=(h // 4, w // 4), mode=mode()), kernels[2])
        x = diff_jpeg(torch.clamp(x, 0, 1), quality(b))
    else:
        x = diff_jpeg(torch.clamp(x, 0, 1), quality(b))
        x = filter2d(F.interpolate(x, size=(h // 4, w // 4), mode=mode()), kernels[2])
    return torch.clamp((x * 255).round(), 0, 255) / 255


def load(folder, side, count):
    photos = []
    for path in sorted(Path(folder).iterdir()):
        photo = cv2.imread(str(path))
        if photo is not None and min(photo.shape[:2]) >= side:
            top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
            photos.append(torch.from_numpy(photo[top:top + side, left:left + side, ::-1].transpose(2, 0, 1).astype(np.float32) / 255))
        if len(photos) == count:
            break
    return photos


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("photos")
    parser.add_argument("--sizes", default="256,400")
    parser.add_argument("--count", type=int, default=24, help="pictures of the peer, a multiple of the batch; ours makes ten times as many")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--separable-usm", action="store_true", help="the peer as it could be: its sharpening by OpenCV in two passes, not the released 51 x 51 sum")
    args = parser.parse_args()
    global SEPARABLE
    SEPARABLE = args.separable_usm
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    print(f"torch {torch.__version__}, OpenCV {cv2.__version__}, one thread, CPU time, batch {args.batch} of the peer")
    for side in map(int, args.sizes.split(",")):
        photos = load(args.photos, side, 16)
        if not photos:
            sys.exit(f"compare_degrade: {args.photos}: expected pictures of at least {side} pixels a side, found none")
        batch = lambda i: torch.stack([photos[(i * args.batch + k) % len(photos)] for k in range(args.batch)])
        degrade(batch(0))
        times = []
        for i in range(args.count // args.batch):
            start = time.process_time()
            degrade(batch(i))
            times.append((time.process_time() - start) / args.batch)
        peer = statistics.mean(times)
        out = subprocess.run([args.program, args.photos, str(side), str(10 * args.count)], capture_output=True, text=True, check=True).stdout
        ours = float(out.split()[0])
        print(f"{side} px: peer {1e3 * peer:.1f} ms ({1 / peer:.2f} pictures/s/core), ours {1e3 * ours:.2f} ms ({1 / ours:.1f} pictures/s/core): {peer / ours:.1f}x")


if __name__ == "__main__":
    main()

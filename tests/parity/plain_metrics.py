# SPDX-License-Identifier: Apache-2.0
"""The metrics a second time, in plain torch and numpy and sharing nothing with the C++: what dump_calibration.py takes its values from and
what bench/compare_metrics.py runs where a peer does not install. Pictures: 1 x 3 x H x W float32 in [0,1]. Conventions: pyiqa's, by default."""
from functools import lru_cache
from math import lgamma

import numpy as np
import torch
import torch.nn.functional as F

import dump_lpips
from formula import weights


def luma(x, kind="yiq", rounded=True):
    """On the scale 0..255; float32 before the rounding, float64 after it."""
    if kind == "ycbcr":
        y = (x.double() * torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64).view(1, 3, 1, 1)).sum(1, keepdim=True) + 16
    elif rounded:
        y = ((x[:, :1] * .299 + x[:, 1:2] * .587) + x[:, 2:] * .114) * 255
    else:
        y = 255 * (x.double() * torch.tensor([.299, .587, .114], dtype=torch.float64).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return (y.round() if rounded else y).double()


def gaussian(size, sigma):
    t = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    g = torch.exp(-(t[:, None] ** 2 + t[None] ** 2) / (2 * sigma * sigma))
    return (g / g.sum())[None, None]


def psnr(x, y, kind=None):
    a, b = (luma(v, kind, False) if kind else 255 * v.double() for v in (x, y))
    return -10 * torch.log10((a - b).square().mean() / 255 ** 2 + 1e-8).item()


def ssim_means(a, b, clamped=True):
    w, c1, c2 = gaussian(11, 1.5), (.01 * 255) ** 2, (.03 * 255) ** 2
    ma, mb, saa, sbb, sab = (F.conv2d(v, w) for v in (a, b, a * a, b * b, a * b))
    contrast = (2 * (sab - ma * mb) + c2) / (saa - ma * ma + sbb - mb * mb + c2)
    contrast = contrast.clamp(min=0) if clamped else contrast
    return ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * contrast).mean(), contrast.mean()


def ssim(x, y, kind="yiq", rounded=True):
    return ssim_means(luma(x, kind, rounded), luma(y, kind, rounded), rounded)[0].item()


def ms_ssim(x, y, kind="yiq"):
    a, b, product = luma(x, kind), luma(y, kind), 1.0
    for level, power in enumerate((.0448, .2856, .3001, .2363, .1333)):
        whole, contrast = ssim_means(a, b)
        product *= (whole if level == 4 else contrast) ** power
        odd = [side % 2 for side in a.shape[2:]]
        a, b = F.avg_pool2d(a, 2, padding=odd), F.avg_pool2d(b, 2, padding=odd)
    return product.item()


def gmsd(x, y):
    prewitt = torch.tensor([[1., 0, -1]] * 3, dtype=torch.float64) / 3
    kernels = torch.stack([prewitt, prewitt.t()])[:, None]
    g = [F.conv2d(F.avg_pool2d(luma(v), 2), kernels, padding=1).square().sum(1).sqrt() for v in (x, y)]
    return ((2 * g[0] * g[1] + 170) / (g[0] ** 2 + g[1] ** 2 + 170)).std().item()


def cached_weights(name, dtype):
    return {key: value.to(dtype) for key, value in load_weights(name).items()}


@lru_cache(None)
def load_weights(name):
    return weights(name)[0]


def lpips_layers(x, y, net, dtype):
    """The weighted distance at each location of each layer, N x h x w."""
    state, trunk = cached_weights(f"lpips_{net}", dtype), getattr(dump_lpips, net)
    shift, scale = dump_lpips.SHIFT.to(dtype), dump_lpips.SCALE.to(dtype)
    for k, (p, q) in enumerate(zip(*(list(trunk(state, (2 * v.to(dtype) - 1 - shift) / scale)) for v in (x, y)))):
        yield ((dump_lpips.unit(p) - dump_lpips.unit(q)).square() * state[f"lin{k}.weight"].view(1, -1, 1, 1)).sum(1)


def lpips(x, y, net="alex", dtype=torch.float64):
    return sum(layer.mean().item() for layer in lpips_layers(x, y, net, dtype))


def lpips_map(x, y, net="alex", dtype=torch.float32):
    """The package's spatial form: layers up-sampled (bilinear) and summed, N x H x W."""
    return sum(F.interpolate(layer[:, None], x.shape[2:], mode="bilinear")[:, 0] for layer in lpips_layers(x, y, net, dtype))


def dists_features(state, x):
    mean, deviation = (torch.tensor(v, dtype=x.dtype).view(1, 3, 1, 1) for v in ((.485, .456, .406), (.229, .224, .225)))
    hann = torch.tensor([.25, .5, .25], dtype=x.dtype)
    h, k = (x - mean) / deviation, 0
    yield x
    for block, depth in enumerate([2, 2, 3, 3, 3]):
        if block:
            channels = h.shape[1]
            h = (F.conv2d(h * h, (hann[:, None] * hann).expand(channels, 1, 3, 3), stride=2, padding=1, groups=channels) + 1e-12).sqrt()
        for _ in range(depth):
            h = F.relu(F.conv2d(h, state[f"features.{k}.weight"], state[f"features.{k}.bias"], padding=1))
            k += 1
        yield h


def dists(x, y, dtype=torch.float64):
    state, table = cached_weights("lpips_vgg", dtype), cached_weights("dists", dtype)
    total, at, sums = 0, 0, (table["alpha"].sum() + table["beta"].sum())
    for p, q in zip(dists_features(state, x.to(dtype)), dists_features(state, y.to(dtype))):
        mp, mq = p.mean((2, 3)), q.mean((2, 3))
        vp, vq, cov = p.var((2, 3), unbiased=False), q.var((2, 3), unbiased=False), (p * q).mean((2, 3)) - mp * mq
        alpha, beta = table["alpha"][at:at + p.shape[1]], table["beta"][at:at + p.shape[1]]
        total += (alpha * (2 * mp * mq + 1e-6) / (mp ** 2 + mq ** 2 + 1e-6) + beta * (2 * cov + 1e-6) / (vp + vq + 1e-6)).sum() / sums
        at += p.shape[1]
    return 1 - total.item()


# --- natural scene statistics --------------------------------------------------------------------------------------------------------

SHAPES = np.arange(.2, 10.0005, .001)
RATIOS = np.exp([2 * lgamma(2 / a) - lgamma(1 / a) - lgamma(3 / a) for a in SHAPES])


def nearest_shape(ratio):
    return SHAPES[0 if np.isnan(ratio) else np.argmin((RATIOS - ratio) ** 2)]


def asymmetric(v):
    """shape, mean, left and right deviation, left and right scale"""
    left, right = (np.sqrt(np.mean(v[side] ** 2)) for side in (v < 0, v > 0))
    g = left / right
    ratio = np.abs(v).mean() ** 2 / (v ** 2).mean()
    a = nearest_shape(ratio * (g ** 3 + 1) * (g + 1) / (g * g + 1) ** 2)
    factor = np.exp((lgamma(1 / a) - lgamma(3 / a)) / 2)
    return a, (right - left) * factor * np.exp(lgamma(2 / a) - lgamma(1 / a)), left, right, left * factor, right * factor


def normalised(y, mode):
    padded = F.pad(y, (3, 3, 3, 3), mode=mode)
    w = gaussian(7, 7 / 6).float().to(y.dtype)
    mean, squares = F.conv2d(padded, w), F.conv2d(padded * padded, w)
    return ((y - mean) / ((squares - mean * mean).abs().sqrt() + 1))[0, 0].numpy()


def halved(y):
    """MATLAB imresize by one half in float32: eight taps of the cubic a = -.5, mirrored at the border."""
    t = (torch.arange(8, dtype=torch.float64) - 3.5).abs() / 2
    w = torch.where(t <= 1, 1.5 * t ** 3 - 2.5 * t ** 2 + 1, -.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2)
    w = (w / w.sum()).float()
    for _ in range(2):
        side = y.shape[2]
        at = torch.arange((side + 1) // 2)[:, None] * 2 + torch.arange(8) - 3
        at = torch.where(at < 0, -1 - at, torch.where(at >= side, 2 * side - 1 - at, at))
        y = (y[:, :, at] * w[:, None]).sum(3).transpose(2, 3)
    return y


def niqe(x):
    y, parameters = luma(x), load_weights("niqe")
    rows, columns = (side // 96 for side in y.shape[2:])
    y, scales = y[:, :, :rows * 96, :columns * 96], []
    for side in (96, 48):
        if side == 48:
            y = halved((y / 255).float()).mul(255).double()
        m, features = normalised(y, "replicate"), []
        for i in range(rows):
            for j in range(columns):
                block = m[i * side:(i + 1) * side, j * side:(j + 1) * side]
                a, _, _, _, left, right = asymmetric(block)
                features.append([a, (left + right) / 2])
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    a, mean, _, _, left, right = asymmetric(block * np.roll(block, shift, (0, 1)))
                    features[-1] += [a, mean, left, right]
        scales.append(np.array(features))
    table = np.concatenate(scales, 1)
    whole = table[np.isfinite(table).all(1)]
    gap = np.nanmean(table, 0) - parameters["mu"].numpy()
    return float(np.sqrt(gap @ np.linalg.pinv((np.cov(whole.T) + parameters["cov"].numpy()) / 2) @ gap))


RANGES = np.array([float(v) for v in """.338 10 .017204 .806612 .236 1.642 -.123884 .20293 .000155 .712298 .001122 .470257 .244 1.641 -.123586 .179083
.000152 .710456 .000975 .470984 .249 1.555 -.135687 .100858 .000174 .684173 .000913 .534174 .258 1.561 -.143408 .100486 .000179 .685696 .000888
.536508 .471 3.264 .012809 .703171 .218 1.046 -.094876 .187459 1.5e-5 .442057 .001272 .40803 .222 1.042 -.115772 .162604 1.6e-5 .444362 .001374
.40243 .227 .996 -.117188 .098323 3e-5 .531903 .001122 .369589 .228 .99 -.12243 .098658 2.8e-5 .530092 .001118 .370399""".split()]).reshape(36, 2)


def brisque(x):
    y, svm, features = luma(x).float(), load_weights("brisque"), []
    for scale in range(2):
        y = halved(y) if scale else y
        m = normalised(y, "constant")
        features += [nearest_shape(np.abs(m).mean(dtype=np.float64) ** 2 / (m.astype("f8") ** 2).mean()), (m.astype("f8") ** 2).mean()]
        for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
            a, mean, left, right, _, _ = asymmetric((m * np.roll(m, shift, (0, 1))).astype("f8"))
            features += [a, mean, left ** 2, right ** 2]
    x = -1 + 2 * (np.array(features) - RANGES[:, 0]) / (RANGES[:, 1] - RANGES[:, 0])
    gamma, rho = svm["constants"].numpy()
    return float(svm["coefficients"].numpy() @ np.exp(-gamma * ((svm["vectors"].numpy() - x) ** 2).sum(1)) - rho)

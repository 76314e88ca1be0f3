# SPDX-License-Identifier: Apache-2.0
"""This program's nets in plain PyTorch, as a user of torch would write them: what bench/compare_*.py run against. The weights are read from this program's files by name."""
import math

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn

BLOCKS = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
TAPPED, TAP_CHANNELS = (0, 2, 4, 10, 15), (16, 24, 40, 112, 320)


def read(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name).float() for name in file.keys()}


def same(x, kernel):
    """TensorFlow's padding under stride 2."""
    before = (kernel - 2) // 2
    after = kernel - 2 - before
    return F.pad(x, (before, after, before, after))


class EfficientBlock(nn.Module):
    def __init__(self, given, made, expansion, kernel, stride):
        super().__init__()
        wide = given * expansion
        if expansion > 1:
            self.expand = nn.Conv2d(given, wide, 1)
        self.depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2 if stride == 1 else 0, groups=wide)
        self.project = nn.Conv2d(wide, made, 1)
        self.kernel, self.stride, self.residual = kernel, stride, stride == 1 and given == made

    def forward(self, x):
        y = F.relu6(self.expand(x)) if hasattr(self, "expand") else x
        y = self.project(F.relu6(self.depthwise(same(y, self.kernel) if self.stride == 2 else y)))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """EfficientNet-Lite0, its batch norms folded: N x 3 x H x W -> features at strides 2, 4, 8, 16, 32."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2)
        self.blocks = nn.ModuleList()
        given = 32
        for repeats, kernel, stride, expansion, made in BLOCKS:
            for repeat in range(repeats):
                self.blocks.append(EfficientBlock(given, made, expansion, kernel, stride if repeat == 0 else 1))
                given = made

    def forward(self, x):
        x = F.relu6(self.stem(same(x * (255 / 128) - 127 / 128, 3)))
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPPED:
                taps.append(x)
        return taps


class Level(nn.Module):
    def __init__(self, tap, given, made):
        super().__init__()
        self.tap, self.fuse = nn.Conv2d(tap, made, 1), nn.Conv2d(given, made, 3, padding=1)
        self.refine, self.logits = nn.Conv2d(made, made, 3, padding=1), nn.Conv2d(made, 1, 3, padding=1)

    def forward(self, h, tap):
        h = F.silu(self.tap(tap) + self.fuse(F.interpolate(h, scale_factor=2.0, mode="nearest")))
        h = h + F.silu(self.refine(h))
        return h, self.logits(h)


class Reward(nn.Module):
    """FinPercep-RM with the EfficientNet-Lite0 encoder and the head "defect_and_clean": N x 3 x H x W, sides multiples of 32."""

    def __init__(self, widths, hidden):
        super().__init__()
        self.encoder, self.neck = Encoder(), nn.Conv2d(320, widths[0], 1)
        self.level = nn.ModuleDict({str(k): Level(TAP_CHANNELS[4 - k], widths[k - 1], widths[k]) for k in range(1, len(widths))})
        self.head = nn.ModuleDict({str(k): nn.ModuleDict({"hidden": nn.Linear(640, hidden), "out": nn.Linear(hidden, 1)}) for k in range(len(widths))})
        self.stage = len(widths) - 1

    def judge(self, x, first, last):
        """(score logit, map logits, map) of the stages first..last."""
        taps = self.encoder(x)
        h, logits = F.silu(self.neck(taps[4])), torch.zeros_like(x[:, :1])
        features, judged = taps[4].float(), []
        for k in range(last + 1):
            if k > 0:
                h, small = self.level[str(k)](h, taps[4 - k])
                logits = logits + F.interpolate(small.float(), size=x.shape[-2:], mode="bilinear")
            if k >= first:
                degradation = torch.sigmoid(logits)
                defect = features * F.avg_pool2d(degradation, 32)
                pooled = torch.cat((defect, features - defect), 1).mean((2, 3))
                head = self.head[str(k)]
                judged.append((head["out"](F.silu(head["hidden"](pooled))).float()[:, 0], logits, degradation))
        return judged

    def forward(self, x):
        logit, _, degradation = self.judge(x, self.stage, self.stage)[0]
        return torch.sigmoid(logit), degradation


def load_reward(path):
    weights = read(path)
    widths = [len(weights["neck.bias"])]
    while f"level.{len(widths)}.tap.bias" in weights:
        widths.append(len(weights[f"level.{len(widths)}.tap.bias"]))
    net = Reward(widths, len(weights["head.0.hidden.bias"]))
    net.load_state_dict(weights)
    return net.eval()


def load_imagenet_encoder(path):
    """The weight cache's efficientnet_lite0.safetensors, its batch norms folded into the convolutions."""
    given, folded = read(path), {}

    def fold(name, conv, norm):
        scale = given[norm + ".weight"] / torch.sqrt(given[norm + ".running_var"] + 1e-3)
        folded[name + ".weight"] = given[conv + ".weight"] * scale.view(-1, 1, 1, 1)
        folded[name + ".bias"] = given[norm + ".bias"] - given[norm + ".running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    net = Encoder()
    for i, block in enumerate(net.blocks):
        if hasattr(block, "expand"):
            fold(f"blocks.{i}.expand", f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
        fold(f"blocks.{i}.depthwise", f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
        fold(f"blocks.{i}.project", f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
    net.load_state_dict(folded)
    return net.eval()


class UNetBlock(nn.Module):
    def __init__(self, given, made):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, given), nn.Conv2d(given, made, 3, padding=1)
        self.time = nn.Linear(128, 2 * made)
        self.norm2, self.conv2 = nn.GroupNorm(8, made), nn.Conv2d(made, made, 3, padding=1)
        if given != made:
            self.skip = nn.Conv2d(given, made, 1)

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return (self.skip(x) if hasattr(self, "skip") else x) + h


class Generator(nn.Module):
    """The ResShift generator: a UNet on pixel-unshuffled pictures that predicts x0, and its chain of T = `steps`."""

    def __init__(self, channels, blocks, steps=4, kappa=1.0, min_noise=0.2):
        super().__init__()
        c, levels = channels, len(channels)
        self.time1, self.time2 = nn.Linear(128, 128), nn.Linear(128, 128)
        setattr(self, "in", nn.Conv2d(96, c[0], 3, padding=1))
        row = lambda first, rest: nn.ModuleList([UNetBlock(first if b == 0 else rest, rest) for b in range(blocks)])
        self.down = nn.ModuleList([row(n, n) for n in c])
        self.shrink = nn.ModuleDict({str(k): nn.Conv2d(c[k - 1], c[k], 3, 2, 1) for k in range(1, levels)})
        self.middle = row(c[-1], c[-1])
        self.up = nn.ModuleList([row(2 * n, n) for n in c])
        self.grow = nn.ModuleDict({str(k): nn.Conv2d(c[k + 1], c[k], 3, padding=1) for k in range(levels - 1)})
        self.out_norm, self.out = nn.GroupNorm(8, c[0]), nn.Conv2d(c[0], 48, 3, padding=1)
        self.steps, self.kappa, first = steps, kappa, min_noise / 2
        self.eta = [0.0] + [(first * (0.99 / first) ** (((t - 1) / (steps - 1)) ** 0.3)) ** 2 for t in range(1, steps + 1)]

    def net(self, x, condition, t):
        frequency = torch.exp(torch.arange(64, dtype=torch.float32) * (-math.log(10000) / 64))
        phase = t[:, None] * 1000 * frequency
        time = F.silu(self.time2(F.silu(self.time1(torch.cat((phase.cos(), phase.sin()), 1)))))
        h = getattr(self, "in")(F.pixel_unshuffle(torch.cat((x, condition), 1) * 2 - 1, 4))
        skips = []
        for level, blocks in enumerate(self.down):
            h = self.shrink[str(level)](h) if level > 0 else h
            for block in blocks:
                h = block(h, time)
            skips.append(h)
        for block in self.middle:
            h = block(h, time)
        for level in reversed(range(len(self.up))):
            if level < len(self.up) - 1:
                h = self.grow[str(level)](F.interpolate(h, scale_factor=2.0, mode="nearest"))
            h = torch.cat((h, skips[level]), 1)
            for block in self.up[level]:
                h = block(h, time)
        return condition + F.pixel_shuffle(self.out(F.silu(self.out_norm(h))).float(), 4)

    def predict(self, x, y, t):
        spread = 2 * self.kappa * math.sqrt(self.eta[t])
        return self.net((x - 0.5) / math.sqrt(spread ** 2 + 1) + 0.5, y, torch.full((len(x),), t / self.steps))

    def roll_out(self, y, noise, stop=0):
        x = y + self.kappa * math.sqrt(self.eta[self.steps]) * noise[0]
        for t in range(self.steps, stop, -1):
            now, before = self.eta[t], self.eta[t - 1]
            x = x * (before / now) + self.predict(x, y, t) * ((now - before) / now)
            if t > 1:
                x = x + self.kappa * math.sqrt(before / now * (now - before)) * noise[self.steps - t + 1]
        return x


def load_generator(path):
    """A checkpoint of ours with policy resshift, T = 4, kappa 1, min_noise .2, unshuffle 4, as sr-small is."""
    weights = read(path)
    rows = lambda start: 1 + max(int(name.split(".")[len(start.split("."))]) for name in weights if name.startswith(start + "."))
    net = Generator([len(weights[f"down.{k}.0.conv1.bias"]) for k in range(rows("down"))], rows("middle"))
    net.load_state_dict(weights)
    return net

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RL of an SR net in plain PyTorch by a FinPercep reward that learns along: frozen, it would be hacked. Start here for your own training; `Pairs` and `generator` are what you replace.

    finpercep export srvgg-camera -o sr.pt                  # or any module of yours: lr -> sr
    finpercep export finpercep-rm -o reward.pt              # judges, and trains once its parameters are told to
    finpercep export finpercep-rm --labels -o labels.pt     # M_gt, the labels of its samples
    python3 examples/coevolve.py --gt photos/hr --lr photos/lr --generator sr.pt --reward reward.pt --labels labels.pt -o runs/mine

Pictures of one name in --gt and --lr, PNG or JPEG; the first has the scale. Writes generator.pt and reward.pt into -o: `finpercep upscale -g runs/mine/generator.pt`; of an exported chain (sr-small) tools/checkpoint_of_torchscript.py makes a checkpoint of it; of a generator that is no TorchScript module it is a state dict, generator.pth (`upscale` wants torch.jit.script of it). Needs torch, numpy and Pillow."""
import argparse
import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


class Pairs:
    """Random aligned crops: (lr, gt), N x 3 x size/scale and N x 3 x size, RGB in [0,1]."""

    def __init__(self, lr, gt, size, seed):
        pictures = lambda folder: [p for p in sorted(Path(folder).iterdir()) if p.suffix.lower() in (".png", ".jpg", ".jpeg")]
        lrs = {p.stem: p for p in pictures(lr)}
        gts = [p for p in pictures(gt) if p.stem in lrs]
        if not gts:
            raise SystemExit(f"coevolve: {gt}: expected pictures named as those of {lr}, found none")
        read = lambda path: torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
        self.pairs = [(read(lrs[p.stem]), read(p)) for p in gts]
        self.scale = self.pairs[0][1].shape[1] // self.pairs[0][0].shape[1]
        self.size, self.random = size // self.scale, np.random.default_rng(seed)
        for path, (lr, gt) in zip(gts, self.pairs):
            if gt.shape[1:] != torch.Size(self.scale * side for side in lr.shape[1:]) or min(gt.shape[1:]) < size:
                raise SystemExit(f"coevolve: {path}: expected {self.scale} times its LR picture and at least {size} pixels a side, found {gt.shape[2]} x {gt.shape[1]} for {lr.shape[2]} x {lr.shape[1]}. "
                                 "`finpercep degrade DIR -o LR --gt GT` makes pairs; --size takes smaller crops")

    def __call__(self, count):
        lrs, gts, s = [], [], self.scale
        for _ in range(count):
            lr, gt = self.pairs[self.random.integers(len(self.pairs))]
            y, x = (int(self.random.integers(side - self.size + 1)) for side in lr.shape[1:])
            lrs.append(lr[:, y:y + self.size, x:x + self.size])
            gts.append(gt[:, s * y:s * (y + self.size), s * x:s * (x + self.size)])
        return torch.stack(lrs) / 255, torch.stack(gts) / 255


def as_file(x):
    """What the reward is to judge is what a file holds, 8 bits; the gradient passes."""
    x = x.clamp(0, 1)
    return x + ((x * 255).round() / 255 - x).detach()


def expect_pictures(sr, gt):
    """The likeliest mistakes of a new generator, said before the reward makes the best of them."""
    found = "other values than finite ones" if not sr.isfinite().all() else f"{list(sr.shape)}" if sr.shape != gt.shape else ""
    if not found and ((sr < -0.25) | (sr > 1.25)).float().mean() > 0.05:
        found = "many values far outside [0,1]. of [-1,1]: (x + 1) / 2; of 0..255: x / 255"
    if found:
        raise SystemExit(f"coevolve: generator: expected pictures of shape {list(gt.shape)}, RGB in [0,1], found {found}")


def masks(like, update):
    """Soft-edged blobs over a tenth to six tenths of each picture; every fourth picture is swapped whole, as the generator is judged."""
    n, _, height, width = like.shape
    field = F.interpolate(torch.randn(n, 1, 6, 6), (height, width), mode="bicubic")
    level = torch.stack([f.quantile(0.4 + 0.5 * torch.rand(())) for f in field.flatten(1)]).view(n, 1, 1, 1)
    mask = ((field - level) * 8 + 0.5).clamp(0, 1)
    mask[(torch.arange(n) + update * n) % 4 == 0] = 1
    return mask.to(like)


def mean_where(values, applies):
    return (values * applies).sum() / applies.sum().clamp_min(1)


def reward_loss(reward, base, gt, sr, mask, label, margin=0.1):
    """L_map + L_rank + L_align of the paper, with what keeps a map on sparse labels from collapsing to zero: cross-entropy, and defect
    pixels that weigh as much as clean ones (docs/method.md). The fourth term says what S means: .95 without a defect, .5 at a mean of .3."""
    logit, maps = reward.judge(torch.cat([gt, gt + mask * (sr - gt), sr]))
    s_gt, s_syn, s_sr = logit.sigmoid().chunk(3)
    found, wanted = maps[:2 * len(gt)], torch.cat([torch.zeros_like(label), label])  # of I_SR outside the mask no label is known
    defect = (wanted > 0.05).float()
    error = (found - wanted).abs()
    l_map = 0.5 * error.mean() + 0.25 * (mean_where(error, defect) + mean_where(error, 1 - defect))
    severity = label.mean([1, 2, 3])
    worse = (severity > 0.01).float()
    partly = worse * (mask.mean([1, 2, 3]) < 0.9).float()
    l_rank = mean_where(F.relu(margin - (s_syn - s_sr)), partly) + mean_where(F.relu(margin - (s_gt - s_syn)), worse)
    with torch.no_grad():
        s_base = base(gt)[0]
    l_align = (s_gt - s_base).abs().mean()
    l_opinion = (s_syn - (0.95 - 0.9 * (severity / 0.6).clamp(max=1))).abs().mean()
    return l_map + F.binary_cross_entropy(found.clamp(1e-6, 1 - 1e-6), wanted) + l_rank + 0.5 * l_align + l_opinion


def main(a):
    torch.manual_seed(a.seed)
    torch.backends.cudnn.allow_tf32 = False  # 10 bits of a picture are not what the reward was trained on: its gradient turns (cosine .97)
    out = Path(a.output)
    if out.exists():
        raise SystemExit(f"coevolve: {out}: exists. choose another name")
    batches = Pairs(a.lr, a.gt, a.size, a.seed)
    facts, facts_g = {"finpercep.json": ""}, {"finpercep.json": ""}
    reward = torch.jit.load(a.reward, map_location=a.device, _extra_files=facts)
    labels = torch.jit.load(a.labels, map_location=a.device)
    generator = torch.jit.load(a.generator, map_location=a.device, _extra_files=facts_g).eval()  # only weights are averaged and saved
    before, base, average = copy.deepcopy(generator), copy.deepcopy(reward), copy.deepcopy(generator)
    trained = [name for name, w in generator.named_parameters() if w.requires_grad] or [name for name, _ in generator.named_parameters()]  # what its author froze stays
    weights, averages = ([dict(net.named_parameters())[name] for name in trained] for net in (generator, average))
    kinds = {str(w.dtype) for w in weights} or {"none (torch.jit.freeze leaves none)"}
    if kinds != {"torch.float32"}:
        raise SystemExit(f"coevolve: {a.generator}: expected parameters in float32 to train, found {', '.join(sorted(kinds))}. save module.float()")
    for weight in [*weights, *reward.parameters()]:
        weight.requires_grad_(True)
    of_generator, of_reward = torch.optim.Adam(weights, lr=a.lr_g), torch.optim.Adam(reward.parameters(), lr=a.lr_r)
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, a.updates, eta_min=o.param_groups[0]["lr"] / 10) for o in (of_generator, of_reward)]

    for update in range(a.updates):
        lr, gt = (x.to(a.device) for x in batches(a.batch))
        with torch.random.fork_rng():  # a chain draws noise: the same again below
            made = generator(lr)
        if update == 0:
            expect_pictures(made, gt)
            out.mkdir(parents=True)  # now: after hours it would be too late to learn that it cannot be made
        sr = as_file(made)
        logit, defects = reward.judge(sr)
        worst = defects.flatten(1).topk(defects[0].numel() // 5).values.mean()
        with torch.no_grad():
            anchor = before(lr)
        loss = a.weight * (0.5 * worst - logit.mean()) + (made - anchor).abs().mean()  # here your own losses belong, too
        of_generator.zero_grad()
        loss.backward(inputs=weights)  # through the reward into the generator
        of_generator.step()
        with torch.no_grad():  # generator and reward chase each other: what is kept is an average
            for mean, weight in zip(averages, weights):
                mean.lerp_(weight, 1 - a.ema)

        said = f"update {update + 1}/{a.updates}  logit {logit.mean():.3f}  worst fifth {worst:.3f}  moved {(made - anchor).abs().mean():.4f}"
        if not a.frozen:
            sr, mask = sr.detach(), masks(gt, update)
            label = labels(gt, gt + mask * (sr - gt), mask)
            loss = reward_loss(reward, base, gt, sr, mask, label)
            of_reward.zero_grad()
            loss.backward()
            of_reward.step()
            said += f"  reward's loss {loss:.3f}"
        for schedule in schedules[:1] if a.frozen else schedules:
            schedule.step()
        if (update + 1) % 25 == 0 or update + 1 == a.updates:
            print(said, flush=True)

    torch.jit.save(reward, str(out / "reward.pt"), _extra_files=facts)
    if isinstance(average, torch.jit.ScriptModule):
        torch.jit.save(average, str(out / "generator.pt"), _extra_files=facts_g if facts_g["finpercep.json"] else {})
    else:
        torch.save(average.state_dict(), out / "generator.pth")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("gt", "lr", "generator", "reward", "labels"):
        p.add_argument("--" + name, required=True)
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--updates", type=int, default=300)
    p.add_argument("--weight", type=float, default=0.02, help="of the reward beside the anchor, L1 to the start's pictures")
    p.add_argument("--lr-g", type=float, default=3e-5)
    p.add_argument("--lr-r", type=float, default=1e-4)
    p.add_argument("--ema", type=float, default=0.98, help="decay of the generator's average")
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--size", type=int, default=128, help="of a crop of GT, pixels")
    p.add_argument("--frozen", action="store_true", help="the control: the reward does not learn along")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    main(p.parse_args())

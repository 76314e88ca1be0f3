#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A step of RL and a step of reward training by this program and by the same step in plain eager PyTorch, in turns in one run; and their agreement.

    bench/compare_training.py [--build build/release] [--rounds 3] [--steps 3] [--only rl rl-frozen reward] [--dtypes fp32 bf16] [--peers ..] [--check]

Needs torch and safetensors. One thread. rl: `finpercep rl -c configs/rl/ccl.yaml` at stage 4 (ReFL, batch 4 of 128 x 128, the reward co-evolves); rl-frozen: the same with coevolve_freq=0;
reward: `finpercep train reward -c configs/reward/ablation.yaml` at stage 4 (6 samples of three pictures of 128 x 128).

Numbers are seconds of processor time (user) a step: of the program, the difference of a long and a short run over the steps between, so that starting up is not in it but its making of
data (degradation, reading shards, masks) is; of a peer, a step on tensors that are there. So the program does more than the peers. Each peer is a process of its own that waits while
another computes. The least over the rounds counts; memory is the process's peak. Peers "tuned" have the allocator thresholds that this program sets.

--check: on a gray photograph, whose degradation is itself, two whole steps of rl with batch 1 in fp32 by both, on the program's own noise: rewards, losses, gradient norm, and, in the second
step, what the first one's updates of generator and reward made of them, must agree: within 1e-4 of 1 + the value, 1e-3 in the second step. (Without
L_align, which starts at the kink of its absolute value: there, rounding would choose the sign of a gradient.)
"""
import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20), "MALLOC_TOP_PAD_": str(64 << 20)}  # cli/main.cpp
PEERS = ["eager", "eager tuned", "eager channels_last tuned"]
KINDS = ["rl", "rl-frozen", "reward"]


# --- the peers


def reward_losses(torch, judged, gt, label, mask, base_score, margin, opinion_weight, align_weight=0.5):
    """reward/train.cpp's reward_loss. judged: stages 0..k of (gt, syn, sr) in one batch."""
    F, n, stage = torch.nn.functional, len(gt), len(judged) - 1
    labels = torch.cat((torch.zeros_like(label), label))
    above_syn = (label.mean((1, 2, 3)) > 0.01).float()
    above_sr = above_syn * (mask.mean((1, 2, 3)) < 0.9).float()
    where = lambda values, applies: (values * applies).sum() / applies.sum().clamp_min(1)
    total, last = 0, {}
    for k, (logit, logits, degradation) in enumerate(judged):
        share = 1 if k == stage else 1 / stage
        of_gt, of_syn, of_sr = torch.sigmoid(logit).split(n)
        rank = where((margin - (of_syn - of_sr)).clamp_min(0), above_sr) + where((margin - (of_gt - of_syn)).clamp_min(0), above_syn)
        opinion = (of_syn - (0.95 - 0.9 * (label.mean((1, 2, 3)) / 0.6).clamp_max(1))).abs().mean()
        align = (of_gt - base_score).abs().mean()
        total = total + share * (rank + opinion_weight * opinion + align_weight * align)
        if k > 0:
            error = (degradation[:2 * n] - labels).abs()
            defect = (labels > 0.05).float()
            defects, cleans = defect.sum((1, 2, 3)), (1 - defect).sum((1, 2, 3))
            both = ((error * defect).sum((1, 2, 3)) / defects.clamp_min(1) + (error * (1 - defect)).sum((1, 2, 3)) / cleans.clamp_min(1)) / ((defects > 0).float() + (cleans > 0).float())
            map_loss = 0.5 * error.mean() + 0.5 * both.mean()
            total = total + share * (map_loss + F.binary_cross_entropy_with_logits(logits[:2 * n], labels))
            last = {"rm_map": map_loss.item(), "rm_rank": rank.item(), "rm_align": align.item()}
    return total, {"rm_total": total.item(), **last}


class Average:
    """Exponential moving average of weights."""

    def __init__(self, net, decay):
        self.net, self.decay, self.values = net, decay, [p.detach().clone() for p in net.parameters()]

    def update(self, torch):
        with torch.no_grad():
            for average, value in zip(self.values, self.net.parameters()):
                average.lerp_(value, 1 - self.decay)


class RlPeer:
    def __init__(self, torch, layout, coevolve, label_scale, align_weight=0.5):
        from peer_nets import load_generator, load_imagenet_encoder, load_reward
        self.torch, self.coevolve, self.label_scale, self.align_weight = torch, coevolve, label_scale, align_weight
        self.generator, self.reference = (load_generator(ROOT / "models" / "sr-small.safetensors").to(memory_format=layout) for _ in range(2))
        self.reward, self.base = (load_reward(ROOT / "models" / "finpercep-rm-rl.safetensors").to(memory_format=layout) for _ in range(2))
        self.features = load_imagenet_encoder(Path(os.environ.get("FINPERCEP_CACHE", Path.home() / ".cache" / "finpercep")) / "efficientnet_lite0.safetensors").to(memory_format=layout)
        for net in (self.reference, self.base, self.features):
            net.requires_grad_(False)
        self.adam_g, self.adam_r = (torch.optim.AdamW(net.parameters(), 1e-4, (0.9, 0.99), weight_decay=0) for net in (self.generator, self.reward))
        self.average, self.running = Average(self.generator, 0.95), [0, 0, 0]

    def add(self, logits):
        logits = logits.detach().double()
        self.running = [0.98 * old + 0.02 * new for old, new in zip(self.running, (logits.mean().item(), logits.square().mean().item(), 1))]

    def value(self, logit, degradation):
        mean, square, weight = self.running
        mean /= weight
        deviation = max(0.1, max(0, square / weight - mean * mean) ** 0.5)
        worst = degradation.flatten(1)
        worst = worst.topk(round(0.2 * worst.shape[1]), sorted=False)[0].mean(1)
        return (logit - mean) / deviation + 0.5 * (1 - worst)

    def update(self, net, adam):
        norm = self.torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        return norm.item()

    def step(self, gt, y, noise, mask, cast):
        torch, F = self.torch, self.torch.nn.functional
        self.reward.requires_grad_(False)
        with cast():
            with torch.no_grad():
                x = self.generator.roll_out(y, noise, 1)
            x0 = self.generator.predict(x, y, 1)
            sr = x0.clamp(0, 1)
            logit, _, degradation = self.reward.judge(sr, 4, 4)[0]
            with torch.no_grad():
                clean = self.reward.judge(gt, 4, 4)[0]
                self.add(logit)
                self.add(clean[0])
                target = self.value(clean[0], clean[2])
                x0_reference = self.reference.predict(x, y, 1)
            reward = self.value(logit, degradation)
            anchor = (x0 - x0_reference).square().mean()
            consistency = (F.avg_pool2d(x0, 16) - F.avg_pool2d(y, 16)).abs().mean()
            loss = 0.02 * (target - reward).clamp_min(0).mean() + anchor + 0.5 * consistency
        loss.backward()
        out = {"reward": reward.mean().item(), "reward_gt": target.mean().item(), "score": torch.sigmoid(logit).mean().item(), "map_mean": degradation.mean().item(), "l_ref": anchor.item(),
               "l_lr": consistency.item(), "grad_norm": self.update(self.generator, self.adam_g)}
        self.average.update(torch)
        return {**out, **self.improve_reward(gt, sr.detach(), mask, cast)} if self.coevolve else out

    def improve_reward(self, gt, sr, mask, cast):
        torch, F = self.torch, self.torch.nn.functional
        self.reward.requires_grad_(True)
        syn = gt + mask * (sr - gt)
        with cast():
            with torch.no_grad():
                a, b = self.features(gt), self.features(syn)
                distance = sum(F.interpolate(1 - F.cosine_similarity(a[i].float(), b[i].float(), 1)[:, None], size=gt.shape[-2:], mode="bilinear") for i in (1, 2, 3)) / 3
                raw = 0.6 * (gt - syn).abs().mean(1, True) + 0.4 * distance.clamp_min(0)
                label = (raw * (mask > 0.5 / 255) / self.label_scale).clamp(0, 1)
                base_score = torch.sigmoid(self.base.judge(gt, 0, 0)[0][0])
            total, out = reward_losses(torch, self.reward.judge(torch.cat((gt, syn, sr)), 0, 4), gt, label, mask, base_score, 0.1, 0, self.align_weight)
        total.backward()
        self.update(self.reward, self.adam_r)
        return out


class RewardPeer:
    def __init__(self, torch, layout):
        from peer_nets import load_reward
        self.torch = torch
        self.net, self.base = (load_reward(ROOT / "models" / "finpercep-rm.safetensors").to(memory_format=layout) for _ in range(2))
        self.base.requires_grad_(False)
        sees = list(self.net.encoder.parameters())
        rest = [p for name, p in self.net.named_parameters() if not name.startswith("encoder.")]
        self.groups, self.adam = (rest, sees), torch.optim.AdamW([{"params": rest, "lr": 5e-4}, {"params": sees, "lr": 1.5e-4}], betas=(0.9, 0.99), weight_decay=0.01)
        self.average = Average(self.net, 0.98)

    def step(self, gt, sr, syn, mask, label, cast):
        torch = self.torch
        with cast():
            with torch.no_grad():
                base_score = torch.sigmoid(self.base.judge(gt, 0, 0)[0][0])
            total, out = reward_losses(torch, self.net.judge(torch.cat((gt, syn, sr)), 0, 4), gt, label, mask, base_score, 0.05, 1)
        total.backward()
        for group in self.groups:
            torch.nn.utils.clip_grad_norm_(group, 1.0)
        self.adam.step()
        self.adam.zero_grad()
        self.average.update(torch)
        return out


def serve(kind, peer, dtype):
    """Answers every line on stdin, a count of steps, with processor seconds (user) a step and peak MiB."""
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(1)
    layout = torch.channels_last if "channels_last" in peer else torch.contiguous_format
    cast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16")
    draw = lambda n, c=3: torch.rand(n, c, 128, 128).contiguous(memory_format=layout)
    if kind == "reward":
        trained, inputs = RewardPeer(torch, layout), (draw(6), draw(6), draw(6), (draw(6, 1) > 0.5).float(), draw(6, 1))
        step = lambda: trained.step(*inputs, cast)
    else:
        trained, gt, y, mask = RlPeer(torch, layout, kind == "rl", label_scale()), draw(4), draw(4), (draw(4, 1) > 0.5).float()
        step = lambda: trained.step(gt, y, [torch.randn_like(gt) for _ in range(4)], mask, cast)
    step()
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        for _ in range(int(line)):
            step()
        used = resource.getrusage(resource.RUSAGE_SELF)
        print((used.ru_utime - before) / int(line), used.ru_maxrss / 1024, flush=True)


# --- the program


def write_png(path, picture):
    """picture: H x W x 3, uint8."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def run(command):
    """(user seconds, peak MiB) of a command that must succeed."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(map(str, command))}: {said.read().decode().strip().splitlines()[-1]}")
    return used.ru_utime, used.ru_maxrss / 1024


def sets(*settings):
    return [word for setting in settings for word in ("--set", setting)]


def rl_command(program, folder, dtype, steps, out, *more):
    return [program, "rl", "-c", ROOT / "configs/rl/ccl.yaml", "-o", out, *sets("stages=[4]", f"stage_iters=[{steps}]", f"datasets.photos.photos=[{folder}]", "datasets.photos.exclude=", "val_count=0",
                                                                          "monitor.freq=0", "save_checkpoint_freq=100000", f"dtype={dtype}", *more)]


def label_scale():
    """That finpercep-rm-rl was trained with."""
    from safetensors import safe_open
    with safe_open(ROOT / "models" / "finpercep-rm-rl.safetensors", "pt") as file:
        return float(file.metadata()["label_scale"])


class Program:
    """A kind of training by the program; `seconds(steps)` as a peer answers."""

    def __init__(self, program, folder, kind, dtype):
        self.program, self.folder, self.kind, self.dtype, self.runs = program, folder, kind, dtype, 0

    def command(self, steps):
        self.runs += 1
        out = self.folder / f"{self.kind}-{self.dtype}-{self.runs}"
        if self.kind == "reward":
            return [self.program, "train", "reward", "-c", ROOT / "configs/reward/ablation.yaml", "-o", out, *sets(f"fgr_dirs=[{self.folder / 'fgr'}]", "opinions.count=8", f"stage_iters=[1, 1, 1, 1, {steps}]",
                                                                                                          "save_checkpoint_freq=100000", f"dtype={self.dtype}")]
        return rl_command(self.program, self.folder / "photos", self.dtype, steps, out, f"coevolve_freq={int(self.kind == 'rl')}")

    def seconds(self, steps):
        short, _ = run(self.command(2))
        long, peak = run(self.command(2 + steps))
        return (long - short) / steps, peak


class Peer:
    def __init__(self, kind, peer, dtype):
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", kind, peer, dtype], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "OMP_NUM_THREADS": "1", **(TUNED if "tuned" in peer else {})})
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{peer} did not start")

    def seconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- agreement


def program_noise(seed, item, count, size):
    """`count` tensors of the stream that an RL step draws its noise from: base/random.h's Random(seed, "rl", item), after one integer."""
    m, mask = 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF  # XXH64 of two bytes
    p1, p2, p3, p5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5
    key = (seed + p5 + 2) & m
    for byte in b"rl":
        key = key ^ (byte * p5 & m)
        key = ((key << 11 | key >> 53) & m) * p1 & m
    for shift, prime in ((33, p2), (29, p3), (32, 1)):
        key = (key ^ key >> shift) * prime & m
    blocks = np.arange(1, 1 + count * size // 4, dtype=np.uint64)
    c = [blocks, np.zeros_like(blocks), np.full_like(blocks, item & mask), np.full_like(blocks, item >> 32)]
    k0, k1 = key & mask, key >> 32
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), b & np.uint64(mask), (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), a & np.uint64(mask)]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    x = [part.astype(np.float64) for part in c]
    out = np.empty((4, len(blocks)))
    for pair in (0, 1):
        radius, angle = np.sqrt(-2 * np.log((x[2 * pair] + 1) / 2 ** 32)), x[2 * pair + 1] * (2 * np.pi / 2 ** 32)
        out[2 * pair], out[2 * pair + 1] = radius * np.cos(angle), radius * np.sin(angle)
    return out.reshape(4, -1, 32).transpose(1, 0, 2).reshape(count, size).astype("f4")  # 32 blocks at once


def check(program):
    import torch
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_png(folder / "gray.png", np.full((160, 160, 3), 128, np.uint8))
        quiet = [f"datasets.degradation.{part}" for which in ("first", "second") for part in (f"{which}.gaussian_noise_prob=1", f"{which}.noise_range=[0, 0]", f"{which}.jpeg_range=[100, 100]")]
        run(rl_command(program, folder, "fp32", 2, folder / "run", "datasets.batch_size=1", "print_freq=1", "optim_g.warmup_iter=0", "optim_g.final_lr_ratio=1", "optim_r.warmup_iter=0",
                       "optim_r.final_lr_ratio=1", "reward_losses.align_weight=0", *quiet))
        ours = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    peer, gt, worst = RlPeer(torch, torch.contiguous_format, True, label_scale(), 0), torch.full((1, 3, 128, 128), 128 / 255), 0
    print(f"{'step':>4} {'number':10} {'finpercep':>13} {'eager':>13} {'off':>9}")
    for item, line in enumerate(ours):
        noise = [torch.from_numpy(values).view_as(gt) for values in program_noise(1, item, 4, gt.numel())]
        theirs = peer.step(gt, gt, noise, torch.ones(1, 1, 128, 128), lambda: torch.autocast("cpu", enabled=False))
        for key, value in theirs.items():
            off = abs(value - line[key]) / (1 + abs(value))
            worst = max(worst, off if item == 0 else off / 10) if off == off else off  # AdamW's first update is nearly the gradient's sign: where that is near zero, rounding decides it
            print(f"{item + 1:4} {key:10} {line[key]:13.6f} {value:13.6f} {off:9.1e}")
    return int(not (len(ours) == 2 and worst <= 1e-4))


def main():
    parser = argparse.ArgumentParser(description="Times training steps against eager PyTorch.")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="steps timed a round")
    parser.add_argument("--only", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--dtypes", nargs="*", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--check", action="store_true", help="agreement alone")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(*options.serve)
    program = options.build.resolve() / "finpercep"
    if options.check:
        return check(program)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        random = np.random.default_rng(1)
        for i in range(4):
            write_png(folder / "photos" / f"{i}.png", np.kron(random.integers(0, 256, (32, 32, 3)), np.ones((12, 12, 1))).astype(np.uint8))
        if "reward" in options.only:
            run([program, "fgr", "build", "-c", ROOT / "configs/fgr/small.yaml", "-o", folder / "fgr", *sets("count=24", "sources=[bicubic, distort]", f"photos.photos=[{folder / 'photos'}]", "photos.exclude=")])
        print(f"one thread, least of {options.rounds} rounds of {options.steps} steps; ratio: to finpercep, processor time a step")
        print(f"{'training':10} {'type':5} {'engine':26} {'s/step':>7} {'ratio':>6} {'peak MiB':>9}")
        for kind in options.only:
            for dtype in options.dtypes:
                engines = {"finpercep": Program(program, folder, kind, dtype), **{peer: Peer(kind, peer, dtype) for peer in options.peers}}
                cells = {engine: [] for engine in engines}
                for _ in range(options.rounds):
                    for engine, timed in engines.items():
                        cells[engine].append(timed.seconds(options.steps))
                least = {engine: min(seconds for seconds, _ in rounds) for engine, rounds in cells.items()}
                for engine, rounds in cells.items():
                    print(f"{kind:10} {dtype:5} {engine:26} {least[engine]:7.2f} {least[engine] / least['finpercep']:6.2f} {max(peak for _, peak in rounds):9.0f}", flush=True)
                for peer in options.peers:
                    engines[peer].close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""A training run of a moment, the run without a fault that others are compared with, and what must hold after every fault."""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from program import PROGRAM  # noqa: E402

TIMEOUT, STEPS, FOREVER = 300, 3, 1 << 30


class Failed(Exception):
    pass


def need(condition, *what):
    if not condition:
        raise Failed(" ".join(map(str, what)))


class Job:
    """A command that trains for a moment, and what it ends in."""

    def __init__(self, name, folder, words, settings):
        self.name, self.folder, self.words, self.settings = name, folder, words, settings
        self.known, self.lock, self.made, self.counts = {}, threading.Lock(), 0, {}

    def new(self, copy=False):
        with self.lock:
            self.made += 1
            out = self.folder / f"{self.name}-{self.made}"
        if copy:
            shutil.copytree(self.truth_dir, out)
        return out

    def command(self, out, resume=False, more=()):
        settings = [f"datasets.photos.photos=[{self.folder}/photos]", "datasets.gt_size=64", "datasets.batch_size=2", "datasets.num_worker=1", "device=cpu", "dtype=fp32", *self.settings, *more]
        return [PROGRAM, *self.words, "-q", "-o", str(out), *(["--resume"] if resume else []), *(word for s in settings for word in ("--set", s))]

    def start(self, out, resume=False, more=(), call=None, at=0, under=None, threads=1, **fail):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        if call:
            environment.update(LD_PRELOAD=str(self.folder / "fail_calls.so"), FAIL_CALL=call, FAIL_AT=str(at), FAIL_UNDER=str(under or out))
            environment.update({f"FAIL_{key.upper()}": str(int(value) if isinstance(value, int) else value) for key, value in fail.items()})
        process = subprocess.Popen(self.command(out, resume, more), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        process.out = out
        return process

    def end(self, process):
        try:
            errors = process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failed("hangs")
        self.whole(process.out)
        return process.returncode, errors

    def run(self, out, **how):
        return self.end(self.start(out, **how))

    def whole(self, out):
        """No file under its final name is half written: it has the bytes that every run gives it."""
        for path in sorted(out.glob("checkpoints/*.safetensors")):
            data = path.read_bytes()
            need(len(data) > 8, path.name, "is cut")
            size = struct.unpack("<Q", data[:8])[0]
            tensors = {k: v for k, v in json.loads(data[8:8 + size]).items() if k != "__metadata__"}
            need(8 + size + max(v["data_offsets"][1] for v in tensors.values()) == len(data), path.name, "is cut")
            sum_ = hashlib.sha256(data).hexdigest()
            with self.lock:
                need(self.known.setdefault(path.name, sum_) == sum_, path.name, "has other bytes than without the fault")

    def result(self, out):
        names = ["metrics.jsonl", *(f"checkpoints/{name}" for name in ("generator.safetensors", *(f"state-{i:08}.safetensors" for i in (STEPS - 1, STEPS))))]
        return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() if (out / name).exists() else None for name in names}

    def find_truth(self):
        self.truth_dir = self.new()
        began = time.time()
        code, errors = self.run(self.truth_dir, call="malloc", counts=self.folder / f"{self.name}.counts")
        self.seconds = time.time() - began
        need(code == 0 and not errors, "the run without a fault:", errors)
        self.truth = self.result(self.truth_dir)
        need(all(self.truth.values()), "the run without a fault made no", [k for k, v in self.truth.items() if not v])
        self.counts = {line.split()[0]: int(line.split()[1]) for line in (self.folder / f"{self.name}.counts").read_text().splitlines()}

    def is_truth(self, out):
        found = self.result(out)
        need(found == self.truth, "other bytes than the run without a fault in", [k for k in found if found[k] != self.truth[k]])

    def one_line(self, errors, *words):
        """Warnings, then one line that says what is wrong and where."""
        *before, line = errors.splitlines() or [""]
        need(line.startswith("finpercep: ") and all(l.startswith("warning: ") for l in before), "expected one line, found", repr(errors))
        need("internal error" not in line, line)
        for word in words:
            need(str(word) in line, f"expected '{word}' in", repr(line))

    def resumes(self, out, *words):
        code, errors = self.run(out, resume=True)
        need(code == 0, "--resume:", code, errors)
        need(all(l.startswith("warning: ") for l in errors.splitlines()), "--resume:", errors)
        for word in words:
            need(word in errors, f"--resume: expected '{word}' in", repr(errors))
        leftovers = [str(path.relative_to(out)) for path in out.glob("*/.*.tmp")]
        need(not leftovers, "--resume leaves", leftovers)
        self.is_truth(out)
        shutil.rmtree(out)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults injected into training runs (docs/faults.md, "Training"): system calls that fail or kill the process at the n-th call, damaged states, signals, two runs on one folder.
After each, without the fault, `--resume` has to end in the bytes of a run that met none.

    run.py PROGRAM [--all] [--rows T01,T02] [--jobs 2] [--seed 0] [--kills N]

Without --all, a sample of the calls, in about a minute. Needs a C compiler for fail_calls.c."""
import argparse
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from job import FOREVER, STEPS, TIMEOUT, Failed, Job, need
from program import png, texture  # job.py says where

HERE = Path(__file__).resolve().parent

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("program")
parser.add_argument("--all", action="store_true", help="every call, 200 random kills")
parser.add_argument("--rows", default="", help="only these, with commas")
parser.add_argument("--jobs", type=int, default=2)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--kills", type=int, default=0, help="random kills of each job")
OPTIONS = parser.parse_args()


def fails_at(job, call, n, number, length=1):
    """The n-th call fails: 3 and one line with the file, or, where the run can do without (log.txt, an old state), a warning at most and the right end."""
    out = job.new()
    code, errors = job.run(out, call=call, at=n, errno=number, **{"for": length})
    if code == 0:
        job.is_truth(out)
        need(all(l.startswith("warning: ") for l in errors.splitlines()), errors)
        need(len(errors.splitlines()) <= 1, "more than one warning:", errors)
        shutil.rmtree(out)
        return
    need(code == 3, "exit code", code, errors)
    job.one_line(errors, out)
    job.resumes(out)


def killed_at(job, call, n):
    out = job.new()
    code, errors = job.run(out, call=call, at=n, signal=signal.SIGKILL)
    need(code == -signal.SIGKILL, "exit code", code, errors)
    job.resumes(out)


def killed_after(job, seconds):
    out = job.new()
    process = job.start(out)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    job.end(process)
    job.resumes(out)


def survives(job, call, **how):
    """Nothing a run may notice."""
    out = job.new()
    code, errors = job.run(out, call=call, **how)
    need(code == 0 and not errors, code, errors)
    job.is_truth(out)
    shutil.rmtree(out)


def damaged(job, how, which):
    """One damaged state: the one before it, and it is said. Both: the end, and nothing is touched."""
    out = job.new(copy=True)
    for i in which:
        path = out / f"checkpoints/state-{i:08}.safetensors"
        data = bytearray(path.read_bytes())
        if how == "cut":
            del data[len(data) // 3:]
        elif how == "empty":
            data.clear()
        else:
            data[int(how * len(data))] ^= 4
        path.write_bytes(data)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "log.txt"}
    if len(which) == 1:
        process = job.start(out, resume=True)
        errors = process.communicate(timeout=TIMEOUT)[1]
        need(process.returncode == 0, process.returncode, errors)
        need("trying the state before it" in errors and f"state-{which[0]:08}" in errors, errors)
        job.is_truth(out)
    else:
        process = job.start(out, resume=True)
        errors = process.communicate(timeout=TIMEOUT)[1]
        need(process.returncode == 4, process.returncode, errors)
        job.one_line(errors, out, "damaged")
        need(before == {path: path.read_bytes() for path in before}, "a file was changed")
    shutil.rmtree(out)


def with_another(job, more, threads, word):
    """Another number of threads or another dtype: said, and kept on record."""
    out = job.new(copy=True)
    (out / f"checkpoints/state-{STEPS:08}.safetensors").unlink()
    process = job.start(out, resume=True, more=more, threads=threads)
    errors = process.communicate(timeout=TIMEOUT)[1]
    need(process.returncode == 0, process.returncode, errors)
    need(word in errors and word in (out / "log.txt").read_text(), f"expected '{word}', found", repr(errors))
    shutil.rmtree(out)


def told_to_stop(job, n, number, length):
    out = job.new()
    code, errors = job.run(out, call="write", at=n, signal=number, **{"for": length})
    if number == signal.SIGINT and length > 1:
        need(code == 130, code, errors)
    elif code == 0:
        job.is_truth(out)  # it came when the work was done
    else:
        need(code == 130, code, errors)
        begun = "nothing has begun" not in errors  # it has not while photographs are read
        job.one_line(errors, "interrupted", *(["--resume"] if begun else []))
        need(any(out.glob("checkpoints/state-*")) == begun, "a state was" + ("n't saved" if begun else " saved of nothing"))
    job.resumes(out)


def stopped(job, n):
    """A run that stands still at its n-th write."""
    out = job.new()
    process = job.start(out, call="write", at=n, signal=signal.SIGSTOP)
    began = time.time()
    while Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "TZ":
        need(time.time() - began < TIMEOUT, "did not stop")
        time.sleep(0.02)
    need(process.poll() is None, "did not stop")
    return out, process


def goes_on(process):
    process.send_signal(signal.SIGCONT)


def folder_vanishes(job, n):
    out, process = stopped(job, n)
    gone = out.rename(f"{out}-gone")
    goes_on(process)
    code, errors = job.end(process)
    need(code == 3, code, errors)
    job.one_line(errors, out)
    need(not out.exists(), "made a new folder")
    gone.rename(out)
    job.resumes(out)


def two_runs(job, n):
    out, process = stopped(job, n)
    try:
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for resume in (False, True):
            code, errors = job.run(out, resume=resume)
            need(code == 3, code, errors)
            job.one_line(errors, out, f"in use by process {process.pid}")
        need(before == {path: path.read_bytes() for path in before}, "the second run changed the first")
    finally:
        goes_on(process)
    code, errors = job.end(process)
    need(code == 0 and not errors, code, errors)
    job.is_truth(out)
    shutil.rmtree(out)


def stale_lock(job, text, word):
    out = job.new()
    out.mkdir()
    (out / "lock").write_text(text)
    code, errors = job.run(out)
    need(code == 0 and word in errors, code, errors)
    job.is_truth(out)
    shutil.rmtree(out)


def log_deleted(job, n):
    out, process = stopped(job, n)
    (out / "log.txt").unlink()
    goes_on(process)
    code, errors = job.end(process)
    need(code == 0 and not errors, code, errors)
    need((out / "log.txt").exists(), "no new log")
    job.is_truth(out)
    shutil.rmtree(out)


def log_full(job, call, n):
    out = job.new()
    code, errors = job.run(out, call=call, at=n, errno=errno.ENOSPC, under=out / "log.txt", **{"for": FOREVER})
    need(code == 0, code, errors)
    need(len(errors.splitlines()) == 1 and errors.startswith("warning: ") and "log.txt" in errors, "expected one warning, found", repr(errors))
    job.is_truth(out)
    shutil.rmtree(out)


def out_of_memory(job, call, n):
    out = job.new()
    code, errors = job.run(out, call=call, at=n)
    if code == 0:  # whoever asked can do without it
        need(not errors, errors)
        job.is_truth(out)
        shutil.rmtree(out)
        return
    need(code == 1, "exit code", code, errors)
    job.one_line(errors, "memory")
    job.resumes(out)


def not_finite(job):
    """A learning rate that destroys the net within some steps: NaN from then on, skipped and counted, and the end after 20 of them."""
    out = job.new()
    process = job.start(out, more=["train.total_iter=100", "datasets.batch_size=1", "losses.pixel=l2", "optim_g.lr=1", "optim_g.warmup_iter=0", "train.save_checkpoint_freq=1000"])
    errors = process.communicate(timeout=TIMEOUT)[1]
    need(process.returncode == 4, process.returncode, errors)
    job.one_line(errors, "not finite 20 times in a row")
    skipped = [json.loads(line)["skipped"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    need(sum(skipped) >= 19 and all(skipped[-19:]), "skipped steps are not counted:", skipped)
    need(not list(out.glob("checkpoints/*")), "something was saved")
    shutil.rmtree(out)


def gradient_explodes(job):
    """All gradients are over a guard of a hundredth of the median, as soon as it knows ten."""
    out = job.new()
    process = job.start(out, more=["stages=[1]", "stage_iters=[12]", "guard_ratio=0.01", "monitor.freq=0", "save_checkpoint_freq=100"])
    errors = process.communicate(timeout=TIMEOUT)[1]
    need(process.returncode == 0, process.returncode, errors)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    need([l["step"] for l in lines if l.get("guarded")] == [11, 12], "guarded:", lines)
    need(errors.count("update skipped, its gradient was more than 0.01 times the usual") == 2, errors)
    need(all(l["grad_norm"] > 0 for l in lines), "the norm is not logged")
    shutil.rmtree(out)


def cases(jobs):
    draw = random.Random(OPTIONS.seed)

    def some(count, quick):
        """Calls 1..count: all, or so many of them, evenly."""
        wanted = count if OPTIONS.all else min(quick, count)
        return sorted({1 + int((i + 0.5) * count / wanted) for i in range(wanted)})

    for job in jobs:
        rl = job.name == "rl"
        few, one = (2, 1) if rl else (3, 2)
        count = job.counts
        for call, quick in (("write", one), ("fsync", 1), ("rename", 1), ("open", 0 if rl else 1), ("remove", 1), ("ftruncate", 0 if rl else 1)):
            for n in some(count[call], quick) if quick or OPTIONS.all else ():
                yield "T01", f"{job.name}: killed in {call} {n} of {count[call]}", killed_at, job, call, n
        for i in range(OPTIONS.kills or (200 if OPTIONS.all else 2 if rl else 4)):
            seconds = draw.uniform(0.1, 1) * job.seconds
            yield "T01", f"{job.name}: killed after {seconds:.2f} of {job.seconds:.2f} s", killed_after, job, seconds
        for n in some(count["write"], few):
            yield "T02", f"{job.name}: disk full at write {n} of {count['write']}", fails_at, job, "write", n, errno.ENOSPC
        for n in some(count["write"], 1):
            yield "T02", f"{job.name}: disk full from write {n} on", fails_at, job, "write", n, errno.ENOSPC, FOREVER
        for n in some(count["fsync"], one):
            yield "T03", f"{job.name}: EIO from fsync {n} of {count['fsync']}", fails_at, job, "fsync", n, errno.EIO
        yield "T04", f"{job.name}: short writes, EINTR", survives, job, "short"
        for n in some(count["rename"], one):
            yield "T05", f"{job.name}: EXDEV from rename {n} of {count['rename']}", fails_at, job, "rename", n, errno.EXDEV
        for call, quick in (("open", one), ("remove", 1), ("ftruncate", 0 if rl else 1)):
            for n in some(count[call], quick) if quick or OPTIONS.all else ():
                yield "T06", f"{job.name}: EROFS from {call} {n} of {count[call]}", fails_at, job, call, n, errno.EROFS
        places = [draw.random() for _ in range(40 if OPTIONS.all else 1)]
        for how in ("cut", "empty", *places) if OPTIONS.all else ("cut", *places) if not rl else places:
            yield "T07", f"{job.name}: newest state {how}", damaged, job, how, [STEPS]
        for how in ("cut", "empty", draw.random()) if OPTIONS.all else (draw.random(),):
            yield "T08", f"{job.name}: all states {how}", damaged, job, how, [STEPS - 1, STEPS]
        for n in some(count["write"], 1):
            yield "T11", f"{job.name}: SIGTERM at write {n}", told_to_stop, job, n, signal.SIGTERM, 1
            yield "T11", f"{job.name}: SIGINT at write {n}", told_to_stop, job, n, signal.SIGINT, 1
        for n in some(count["write"] - 1, 1):
            yield "T11", f"{job.name}: two SIGINT from write {n} on", told_to_stop, job, n, signal.SIGINT, 2
        if not rl:
            yield "N06", "generator: losses are NaN", not_finite, job
        if rl:
            yield "N07", "rl: the gradient explodes", gradient_explodes, job
        if rl and not OPTIONS.all:
            continue
        middle = count["write"] // 2
        yield "T06", f"{job.name}: the folder vanishes at write {middle}", folder_vanishes, job, middle
        yield "T10", f"{job.name}: resumed with two threads", with_another, job, [], 2, "thread"
        yield "T10", f"{job.name}: resumed in bf16", with_another, job, ["dtype=bf16"], 1, "another config"
        yield "T12", f"{job.name}: two runs on one folder", two_runs, job, middle
        yield "T13", f"{job.name}: lock of a dead process", stale_lock, job, "999999\n", "its lock is taken over"
        yield "T13", f"{job.name}: lock that says nothing", stale_lock, job, "?\n", ""
        yield "T15", f"{job.name}: clock set back by a year", lambda job: survives(job, "clock", at=2, **{"for": FOREVER}), job
        for call, name in (("malloc", "T16"), ("worker", "T17")):
            wanted = 60 if OPTIONS.all else 3 if call == "malloc" else 1
            for i in range(min(wanted, count[call])):
                n = 1 + int((i + 0.5) * count[call] / min(wanted, count[call]))
                yield name, f"{job.name}: no memory at {call} {n} of {count[call]}", out_of_memory, job, call, n
        yield "T18", f"{job.name}: log.txt deleted", log_deleted, job, middle
        yield "T18", f"{job.name}: log.txt cannot be written", log_full, job, "write", 1
        yield "T18", f"{job.name}: log.txt cannot be opened again", log_full, job, "open", 2


def main():
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler or sys.platform != "linux":
        print("skipped: needs Linux and a C compiler")
        return 0
    memory = Path("/dev/shm")  # a disk's fsync would take most of the time
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
    with tempfile.TemporaryDirectory(prefix="finpercep-faults-", dir=memory if roomy else None) as name:
        folder = Path(name)
        subprocess.run([compiler, "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", folder / "fail_calls.so", HERE / "fail_calls.c"], check=True)
        (folder / "photos").mkdir()
        for i in range(3):
            (folder / f"photos/p{i}.png").write_bytes(png(96, 80, lambda x, y: texture(x, y, i)))
        loop = [f"train.total_iter={STEPS}", "train.print_freq=1", "train.save_checkpoint_freq=1", "network_g.net.channels=[8,8,8]"]
        generator = Job("generator", folder, ["train", "generator"], loop)
        generator.find_truth()
        shutil.copy(generator.truth_dir / "checkpoints/generator.safetensors", folder)
        rl = Job("rl", folder, ["rl"], [f"network_g={folder}/generator.safetensors", "stages=[0,1]", f"stage_iters=[1,{STEPS - 1}]", "print_freq=1", "save_checkpoint_freq=1", "monitor.size=64",
                                         "monitor.count=1", "monitor.freq=2", "coevolve_freq=0"])
        rl.find_truth()
        rows = set(filter(None, OPTIONS.rows.split(",")))
        todo = [case for case in cases([generator, rl]) if not rows or case[0] in rows]
        score = {}

        def work(case):
            row, title, test, *arguments = case
            try:
                test(*arguments)
                problem = ""
            except Exception as error:  # a broken case must not end the others
                problem = f"{error}" if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
                print(f"FAILED {row} {title}: {problem}", flush=True)
            return row, problem

        began = time.time()
        with ThreadPoolExecutor(OPTIONS.jobs) as pool:
            for row, problem in pool.map(work, todo):
                score.setdefault(row, [0, 0])[bool(problem)] += 1
        for row, (good, bad) in sorted(score.items()):
            print(f"{row}: {good} of {good + bad}")
        bad = sum(b for _, b in score.values())
        print(f"{len(todo)} faults, {bad} failed, {time.time() - began:.0f} s")
        return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

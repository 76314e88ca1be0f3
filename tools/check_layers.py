#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Order of folders = order of data = order of dependency: a module of src/finpercep includes only itself and modules above it.

The command line (cli/) may include every module. No source file but a test is longer than 400 lines. Exit 1 with one line a fault.
"""
import re
import sys
from pathlib import Path

ORDER = ["base", "image", "degrade", "nets", "metrics", "generate", "fgr", "reward", "rl", "curriculum", "evaluate", "report", "study"]
LONGEST = 400
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]finpercep/([a-z_]+)/([^">]+)[">]')


def check(root):
    faults, lengths = [], []
    modules = root / "src" / "finpercep"
    for folder in sorted(path for path in modules.iterdir() if path.is_dir()):
        if folder.name not in ORDER:
            faults.append(f"{folder.relative_to(root)}: expected one of {' '.join(ORDER)}, found a new module. Give it its place in ORDER")
    sources = [path for top in (root / "src", root / "cli") for path in sorted(top.rglob("*")) if path.suffix in (".cpp", ".h")]
    for path in sources:
        name = path.relative_to(root)
        owner = path.relative_to(modules).parts[0] if path.is_relative_to(modules) else None
        lines = path.read_text(encoding="utf-8").splitlines()
        lengths.append((len(lines), name))
        if len(lines) > LONGEST and not path.stem.endswith("_test"):
            faults.append(f"{name}: expected at most {LONGEST} lines, found {len(lines)}. Split it by what it does")
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            module = match.group(1)
            if module not in ORDER:
                faults.append(f"{name}:{number}: expected a module, found finpercep/{module}. Correct the #include")
            elif owner in ORDER and ORDER.index(module) > ORDER.index(owner):
                faults.append(f"{name}:{number}: {owner} may include only what is above it, found {module}. Move the code or the dependency")
    return faults, sorted(lengths, reverse=True)


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    if not (root / "src" / "finpercep").is_dir():
        sys.exit(f"check_layers: {root}: expected src/finpercep in it, found none. Name the root of the source tree")
    faults, lengths = check(root)
    print("largest: " + ", ".join(f"{name} {count}" for count, name in lengths[:5]))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(lengths)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this machine ready to build FinPercep: Debian packages, a Python with torch, the public weights.
# What is there already is left alone; the second run takes about a second.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch_series=2.13
packages=(g++ cmake ninja-build ccache pkg-config git libyaml-cpp-dev nlohmann-json3-dev libcli11-dev doctest-dev
  libjpeg62-turbo-dev libpng-dev libwebp-dev libtiff-dev libfmt-dev libxxhash-dev libbenchmark-dev clang-format)

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# --- Debian packages
missing_packages() {
  local name
  for name in "$@"; do
    # Ubuntu's name of the same library: either will do.
    [ "$name" = libjpeg62-turbo-dev ] && dpkg-query -W -f='${db:Status-Status}' libjpeg-turbo8-dev 2>/dev/null | grep -qx installed && continue
    dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || echo "$name"
  done
}

apt() {
  if [ "$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive apt-get "$@"
  elif command -v sudo >/dev/null; then sudo DEBIAN_FRONTEND=noninteractive apt-get "$@"
  else fail "packages: expected root or sudo, found neither. As root: apt-get install -y ${missing[*]}"
  fi
}

install_packages() {
  missing=("$@")
  say "installs with apt-get: ${missing[*]}"
  apt update -qq || say "apt-get update failed; going on with the lists that are here"
  for i in "${!missing[@]}"; do
    if [ "${missing[$i]}" = libjpeg62-turbo-dev ] && ! apt-cache show libjpeg62-turbo-dev >/dev/null 2>&1; then missing[i]=libjpeg-turbo8-dev; fi
  done
  apt install -y -qq --no-install-recommends "${missing[@]}"
}

if command -v dpkg-query >/dev/null; then
  mapfile -t needed < <(missing_packages "${packages[@]}")
  [ ${#needed[@]} = 0 ] || install_packages "${needed[@]}"
else
  say "not a Debian: install these (or what they are called here) yourself: ${packages[*]}"
fi

# --- Python with torch
# Prints the version without importing torch, which takes seconds.
torch_of() {
  "$1" -I -c '
import importlib.util, os, re, sys
spec = importlib.util.find_spec("torch")
path = os.path.join(os.path.dirname(spec.origin), "version.py") if spec and spec.origin else ""
found = re.search(r"__version__ = .(\d[^\x27\"]*)", open(path).read()) if os.path.exists(path) else None
print(found.group(1) if found else "", end="")' 2>/dev/null || true
}
fits() { [[ "$(torch_of "$1")" == "$torch_series".* ]] && "$1" -I -c 'import numpy' 2>/dev/null; }

choose_python() {
  local active
  active=$(command -v python3 || true)
  if [ -n "$active" ] && fits "$active"; then
    "$active" -c 'import sys; print(sys.executable)'
    return
  fi
  if [ ! -x .venv/bin/python3 ] || ! fits .venv/bin/python3; then
    say "python3 (${active:-none}) has no torch $torch_series.x with numpy: makes .venv and installs torch, safetensors, numpy and pillow there" >&2
    if [ -z "$active" ] || ! "$active" -c 'import venv, ensurepip' 2>/dev/null; then
      install_packages python3 python3-venv >&2
      active=/usr/bin/python3  # python3-venv serves Debian's own Python
    fi
    "$active" -m venv .venv >&2
    # PyPI's wheel. For another build of torch add e.g. --index-url https://download.pytorch.org/whl/cpu (small, no CUDA) or .../whl/cu130.
    .venv/bin/python3 -m pip install --quiet --disable-pip-version-check "torch==$torch_series.0" safetensors numpy pillow >&2 ||
      fail "torch: pip install torch==$torch_series.0 into .venv failed. Check the network, or activate a Python that has it"
  fi
  echo "$PWD/.venv/bin/python3"
}

python=$(choose_python)
mkdir -p build
# Rewritten only when it changes, so that make does not configure again.
[ "$(cat build/python 2>/dev/null || true)" = "$python" ] || echo "$python" >build/python
say "Python $python, torch $(torch_of "$python")"

# The programs that pip puts beside a Python (cmake, ninja) count as there; the Makefile does the same.
PATH="$(dirname "$python"):$PATH"

# --- CMake: Debian 11 and Ubuntu 22.04 have an older one
cmake_version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*//p' || true)
if [ "$(printf '%s\n' 3.24 "${cmake_version:-0}" | sort -V | head -1)" != 3.24 ]; then
  say "cmake ${cmake_version:-none} is older than 3.24: installs PyPI's cmake beside $python"
  "$python" -m pip install --quiet --disable-pip-version-check 'cmake>=3.24' || fail "cmake: pip install failed. Install CMake 3.24 or newer"
fi

# --- weights
"$python" tools/fetch_weights.py

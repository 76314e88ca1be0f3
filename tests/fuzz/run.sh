#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzzers of our parsers with clang's libFuzzer and sanitizers and runs each for a while; stops at the first finding.
#   tests/fuzz/run.sh [SECONDS=60] [TARGET..]      targets: image masks safetensors settings tar ncnn
# Needs: apt-get install clang libclang-rt-14-dev. FUZZ_DIR (default build/fuzz) keeps programs, corpora and findings.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-image masks safetensors settings tar ncnn}
folder=${FUZZ_DIR:-build/fuzz}
command -v clang++ > /dev/null || { echo "fuzz: expected clang++, found none. apt-get install clang libclang-rt-14-dev" >&2; exit 1; }
mkdir -p "$folder"

src=src/finpercep
base="$src/base/files.cpp $src/base/error.cpp $src/base/text.cpp -lxxhash"
safetensors="$src/base/safetensors.cpp $src/base/safetensors_header.cpp"
image="$src/image/io.cpp $src/image/format.cpp $src/image/gray.cpp $src/image/png.cpp $src/image/jpeg.cpp $src/image/webp.cpp $src/image/tiff.cpp"
image="$image $src/image/bmp.cpp $src/image/exif.cpp $src/image/probe.cpp $src/image/profile.cpp"
codecs="-lpng -ljpeg -lwebp -lwebpdemux -ltiff -lz"
flags="-std=c++20 -g -O1 -Iinclude -Isrc"

sources_of() {
  case $1 in
    image) echo "$image $base $codecs" ;;
    masks) echo "$src/fgr/coco_rle.cpp $base" ;;
    safetensors) echo "$safetensors $base" ;;
    settings) echo "$src/base/settings.cpp $src/base/settings_yaml.cpp $base -lyaml-cpp" ;;
    tar) echo "$src/fgr/tar.cpp $base" ;;
    ncnn) echo "$src/base/ncnn.cpp $base" ;;
    *) echo "fuzz: expected image, masks, safetensors, settings, tar or ncnn, found $1" >&2; exit 2 ;;
  esac
}

rm -f "$folder"/*-crash-* "$folder"/*-oom-* "$folder"/*-timeout-* "$folder"/*-leak-*
clang++ $flags tests/fuzz/make_corpus.cpp $image $safetensors $src/fgr/tar.cpp $base $codecs -lfmt -o "$folder/make_corpus"
"$folder/make_corpus" "$folder/seed"
mkdir -p "$folder/seed/settings"
find configs -name '*.yaml' -exec cp {} "$folder/seed/settings/" \;

for target in $targets; do
  # shellcheck disable=SC2046  # the sources are words
  clang++ $flags -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined "tests/fuzz/${target}_fuzz.cpp" $(sources_of "$target") -lfmt -o "$folder/${target}_fuzz"
  mkdir -p "$folder/corpus/$target"
  length=16384
  [ "$target" = settings ] && length=2048
  "$folder/${target}_fuzz" -max_len=$length -rss_limit_mb=768 -timeout=5 -max_total_time="$seconds" -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$folder/$target-" "$folder/corpus/$target" "$folder/seed/$target" > "$folder/$target.log" 2>&1 ||
    { tail -30 "$folder/$target.log"; echo "fuzz: $target: a finding, see $folder/$target.log" >&2; exit 1; }
  echo "$target: $(grep -o 'stat::number_of_executed_units: *[0-9]*' "$folder/$target.log" | grep -o '[0-9]*$') inputs, no finding"
done

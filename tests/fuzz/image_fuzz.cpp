// SPDX-License-Identifier: Apache-2.0
// Any bytes must either decode to a picture within the limits or give an input_error.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc tests/fuzz/image_fuzz.cpp
//     src/finpercep/image/{io,png,jpeg,webp,tiff,exif}.cpp src/finpercep/base/{files,error}.cpp
//     -lpng -ljpeg -lwebp -lwebpdemux -ltiff -lfmt -o /tmp/image_fuzz
//   /tmp/image_fuzz -max_len=16384 -rss_limit_mb=512 -timeout=2 -max_total_time=60 CORPUS      (CORPUS: some small pictures of each format)
#include <cstdint>
#include <cstdlib>
#include <span>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"

using namespace finpercep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const ReadLimits limits = {.max_pixels = 1 << 20, .max_side = 4096};
  try {
    const Image image = decode_image(std::as_bytes(std::span(data, size)), "fuzz", limits);
    if (image.channels != 3 || image.width < 1 || image.height < 1 || image.data.size() != image.plane_size() * 3) std::abort();
    for (const float value : image.data) {
      if (!(value >= 0.0f && value <= 1.0f)) std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) std::abort();
  }
  return 0;
}

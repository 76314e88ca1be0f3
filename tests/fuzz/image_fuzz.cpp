// SPDX-License-Identifier: Apache-2.0
// Any bytes must either decode to a picture within the limits or give an input_error, and any colour profile found in them must leave a
// PNG that can be read. Built and run by run.sh.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"
#include "finpercep/image/profile.h"

using namespace finpercep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const ReadLimits limits = {.max_pixels = 1 << 20, .max_side = 4096};
  const PictureInfo info = probe_image(std::as_bytes(std::span(data, size)));
  const auto profile = colour_profile(std::as_bytes(std::span(data, size)));
  if (!profile.empty() && decode_image(encode_png(Image(2, 2, 3), profile), "profile", limits).width != 2) std::abort();
  try {
    const Image image = decode_image(std::as_bytes(std::span(data, size)), "fuzz", limits);
    if (image.channels != 3 || image.width < 1 || image.height < 1 || image.data.size() != image.plane_size() * 3) std::abort();
    for (const float value : image.data) {
      if (!(value >= 0.0f && value <= 1.0f)) std::abort();
    }
    // Memory is planned by what the header says: no picture may have more pixels than that. (WebP may have a canvas of its own.)
    const bool webp = size > 12 && data[0] == 'R';
    if (!webp && image.plane_size() != static_cast<std::size_t>(info.pixels())) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) std::abort();
  }
  return 0;
}

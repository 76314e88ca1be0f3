// SPDX-License-Identifier: Apache-2.0
// Whole pictures of any size: padding, overlapping tiles, one noise field for the whole picture.
#include <algorithm>
#include <memory>

#include "finpercep/generate/generator.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

constexpr int64_t overlap = 16;  // LR pixels that neighbouring tiles share

// Weight of a tile's pixels: 1 inside, a linear fall over the shared border, never 0.
at::Tensor tile_weight(int64_t height, int64_t width, int64_t border) {
  const auto ramp = [border](int64_t n) {
    const at::Tensor i = at::arange(n, at::kFloat);
    return (at::minimum(i, n - 1 - i) + 1).div(static_cast<double>(border)).clamp(0, 1);
  };
  return ramp(height).unsqueeze(1) * ramp(width).unsqueeze(0);
}

// Tile starts that cover [0, size) with the last tile flush with the end.
std::vector<int64_t> tile_starts(int64_t size, int64_t tile) {
  std::vector<int64_t> starts = {0};
  while (starts.back() + tile < size) starts.push_back(std::min(starts.back() + tile - overlap, size - tile));
  return starts;
}

at::Tensor pad_to_multiple(const at::Tensor& x, int64_t multiple) {
  const int64_t bottom = (multiple - x.size(-2) % multiple) % multiple, right = (multiple - x.size(-1) % multiple) % multiple;
  return bottom || right ? at::replication_pad2d(x, {0, right, 0, bottom}) : x;
}

}  // namespace

Image upscale(const Generator& generator, const Image& lr, uint64_t seed, const UpscaleOptions& options) {
  at::NoGradGuard no_grad;
  const at::Device device = options.compute.device;
  const MixedPrecision precision(device, options.compute.dtype);
  const int64_t scale = generator.settings.scale;
  // Padding comes before the noise, so that a picture's noise does not depend on the tile size.
  const int64_t unit = std::max<int64_t>(1, generator.net.multiple() / scale);
  const at::Tensor padded = pad_to_multiple(to_tensor(lr), unit);
  const int64_t height = padded.size(-2), width = padded.size(-1);
  const at::Tensor y = generator.condition(padded.to(device));
  Random random(seed, "upscale");
  const std::vector<at::Tensor> noise = generator.draw_noise(random, y.sizes(), at::kCPU);

  // A tile must reach beyond what it shares with its neighbours on both sides.
  const int64_t side = options.tile > 0 ? std::max(options.tile / unit, 2 * overlap / unit + 1) * unit : std::max(height, width);
  const int64_t tile_h = std::min(side, height), tile_w = std::min(side, width);
  at::Tensor sum = at::zeros(y.sizes(), at::kFloat), weights = at::zeros({1, 1, y.size(-2), y.size(-1)}, at::kFloat);
  for (int64_t top : tile_starts(height, tile_h))
    for (int64_t left : tile_starts(width, tile_w)) {
      const auto cut = [&](const at::Tensor& x) {
        return x.narrow(-2, top * scale, tile_h * scale).narrow(-1, left * scale, tile_w * scale);
      };
      std::vector<at::Tensor> tile_noise;
      for (const at::Tensor& field : noise) tile_noise.push_back(cut(field).to(device));
      const at::Tensor sr = generator.roll_out(cut(y).contiguous(), tile_noise).to(at::kCPU, at::kFloat);
      const at::Tensor weight = tile_weight(tile_h * scale, tile_w * scale, overlap * scale);
      cut(sum).add_(sr * weight);
      cut(weights).add_(weight);
    }
  return to_image((sum / weights).narrow(-2, 0, lr.height * scale).narrow(-1, 0, lr.width * scale).clamp(0, 1).contiguous());
}

SuperResolver make_super_resolver(const std::string& name_or_file, const UpscaleOptions& options) {
  if (name_or_file == "bicubic")
    return [](const Image& lr, uint64_t) {
      Image out = resize(lr, lr.width * 4, lr.height * 4, Resize::bicubic);
      clamp_unit(out);
      return out;
    };
  std::shared_ptr<Generator> generator = load_generator(name_or_file, options.compute.device);
  return [generator, options](const Image& lr, uint64_t seed) { return upscale(*generator, lr, seed, options); };
}

}  // namespace finpercep

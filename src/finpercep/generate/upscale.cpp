// SPDX-License-Identifier: Apache-2.0
// Whole pictures of any size by a generator: padding, overlapping tiles, one noise field for the whole picture.
#include "finpercep/generate/generator.h"
#include "finpercep/generate/tiles.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

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
  const int64_t unit = lr_multiple(generator);
  const at::Tensor padded = pad_to_multiple(to_tensor(lr), unit);
  const at::Tensor y = generator.condition(padded.to(device));
  Random random(seed, "upscale");
  generator.seed_module(seed);
  const std::vector<at::Tensor> noise = generator.draw_noise(random, y.sizes(), at::kCPU);
  const at::Tensor sr = in_tiles(padded.size(-2), padded.size(-1), scale, options.tile, unit, [&](const Tile& tile) {
    const auto cut = [&](const at::Tensor& x) {
      return x.narrow(-2, tile.top * scale, tile.height * scale).narrow(-1, tile.left * scale, tile.width * scale);
    };
    std::vector<at::Tensor> tile_noise;
    for (const at::Tensor& field : noise) tile_noise.push_back(cut(field).to(device));
    return generator.roll_out(cut(y).contiguous(), tile_noise);
  });
  return to_image(sr.narrow(-2, 0, lr.height * scale).narrow(-1, 0, lr.width * scale).clamp(0, 1).contiguous());
}

}  // namespace finpercep

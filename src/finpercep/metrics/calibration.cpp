// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

constexpr int width = 288, height = 208;

int wave(int t) {  // a triangle of period 256 and height 255
  t = ((t % 256) + 256) % 256;
  return t < 128 ? 2 * t : 511 - 2 * t;
}

uint32_t mixed(int c, int y, int x) {  // a hash of the position
  uint32_t h = static_cast<uint32_t>(x) * 73856093u ^ static_cast<uint32_t>(y) * 19349663u ^ static_cast<uint32_t>(c) * 83492791u;
  h = (h ^ h >> 13) * 1274126177u;
  return h ^ h >> 16;
}

int reference_at(int c, int y, int x) {
  const int base = (wave(5 * x + 3 * y + 20 * c) + wave(2 * x - 7 * y + 40 * c) + wave((x * x + y * y) / 97)) / 3;
  return std::clamp(base + static_cast<int>(mixed(c, y, x) % 25) - 12, 0, 255);
}

int blurred_at(int c, int y, int x) {
  int sum = 0;
  for (int i = -2; i <= 2; ++i)
    for (int j = -2; j <= 2; ++j) sum += reference_at(c, std::clamp(y + i, 0, height - 1), std::clamp(x + j, 0, width - 1));
  return sum / 25;
}

int noisy_at(int c, int y, int x) { return std::clamp(reference_at(c, y, x) + static_cast<int>(mixed(c + 3, y, x) % 61) - 30, 0, 255); }

int blocky_at(int c, int y, int x) {
  if (x < width / 2) return reference_at(c, y / 8 * 8, x / 8 * 8);
  return c == 0 ? std::clamp(reference_at(c, y, x) + 20, 0, 255) : reference_at(c, y, x);
}

Image make(int (*value)(int c, int y, int x)) {
  Image image(width, height);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) image.at(c, y, x) = static_cast<float>(value(c, y, x)) / 255;
  return image;
}

}  // namespace

double CalibrationRow::tolerance() const {
  return 2e-4 + 2e-4 * std::abs(expected);  // less than the protocols differ by; what rounding does is a hundredth of it
}

const std::vector<CalibrationRow>& calibration_table() {
  static const std::vector<CalibrationRow> table = {
      {"psnr", Protocol::pyiqa, "blur", 30.834086},        {"psnry", Protocol::pyiqa, "blur", 34.266375},
      {"psnry", Protocol::stablesr, "blur", 35.588255},    {"ssim", Protocol::pyiqa, "blur", 0.88102734},
      {"ssim", Protocol::stablesr, "blur", 0.89389246},    {"ssim", Protocol::basicsr, "blur", 0.89471499},
      {"ms_ssim", Protocol::pyiqa, "blur", 0.99036984},    {"gmsd", Protocol::pyiqa, "blur", 0.0074981858},
      {"lpips", Protocol::pyiqa, "blur", 0.21930747},      {"lpips-vgg", Protocol::pyiqa, "blur", 0.28502034},
      {"dists", Protocol::pyiqa, "blur", 0.29441593},      {"niqe", Protocol::pyiqa, "blur", 17.734928},
      {"brisque", Protocol::pyiqa, "blur", 88.565958},     {"psnr", Protocol::pyiqa, "noise", 23.240751},
      {"psnry", Protocol::pyiqa, "noise", 26.743304},      {"psnry", Protocol::stablesr, "noise", 28.065218},
      {"ssim", Protocol::pyiqa, "noise", 0.63774119},      {"ssim", Protocol::stablesr, "noise", 0.65844679},
      {"ssim", Protocol::basicsr, "noise", 0.65880463},    {"ms_ssim", Protocol::pyiqa, "noise", 0.95940085},
      {"gmsd", Protocol::pyiqa, "noise", 0.039514344},     {"lpips", Protocol::pyiqa, "noise", 0.23328324},
      {"lpips-vgg", Protocol::pyiqa, "noise", 0.32284262}, {"dists", Protocol::pyiqa, "noise", 0.26429056},
      {"niqe", Protocol::pyiqa, "noise", 22.896819},       {"brisque", Protocol::pyiqa, "noise", 71.94448},
      {"psnr", Protocol::pyiqa, "blocks", 21.688981},      {"psnry", Protocol::pyiqa, "blocks", 23.223344},
      {"psnry", Protocol::stablesr, "blocks", 24.545262},  {"ssim", Protocol::pyiqa, "blocks", 0.73658433},
      {"ssim", Protocol::stablesr, "blocks", 0.75781231},  {"ssim", Protocol::basicsr, "blocks", 0.75831},
      {"ms_ssim", Protocol::pyiqa, "blocks", 0.86531409},  {"gmsd", Protocol::pyiqa, "blocks", 0.24010411},
      {"lpips", Protocol::pyiqa, "blocks", 0.45303905},    {"lpips-vgg", Protocol::pyiqa, "blocks", 0.45250434},
      {"dists", Protocol::pyiqa, "blocks", 0.24269393},    {"niqe", Protocol::pyiqa, "blocks", 10.261768},
      {"brisque", Protocol::pyiqa, "blocks", 32.421964},
  };
  return table;
}

Image calibration_reference() { return make(reference_at); }

Image calibration_picture(const std::string& kind) {
  if (kind == "blur") return make(blurred_at);
  if (kind == "noise") return make(noisy_at);
  if (kind == "blocks") return make(blocky_at);
  throw usage_error(fmt::format("calibration: picture: expected blur, noise or blocks, found '{}'", kind));
}

}  // namespace finpercep

// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/lab.h"

#include <cmath>

namespace finpercep {

Triple lab_of(const Triple& rgb) {
  Triple linear, f;
  for (int c = 0; c < 3; ++c) linear[c] = rgb[c] <= 0.04045 ? rgb[c] / 12.92 : std::pow((rgb[c] + 0.055) / 1.055, 2.4);
  const Triple xyz = {(0.4124564 * linear[0] + 0.3575761 * linear[1] + 0.1804375 * linear[2]) / 0.95047,
                      0.2126729 * linear[0] + 0.7151522 * linear[1] + 0.0721750 * linear[2],
                      (0.0193339 * linear[0] + 0.1191920 * linear[1] + 0.9503041 * linear[2]) / 1.08883};
  for (int c = 0; c < 3; ++c) f[c] = xyz[c] > 216.0 / 24389 ? std::cbrt(xyz[c]) : (24389.0 / 27 * xyz[c] + 16) / 116;
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}

Triple rgb_of(const Triple& lab) {
  const double fy = (lab[0] + 16) / 116;
  const Triple f = {fy + lab[1] / 500, fy, fy - lab[2] / 200};
  Triple xyz;
  for (int c = 0; c < 3; ++c) xyz[c] = f[c] > 6.0 / 29 ? f[c] * f[c] * f[c] : (116 * f[c] - 16) * 27 / 24389;
  xyz[0] *= 0.95047;
  xyz[2] *= 1.08883;
  Triple rgb = {3.2404542 * xyz[0] - 1.5371385 * xyz[1] - 0.4985314 * xyz[2], -0.9692660 * xyz[0] + 1.8760108 * xyz[1] + 0.0415560 * xyz[2],
                0.0556434 * xyz[0] - 0.2040259 * xyz[1] + 1.0572252 * xyz[2]};
  for (double& v : rgb) v = v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
  return rgb;
}

}  // namespace finpercep

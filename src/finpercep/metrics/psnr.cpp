// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/psnr.h"

#include <algorithm>
#include <cmath>

namespace finpercep {

double psnr(const Image& sr, const Image& ref, const PsnrOptions& options) {
  require_same_size(sr, ref, "psnr");
  const Planes a = planes_of(sr, options.channels, options.crop_border, false);
  const Planes b = planes_of(ref, options.channels, options.crop_border, false);
  double total = 0;
  for (std::size_t p = 0; p < a.planes.size(); ++p) {
    for (int y = 0; y < a.height; ++y) {
      const std::size_t start = static_cast<std::size_t>(y) * a.width;
      const double *u = a.planes[p].data() + start, *v = b.planes[p].data() + start;
      double row = 0;
      for (int x = 0; x < a.width; ++x) row += (u[x] - v[x]) * (u[x] - v[x]);
      total += row;
    }
  }
  const double count = static_cast<double>(a.planes.size()) * a.width * a.height;
  return -10 * std::log10(std::max(total / count / (255.0 * 255.0) + options.added, options.floor));
}

}  // namespace finpercep

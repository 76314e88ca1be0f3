// SPDX-License-Identifier: Apache-2.0
// What `doctor` checks an installation with: pictures made from integers, the same on every machine, and the values that a second
// implementation of each metric gives for them (tests/parity/plain_metrics.py, by tests/parity/dump_calibration.py), which itself agrees
// with pyiqa's published table on that table's pictures (tests/parity/published.py).
#pragma once
#include <string>
#include <vector>

#include "finpercep/image.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

struct CalibrationRow {
  std::string metric;
  Protocol protocol = Protocol::pyiqa;
  std::string picture;  ///< "blur", "noise", "blocks"
  double expected = 0;
  /// Less than one protocol's SSIM or PSNR differs from another's, a hundred times what rounding does.
  double tolerance() const;
};

const std::vector<CalibrationRow>& calibration_table();

/// 288 x 208, 8-bit values: two waves, rings and grain.
Image calibration_reference();
/// The reference blurred by 5 x 5, with noise of +-30, or with flat blocks on the left and a red cast on the right.
/// usage_error for another kind.
Image calibration_picture(const std::string& kind);

}  // namespace finpercep

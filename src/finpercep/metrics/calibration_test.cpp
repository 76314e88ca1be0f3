// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/metrics/calibration.h"

using namespace finpercep;

TEST_CASE("the values of a second implementation") {
  const Image reference = calibration_reference();
  for (const CalibrationRow& row : calibration_table()) {
    if (find_metric(row.metric).runs_net && row.picture != "blocks") continue;  // doctor runs them all
    CAPTURE(row.metric);
    CAPTURE(row.picture);
    try {
      const MetricSet metric({row.metric}, {.protocol = row.protocol, .device = "cpu", .threads = 0});
      const double found = metric.compute(calibration_picture(row.picture), reference)[0];
      CAPTURE(found);
      const bool statistics = row.metric == "niqe" || row.metric == "brisque";
      CHECK(std::abs(found - row.expected) <
            (statistics ? 1e-3 : 1e-6) * std::max(1.0, std::abs(row.expected)) + (find_metric(row.metric).runs_net ? 1e-5 : 0));
    } catch (const Error& error) {
      if (error.code() != ExitCode::model) throw;
      MESSAGE("skipped: " << error.what());
    }
  }
  CHECK_THROWS_AS(calibration_picture("fog"), Error);
  CHECK(CalibrationRow{"ssim", Protocol::pyiqa, "blur", 0.89}.tolerance() < 8e-4);  // what SSIM differs by between the protocols
}

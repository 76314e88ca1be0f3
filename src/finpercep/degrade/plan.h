// SPDX-License-Identifier: Apache-2.0
// What a degradation will do, drawn before a pixel is touched: draws can be tested and logged, and a plan can be applied again.
#pragma once
#include <cstdint>

#include "finpercep/degrade/blur.h"
#include "finpercep/degrade/pipeline.h"
#include "finpercep/image/resize.h"

namespace finpercep {

enum class ResizeStep { up, down, keep };

struct RoundPlan {
  bool active = true;  ///< false: no blur, resize and noise
  bool blur = true;
  KernelSpec kernel;
  ResizeStep step = ResizeStep::keep;
  double factor = 1.0;
  Resize method = Resize::area;
  bool gaussian = true;  ///< else Poisson
  double noise = 0;      ///< sigma of 255, or the Poisson scale
  bool gray = false;
  uint64_t noise_seed = 0;
  int jpeg_quality = 0;  ///< 0: none
};

struct DegradePlan {
  int scale = 4;
  bool usm = true;
  RoundPlan first;
  RoundPlan second;  ///< its JPEG belongs to the final stage and stays when `active` is false
  bool final_sinc = true;
  KernelSpec final_kernel;
  Resize final_method = Resize::area;
  bool jpeg_last = true;   ///< resize + sinc, then JPEG; else JPEG first
  bool diff_jpeg = false;  ///< by arithmetic instead of libjpeg
};

DegradePlan draw_plan(const DegradeSettings& settings, Random random);
/// A pure function of its arguments.
Image apply_plan(const Image& photo, const DegradePlan& plan);

}  // namespace finpercep

// SPDX-License-Identifier: Apache-2.0
// The second-order degradation of Real-ESRGAN (Wang et al., ICCVW 2021): two rounds of blur, resize, noise, JPEG, then sinc, resize and
// JPEG in either order. Parameters are those of the released options file; draws that the release makes per batch are made per image here.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "finpercep/base/random.h"
#include "finpercep/base/settings.h"
#include "finpercep/image.h"

namespace finpercep {

/// One of the two rounds. Ranges are uniform draws [low, high].
struct DegradeRound {
  bool enabled = true;  ///< false: nothing of this round happens, its JPEG included
  double blur_prob = 1.0;
  std::vector<int64_t> kernel_sizes = {7, 9, 11, 13, 15, 17, 19, 21};
  std::vector<double> kernel_probs = {0.45, 0.25, 0.12, 0.03, 0.12, 0.03};  ///< iso, aniso, generalized iso/aniso, plateau iso/aniso
  double sinc_prob = 0.1;
  std::array<double, 2> blur_sigma = {0.2, 3.0};
  std::array<double, 2> betag_range = {0.5, 4.0};
  std::array<double, 2> betap_range = {1.0, 2.0};
  std::vector<double> resize_prob = {0.2, 0.7, 0.1};  ///< up, down, keep
  std::array<double, 2> resize_range = {0.15, 1.5};
  double gaussian_noise_prob = 0.5;             ///< else Poisson
  std::array<double, 2> noise_range = {1, 30};  ///< sigma, of 255
  std::array<double, 2> poisson_scale_range = {0.05, 3.0};
  double gray_noise_prob = 0.4;
  std::array<double, 2> jpeg_range = {30, 95};
  void visit(SettingsVisitor& v);
};

struct DegradeSettings {
  int64_t scale = 4;
  bool usm = true;                 ///< sharpen the clean photograph first (gt_usm)
  double second_order_prob = 1.0;  ///< share of images that get the second round's blur, resize and noise; the last JPEG is for all
  DegradeRound first;
  DegradeRound second;  ///< constructed with the second round's published values
  double final_sinc_prob = 0.8;
  std::string final_resize = "random";  ///< to the size of the result: random (area, bilinear, bicubic), or one of them, or bicubic_matlab
  std::string jpeg = "libjpeg";         ///< or diff: JPEG as arithmetic (diff_jpeg.h). The Real-ESRGAN release does so too, but
                                        ///< with transposed tables and steps that are not whole: as strong, not the same
  DegradeSettings();                    ///< Real-ESRGAN x4plus
  void visit(SettingsVisitor& v);
};

/// usage_error naming the key, for what the fields' ranges cannot say: odd sizes, lengths of lists, shares that are all 0. Loading a config
/// checks it, and so does drawing.
void check_degrade_settings(const DegradeSettings& settings);

/// LR picture of floor(width/scale) x floor(height/scale), 8-bit values in [0,1]. All randomness comes from `random`.
/// The photograph's sides must be multiples of `scale` (input_error else).
Image degrade(const Image& photo, const DegradeSettings& settings, Random random);

}  // namespace finpercep

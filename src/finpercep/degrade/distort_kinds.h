// SPDX-License-Identifier: Apache-2.0
// The distortions of distort.h by family. Each takes the photograph, a strength in [0,1] and its random stream, which it draws from in the
// same way whatever the strength, so that strengths of one stream differ in degree alone. Values may leave [0,1]; distort() clamps them.
// "KADID nn": the distortion of that number of KADID-10k (Lin et al. 2019).
#pragma once
#include "finpercep/base/random.h"
#include "finpercep/image.h"

namespace finpercep::distortion {

/// Equal steps of strength are equal ratios of the parameter: so a step looks about the same anywhere on the scale.
double geometric(double weak, double severe, double strength);
/// Standard deviation of the luma in a Gaussian window, one channel.
Image local_deviation(const Image& photo, double sigma);
/// Edge-preserving smoothing, each channel guided by itself (He et al. 2010): what varies by less than sqrt(epsilon) in the window is
/// flattened.
Image guided_filter(const Image& photo, int radius, double epsilon);

// distort_blur.cpp: detail is lost.
Image gaussian_blur(const Image& photo, double strength, Random& random);  ///< KADID 01
Image lens_blur(const Image& photo, double strength, Random& random);      ///< KADID 02: a disc
Image motion_blur(const Image& photo, double strength, Random& random);    ///< KADID 03
Image pixelate(const Image& photo, double strength, Random& random);       ///< KADID 21
Image bicubic_down_up(const Image& photo, double strength, Random& random);
Image aliasing(const Image& photo, double strength, Random& random);    ///< staircases of sampling without a low pass
Image oversmooth(const Image& photo, double strength, Random& random);  ///< edges stay, texture goes: what an L1 net does
Image painting(const Image& photo, double strength, Random& random);    ///< strokes: the filter of Kuwahara et al. 1976

// distort_noise.cpp: something random is added.
Image noise(const Image& photo, double strength, Random& random);                 ///< KADID 11
Image colour_noise(const Image& photo, double strength, Random& random);          ///< KADID 12: chroma alone
Image impulse_noise(const Image& photo, double strength, Random& random);         ///< KADID 13
Image multiplicative_noise(const Image& photo, double strength, Random& random);  ///< KADID 14
Image denoise(const Image& photo, double strength, Random& random);               ///< KADID 15: noise, then an edge-preserving filter
Image fake_texture(const Image& photo, double strength,
                   Random& random);  ///< invented texture where the photograph has some: what a GAN does

// distort_colour.cpp: values change, places do not.
Image jpeg(const Image& photo, double strength, Random& random);              ///< KADID 10
Image banding(const Image& photo, double strength, Random& random);           ///< KADID 22
Image colour_shift(const Image& photo, double strength, Random& random);      ///< a cast
Image colour_diffusion(const Image& photo, double strength, Random& random);  ///< KADID 04: chroma is blurred
Image channel_shift(const Image& photo, double strength, Random& random);     ///< KADID 05: red and blue move apart
Image colour_quantise(const Image& photo, double strength, Random& random);   ///< KADID 06: few colours
Image saturation_hsv(const Image& photo, double strength, Random& random);    ///< KADID 07: less
Image saturation_lab(const Image& photo, double strength, Random& random);    ///< KADID 08: more
Image brighten(const Image& photo, double strength, Random& random);          ///< KADID 16
Image darken(const Image& photo, double strength, Random& random);            ///< KADID 17
Image mean_shift(const Image& photo, double strength, Random& random);        ///< KADID 18
Image contrast(const Image& photo, double strength, Random& random);          ///< KADID 25, more or less

// distort_structure.cpp: places change, edges and lattices appear.
Image ringing(const Image& photo, double strength, Random& random);
Image grid(const Image& photo, double strength, Random& random);
Image checkerboard(const Image& photo, double strength,
                   Random& random);  ///< of transposed convolutions (Odena et al. 2016), where there is detail
Image sharpen(const Image& photo, double strength, Random& random);       ///< KADID 24
Image halo(const Image& photo, double strength, Random& random);          ///< wide bright and dark rims
Image jitter(const Image& photo, double strength, Random& random);        ///< KADID 19: every pixel moves by itself
Image warp(const Image& photo, double strength, Random& random);          ///< neighbours move together: bent lines, deformed shapes
Image patch_shift(const Image& photo, double strength, Random& random);   ///< KADID 20 (non-eccentricity patch): small squares from near by
Image colour_block(const Image& photo, double strength, Random& random);  ///< KADID 23

/// Bilinear value of a channel at a real place; the edge pixel goes on outside.
float sample(const Image& photo, int channel, double x, double y);

}  // namespace finpercep::distortion

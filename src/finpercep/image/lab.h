// SPDX-License-Identifier: Apache-2.0
// CIE L*a*b* of sRGB (IEC 61966-2-1), white D65.
#pragma once
#include <array>

namespace finpercep {

using Triple = std::array<double, 3>;

/// L in [0,100], a and b about [-128,128], of R, G, B in [0,1].
Triple lab_of(const Triple& rgb);
/// Back. Colours that sRGB has not lie outside of [0,1].
Triple rgb_of(const Triple& lab);

}  // namespace finpercep

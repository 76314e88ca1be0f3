// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace finpercep {

/// template.html with its style and scripts filled in; {{title}} and {{data}} are left for render_report().
std::string_view report_template();

}  // namespace finpercep

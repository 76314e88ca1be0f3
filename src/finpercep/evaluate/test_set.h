// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace finpercep {

/// Folders whose pictures are matched by stem.
struct TestSet {
  std::string name, lq, gt;
  std::string sr;  ///< pictures that another program made of lq; "": none
};

/// usage_error unless `name` can be a file's: letters, digits, . _ @ -, not beginning with a dot. `what` is how the message begins.
void check_name(const std::string& name, const std::string& what);

/// NAME=LQ:GT or NAME=LQ:GT:SR. usage_error for another form; `where` is how the message begins.
TestSet parse_test_set(const std::string& text, const std::string& where);

}  // namespace finpercep

// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace finpercep {

/// Something with the name that its row of a table has.
struct Named {
  std::string name, what;
};

/// NAME=WHAT, or WHAT alone, which is then its own name. (A path that exists is WHAT, whatever it holds.) usage_error for an empty WHAT,
/// beginning with `where`.
Named parse_named(const std::string& text, const std::string& where);

/// Folders whose pictures are matched by stem.
struct TestSet {
  std::string name, lq, gt;  ///< gt "": none, for metrics without a reference
  std::vector<Named> made;   ///< folders of pictures that other programs made of lq
};

/// usage_error unless `name` can be a file's: letters, digits, . _ @ -, not beginning with a dot. `what` is how the message begins.
void check_name(const std::string& name, const std::string& what);

/// NAME=LQ:GT, then :SR or :ROW=SR for each folder of pictures made of LQ; GT may be empty (NAME=LQ: or NAME=LQ::SR). usage_error for
/// another form; `where` is how the message begins.
TestSet parse_test_set(const std::string& text, const std::string& where);

}  // namespace finpercep

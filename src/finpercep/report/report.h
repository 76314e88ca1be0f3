// SPDX-License-Identifier: Apache-2.0
// One HTML file that needs nothing else: tables, curves, and strips of pictures with their defect maps. Fill the values, render, write.
// (The {} after each member let designated initialisers leave it out without a compiler warning.)
#pragma once
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

struct Curve {
  std::string name{};
  std::vector<std::pair<double, double>> points{};  ///< (x, y), x ascending; a not-finite y breaks the line
};

/// A vertical line in a chart, e.g. where the curriculum switched stage.
struct Marker {
  double x = 0;
  std::string label{};
};

struct Chart {
  std::string title{}, x_label{}, y_label{};
  std::vector<Curve> curves{};
  std::vector<Marker> markers{};
};

/// What is better in a column. `none`: a name or a neutral number.
enum class Better { none, up, down };

struct ReportTable {
  std::string title{};
  std::vector<std::string> columns{};
  std::vector<Better> better{};                  ///< one a column; missing ones are `none`
  std::vector<std::vector<std::string>> rows{};  ///< the leading number of a cell ("27.1 ± 0.2") is its value; the best ones are bold
  std::string note{};
  bool mark_best = true;
};

struct StripImage {
  std::string label{};  ///< "LR", "before", "after", "GT"
  Image image{};
  std::optional<Image> map{};  ///< 1 channel, 1 = defect; of any size, stretched over the image
  std::string caption{};
};

/// Pictures of one scene, side by side; they may differ in size (LR and SR) but should share the aspect ratio.
struct Strip {
  std::string name{};
  std::vector<StripImage> images{};
  std::string group{};  ///< pages whose strips have groups can be filtered by them, and by value
  std::optional<double> value{};
};

struct ReportPage {
  std::string title{}, subtitle{};
  std::vector<std::string> facts{};  ///< "key: value" lines: command, seeds, data, version
  std::vector<ReportTable> tables{};
  std::vector<Chart> charts{};
  std::vector<Strip> strips{};
  std::vector<std::string> notes{};
  std::string value_label{};  ///< what the strips' values are
};

/// The complete HTML; pictures of more than 1280 pixels a side are shrunk for it. Depends on the page alone (no clock, no host name), so
/// equal pages give equal bytes. All strings are plain text. Throws usage_error for a table row of the wrong length or a map that does not
/// have one channel.
std::string render_report(const ReportPage& page);

}  // namespace finpercep

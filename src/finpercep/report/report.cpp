// SPDX-License-Identifier: Apache-2.0
#include "finpercep/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/report/template.h"

namespace finpercep {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPoints = 2000;        // a curve: more than a screen has columns
constexpr int kMaxSide = 1280;                  // a picture: about what a screen shows of it, and a page of many stays of a size to send
constexpr int64_t kLosslessPixels = 160 * 160;  // a small LR is looked at enlarged, where JPEG blocks would pass for its own defects

std::string base64(std::span<const std::byte> bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (j < left ? std::to_integer<uint32_t>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j <= left ? digits[word >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

/// File names need not be UTF-8; a replacement character is better than no report.
std::string dumped(const json& data) { return data.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string html_escaped(const std::string& raw) {
  const std::string text = json::parse(dumped(raw)).get<std::string>();
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// JSON that may stand inside <script>: no '<' at all, so neither "</script>" nor "<!--" can end or bend the element.
std::string script_safe(const json& data) {
  const std::string text = dumped(data);
  std::string out;
  out.reserve(text.size() + text.size() / 64);
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// Cells that hold no number but may stand in a column of numbers.
bool is_blank(const std::string& cell) {
  return cell.empty() || cell == "-" || cell == "–" || cell == "—" || cell == "nan" || cell == "n/a";
}

/// The number at the start of a cell: "27.13 ± 0.2", "-1.5", "−1.5", "91 %".
/// Infinity, the PSNR of equal images, is the largest there is.
std::optional<double> leading_number(std::string text) {
  if (const std::size_t arrow = text.find(" \u2192 "); arrow != std::string::npos)
    text.erase(0, arrow + 5);  // "0.34 → 0.29": what it came to
  if (text == "∞" || text == "inf") return std::numeric_limits<double>::max();
  static const std::string minus = "\u2212";
  if (text.starts_with(minus)) text = '-' + text.substr(minus.size());
  const std::size_t first = text.find_first_not_of("+-");
  if (first == std::string::npos || first > 1) return std::nullopt;
  if ((text[first] < '0' || text[first] > '9') && text[first] != '.') return std::nullopt;  // also keeps out "nan", "inf"
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || !std::isfinite(value)) return std::nullopt;
  const std::string_view rest(end);
  // "4x" and "2024-05-01" are names, "4 s" and "91%" are numbers
  if (!rest.empty() && rest[0] != ' ' && rest[0] != '%' && static_cast<unsigned char>(rest[0]) < 0x80) return std::nullopt;
  return value;
}

json table_json(const ReportTable& table) {
  json columns = json::array(), rows = json::array();
  std::vector<std::vector<std::optional<double>>> values;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    if (table.rows[r].size() != table.columns.size()) {
      throw usage_error(fmt::format("report table '{}': row {}: expected {} cells, found {}. give every row a cell for each column",
                                    table.title, r + 1, table.columns.size(), table.rows[r].size()));
    }
    auto& row = values.emplace_back();
    for (const auto& cell : table.rows[r]) row.push_back(leading_number(cell));
  }
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const Better better = c < table.better.size() ? table.better[c] : Better::none;
    std::optional<double> best;
    std::size_t competing = 0, numbers = 0, filled = 0;
    for (std::size_t r = 0; r < values.size(); ++r) {
      filled += !is_blank(table.rows[r][c]);
      if (!values[r][c]) continue;
      ++numbers;
      if (better == Better::none || !table.mark_best) continue;
      ++competing;
      if (!best || (better == Better::up ? *values[r][c] > *best : *values[r][c] < *best)) best = values[r][c];
    }
    json best_rows = json::array();
    for (std::size_t r = 0; best && competing > 1 && r < values.size(); ++r) {
      if (values[r][c] == best) best_rows.push_back(r);
    }
    columns.push_back({{"name", table.columns[c]},
                       {"better", better == Better::up     ? "up"
                                  : better == Better::down ? "down"
                                                           : ""},
                       {"numeric", numbers > 0 && numbers == filled},
                       {"best", best_rows}});
  }
  for (std::size_t r = 0; r < values.size(); ++r) {
    json cells = json::array(), numbers = json::array();
    for (std::size_t c = 0; c < values[r].size(); ++c) {
      cells.push_back(table.rows[r][c]);
      numbers.push_back(values[r][c] ? json(*values[r][c]) : json());
    }
    rows.push_back({{"cells", cells}, {"values", numbers}});
  }
  return {{"title", table.title}, {"note", table.note}, {"columns", columns}, {"rows", rows}};
}

/// Keeps the lowest and the highest value of each bucket: peaks stay visible where every n-th value would lose them. A bucket without
/// values keeps one of its gaps.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points) {
  if (points.size() <= kMaxPoints) return points;
  std::vector<std::pair<double, double>> out;
  const std::size_t buckets = kMaxPoints / 2;
  for (std::size_t b = 0; b < buckets; ++b) {
    const std::size_t begin = points.size() * b / buckets, end = points.size() * (b + 1) / buckets;
    std::vector<std::pair<double, double>> known;
    std::copy_if(points.begin() + begin, points.begin() + end, std::back_inserter(known),
                 [](const auto& p) { return std::isfinite(p.second); });
    if (known.empty()) {
      out.push_back(points[begin]);
      continue;
    }
    const auto by_value = [](const auto& p, const auto& q) { return p.second < q.second; };
    auto [low, high] = std::minmax_element(known.begin(), known.end(), by_value);
    if (low > high) std::swap(low, high);
    out.push_back(*low);
    if (low != high) out.push_back(*high);
  }
  return out;
}

/// Six digits are more than a screen shows and half the bytes; not finite is null, where the curve has a gap.
json rounded(double value) { return std::isfinite(value) ? json(std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr)) : json(); }

json chart_json(const Chart& chart) {
  json curves = json::array(), markers = json::array();
  for (const auto& curve : chart.curves) {
    json x = json::array(), y = json::array();
    for (const auto& [px, py] : thinned(curve.points)) {
      if (!std::isfinite(px)) continue;
      x.push_back(px);
      y.push_back(rounded(py));
    }
    if (std::ranges::any_of(y, [](const json& value) { return !value.is_null(); }))
      curves.push_back({{"name", curve.name}, {"x", x}, {"y", y}});
  }
  for (const auto& marker : chart.markers) markers.push_back({{"x", rounded(marker.x)}, {"label", marker.label}});
  return {{"title", chart.title}, {"xLabel", chart.x_label}, {"yLabel", chart.y_label}, {"curves", curves}, {"markers", markers}};
}

Image shrunk(const Image& image) {
  const int side = std::max(image.width, image.height);
  if (side <= kMaxSide) return image;
  const auto scaled = [&](int n) { return std::max(1, static_cast<int>(std::lround(static_cast<double>(n) * kMaxSide / side))); };
  Image small = resize(image, scaled(image.width), scaled(image.height), Resize::area);
  clamp_unit(small);
  return small;
}

std::string picture_uri(const Image& image) {
  if (image.channels == 1 || static_cast<int64_t>(image.plane_size()) <= kLosslessPixels) {
    return "data:image/png;base64," + base64(encode_png(image));
  }
  return "data:image/jpeg;base64," + base64(encode_jpeg(image, 90, false));
}

json strip_json(const Strip& strip) {
  json images = json::array();
  for (const auto& entry : strip.images) {
    const Image& image = entry.image;
    if (image.plane_size() == 0) {
      throw usage_error(fmt::format("report strip '{}': image '{}': expected pixels, found {} x {}. leave the entry out", strip.name,
                                    entry.label, image.width, image.height));
    }
    json out = {{"label", entry.label},
                {"caption", entry.caption},
                {"width", image.width},
                {"height", image.height},
                {"src", picture_uri(shrunk(image))}};
    if (entry.map) {
      const Image& map = *entry.map;
      if (map.channels != 1 || map.plane_size() == 0) {
        throw usage_error(
            fmt::format("report strip '{}': map of '{}': expected 1 channel with pixels, found {} x {} x {}. "
                        "pass the defect map",
                        strip.name, entry.label, map.channels, map.height, map.width));
      }
      double sum = 0;
      for (const float v : map.data) sum += v;
      out["map"] = {{"src", picture_uri(shrunk(map))},
                    {"max", rounded(*std::max_element(map.data.begin(), map.data.end()))},
                    {"mean", rounded(sum / static_cast<double>(map.data.size()))}};
    }
    images.push_back(std::move(out));
  }
  return {
      {"name", strip.name}, {"group", strip.group}, {"value", strip.value ? rounded(*strip.value) : json()}, {"images", std::move(images)}};
}

json page_json(const ReportPage& page) {
  json data = {{"title", page.title}, {"subtitle", page.subtitle}, {"notes", page.notes}, {"valueLabel", page.value_label}};
  data["facts"] = json::array();
  for (const auto& fact : page.facts) {
    const std::size_t colon = fact.find(": ");
    data["facts"].push_back(colon == std::string::npos ? json{"", fact} : json{fact.substr(0, colon), fact.substr(colon + 2)});
  }
  data["tables"] = data["charts"] = data["strips"] = json::array();
  for (const auto& table : page.tables)
    if (!table.columns.empty()) data["tables"].push_back(table_json(table));
  for (const auto& chart : page.charts) {
    json drawn = chart_json(chart);
    if (!drawn["curves"].empty()) data["charts"].push_back(std::move(drawn));  // empty axes say nothing
  }
  for (const auto& strip : page.strips) data["strips"].push_back(strip_json(strip));
  return data;
}

}  // namespace

std::string render_report(const ReportPage& page) {
  const std::string_view html = report_template();
  const std::string title = html_escaped(page.title.empty() ? "FinPercep report" : page.title);
  const std::string data = script_safe(page_json(page));
  std::string out;
  out.reserve(html.size() + data.size() + title.size());
  std::size_t from = 0;
  // One pass over the template alone: a value that contains "{{data}}" stays the text it is.
  for (std::size_t at; (at = html.find("{{", from)) != std::string_view::npos;) {
    out += html.substr(from, at - from);
    const std::string_view rest = html.substr(at);
    if (rest.starts_with("{{title}}")) {
      out += title;
      from = at + 9;
    } else if (rest.starts_with("{{data}}")) {
      out += data;
      from = at + 8;
    } else {
      out += "{{";
      from = at + 2;
    }
  }
  out += html.substr(from);
  return out;
}

}  // namespace finpercep

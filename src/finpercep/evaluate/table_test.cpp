// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "finpercep/base/error.h"
#include "finpercep/evaluate/table.h"

using namespace finpercep;

namespace {

Table small_table() {
  Table table;
  table.columns = {{"method", std::nullopt, 0}, {"psnr", true, 2}, {"lpips", false, 3}};
  table.rows = {{std::string("bicubic"), 27.114, 0.4567}, {std::string("a_b|c"), Interval{25.5, 25.0, 26.0}, 0.2}};
  table.mark_best = true;
  return table;
}

}  // namespace

TEST_CASE("plain text is aligned, numbers to the right") {
  Table table = small_table();
  table.caption = "RealSR";
  CHECK(render(table, TableFormat::text) ==
        "method                 psnr ↑  lpips ↓\n"
        "bicubic                 27.11    0.457\n"
        "a_b|c    25.50 [25.00, 26.00]    0.200\n"
        "RealSR\n");
}

TEST_CASE("markdown escapes bars and marks the best by direction") {
  CHECK(render(small_table(), TableFormat::markdown) ==
        "| method  |               psnr ↑ |   lpips ↓ |\n"
        "| ------- | -------------------: | --------: |\n"
        "| bicubic |            **27.11** |     0.457 |\n"
        "| a_b\\|c  | 25.50 [25.00, 26.00] | **0.200** |\n");
}

TEST_CASE("what prints the same is equally good, and one row has no best") {
  Table table;
  table.columns = {{"psnr", true, 1}};
  table.rows = {{27.01}, {27.04}, {26.0}};
  table.mark_best = true;
  CHECK(render(table, TableFormat::markdown) == "|   psnr ↑ |\n| -------: |\n| **27.0** |\n| **27.0** |\n|     26.0 |\n");
  table.rows.resize(1);
  CHECK(render(table, TableFormat::markdown).find("**") == std::string::npos);
}

TEST_CASE("csv keeps full precision, splits intervals, quotes") {
  Table table = small_table();
  table.rows.push_back({std::string("say \"x\", y")});
  CHECK(render(table, TableFormat::csv) ==
        "method,psnr,psnr_low,psnr_high,lpips\n"
        "bicubic,27.114,,,0.4567\n"
        "a_b|c,25.5,25,26,0.2\n"
        "\"say \"\"x\"\", y\",,,,\n");
}

TEST_CASE("latex escapes its special signs") {
  CHECK(render(small_table(), TableFormat::latex) ==
        "\\begin{tabular}{lrr}\n\\toprule\n"
        "method & psnr $\\uparrow$ & lpips $\\downarrow$ \\\\\n\\midrule\n"
        "bicubic & \\textbf{27.11} & 0.457 \\\\\n"
        "a\\_b|c & 25.50 [25.00, 26.00] & \\textbf{0.200} \\\\\n"
        "\\bottomrule\n\\end{tabular}\n");
}

TEST_CASE("a number that is not finite is an empty cell in every format") {
  Table table;
  table.columns = {{"x", true, 2}, {"y", true, 2}};
  table.rows = {{std::nan(""), 1.0}, {std::numeric_limits<double>::infinity(), 2.0}};
  table.mark_best = true;
  for (TableFormat format : {TableFormat::text, TableFormat::markdown, TableFormat::csv, TableFormat::latex}) {
    const std::string text = render(table, format);
    CHECK(text.find("nan") == std::string::npos);
    CHECK(text.find("inf") == std::string::npos);
  }
}

TEST_CASE("json lines: dotted names nest, absent and not finite values are left out") {
  CHECK(json_line({"finpercep.score", "finpercep.map_max", "psnr"}, {"a/b \"c\".png", {0.5, 0.75, 27.25}}) ==
        "{\"path\":\"a/b \\\"c\\\".png\",\"finpercep\":{\"score\":0.5,\"map_max\":0.75},\"psnr\":27.25}\n");
  CHECK(json_line({"psnr", "finpercep.score"}, {"a.png", {std::nan(""), INFINITY}}) == "{\"path\":\"a.png\"}\n");
  CHECK(json_line({"psnr"}, {"a.png", {}, "why"}) == "{\"path\":\"a.png\",\"error\":\"why\"}\n");
  CHECK_NOTHROW(json_line({"psnr"}, {"odd\xff.png", {}}));
}

TEST_CASE("score lines as a table") {
  const Table table = score_table({"finpercep.score", "lpips"}, {{"a.png", {0.5, std::nan("")}}, {"b.png", {0.75, 0.25}}});
  CHECK(render(table, TableFormat::csv) == "path,finpercep.score,lpips\na.png,0.5,\nb.png,0.75,0.25\n");
  CHECK(render(score_table({"lpips"}, {{"a.png", {0.5}}}, true), TableFormat::csv) == "path,lpips,error\na.png,0.5,\n");
  CHECK(render(table, TableFormat::text) ==
        "path   finpercep.score ↑  lpips ↓\n"
        "a.png             0.5000\n"
        "b.png             0.7500   0.2500\n");
}

TEST_CASE("formats by name") {
  CHECK(parse_table_format("tex") == TableFormat::latex);
  CHECK_THROWS_AS(parse_table_format("html"), Error);
}

// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/tables.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace finpercep;

namespace {

const std::vector<std::string> metrics = {"psnry", "lpips", "niqe"};
const EvaluateOptions options{.measure = {.metrics = metrics}};

// A row whose values are base + step of each seed, over five pictures.
StudyRow row(const std::string& name, double psnr, const std::vector<double>& lpips) {
  StudyRow out{.name = name, .trained = lpips.size() > 1};
  for (std::size_t s = 0; s < lpips.size(); ++s) {
    out.seeds.push_back(static_cast<int64_t>(s) + 1);
    Evaluation seed{.metrics = metrics, .names = {"a", "b", "c", "d", "e"}, .values = {}};
    for (int i = 0; i < 5; ++i) seed.values.push_back({psnr + i, lpips[s] + 0.01 * i, 0.5});
    out.values.push_back(std::move(seed));
  }
  return out;
}

std::string text(const Table& table, int row, int column) { return cell_text(table.rows[row][column], table.columns[column].decimals); }

}  // namespace

TEST_CASE("levels: a picture's value is the mean over seeds") {
  const StudyRow method = row("m", 20, {0.2, 0.4});
  CHECK(method.by_picture(1)[2] == doctest::Approx(0.32));
  const Table table = study_tables("s", {method}, "", options)[0].table;
  CHECK(table.columns.size() == 5);
  CHECK(std::get<Interval>(table.rows[0][3]).mean == doctest::Approx(0.32));
}

TEST_CASE("differences: paired, in percent of the baseline where that says something") {
  const std::vector<StudyRow> rows = {row("base", 20, {0.38}), row("m", 21, {0.28, 0.30, 0.32})};
  const Table table = study_tables("s", rows, "base", options)[1].table;
  REQUIRE(table.rows.size() == 1);
  CHECK(text(table, 0, 0) == "m");
  CHECK(table.columns[2].title == "lpips %");
  CHECK(text(table, 0, 1) == "+1.000 [+1.000, +1.000] p 0.062");  // 2 / 2^5: the least that five pictures can give
  CHECK(text(table, 0, 2) == "-20.0 [-20.0, -20.0] p 0.062");     // 0.32 less 0.40
  CHECK(text(table, 0, 3) == "+0.0 [+0.0, +0.0] p 1.000");
}

TEST_CASE("seeds: their mean, its interval over them, and the values; one seed has none") {
  const std::vector<StudyRow> rows = {row("base", 20, {0.38}), row("m", 21, {0.28, 0.30, 0.32})};
  const Table table = seed_table(rows, metrics);
  REQUIRE(table.rows.size() == 1);
  CHECK(text(table, 0, 1) == "1 2 3");
  CHECK(text(table, 0, 3) == "0.3200 [0.2703, 0.3697] (0.3000 0.3200 0.3400)");
  CHECK(study_tables("s", rows, "base", options).size() == 3);
  CHECK(study_tables("s", {rows[0]}, "base", options).size() == 1);
}

TEST_CASE("a value that is not finite takes no part") {
  std::vector<StudyRow> rows = {row("base", 20, {0.38}), row("m", 21, {0.28})};
  rows[1].values[0].values[3][1] = NAN;
  CHECK(text(study_tables("s", rows, "base", options)[1].table, 0, 2).starts_with("-25.2 [-25.2, -25.2] p 0.125"));
}

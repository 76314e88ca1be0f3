// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/score.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <doctest/doctest.h>

#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/evaluate/columns.h"
#include "finpercep/image/io.h"

using namespace finpercep;

namespace {

Image wave(int width, int height, double phase) {
  Image image(width, height);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) image.at(c, y, x) = static_cast<float>(0.5 + 0.4 * std::sin(0.3 * x + 0.2 * y + c + phase));
  return image;
}

ScoreJob twenty_pairs(const TestFolder& folder) {
  ScoreJob job;
  for (int i = 0; i < 20; ++i) {
    const auto a = folder / ("a" + std::to_string(i) + ".png"), b = folder / ("b" + std::to_string(i) + ".png");
    write_image(a, wave(20 + i, 24, i));
    write_image(b, wave(20 + i, 24, i + 0.01 * (i + 1)));
    job.pictures.push_back(a);
    job.references.push_back(b);
  }
  job.metrics = {"psnr", "ssim"};
  return job;
}

std::vector<ScoreLine> lines_of(const ScoreJob& job) {
  std::vector<ScoreLine> lines;
  score_pictures(job, [&](ScoreLine line) {
    lines.push_back(std::move(line));
    return true;
  });
  return lines;
}

}  // namespace

TEST_CASE("lines come in order, the same for any threads and any memory budget") {
  const TestFolder folder;
  ScoreJob job = twenty_pairs(folder);
  job.threads = 1;
  const auto expected = lines_of(job);
  REQUIRE(expected.size() == 20);
  for (const auto& [threads, budget] : {std::pair{4, int64_t{1}}, {3, int64_t{1500}}, {8, int64_t{1} << 40}}) {  // 1: every picture alone
    job.threads = threads;
    job.pixels_in_flight = budget;
    const auto lines = lines_of(job);
    REQUIRE(lines.size() == expected.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      CHECK(lines[i].path == job.pictures[i].string());
      CHECK((lines[i].values == expected[i].values));
      CHECK(lines[i].error.empty());
    }
  }
}

TEST_CASE("bad pictures keep their place and lose no other") {
  const TestFolder folder;
  ScoreJob job = twenty_pairs(folder);
  write_file(job.pictures[0], "no picture");
  std::filesystem::remove(job.pictures[7]);
  write_image(job.references[9], wave(5, 5, 0));
  write_image(job.pictures[12], wave(8, 8, 0));
  write_image(job.references[12], wave(8, 8, 0));
  for (const int64_t budget : {int64_t{1}, int64_t{1} << 40}) {
    job.pixels_in_flight = budget;
    const auto lines = lines_of(job);
    REQUIRE(lines.size() == 20);
    for (int i = 0; i < 20; ++i) {
      const bool bad = i == 0 || i == 7 || i == 9 || i == 12;
      CHECK(lines[i].error.empty() == !bad);
      CHECK(lines[i].values.size() == (i == 12 || !bad ? 2 : 0));  // of 12 one metric stands
      if (bad) CHECK(lines[i].error.find(job.pictures[i].string()) != std::string::npos);
    }
    CHECK(lines[9].error.find("5x5, found 29x24") != std::string::npos);
    CHECK(lines[12].error.find("at least") != std::string::npos);  // smaller than SSIM's window
    CHECK(std::ranges::count_if(lines[12].values, [](double v) { return std::isnan(v); }) == 1);
  }
}

TEST_CASE("stopping early ends the workers") {
  const TestFolder folder;
  ScoreJob job = twenty_pairs(folder);
  job.threads = 4;
  job.pixels_in_flight = 1;
  int seen = 0;
  score_pictures(job, [&](ScoreLine) { return ++seen < 3; });
  CHECK(seen == 3);
}

TEST_CASE("summaries are means with intervals over the lines that have a value") {
  const std::vector<ScoreLine> lines = {{"a", {20.0, 0.5, std::nan("")}}, {"b", {}, "bad"}, {"c", {30.0, std::nan(""), std::nan("")}}};
  const auto summary = summarise(lines, {"psnr", "ssim", "lpips"});
  REQUIRE(summary.size() == 2);
  CHECK(summary[0].count == 2);
  CHECK(summary[0].interval.mean == doctest::Approx(25));
  CHECK(summary[0].interval.low == doctest::Approx(20));
  CHECK(summary[0].interval.high == doctest::Approx(30));
  CHECK(summary[1].count == 1);
  CHECK(column_higher_is_better("finpercep.score"));
  CHECK(!column_higher_is_better("finpercep.map_max"));
  CHECK(!column_higher_is_better("lpips"));
}

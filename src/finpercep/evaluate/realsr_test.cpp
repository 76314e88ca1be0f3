// SPDX-License-Identifier: Apache-2.0
// RealSR-100: the log that OSEDiff publishes beside its result images (cswry/OSEDiff, preset/datasets/benchmark_realsr), per image.
// FINPERCEP_REALSR_COUNT=100 checks all of them.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <regex>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/evaluate/evaluate.h"

using namespace finpercep;

namespace {

using Logged = std::array<double, 3>;  // PSNR, SSIM, LPIPS

std::map<std::string, Logged> read_log(const std::filesystem::path& path) {
  std::map<std::string, Logged> found;
  const std::regex line(R"(/(\w+)\.png \| PSNR: ([\d.]+); SSIM: ([\d.]+); LPIPS: ([\d.]+);)");
  const std::string text = read_text_file(path);
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it)
    found[(*it)[1]] = {std::stod((*it)[2]), std::stod((*it)[3]), std::stod((*it)[4])};
  return found;
}

}  // namespace

TEST_CASE("OSEDiff's published log is reproduced per image") {
  const char* given = std::getenv("FINPERCEP_BENCHMARK");
  const std::filesystem::path benchmark = given ? given : FINPERCEP_SOURCE_DIR "/../shared/data/benchmark";
  const auto folder = benchmark / "realsr";
  if (!std::filesystem::is_directory(folder)) {
    MESSAGE("skipped: no folder " << folder.string() << "; set FINPERCEP_BENCHMARK");
    return;
  }
  const auto logged = read_log(folder / "osediff-metrics.log");
  REQUIRE(logged.size() == 100);
  const char* wanted = std::getenv("FINPERCEP_REALSR_COUNT");
  const std::size_t count = wanted ? std::stoul(wanted) : 6;
  std::vector<Pair> pairs;
  std::size_t index = 0;
  for (const auto& [name, values] : logged)  // spread over the set, which is sorted by camera
    if (index++ * count % logged.size() < count)
      pairs.push_back({name, folder / "osediff" / (name + ".webp"), folder / "hr" / (name + ".webp")});
  REQUIRE(pairs.size() == count);

  PipelineOptions options{.metrics = {"psnry", "ssim", "lpips"}, .metric = {.device = "cpu"}};
  Evaluation evaluation;
  try {
    evaluation = evaluate(Pipeline(options), pairs);
  } catch (const Error& error) {
    if (error.code() != ExitCode::model) throw;
    MESSAGE("without LPIPS: " << error.what());
    options.metrics.pop_back();
    evaluation = evaluate(Pipeline(options), pairs);
  }
  const Logged tolerance = {1e-4, 1e-5, 1e-3};
  Logged largest{};
  for (std::size_t i = 0; i < pairs.size(); ++i)
    for (std::size_t m = 0; m < options.metrics.size(); ++m) {
      CAPTURE(pairs[i].name);
      CAPTURE(options.metrics[m]);
      const double gap = std::abs(evaluation.values[i][m] - logged.at(pairs[i].name)[m]);
      CHECK(gap < tolerance[m]);
      largest[m] = std::max(largest[m], gap);
    }
  MESSAGE(pairs.size() << " images; largest gaps: PSNR-Y " << largest[0] << " dB, SSIM-Y " << largest[1] << ", LPIPS " << largest[2]);
}

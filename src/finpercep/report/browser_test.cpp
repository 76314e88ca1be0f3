// SPDX-License-Identifier: Apache-2.0
// The page in a real browser, $FINPERCEP_BROWSER: ctest names the chromium that the machine has; without it there is nothing to check here.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "finpercep/base/files.h"
#include "finpercep/report/report.h"

using namespace finpercep;

namespace {

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  REQUIRE(pclose(pipe) == 0);
  return out;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("report: a browser draws every table, curve and map without an error") {
  const char* browser = std::getenv("FINPERCEP_BROWSER");
  if (browser == nullptr || *browser == '\0') {
    MESSAGE("skipped: FINPERCEP_BROWSER names no chromium or chrome");
    return;
  }

  ReportPage page{.title = "<i>Browser</i> & test", .facts = {"seed: 7"}, .notes = {"<b>not bold</b>"}};
  page.tables.push_back(
      {.title = "T", .columns = {"m", "a"}, .better = {Better::none, Better::up}, .rows = {{"<u>x</u>", "1"}, {"y", "2"}}});
  Curve wave{.name = "wave"};
  for (int i = 0; i < 100; ++i) wave.points.emplace_back(i, std::sin(i * 0.1));
  page.charts.push_back(
      {.title = "C", .x_label = "step", .curves = {wave, {"one", {{3, 0.5}}}}, .markers = {{40, "stage 1"}, {42, "stage 2"}}});
  page.charts.push_back({.title = "L", .curves = {{"small", {{0, 1e-5}, {1, 1}, {2, 0}}}}});
  page.charts.push_back({.title = "empty"});
  Image photo(64, 48, 3, 0.5f), map(64, 48, 1);
  for (int x = 20; x < 40; ++x) map.at(0, 10, x) = 0.9f;
  page.strips.push_back({"S", {{"LR", Image(16, 12, 3, 0.4f), {}, ""}, {"before", photo, map, ""}, {"after", photo, map, ""}}});
  page.strips.push_back({"alone", {{"GT", photo, {}, ""}}});

  // A profile of its own: the user's may be locked by a running browser, and then this one waits for ever.
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("finpercep_report_{}", getpid());
  make_directory(folder);
  write_file(folder / "page.html", render_report(page));
  const std::string dom = output_of(
      fmt::format("timeout 60 '{0}' --headless=new --no-sandbox --disable-gpu --enable-logging=stderr --user-data-dir='{1}/profile' "
                  "--virtual-time-budget=3000 --dump-dom 'file://{1}/page.html' 2>&1",
                  browser, folder.string()));
  std::filesystem::remove_all(folder);

  CHECK(dom.find("data-ready=\"yes\"") != std::string::npos);
  CHECK(dom.find("CONSOLE") == std::string::npos);  // errors, refused resources
  CHECK(count(dom, "<svg") == 2);                   // a chart without curves is left out
  CHECK(count(dom, "<path class=\"curve") == 3);
  CHECK(count(dom, "class=\"marker\"") == 2);
  CHECK(dom.find("NaN") == dom.find("NaN", dom.find("</main>")));  // none in what was drawn
  CHECK(count(dom, "numeric best\"") == 1);
  CHECK(count(dom, "<img") == 4);
  CHECK(count(dom, "class=\"map\"") == 2);
  CHECK(count(dom, "map max 0.90") == 2);  // decoded and measured
  CHECK(dom.find("&lt;b&gt;not bold&lt;/b&gt;") != std::string::npos);
  CHECK(dom.find("&lt;u&gt;x&lt;/u&gt;") != std::string::npos);
}

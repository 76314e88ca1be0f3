// SPDX-License-Identifier: Apache-2.0
#include "finpercep/report/report.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/report/runs.h"

using namespace finpercep;
using nlohmann::json;

namespace {

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
  return n;
}

/// What the page's script reads: the text of <script id="data">.
std::string embedded(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script", begin) - begin);
}

Image gradient(int width, int height, int channels) {
  Image image(width, height, channels);
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) image.at(c, y, x) = static_cast<float>(c == 1 ? y : x) / static_cast<float>(c == 1 ? height : width);
    }
  }
  return image;
}

Image decoded(const std::string& uri) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> bytes;
  uint32_t word = 0;
  int bits = 0;
  for (const char c : uri.substr(uri.find(',') + 1)) {
    if (c == '=') break;
    word = word << 6 | static_cast<uint32_t>(digits.find(c));
    if ((bits += 6) >= 8) bytes.push_back(static_cast<std::byte>(word >> (bits -= 8) & 255));
  }
  return decode_image(bytes, "data uri");
}

ReportPage small_page() {
  ReportPage page{.title = "Run A", .subtitle = "a test", .facts = {"seed: 7", "no colon here"}};
  page.tables.push_back({.title = "Scores",
                         .columns = {"method", "PSNR", "LPIPS"},
                         .better = {Better::none, Better::up, Better::down},
                         .rows = {{"before", "27.10 ± 0.2", "0.30"}, {"after", "26.9", "0.21"}, {"GT", "–", "–"}}});
  page.charts.push_back({.title = "Reward", .curves = {{"reward", {{0, 0.1}, {10, 0.2}}}}, .markers = {{5, "stage 1"}}});
  page.strips.push_back({"bird", {{"LR", gradient(40, 30, 3), {}, ""}, {"after", gradient(240, 180, 3), gradient(60, 45, 1), "seed 1"}}});
  page.notes = {"One note."};
  return page;
}

}  // namespace

TEST_CASE("report: text is data, never markup") {
  ReportPage page = small_page();
  const std::string evil = "</script><!--<script><img src=x onerror=alert(1)>&\"'{{data}}{{title}}";
  page.title = page.subtitle = page.notes[0] = page.facts[0] = page.strips[0].name = page.strips[0].images[0].label = evil;
  page.tables[0].columns[0] = page.tables[0].rows[0][0] = page.charts[0].curves[0].name = page.charts[0].markers[0].label = evil;
  const std::string clean = render_report(small_page()), html = render_report(page);
  CHECK(count(html, "</script") == count(clean, "</script"));
  CHECK(count(html, "<!--") == count(clean, "<!--"));
  CHECK(count(html, "<img") == 0);
  const std::string data = embedded(html);
  CHECK(data.find_first_of("<>&") == std::string::npos);
  const json parsed = json::parse(data);
  CHECK(parsed["title"] == evil);
  CHECK(parsed["tables"][0]["rows"][0]["cells"][0] == evil);
  CHECK(parsed["charts"][0]["markers"][0]["label"] == evil);
  CHECK(html.find("<title>&lt;/script&gt;&lt;!--&lt;script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;&quot;'{{data}}{{title}}</title>") !=
        std::string::npos);
}

TEST_CASE("report: names that are not UTF-8 do not stop it") {
  ReportPage page{.title =
                      "a\xff"
                      "b",
                  .notes = {"c\xc3"}};
  CHECK(json::parse(embedded(render_report(page)))["title"] ==
        "a\uFFFD"
        "b");
}

TEST_CASE("report: one file that loads nothing, whole template filled in") {
  const std::string html = render_report(small_page());
  CHECK(html.starts_with("<!doctype html>"));
  CHECK(html.ends_with("</html>\n"));
  CHECK(html.find("{{") == std::string::npos);
  CHECK(html.find("default-src 'none'") != std::string::npos);
  CHECK_FALSE(std::regex_search(html, std::regex("<(link|iframe|script)[^>]*(src|href)=")));
  CHECK_FALSE(std::regex_search(html, std::regex("url\\(|@import|fetch\\(|XMLHttpRequest|innerHTML")));
  // The only address in it is the name of the SVG namespace.
  CHECK(count(html, "http://") + count(html, "https://") == count(html, "http://www.w3.org/2000/svg"));
  CHECK(html.size() < 200'000);
  CHECK(render_report(small_page()) == html);
}

TEST_CASE("report: every picture and map is inside and decodes to what went in") {
  const ReportPage page = small_page();
  const json images = json::parse(embedded(render_report(page)))["strips"][0]["images"];
  REQUIRE(images.size() == 2);
  const std::string lr = images[0]["src"], sr = images[1]["src"], map = images[1]["map"]["src"];
  CHECK(lr.starts_with("data:image/png;base64,"));  // small: kept lossless
  CHECK(sr.starts_with("data:image/jpeg;base64,"));
  CHECK(map.starts_with("data:image/png;base64,"));
  CHECK_FALSE(images[0].contains("map"));
  CHECK(images[1]["width"] == 240);
  const auto worst = [](const Image& a, const Image& b) {
    REQUIRE(a.width == b.width);
    REQUIRE(a.height == b.height);
    float out = 0;
    for (int c = 0; c < 3; ++c) {
      for (std::size_t i = 0; i < a.plane_size(); ++i) out = std::max(out, std::fabs(a.plane(c)[i] - b.plane(b.channels == 1 ? 0 : c)[i]));
    }
    return out;
  };
  CHECK(worst(decoded(lr), page.strips[0].images[0].image) <= 0.5f / 255 + 1e-6f);
  CHECK(worst(decoded(map), *page.strips[0].images[1].map) <= 0.5f / 255 + 1e-6f);
  CHECK(worst(decoded(sr), page.strips[0].images[1].image) < 0.04f);
  CHECK(images[1]["map"]["max"].get<double>() == doctest::Approx(59.0 / 60).epsilon(1e-4));
  CHECK(images[1]["map"]["mean"].get<double>() == doctest::Approx(29.5 / 60).epsilon(1e-4));
}

TEST_CASE("report: large pictures are shrunk, their true size is told") {
  ReportPage page = small_page();
  page.strips[0].images[1].image = gradient(1600, 1200, 3);
  const json image = json::parse(embedded(render_report(page)))["strips"][0]["images"][1];
  const Image shown = decoded(image["src"]);
  CHECK(shown.width == 1280);
  CHECK(shown.height == 960);
  CHECK(image["width"] == 1600);
}

TEST_CASE("report: the best cell of a column") {
  const json table = json::parse(embedded(render_report(small_page())))["tables"][0];
  CHECK(table["columns"][0]["best"] == json::array());
  CHECK(table["columns"][0]["numeric"] == false);
  CHECK(table["columns"][1]["best"] == json{0});
  CHECK(table["columns"][2]["best"] == json{1});
  CHECK(table["columns"][1]["numeric"] == true);
  CHECK(table["rows"][0]["values"][1] == 27.10);

  const auto column = [](std::vector<std::string> cells, Better better) {
    ReportPage page;
    ReportTable t{.columns = {"x"}, .better = {better}};
    for (auto& cell : cells) t.rows.push_back({cell});
    page.tables.push_back(t);
    return json::parse(embedded(render_report(page)))["tables"][0];
  };
  CHECK(column({"1.0", "2.0", "2.0"}, Better::up)["columns"][0]["best"] == json{1, 2});  // ties share it
  CHECK(column({"−3", "-2", "nan", "–"}, Better::down)["columns"][0]["best"] == json{0});
  CHECK(column({"5"}, Better::up)["columns"][0]["best"] == json::array());            // alone is not best
  CHECK(column({"4x", "2024-05-01"}, Better::up)["rows"][0]["values"][0].is_null());  // names
  const json psnr = column({"27.1", "∞", "nan"}, Better::up)["columns"][0];
  CHECK(psnr["best"] == json{1});
  CHECK(psnr["numeric"] == true);
  CHECK(column({"91%", "4 s", "1e-3", "+.5"}, Better::none)["columns"][0]["numeric"] == true);
}

TEST_CASE("report: sections without content are left out of the data") {
  const json data = json::parse(embedded(render_report({})));
  for (const char* key : {"facts", "tables", "charts", "strips", "notes"}) CHECK(data[key] == json::array());
  ReportPage page;
  page.charts.push_back({.title = "nothing logged", .curves = {{"loss", {}}}});
  CHECK(json::parse(embedded(render_report(page)))["charts"] == json::array());
  CHECK(render_report({}).find("<title>FinPercep report</title>") != std::string::npos);
}

TEST_CASE("report: wrong shapes are refused with their place") {
  ReportPage rows = small_page(), map = small_page(), empty = small_page();
  rows.tables[0].rows[1].pop_back();
  map.strips[0].images[1].map = Image(4, 4, 3);
  empty.strips[0].images[0].image = Image();
  CHECK_THROWS_WITH_AS(render_report(rows), doctest::Contains("'Scores': row 2: expected 3 cells, found 2"), Error);
  CHECK_THROWS_WITH_AS(render_report(map), doctest::Contains("map of 'after': expected 1 channel"), Error);
  CHECK_THROWS_WITH_AS(render_report(empty), doctest::Contains("image 'LR'"), Error);
}

TEST_CASE("report: curves") {
  ReportPage page;
  Curve peak{.name = "peak"};
  for (int i = 0; i < 50'000; ++i) peak.points.emplace_back(i, i == 31'337 ? 9.0 : 0.123456789);
  page.charts.push_back({.title = "t", .curves = {peak, {"gap", {{0, 1}, {1, std::nan("")}, {2, -1}}}, {"none", {}}}});
  const json curves = json::parse(embedded(render_report(page)))["charts"][0]["curves"];
  REQUIRE(curves.size() == 2);  // a curve without points is dropped
  CHECK(curves[0]["x"].size() <= 2000);
  CHECK(curves[0]["y"].size() == curves[0]["x"].size());
  CHECK(*std::max_element(curves[0]["y"].begin(), curves[0]["y"].end()) == 9.0);  // thinning keeps the peak
  CHECK(curves[0]["y"][0] == 0.123457);
  CHECK(curves[1]["y"] == json{1.0, nullptr, -1.0});  // a gap
}

TEST_CASE("report: what some iterations did not have, as metrics.jsonl's null") {
  const double none = std::nan("");
  const Run run{"run",
                {},
                {{{"step", 0}, {"reward", none}, {"rm_map", none}},
                 {{"step", 5}, {"reward", 0.5}, {"rm_map", none}},
                 {{"step", 10}, {"reward", 0.75}, {"rm_map", none}},
                 {{"step", 15}, {"reward", none}, {"rm_map", none}}}};
  const ReportTable table = run_table({run});
  REQUIRE(table.columns == std::vector<std::string>{"run", "iterations", "reward"});
  CHECK(table.rows[0][2] == "0.5 → 0.75");
  const auto charts = run_charts({run});
  REQUIRE(charts.size() == 1);  // no empty axes
  CHECK(charts[0].title == "Reward of the generator's pictures");
  Curve long_one{.name = "long"};  // a bucket of thinned() that begins with a gap keeps its values
  for (int i = 0; i < 10'000; ++i) long_one.points.emplace_back(i, i % 10 == 3 ? 1.0 : none);
  const json curves = json::parse(
      embedded(render_report({.charts = {{.title = "t", .curves = {long_one, {"gaps", {{0, none}, {1, none}}}}}}})))["charts"][0]["curves"];
  REQUIRE(curves.size() == 1);
  CHECK(std::ranges::count(curves[0]["y"], json(1.0)) > 900);
}

TEST_CASE("report: a run's newest sheet is the one of the largest iteration, whatever else lies there") {
  const TestFolder folder;
  make_directory(folder / "samples");
  for (const char* name : {"00000010.png", "00000020.png", "99999999999999999999.png", "notes.png"})
    write_image(folder / "samples" / name, gradient(name[6] == '2' ? 5 : 3, 2, 3));
  write_file(folder / "samples" / "00000030.txt", std::string("no picture"));
  const auto strips = run_sheets({Run{"run", folder.path(), {}}});
  REQUIRE(strips.size() == 1);
  CHECK(strips[0].images[0].label == "after 20");
  CHECK(strips[0].images[0].image.width == 5);
}

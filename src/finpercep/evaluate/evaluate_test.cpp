// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/random.h"
#include "finpercep/evaluate/evaluate.h"
#include "finpercep/image/io.h"
#include "finpercep/metrics/psnr.h"

using namespace finpercep;

namespace {

Image noise(int width, int height, uint64_t item) {
  Random random(3, "evaluate_test", item);
  Image image(width, height);
  for (float& v : image.data) v = static_cast<float>(random.integer(0, 255)) / 255;
  return image;
}

Sample sample(int64_t i) { return {noise(24, 20, 2 * i), noise(24, 20, 2 * i + 1)}; }

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("finpercep_evaluate_test_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("pairs by stem, in the order of the first list") {
  const auto pairs = match_pairs({"sr/b.png", "sr/a.png"}, {"hr/a.webp", "hr/b.jpg"});
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].name == "b");
  CHECK(pairs[0].second == "hr/b.jpg");
  CHECK(pairs[1].second == "hr/a.webp");
  const auto single = match_pairs({"out.png"}, {"truth.png"});  // one file against one file needs no common name
  REQUIRE(single.size() == 1);
  CHECK(single[0].name == "out");
}

TEST_CASE("pairs: endings that all files of a list have are left out") {
  const auto outs = match_pairs({"sr/02_out.png", "sr/12_out.png", "sr/2_out.png"}, {"hr/2.png", "hr/02.png", "hr/12.png"});
  REQUIRE(outs.size() == 3);
  CHECK(outs[0].name == "02");
  CHECK(outs[0].second == "hr/02.png");
  CHECK(outs[1].second == "hr/12.png");
  CHECK(outs[2].second == "hr/2.png");
  const auto cameras = match_pairs({"Canon_1_LR4.png", "Nikon_1_LR4.png"}, {"Canon_1_HR.png", "Nikon_1_HR.png"});
  CHECK(cameras[1].name == "Nikon_1");
  CHECK(cameras[1].second == "Nikon_1_HR.png");
  CHECK(match_pairs({"0801x4.png", "0802x4.png"}, {"0801.png", "0802.png"})[1].second == "0802.png");
  CHECK(match_pairs({"a_x4_HAT.png", "b_x4_HAT.png"}, {"a_x4.png", "b_x4.png"})[0].name == "a_x4");  // the shortest endings
  CHECK_THROWS_AS(match_pairs({"a1.png", "b1.png"}, {"a2.png", "b2.png"}), Error);                   // digits are names
  CHECK_THROWS_AS(match_pairs({"a_out.png", "b_out.png"}, {"a.png", "b.png", "c.png"}), Error);
}

TEST_CASE("files without a partner are listed") {
  CHECK_THROWS_WITH_AS(match_pairs({"a.png", "b.png"}, {"b.png", "c.png", "d.png"}, "picture", "reference"),
                       doctest::Contains("1 without a reference: a.png; 2 without a picture: c.png, d.png"), Error);
  std::vector<std::filesystem::path> many;
  for (int i = 0; i < 9; ++i) many.push_back("x" + std::to_string(i) + ".png");
  CHECK_THROWS_WITH_AS(match_pairs(many, {"x0.png", "x1.png"}),
                       doctest::Contains("7 without a reference: x2.png, x3.png, x4.png, x5.png, x6.png and 2 more"), Error);
  CHECK_THROWS_WITH_AS(match_pairs({"a.png", "b.png"}, {"a.png", "a.jpg", "b.png"}), doctest::Contains("a.jpg too"), Error);
  try {
    match_pairs({"a.png", "b.png"}, {});
    FAIL("an empty list has partners for nothing");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::input);
  }
}

TEST_CASE("the bootstrap interval covers the true mean about 95 times in 100") {
  int covered = 0;
  constexpr int trials = 300, size = 60;
  for (int t = 0; t < trials; ++t) {
    Random random(4, "coverage", t);
    std::vector<double> values(size);
    for (double& v : values) v = 10 + 2 * random.normal();
    const Interval interval = bootstrap_mean(values, {.resamples = 500, .seed = static_cast<uint64_t>(t)});
    CHECK(interval.low <= interval.mean);
    CHECK(interval.mean <= interval.high);
    covered += interval.low <= 10 && 10 <= interval.high;
  }
  CHECK(covered >= 0.90 * trials);  // nominal 285; below 270 or above 297 would be a fault of the method
  CHECK(covered <= 0.99 * trials);
}

TEST_CASE("the interval is as wide as the standard error says, and repeats") {
  std::vector<double> values;
  Random random(5, "width");
  for (int i = 0; i < 400; ++i) values.push_back(random.normal());
  double mean = 0, square = 0;
  for (double v : values) mean += v / 400;
  for (double v : values) square += (v - mean) * (v - mean) / 400;
  const Interval interval = bootstrap_mean(values);
  CHECK(interval.mean == doctest::Approx(mean));
  CHECK(interval.high - interval.low == doctest::Approx(2 * 1.96 * std::sqrt(square / 400)).epsilon(0.04));
  const Interval again = bootstrap_mean(values), other = bootstrap_mean(values, {.seed = 1});
  CHECK(interval.low == again.low);
  CHECK(interval.low != other.low);
  CHECK_THROWS_AS(bootstrap_mean({}), Error);
}

TEST_CASE("Student's interval: of three values, and of so many that the quantile is its expansion") {
  const Interval three = student_mean({0.30, 0.32, 0.34});
  CHECK(three.mean == doctest::Approx(0.32));
  CHECK(three.high - three.mean == doctest::Approx(4.302653 * 0.02 / std::sqrt(3.0)).epsilon(1e-4));
  std::vector<double> many;
  for (int i = 0; i <= 20; ++i) many.push_back(i);
  const Interval of_many = student_mean(many);
  CHECK(of_many.high - 10 == doctest::Approx(2.085963 * deviation_of(many) / std::sqrt(21.0)).epsilon(1e-3));
  CHECK(student_mean({7}).low == 7);
}

TEST_CASE("the standard deviation is the unbiased one") {
  CHECK(deviation_of({2, 4, 4, 6}) == doctest::Approx(std::sqrt(8.0 / 3)));
  CHECK(std::isnan(deviation_of({3})));
}

TEST_CASE("bootstrap by groups: items of one are drawn together") {
  // Ten photographs of five samples that are all alike: the interval is that of ten values, not of fifty.
  std::vector<double> few, many;
  std::vector<std::string> groups;
  for (int photo = 0; photo < 10; ++photo) {
    few.push_back(photo * photo);
    for (int k = 0; k < 5; ++k) {
      many.push_back(photo * photo);
      groups.push_back(std::to_string(photo));
    }
  }
  const Interval grouped = bootstrap_mean(many, {}, groups), of_few = bootstrap_mean(few), alone = bootstrap_mean(many);
  CHECK(grouped.mean == doctest::Approx(of_few.mean));
  CHECK(grouped.low == doctest::Approx(of_few.low).epsilon(0.05));
  CHECK(grouped.high == doctest::Approx(of_few.high).epsilon(0.05));
  CHECK(alone.high - alone.low < 0.6 * (grouped.high - grouped.low));
  const std::vector<double> halves = {1, 2, 3, 4};  // groups of unequal size
  const auto sum = [&](const std::vector<int64_t>& items) {
    double total = 0;
    for (const int64_t i : items) total += halves[i];
    return total;
  };
  const Interval unequal = bootstrap_statistic(4, sum, {}, {"a", "b", "b", "b"});
  CHECK(unequal.low == 2);                                                                                    // "a" twice
  CHECK(unequal.high == 18);                                                                                  // "b" twice
  for (const Interval& single : {bootstrap_mean({2.5}), bootstrap_mean(halves, {}, {"a", "a", "a", "a"})}) {  // tells nothing of another
    CHECK(std::isnan(single.low));
    CHECK(std::isnan(single.high));
    CHECK(cell_text(single, 1) == "2.5");
  }
}

TEST_CASE("a paired difference sees what two separate intervals hide") {
  std::vector<double> first, second;
  Random random(6, "paired");
  for (int i = 0; i < 80; ++i) {
    const double difficulty = 5 * random.normal();
    first.push_back(25.3 + difficulty + 0.2 * random.normal());
    second.push_back(25.0 + difficulty + 0.2 * random.normal());
  }
  CHECK(bootstrap_mean(first).low < bootstrap_mean(second).high);
  const Interval difference = bootstrap_difference(first, second);
  CHECK(difference.low > 0);
  CHECK(difference.mean == doctest::Approx(0.3).epsilon(0.3));
  CHECK_THROWS_AS(bootstrap_difference({1, 2}, {1}), Error);
}

std::vector<std::string> names(int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.push_back("image" + std::to_string(i));
  return out;
}

Sample loaded(int64_t i, const Reserve&) { return sample(i); }

TEST_CASE("evaluate: order, values and threads") {
  const EvaluateOptions options{.measure = {.metrics = {"ssim", "psnr"}}, .bootstrap = {.resamples = 200}};
  const Pipeline pipeline(options.measure);
  const Evaluation one = evaluate(pipeline, names(11), loaded, {.threads = 1});
  const Evaluation four = evaluate(pipeline, names(11), loaded, {.threads = 4});
  REQUIRE(one.names.size() == 11);
  CHECK(one.names[10] == "image10");
  CHECK(one.values == four.values);
  CHECK(one.values == evaluate(pipeline, names(11), loaded, {.alone = true}).values);
  const Sample third = sample(3);
  CHECK(one.values[3][1] == psnr(third.sr, third.ref));
  const auto column = one.column("psnr");
  double mean = 0;
  for (double v : column) mean += v / 11;
  const auto psnr_of = [&](const Evaluation& e) { return std::get<Interval>(comparison_table({{"x", e}}, options).rows[0][3]).mean; };
  CHECK(psnr_of(one) == doctest::Approx(mean));
  CHECK_THROWS_AS(one.column("lpips"), Error);
  CHECK_THROWS_AS(evaluate(pipeline, std::vector<std::string>(), loaded), Error);
  // A picture that fails is left out and said; the others keep their values.
  const auto broken = [](int64_t i, const Reserve&) -> Sample {
    if (i == 2) throw input_error("image2: two is broken");  // as a reader names its file
    return i == 4 ? Sample{noise(24, 20, 1), noise(24, 21, 1)} : sample(i);
  };
  const Evaluation rest = evaluate(pipeline, names(11), broken);
  REQUIRE(rest.failures.size() == 2);
  CHECK(rest.failures[0] == "image2: two is broken");
  CHECK(rest.failures[1].find("image4: expected the size of its reference, 24x21, found 24x20") == 0);
  CHECK((std::isnan(rest.values[2][0]) && std::isnan(rest.values[4][1])));
  CHECK(rest.values[3] == one.values[3]);
  CHECK(psnr_of(rest) == doctest::Approx((11 * mean - one.values[2][1] - one.values[4][1]) / 9));
  CHECK(std::get<double>(comparison_table({{"x", rest}}, options).rows[0][1]) == 9);  // images
  const Evaluation none = evaluate(pipeline, names(3), [](int64_t, const Reserve&) -> Sample { throw input_error("all are broken"); });
  CHECK(none.failures.size() == 3);
  CHECK(std::holds_alternative<std::monostate>(comparison_table({{"x", none}}, options).rows[0][3]));
  CHECK_THROWS_AS(evaluate(pipeline, names(3), [](int64_t, const Reserve&) -> Sample { throw model_error("no model"); }), Error);
}

TEST_CASE("evaluate: files, and pairs of different sizes") {
  const Folder folder;
  const auto file = [&](const char* name, const Image& image) {
    write_image(folder.path / name, image);
    return folder.path / name;
  };
  const Sample a = sample(0);
  const std::vector<Pair> pairs = {{"a", file("a.png", a.sr), file("ra.png", a.ref)}};
  const Pipeline pipeline({.metrics = {"psnr"}});
  CHECK(evaluate(pipeline, pairs).values[0][0] == doctest::Approx(psnr(a.sr, a.ref)).epsilon(1e-9));
  const std::vector<Pair> bad = {{"b", pairs[0].first, file("rb.png", noise(24, 21, 9))}};
  CHECK(evaluate(pipeline, bad).failures.at(0).find("rb.png, 24x21, found 24x20") != std::string::npos);
}

TEST_CASE("a pipeline says what is wrong before it measures; a small picture fails alone and by name") {
  CHECK_THROWS_WITH_AS(Pipeline({.metrics = {"ssim", "psnr", "ssim"}}), "metric: 'ssim' is given twice. name it once", Error);
  CHECK_THROWS_WITH_AS(Pipeline({.metrics = {"lpips", "nothing"}}), doctest::Contains("found 'nothing'"), Error);
  CHECK_THROWS_WITH_AS(Pipeline({.metrics = {"psnr", "fid"}}), doctest::Contains("one number a set"), Error);
  CHECK_THROWS_AS(Pipeline({.metrics = {score_metric}}), Error);  // without a judge
  const auto small = [](int64_t i, const Reserve&) { return i == 1 ? Sample{noise(3, 3, 1), noise(3, 3, 2)} : sample(i); };
  const Evaluation found = evaluate(Pipeline({.metrics = {"ssim"}}), names(3), small);
  REQUIRE(found.failures.size() == 1);
  CHECK(found.failures[0].find("image1: ssim: expected sides of at least") == 0);
}

TEST_CASE("tables of an evaluation state the variants") {
  EvaluateOptions options{.measure = {.metrics = {"psnry", "ssim"}}, .bootstrap = {.resamples = 100}};
  const Evaluation evaluation = evaluate(Pipeline(options.measure), names(2), loaded);
  const std::string text = render(comparison_table({{"ours", evaluation}, {"same", evaluation}}, options), TableFormat::text);
  CHECK(text.find("psnry ↑") != std::string::npos);
  CHECK(text.find("Y of studio YCbCr, not rounded, mse + 1e-8, crop 0") != std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '[') == 5);  // four intervals and the caption
  const Table images = per_image_table(evaluation, options);
  CHECK(images.rows.size() == 2);
}

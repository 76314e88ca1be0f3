// SPDX-License-Identifier: Apache-2.0
// Planted hacks must raise the alarm by their names, on the shipped generators' pictures of photographs; those pictures themselves must
// not.
#include "finpercep/curriculum/monitor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "finpercep/image/tensor.h"

using namespace finpercep;

namespace {

struct Pictures {
  at::Tensor sr, before, gt, y;  // by sr-small-rl, by sr-small-perceptual that it came from
};

const std::filesystem::path source = FINPERCEP_SOURCE_DIR;

// Nothing where the photographs of `make photos` are not there.
const std::optional<Pictures>& photographs() {
  static const std::optional<Pictures> pictures = []() -> std::optional<Pictures> {
    if (!std::filesystem::exists(source / "build/photos")) return {};
    const PhotoSet set({.photos = {(source / "build/photos").string()}, .only = (source / "configs/photos/validation.txt").string()}, 128);
    DegradeSettings camera;
    const std::string config = (source / "configs/degrade/camera.yaml").string();
    load_settings(camera, read_config_text(config), config);
    std::vector<Image> gt, lr;
    for (int64_t i = 0; i < std::min<int64_t>(4, set.size()); ++i) {
      gt.push_back(set.centre_crop(i, 128, 128));
      lr.push_back(degrade(gt.back(), camera, Random(0, "monitor", static_cast<uint64_t>(i))));
    }
    const auto before = load_generator((source / "models/sr-small-perceptual.safetensors").string(), at::kCPU),
               after = load_generator((source / "models/sr-small-rl.safetensors").string(), at::kCPU);
    at::NoGradGuard no_grad;
    const at::Tensor y = before->condition(to_batch(lr));
    Random random(0, "monitor noise");
    const auto noise = before->draw_noise(random, y.sizes(), at::kCPU);
    return Pictures{after->roll_out(y, noise).clamp(0, 1), before->roll_out(y, noise).clamp(0, 1), to_batch(gt), y};
  }();
  return pictures;
}

at::Tensor blurred(const at::Tensor& x) { return at::avg_pool2d(at::replication_pad2d(x, {1, 1, 1, 1}), 3, 1); }

at::Tensor lattice_of(int64_t period, at::IntArrayRef sizes) {
  const auto wave = [&](int64_t n) { return at::cos(at::arange(n, at::kFloat) * (2 * std::numbers::pi / static_cast<double>(period))); };
  return (wave(sizes[2]).view({-1, 1}) + wave(sizes[3]).view({1, -1})).expand(sizes);
}

std::string said(const at::Tensor& sr, const Pictures& p) {
  const Vitals v = examine(sr.clamp(0, 1), p.before, p.gt, p.y);
  std::string numbers;
  for (const auto& [name, value] : v.metrics()) numbers += name.substr(8) + " " + std::to_string(value) + "  ";
  MESSAGE(numbers);
  return alarm(v, {});
}

bool mentions(const std::string& text, const std::string& word) { return text.find(word) != std::string::npos; }

}  // namespace

TEST_CASE("no alarm on the frozen reference, on the photographs, and on what a healthy run has made") {
  if (!photographs()) {
    MESSAGE("skipped: no photographs in build/photos");
    return;
  }
  const Pictures& p = *photographs();
  CHECK(said(p.before, p) == "");
  CHECK(said(p.sr, p) == "");
  const Vitals home = examine(p.before, p.before, p.gt, p.y);
  CHECK(home.colour == 0);
  CHECK(home.brightness == 0);
  CHECK(home.lr == 0);
  CHECK(home.sharpness <= 0);
  CHECK(home.noise <= 0);
  CHECK(home.grid <= 0);
}

TEST_CASE("planted hacks are found and named") {
  if (!photographs()) {
    MESSAGE("skipped: no photographs in build/photos");
    return;
  }
  const Pictures& p = *photographs();
  for (const int64_t period : {2, 4, 8}) {
    CAPTURE(period);
    CHECK(mentions(said(p.sr + 0.015 * lattice_of(period, p.sr.sizes()), p), "grid"));
  }
  CHECK(mentions(said(p.sr + 4 * (p.sr - blurred(p.sr)), p), "disagreement"));  // below the photograph's energy, but in the wrong places
  CHECK(mentions(said(p.sr + 16 * (p.sr - blurred(p.sr)), p), "sharpness"));
  CHECK(mentions(said(p.sr + at::tensor({0.05f, 0.0f, -0.05f}).view({1, 3, 1, 1}), p), "colour"));
  CHECK(mentions(said(0.9 * p.sr, p), "brightness"));
  CHECK(mentions(said(p.sr + 0.05, p), "brightness"));
  Random random(1, "planted");
  CHECK(mentions(said(p.sr + 0.04 * normal_tensor(random, p.sr.sizes()), p), "noise"));
  // Another picture altogether.
  CHECK(mentions(said(p.sr.roll(1, 0), p), "lr"));
}

TEST_CASE("grid is the amplitude of the wave, in luma, whatever its period and direction") {
  const at::Tensor flat = at::full({2, 3, 128, 128}, 0.5);
  for (const int64_t period : {2, 4, 8}) {
    CAPTURE(period);
    const at::Tensor wave = at::cos(at::arange(128, at::kFloat) * (2 * std::numbers::pi / static_cast<double>(period)));
    const at::Tensor stripes = wave.view({1, 1, 1, 128}).expand({2, 3, 128, 128});
    CHECK(examine(flat + 0.004 * stripes, flat, flat, flat).grid == doctest::Approx(0.004).epsilon(0.05));
    CHECK(examine(flat + 0.004 * stripes.transpose(2, 3), flat, flat, flat).grid == doctest::Approx(0.004).epsilon(0.05));
  }
  const at::Tensor sign = 1 - 2 * (at::arange(128, at::kFloat).remainder(2));
  const at::Tensor board = (sign.view({128, 1}) * sign).expand({2, 3, 128, 128});
  CHECK(examine(flat + 0.004 * board, flat, flat, flat).grid == doctest::Approx(0.004).epsilon(0.05));
}

TEST_CASE("small versions of them, as restoration makes, are let pass") {
  if (!photographs()) {
    MESSAGE("skipped: no photographs in build/photos");
    return;
  }
  const Pictures& p = *photographs();
  CHECK(said(p.sr + 0.3 * (p.sr - blurred(p.sr)), p) == "");
  // A texture of one photograph that the frozen reference had lost: it repeats in that picture and nowhere else.
  at::Tensor textured = p.sr.clone();
  textured[0] += 0.02 * (2 * std::numbers::pi * (21 * at::arange(128.0f) - 3 * at::arange(128.0f).view({128, 1})) / 128).sin();
  CHECK(said(textured, p).find("grid") == std::string::npos);
  CHECK(said(p.sr + at::tensor({0.005f, 0.0f, -0.005f}).view({1, 3, 1, 1}), p) == "");
  CHECK(said(0.99 * p.sr, p) == "");
  CHECK(said((p.before + p.gt) / 2, p) == "");  // halfway to the truth
}

TEST_CASE("a clear sky or a black night gives nothing to compare") {
  for (const float level : {0.0f, 1.0f}) {
    const at::Tensor flat = at::full({1, 3, 64, 64}, level);
    at::Tensor touched = flat.clone();
    touched.view({3, -1}).slice(1, 0, std::nullopt, 1000).fill_(level == 0 ? 1.0f / 255 : 254.0f / 255);
    const Vitals v = examine(touched, flat, flat, flat);
    CHECK(v.sharpness == 0);
    CHECK(v.noise == 0);
    CHECK(alarm(v, {}) == "");
  }
}

TEST_CASE("an alarm says what, how much and the limit; not a number is an alarm") {
  Vitals v{.grid = 3.14159, .reward_gain = 5, .disagreement = 0.5};
  CHECK(alarm(v, {}) == "grid 3.14 (limit 0.005), disagreement 0.5 (limit 0.04)");
  CHECK(alarm(v, {.grid = 4, .disagreement = 1}) == "");
  v.reward_gain = -0.8;
  CHECK(alarm(v, {.grid = 4, .disagreement = 1}) == "reward lost 0.8 (limit 0.75)");
  v.reward_gain = 5;
  CHECK(alarm(v, {.grid = 4, .disagreement = 1}) == "");
  CHECK(mentions(alarm({.noise = std::numeric_limits<double>::quiet_NaN()}, {}), "noise"));
  CHECK(v.metrics().size() == 8);
}

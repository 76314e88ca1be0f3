// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/pipeline.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <thread>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/degrade/plan.h"

using namespace finpercep;

namespace {

Image scene(int width, int height) {
  Image image(width, height);
  Random random(12, "pipeline test");
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        image.at(c, y, x) = static_cast<float>(0.5 + 0.3 * std::sin(0.2 * x + c) * std::cos(0.13 * y) + 0.15 * random.uniform());
  return image;
}

std::string config_dir() { return std::string(FINPERCEP_SOURCE_DIR) + "/configs/degrade/"; }

DegradeSettings load(const std::string& name, const std::vector<std::string>& overrides = {}) {
  DegradeSettings settings;
  load_settings(settings, read_config_text(config_dir() + name), name, overrides);
  return settings;
}

bool inside(double value, const std::array<double, 2>& range) { return value >= range[0] && value <= range[1]; }

// Five standard deviations of a share.
double tolerance(double share, int count) { return 5 * std::sqrt(share * (1 - share) / count) + 1e-9; }

void check_draws(const std::vector<RoundPlan>& plans, const DegradeRound& settings) {
  const int count = static_cast<int>(plans.size());
  std::map<int, double> kinds, sizes, methods;
  std::map<ResizeStep, double> steps;
  double blur = 0, sinc = 0, gaussian = 0, gray = 0;
  for (const RoundPlan& plan : plans) {
    const KernelSpec& kernel = plan.kernel;
    ++sizes[kernel.size];
    if (kernel.kind == KernelKind::sinc) {
      REQUIRE(inside(kernel.omega, {std::numbers::pi / (kernel.size < 13 ? 3 : 5), std::numbers::pi}));
      ++sinc;
    } else {
      ++kinds[static_cast<int>(kernel.kind)];
      REQUIRE(inside(kernel.sigma_x, settings.blur_sigma));
      REQUIRE(inside(kernel.sigma_y, settings.blur_sigma));
      const bool generalized = kernel.kind == KernelKind::generalized_iso || kernel.kind == KernelKind::generalized_aniso;
      const bool plateau = kernel.kind == KernelKind::plateau_iso || kernel.kind == KernelKind::plateau_aniso;
      if (generalized) REQUIRE(inside(kernel.beta, settings.betag_range));
      if (plateau) REQUIRE(inside(kernel.beta, settings.betap_range));
    }
    blur += plan.blur;
    gaussian += plan.gaussian;
    gray += plan.gray;
    ++steps[plan.step];
    ++methods[static_cast<int>(plan.method)];
    if (plan.step == ResizeStep::up) REQUIRE(inside(plan.factor, {1, settings.resize_range[1]}));
    if (plan.step == ResizeStep::down) REQUIRE(inside(plan.factor, {settings.resize_range[0], 1}));
    if (plan.step == ResizeStep::keep) REQUIRE(plan.factor == 1);
    REQUIRE(inside(plan.noise, plan.gaussian ? settings.noise_range : settings.poisson_scale_range));
    REQUIRE(inside(plan.jpeg_quality, settings.jpeg_range));
  }
  const auto check_share = [&](const char* what, double found, double of, double expected) {
    CAPTURE(what);
    CHECK(std::abs(found / of - expected) < tolerance(expected, static_cast<int>(of)));
  };
  check_share("blur", blur, count, settings.blur_prob);
  check_share("sinc", sinc, count, settings.sinc_prob);
  check_share("gaussian", gaussian, count, settings.gaussian_noise_prob);
  check_share("gray", gray, count, settings.gray_noise_prob);
  for (int step = 0; step < 3; ++step) check_share("resize", steps[static_cast<ResizeStep>(step)], count, settings.resize_prob[step]);
  for (int kind = 0; kind < 6; ++kind) check_share("kernel kind", kinds[kind], count - sinc, settings.kernel_probs[kind]);
  CHECK(sizes.size() == settings.kernel_sizes.size());
  for (const int64_t size : settings.kernel_sizes)
    check_share("size", sizes[static_cast<int>(size)], count, 1.0 / settings.kernel_sizes.size());
  for (const Resize method : {Resize::area, Resize::bilinear, Resize::bicubic})
    check_share("method", methods[static_cast<int>(method)], count, 1.0 / 3);
}

}  // namespace

TEST_CASE("draws have the shares and ranges of the settings") {
  for (const char* name : {"realesrgan.yaml", "light.yaml"}) {
    CAPTURE(name);
    const DegradeSettings settings = load(name);
    std::vector<RoundPlan> first, second;
    double sinc = 0, jpeg_last = 0;
    constexpr int count = 20000;
    for (int i = 0; i < count; ++i) {
      const DegradePlan plan = draw_plan(settings, Random(9, "degrade", i));
      REQUIRE(plan.first.active);
      REQUIRE(plan.second.active);
      REQUIRE(plan.usm == settings.usm);
      first.push_back(plan.first);
      second.push_back(plan.second);
      sinc += plan.final_sinc;
      jpeg_last += plan.jpeg_last;
      REQUIRE(inside(plan.final_kernel.omega, {std::numbers::pi / 3, std::numbers::pi}));
      REQUIRE((plan.final_kernel.size >= 7 && plan.final_kernel.size <= 21 && plan.final_kernel.size % 2 == 1));
    }
    check_draws(first, settings.first);
    check_draws(second, settings.second);
    CHECK(std::abs(sinc / count - 0.8) < tolerance(0.8, count));
    CHECK(std::abs(jpeg_last / count - 0.5) < tolerance(0.5, count));
  }
}

TEST_CASE("half of the shape parameters lie below 1") {
  DegradeSettings settings;
  settings.first.kernel_probs = {0, 0, 0.5, 0, 0.5, 0};
  settings.first.sinc_prob = 0;
  double generalized = 0, below = 0, plateau = 0, exactly = 0;
  for (int i = 0; i < 8000; ++i) {
    const KernelSpec kernel = draw_plan(settings, Random(9, "beta", i)).first.kernel;
    if (kernel.kind == KernelKind::generalized_iso) {
      ++generalized;
      below += kernel.beta < 1;
    } else {
      ++plateau;
      exactly += kernel.beta == 1;
    }
  }
  CHECK(std::abs(below / generalized - 0.5) < tolerance(0.5, static_cast<int>(generalized)));
  CHECK(std::abs(exactly / plateau - 0.5) < tolerance(0.5, static_cast<int>(plateau)));
}

TEST_CASE("the result is LR, on the 8-bit grid, and depends on the item alone") {
  const Image photo = scene(96, 64);
  const DegradeSettings settings;
  constexpr int items = 12;
  std::vector<Image> sequential(items), threaded(items);
  for (int i = 0; i < items; ++i) sequential[i] = degrade(photo, settings, Random(5, "degrade", i));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (int i = items - 1 - t; i >= 0; i -= 3) threaded[i] = degrade(photo, settings, Random(5, "degrade", i));
    });
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < items; ++i) {
    CAPTURE(i);
    REQUIRE(sequential[i].width == 24);
    REQUIRE(sequential[i].height == 16);
    REQUIRE(sequential[i].channels == 3);
    CHECK(sequential[i].data == threaded[i].data);
    if (i > 0) CHECK(sequential[i].data != sequential[0].data);
    float worst = 0;
    for (const float value : sequential[i].data) {
      REQUIRE((value >= 0 && value <= 1));
      worst = std::max(worst, std::abs(value * 255 - std::round(value * 255)));
    }
    CHECK(worst < 1e-4f);
  }
  CHECK(degrade(photo, settings, Random(6, "degrade", 0)).data != sequential[0].data);
  CHECK(degrade(photo, settings, Random(5, "other", 0)).data != sequential[0].data);
}

TEST_CASE("bicubic.yaml is MATLAB's bicubic and nothing else") {
  const Image photo = scene(96, 64);
  Image expected = resize(photo, 24, 16, Resize::bicubic_matlab);
  clamp_unit(expected);
  for (float& value : expected.data) value = std::nearbyint(value * 255) / 255;
  for (int item = 0; item < 4; ++item) CHECK(degrade(photo, load("bicubic.yaml"), Random(1, "degrade", item)).data == expected.data);
}

TEST_CASE("each round's switches do what they say") {
  DegradeSettings settings = load("bicubic.yaml");
  settings.second_order_prob = 0;
  settings.second.enabled = true;
  const DegradePlan plan = draw_plan(settings, Random(1, "degrade"));
  CHECK(!plan.second.active);
  CHECK(plan.second.jpeg_quality >= 30);  // the last JPEG is for all
  CHECK(draw_plan(load("bicubic.yaml"), Random(1, "degrade")).second.jpeg_quality == 0);
  // The order of the last steps matters, and both are seen.
  const Image photo = scene(64, 64);
  DegradePlan order = draw_plan(DegradeSettings(), Random(2, "degrade"));
  order.jpeg_last = true;
  const Image last = apply_plan(photo, order);
  order.jpeg_last = false;
  CHECK(apply_plan(photo, order).data != last.data);
}

TEST_CASE("jpeg: diff is near libjpeg, draws the same, and is another picture") {
  const Image photo = scene(96, 80);
  DegradePlan plan;
  plan.usm = plan.final_sinc = plan.second.active = false;
  plan.first.blur = false;
  plan.first.noise = 0;
  plan.scale = 1;
  plan.first.jpeg_quality = 0;
  plan.second.jpeg_quality = 60;
  const Image real = apply_plan(photo, plan);
  plan.diff_jpeg = true;
  const Image diff = apply_plan(photo, plan);
  CHECK(real.data != diff.data);
  double apart = 0, coded = 0;
  for (std::size_t i = 0; i < real.data.size(); ++i) {
    apart += std::pow(real.data[i] - diff.data[i], 2);
    coded += std::pow(real.data[i] - photo.data[i], 2);
  }
  CHECK(apart < 0.2 * coded);  // of what the compression does; the codec smooths the chroma on its way up
  DegradeSettings settings;
  settings.jpeg = "diff";
  const DegradePlan drawn = draw_plan(settings, Random(3, "degrade", 1));
  CHECK(drawn.diff_jpeg);
  settings.jpeg = "libjpeg";
  const DegradePlan same = draw_plan(settings, Random(3, "degrade", 1));
  CHECK(!same.diff_jpeg);
  CHECK(same.first.noise_seed == drawn.first.noise_seed);
  CHECK(same.second.jpeg_quality == drawn.second.jpeg_quality);
  CHECK(same.jpeg_last == drawn.jpeg_last);
}

TEST_CASE("small photographs and scale 1 work") {
  DegradeSettings settings;
  for (const int64_t scale : {1, 2, 4})
    for (int item = 0; item < 10; ++item) {
      settings.scale = scale;
      const Image out = degrade(scene(8, 4), settings, Random(4, "degrade", item));
      CHECK(out.width == 8 / scale);
      CHECK(out.height == 4 / scale);
    }
}

TEST_CASE("JPEG loses more at lower quality") {
  const Image photo = scene(64, 48);
  double previous = 0;
  for (const int quality : {95, 60, 20}) {
    const Image out = jpeg_round_trip(photo, quality);
    REQUIRE(out.width == 64);
    REQUIRE(out.height == 48);
    double sum = 0;
    for (std::size_t i = 0; i < out.data.size(); ++i) sum += std::abs(out.data[i] - photo.data[i]);
    CHECK(sum > previous);
    CHECK(sum / out.data.size() < 0.1);
    previous = sum;
  }
}

TEST_CASE("realesrgan.yaml states the defaults") { CHECK(to_yaml(load("realesrgan.yaml")) == to_yaml(DegradeSettings())); }

TEST_CASE("wrong settings are refused when they are loaded, by key") {
  const auto message = [](const std::string& override_text) -> std::string {
    try {
      load("realesrgan.yaml", {override_text});
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::usage);
      return error.what();
    }
    return "accepted";
  };
  const auto names = [&](const std::string& override_text, const std::string& part) {
    CAPTURE(override_text);
    const std::string text = message(override_text);
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
  };
  names("first.blur_sigma=[3, 0.2]", "first.blur_sigma: expected [low, high], found [3, 0.2]");
  names("second.noise_range=[1]", "second.noise_range: expected two numbers");
  names("first.kernel_sizes=[7, 8]", "first.kernel_sizes");
  names("first.kernel_sizes=[]", "first.kernel_sizes");
  names("first.kernel_probs=[1, 0]", "first.kernel_probs: expected 6 numbers");
  names("second.resize_prob=[0, 0, 0]", "second.resize_prob");
  names("first.resize_prob=[0.5, 0.5, 1.5]", "first.resize_prob");
  names("first.resize_range=[1.2, 1.5]", "first.resize_range");
  names("second.jpeg_range=[0, 90]", "second.jpeg_range");
  names("second.jpeg_range=[30, 101]", "second.jpeg_range");
  names("first.blur_sigma=[0, 1]", "first.blur_sigma");
  names("first.gray_noise_prob=1.1", "first.gray_noise_prob");
  names("scale=0", "scale");
  names("final_resize=cubic", "final_resize");
  names("jpeg=mozjpeg", "one of libjpeg, diff");
  names("first.blur_sigmas=[1, 2]", "blur_sigma");
}

TEST_CASE("wrong calls are refused") {
  DegradeSettings settings;
  CHECK_THROWS_AS(degrade(scene(30, 32), settings, Random(1, "degrade")), Error);
  CHECK_THROWS_AS(degrade(Image(32, 32, 1), settings, Random(1, "degrade")), Error);
  CHECK_THROWS_AS(degrade(Image(), settings, Random(1, "degrade")), Error);
  settings.first.kernel_sizes = {8};
  CHECK_THROWS_WITH_AS(degrade(scene(32, 32), settings, Random(1, "degrade")), doctest::Contains("first.kernel_sizes"), Error);
}

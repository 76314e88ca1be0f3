// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/random.h"
#include "finpercep/metrics/psnr.h"
#include "finpercep/metrics/registry.h"
#include "finpercep/metrics/ssim.h"

using namespace finpercep;

namespace {

Image noise(int width, int height, uint64_t item, int channels = 3) {
  Random random(1, "metrics_test", item);
  Image image(width, height, channels);
  for (float& v : image.data) v = static_cast<float>(random.integer(0, 255)) / 255;
  return image;
}

Image shifted(Image image, float by) {
  for (float& v : image.data) v += by;
  return image;
}

// The formula of the paper with nothing shared with the fast code: one window at a time, two-dimensional weights, centred moments.
double plain_ssim(const Image& a, const Image& b, const SsimOptions& options) {
  const auto value = [&](const Image& image, int p, int y, int x) {
    double v = 0;
    if (options.channels == Channels::rgb) v = 255.0 * image.at(p, y, x);
    if (options.channels == Channels::yiq && options.rounded)  // in float32: it decides which way a half goes
      v = 255.0f * ((.299f * image.at(0, y, x) + .587f * image.at(1, y, x)) + .114f * image.at(2, y, x));
    else if (options.channels == Channels::yiq)
      v = 255.0 * (.299 * image.at(0, y, x) + .587 * image.at(1, y, x) + .114 * image.at(2, y, x));
    if (options.channels == Channels::ycbcr) v = 65.481 * image.at(0, y, x) + 128.553 * image.at(1, y, x) + 24.966 * image.at(2, y, x) + 16;
    return options.rounded ? std::nearbyint(v) : v;
  };
  double weights[11][11], sum = 0;
  for (int i = 0; i < 11; ++i)
    for (int j = 0; j < 11; ++j) sum += weights[i][j] = std::exp(-((i - 5.) * (i - 5.) + (j - 5.) * (j - 5.)) / 4.5);
  const int planes = options.channels == Channels::rgb ? a.channels : 1, border = options.crop_border;
  double total = 0;
  int windows = 0;
  for (int p = 0; p < planes; ++p)
    for (int y = border; y + 11 <= a.height - border; ++y)
      for (int x = border; x + 11 <= a.width - border; ++x, ++windows) {
        double ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
        for (int i = 0; i < 11; ++i)
          for (int j = 0; j < 11; ++j) {
            ma += weights[i][j] / sum * value(a, p, y + i, x + j);
            mb += weights[i][j] / sum * value(b, p, y + i, x + j);
          }
        for (int i = 0; i < 11; ++i)
          for (int j = 0; j < 11; ++j) {
            const double w = weights[i][j] / sum, da = value(a, p, y + i, x + j) - ma, db = value(b, p, y + i, x + j) - mb;
            va += w * da * da;
            vb += w * db * db;
            cov += w * da * db;
          }
        const double contrast = (2 * cov + 58.5225) / (va + vb + 58.5225);
        total += (2 * ma * mb + 6.5025) / (ma * ma + mb * mb + 6.5025) * (options.clamped ? std::fmax(contrast, 0) : contrast);
      }
  return total / windows;
}

}  // namespace

TEST_CASE("psnr of a known offset") {
  const Image ref(16, 8, 3, 0.25f), sr = shifted(ref, 0.125f);
  const double mse = 0.125 * 0.125;
  CHECK(psnr(sr, ref) == doctest::Approx(-10 * std::log10(mse + 1e-8)).epsilon(1e-12));
  CHECK(psnr(sr, ref, {.added = 0}) == doctest::Approx(-10 * std::log10(mse)).epsilon(1e-12));
  SUBCASE("luma: full range keeps a gray offset, studio range shrinks it by 219/255") {
    CHECK(psnr(sr, ref, {.channels = Channels::yiq, .added = 0}) == doctest::Approx(-10 * std::log10(mse)).epsilon(1e-9));
    const double gap = psnr(sr, ref, {.channels = Channels::ycbcr, .added = 0}) - psnr(sr, ref, {.channels = Channels::yiq, .added = 0});
    CHECK(gap == doctest::Approx(20 * std::log10(255. / 219)).epsilon(1e-9));
  }
  SUBCASE("one plane only") {
    Image red = ref;
    for (std::size_t i = 0; i < red.plane_size(); ++i) red.plane(0)[i] += 0.125f;
    CHECK(psnr(red, ref, {.added = 0}) == doctest::Approx(-10 * std::log10(mse / 3)).epsilon(1e-9));
  }
}

TEST_CASE("psnr of equal pictures is finite") {
  const Image image = noise(20, 20, 0);
  CHECK(psnr(image, image) == doctest::Approx(80));
  CHECK(psnr(image, image, {.added = 0, .floor = 1e-10}) == doctest::Approx(100));
}

TEST_CASE("the border is left out of psnr and ssim") {
  const Image ref = noise(30, 26, 1);
  Image sr = ref;
  for (int x = 0; x < sr.width; ++x) sr.at(1, 3, x) = 1 - sr.at(1, 3, x);
  CHECK(psnr(sr, ref, {.crop_border = 3}) < 40);
  CHECK(psnr(sr, ref, {.crop_border = 4}) == doctest::Approx(80));
  CHECK(ssim(sr, ref, {.crop_border = 3}) < 0.9999);
  CHECK(ssim(sr, ref, {.crop_border = 4}) == doctest::Approx(1).epsilon(1e-12));
  CHECK_THROWS_AS(psnr(sr, ref, {.crop_border = 13}), Error);
}

TEST_CASE("ssim equals the plain loop") {
  const Image a = noise(31, 23, 2), b = noise(31, 23, 3);
  Image blend = a;
  for (std::size_t i = 0; i < blend.data.size(); ++i) blend.data[i] = 0.7f * a.data[i] + 0.3f * b.data[i];
  for (const Image* other : std::initializer_list<const Image*>{&b, &blend})
    for (Channels channels : {Channels::rgb, Channels::yiq, Channels::ycbcr})
      for (bool clamped : {false, true})
        for (int border : {0, 2}) {
          const SsimOptions options{.channels = channels, .crop_border = border, .rounded = clamped, .clamped = clamped};
          CHECK(ssim(a, *other, options) == doctest::Approx(plain_ssim(a, *other, options)).epsilon(1e-10));
        }
}

TEST_CASE("ssim: equal pictures, negatives, threads, sizes") {
  const Image a = noise(70, 90, 4);
  CHECK(ssim(a, a) == doctest::Approx(1).epsilon(1e-12));
  Image negative = a;
  for (float& v : negative.data) v = 1 - v;
  CHECK(ssim(a, negative, {.clamped = false}) < -0.3);
  CHECK(ssim(a, negative) == doctest::Approx(0));
  const Image b = noise(70, 90, 5);
  const double one = ssim(a, b, {.channels = Channels::rgb, .threads = 1});
  CHECK(one == ssim(a, b, {.channels = Channels::rgb, .threads = 3}));
  const Image thin = noise(10, 40, 6);
  CHECK_THROWS_WITH_AS(ssim(thin, thin), doctest::Contains("at least 11 pixels, found 10x40"), Error);
}

TEST_CASE("the registry") {
  for (const auto& info : metric_list()) {
    CAPTURE(info.name);
    CHECK(find_metric(info.name).definition == info.definition);
    CHECK((info.make == nullptr) == info.of_set);
    REQUIRE((info.variant != nullptr));
    for (Protocol protocol : {Protocol::pyiqa, Protocol::basicsr, Protocol::stablesr})
      CHECK_FALSE(variant_text(info.name, protocol).empty());
  }
  CHECK_FALSE(find_metric("lpips").higher_is_better);
  CHECK(find_metric("ssim").higher_is_better);
  CHECK_THROWS_WITH_AS(find_metric("pnsr"), doctest::Contains("did you mean 'psnr'?"), Error);
  CHECK(parse_protocol("pyiqa") == Protocol::pyiqa);
  CHECK(std::string(name_of(parse_protocol("basicsr"))) == "basicsr");
  CHECK_THROWS_AS(parse_protocol("matlab"), Error);
}

TEST_CASE("a metric set computes what the functions compute, by protocol") {
  const Image sr = noise(24, 20, 7), ref = noise(24, 20, 8);
  const MetricSet stable({"ssim", "psnr", "psnry", "ssimc"}, {});
  const auto values = stable.compute(sr, ref);
  REQUIRE(values.size() == 4);
  CHECK(values[0] == ssim(sr, ref, {.channels = Channels::ycbcr}));
  CHECK(values[1] == psnr(sr, ref));
  CHECK(values[2] == psnr(sr, ref, {.channels = Channels::ycbcr}));
  CHECK(values[3] == ssim(sr, ref, {.channels = Channels::rgb}));
  const auto pyiqa = MetricSet({"psnry", "ssim"}, {.protocol = Protocol::pyiqa}).compute(sr, ref);
  CHECK(pyiqa[0] == psnr(sr, ref, {.channels = Channels::yiq}));
  CHECK(pyiqa[1] == ssim(sr, ref, {.channels = Channels::yiq}));
  const auto basicsr = MetricSet({"psnry", "ssim"}, {.protocol = Protocol::basicsr, .crop_border = 4}).compute(sr, ref);
  CHECK(basicsr[0] == psnr(sr, ref, {.channels = Channels::ycbcr, .crop_border = 4, .added = 0}));
  CHECK(basicsr[1] == ssim(sr, ref, {.channels = Channels::ycbcr, .crop_border = 4, .rounded = false, .clamped = false}));
  CHECK_THROWS_WITH_AS(MetricSet({"psnr", "psnr"}), doctest::Contains("twice"), Error);
  CHECK_THROWS_WITH_AS(stable.compute(sr, noise(24, 21, 9)), doctest::Contains("24x20"), Error);
  CHECK_THROWS_AS(stable.compute(noise(24, 20, 10, 2), noise(24, 20, 11, 2)), Error);
}

TEST_CASE("a picture of one channel is measured as one of three that are equal") {
  const auto threefold = [](const Image& gray) {
    Image out(gray.width, gray.height);
    for (int c = 0; c < 3; ++c) std::copy(gray.data.begin(), gray.data.end(), out.plane(c));
    return out;
  };
  const Image sr = noise(40, 36, 10, 1), ref = noise(40, 36, 11, 1);
  for (const Protocol protocol : {Protocol::stablesr, Protocol::pyiqa, Protocol::basicsr}) {
    const MetricSet set({"psnry", "ssim", "gmsd"}, {.protocol = protocol});
    CHECK(set.compute(sr, ref) == set.compute(threefold(sr), threefold(ref)));
  }
}

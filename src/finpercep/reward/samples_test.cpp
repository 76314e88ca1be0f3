// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/samples.h"

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/test_weights.h"
#include "finpercep/reward/losses.h"
#include "finpercep/reward/opinion.h"

using namespace finpercep;

namespace {

FgrSet planted(const TestFolder& folder, int64_t count) {
  write_image(folder / "a.png", test::photo(120, 96));
  FgrSettings settings;
  settings.photos.photos = {(folder / "a.png").string()};
  settings.count = count;
  settings.size = 96;
  settings.sources = {"distort"};
  settings.device = "cpu";
  settings.dtype = "fp32";
  return FgrSet(FgrBuilder(settings));
}

double largest(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

bool equal(const FgrBatch& a, const FgrBatch& b) {
  return at::equal(a.gt, b.gt) && at::equal(a.sr, b.sr) && at::equal(a.syn, b.syn) && at::equal(a.mask, b.mask) &&
         at::equal(a.label, b.label);
}

}  // namespace

TEST_CASE("batches: the same item is the same batch, others are others; sizes and ranges") {
  const TestFolder folder;
  const FgrSet set = planted(folder, 12);
  const SampleSettings settings{.size = 64};
  const FgrSampler sampler(set, settings, 3);
  const FgrBatch one = sampler.batch(4, 5);
  CHECK(one.syn.sizes() == at::IntArrayRef({4, 3, 64, 64}));
  CHECK(one.label.sizes() == at::IntArrayRef({4, 1, 64, 64}));
  for (const at::Tensor& t : {one.gt, one.sr, one.syn, one.mask, one.label}) {
    CHECK(t.min().item<float>() >= 0);
    CHECK(t.max().item<float>() <= 1);
  }
  CHECK(equal(one, FgrSampler(set, settings, 3).batch(4, 5)));
  CHECK_FALSE(equal(one, sampler.batch(4, 6)));
  CHECK_FALSE(equal(one, FgrSampler(set, settings, 4).batch(4, 5)));
}

TEST_CASE("batches: zoom, mirror and colours move all pictures of a sample alike") {
  const TestFolder folder;
  const FgrSet set = planted(folder, 12);
  const FgrSampler sampler(set, {.size = 64, .colour_prob = 1, .variation = {.prob = 0}}, 1);
  bool defect = false;
  for (int64_t iter = 0; iter < 6; ++iter) {
    const FgrBatch batch = sampler.batch(2, iter);
    const at::Tensor outside = (batch.mask == 0).to(at::kFloat);
    CHECK(largest(batch.syn * outside, batch.gt * outside) == 0);  // clean where nothing was swapped
    CHECK((batch.label * outside).max().item<float>() < 0.35f);    // resizing mixes a label's rim into its neighbours
    CHECK(largest(batch.syn, compose(batch.gt, batch.sr, batch.mask)) < 1e-6);
    defect = defect || batch.label.max().item<float>() > 0.3f;
  }
  CHECK(defect);
}

TEST_CASE("batches: every picture of a sample is the set's, all mirrored or none") {
  const TestFolder folder;
  const FgrSet set = planted(folder, 12);
  const FgrSampler sampler(set, {.size = 96, .zoom = {1, 1}, .colour_prob = 0, .variation = {.prob = 0}}, 1);
  int plain = 0, mirrored = 0;
  for (int64_t iter = 0; iter < 3; ++iter) {
    const FgrBatch batch = sampler.batch(4, iter);
    for (int64_t n = 0; n < 4; ++n) {
      int found = 0;
      for (int64_t i = 0; i < set.size(); ++i)
        for (const bool mirror : {false, true}) {
          const FgrSample sample = set.sample(i);
          const auto is = [&](const at::Tensor& of_batch, const Image& image) {
            return at::equal(of_batch[n], to_batch({mirror ? flip_horizontal(image) : image})[0]);
          };
          if (!is(batch.gt, sample.gt) || !is(batch.sr, sample.sr) || !is(batch.mask, sample.mask) || !is(batch.label, sample.label))
            continue;
          ++found;
          ++(mirror ? mirrored : plain);
        }
      CHECK(found == 1);
    }
  }
  CHECK(plain > 0);
  CHECK(mirrored > 0);
}

TEST_CASE("batches: nothing to zoom, vary or mirror gives the samples themselves") {
  const TestFolder folder;
  const FgrSet set = planted(folder, 4);
  const FgrBatch batch = FgrSampler(set, {.size = 512, .zoom = {1, 1}, .colour_prob = 0, .variation = {.prob = 0}}, 1).batch(4, 0);
  CHECK(batch.gt.size(2) == 96);
  const at::Tensor found = batch.label.mean({1, 2, 3});
  double sum = 0;
  for (int64_t i = 0; i < 4; ++i)
    for (const float v : set.sample(i).label.data) sum += v / (96 * 96);
  CHECK(found.sum().item<double>() == doctest::Approx(sum).epsilon(1e-4));
}

TEST_CASE("take_colours: a share of the samples turns gray, its pictures alike, with their luma") {
  at::manual_seed(1);
  const at::Tensor a = at::rand({200, 3, 2, 2}), b = at::rand({200, 3, 2, 2});
  at::Tensor gray_a = a, gray_b = b;
  take_colours({&gray_a, &gray_b}, 0.3, Random(7, "gray", 0));
  const auto colourless = [](const at::Tensor& x) { return (x.amax(1) - x.amin(1)).amax({1, 2}) == 0; };
  CHECK(at::equal(colourless(gray_a), colourless(gray_b)));
  const at::Tensor taken = colourless(gray_a);
  CHECK(taken.sum().item<int64_t>() > 40);
  CHECK(taken.sum().item<int64_t>() < 80);
  CHECK(at::equal(gray_a.index({~taken}), a.index({~taken})));
  const at::Tensor luma = 0.299 * a.select(1, 0) + 0.587 * a.select(1, 1) + 0.114 * a.select(1, 2);
  CHECK(largest(gray_a.index({taken}).select(1, 2), luma.index({taken})) < 1e-6);
}

TEST_CASE("parts of the label: pixel is L1, the two add up to the label, the mean stays") {
  const TestFolder folder;
  const FgrSet set = planted(folder, 24);
  const auto batch_of = [&](const char* part) {
    return FgrSampler(set, {.size = 96, .zoom = {1, 1}, .colour_prob = 0, .variation = {.prob = 0}, .label_part = part}, 1).batch(24, 0);
  };
  const FgrBatch both = batch_of("both"), pixel = batch_of("pixel"), feature = batch_of("feature");
  const at::Tensor l1 = (pixel.gt - pixel.syn).abs().mean(1, true);
  const at::Tensor inside = ((pixel.label < 1) & (pixel.label > 0.01)).to(at::kFloat);
  const at::Tensor ratio = (pixel.label / l1.clamp_min(1e-6)).masked_select(inside > 0);
  CHECK(ratio.std().item<double>() / ratio.mean().item<double>() < 0.01);
  CHECK(largest(pixel.label, feature.label) > 0.1);
  CHECK(pixel.label.mean().item<double>() == doctest::Approx(both.label.mean().item<double>()).epsilon(0.35));  // but for what is cut at 1
  CHECK(feature.label.mean().item<double>() == doctest::Approx(both.label.mean().item<double>()).epsilon(0.35));
}

TEST_CASE("opinions: the teachers rank a stronger distortion below a weaker one") {
  if (!test::have_weights({"dists", "lpips_vgg"})) return;
  const TestFolder folder;
  const FgrSet set = planted(folder, 12);
  const OpinionSet opinions(set, {.count = 10, .size = 64, .sr_share = 0.5}, 1, at::kCPU);
  const auto batch = opinions.batch(10, 0), again = opinions.batch(10, 1);  // the set is ten pictures: the next batch is the same
  CHECK(at::equal(batch.picture, again.picture));
  CHECK(at::equal(batch.opinion, again.opinion));
  CHECK(batch.opinion.min().item<double>() >= 0.05 - 1e-6);
  CHECK(batch.opinion.max().item<double>() <= 0.95 + 1e-6);
  const at::Tensor error = (batch.picture - batch.gt).abs().mean({1, 2, 3});
  CHECK(batch.opinion[error.argmin()].item<double>() > batch.opinion.min().item<double>());
  CHECK(batch.opinion.std().item<double>() > 0.02);
}

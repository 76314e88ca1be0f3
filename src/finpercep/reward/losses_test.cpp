// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/losses.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace finpercep;

namespace {

double value(const at::Tensor& t) { return t.item<double>(); }

// Two pictures of three pixels; the second is clean.
const std::vector<std::vector<float>> maps = {{0.9f, 0.2f, 0.6f}, {0.1f, 0.3f, 0.0f}}, labels = {{0.4f, 0.0f, 0.05f}, {0.0f, 0.02f, 0.0f}};

at::Tensor pictures(const std::vector<std::vector<float>>& rows) {
  at::Tensor t = at::empty({static_cast<int64_t>(rows.size()), 1, 1, static_cast<int64_t>(rows[0].size())});
  for (std::size_t n = 0; n < rows.size(); ++n)
    for (std::size_t i = 0; i < rows[n].size(); ++i) t[static_cast<int64_t>(n)][0][0][static_cast<int64_t>(i)].fill_(rows[n][i]);
  return t;
}

double plain_l1() {
  double sum = 0;
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 3; ++i) sum += std::abs(maps[n][i] - labels[n][i]) / 6;
  return sum;
}

double balanced_l1() {
  double sum = 0;
  for (int n = 0; n < 2; ++n) {
    double error[2] = {}, count[2] = {};
    for (int i = 0; i < 3; ++i) {
      const int defect = labels[n][i] > 0.05f;
      error[defect] += std::abs(maps[n][i] - labels[n][i]);
      ++count[defect];
    }
    const double both = (count[0] > 0) + (count[1] > 0);
    for (int k : {0, 1})
      if (count[k] > 0) sum += error[k] / count[k] / both / 2;
  }
  return sum;
}

}  // namespace

TEST_CASE("map loss: balance 0 is the plain mean, 1 counts defect and clean pixels of a picture alike") {
  const at::Tensor map = pictures(maps), label = pictures(labels), all = at::ones_like(map);
  REQUIRE(plain_l1() != doctest::Approx(balanced_l1()));
  CHECK(value(map_loss(map, label, all, 0)) == doctest::Approx(plain_l1()).epsilon(1e-6));
  CHECK(value(map_loss(map, label, all, 1)) == doctest::Approx(balanced_l1()).epsilon(1e-6));
  CHECK(value(map_loss(map, label, all, 0.3)) == doctest::Approx(0.7 * plain_l1() + 0.3 * balanced_l1()).epsilon(1e-6));
  CHECK(value(map_loss(label, label, all, 0.5)) == 0);
}

TEST_CASE("map loss: one defect pixel weighs as much as all clean ones together") {
  at::Tensor label = at::zeros({1, 1, 10, 10});
  label[0][0][3][3].fill_(1);
  const at::Tensor map = at::full({1, 1, 10, 10}, 0.5).requires_grad_(true);
  map_loss(map, label, at::ones_like(map), 1).backward();
  CHECK(value(map.grad()[0][0][3][3]) == doctest::Approx(-0.5));
  CHECK(value(map.grad().sum()) == doctest::Approx(0).epsilon(1e-6));
}

TEST_CASE("losses of maps: what does not count is as if it were not there") {
  const at::Tensor map = at::rand({2, 1, 6, 8}), label = at::rand({2, 1, 6, 8}), logits = at::randn({2, 1, 6, 8});
  at::Tensor counts = at::zeros({2, 1, 6, 8});
  counts.narrow(0, 0, 1).narrow(3, 0, 5).fill_(1);
  const auto part = [](const at::Tensor& t) { return t.narrow(0, 0, 1).narrow(3, 0, 5); };
  const at::Tensor all = at::ones({1, 1, 6, 5});
  for (const double balance : {0.0, 1.0})
    CHECK(value(map_loss(map, label, counts, balance)) ==
          doctest::Approx(value(map_loss(part(map), part(label), all, balance))).epsilon(1e-5));
  CHECK(value(map_cross_entropy(logits, label, counts)) ==
        doctest::Approx(value(at::binary_cross_entropy_with_logits(part(logits), part(label)))).epsilon(1e-5));
  CHECK(value(map_correlation_loss(map, label, counts)) ==
        doctest::Approx(value(map_correlation_loss(part(map), part(label), all))).epsilon(1e-4));
}

TEST_CASE("correlation loss: 1 - Pearson's, blind to level and scale, silent where the label does not vary") {
  const at::Tensor label = pictures({{0.1f, 0.4f, 0.3f, 0.8f}}), all = at::ones_like(label);
  const auto loss = [&](const at::Tensor& map) { return value(map_correlation_loss(map, label, all)); };
  CHECK(loss(0.3 * label + 0.2) == doctest::Approx(0).epsilon(1e-4));
  CHECK(loss(0.9 - label) == doctest::Approx(2).epsilon(1e-4));
  // numpy.corrcoef([.1, .4, .3, .8], [.2, .1, .9, .6])[0, 1]
  CHECK(loss(pictures({{0.2f, 0.1f, 0.9f, 0.6f}})) == doctest::Approx(1 - 0.2756537513242599).epsilon(1e-4));
  at::Tensor map = at::rand_like(label).requires_grad_(true);
  const at::Tensor flat = map_correlation_loss(map, at::full_like(label, 0.3), all);
  flat.backward();
  CHECK(value(flat) == 0);
  CHECK(value(map.grad().abs().sum()) == 0);
  // A map that says nothing yet is pulled, and not much harder than one that says a little.
  const auto pull = [&](const at::Tensor& of) {
    const at::Tensor leaf = of.detach().clone().requires_grad_(true);
    map_correlation_loss(leaf, label, all).backward();
    return value(leaf.grad().square().sum().sqrt());
  };
  const double constant = pull(at::full_like(label, 0.5)), little = pull(0.5 + 0.02 * pictures({{0.2f, 0.1f, 0.9f, 0.6f}}));
  CHECK(constant > 0);
  CHECK(constant < 3 * little);
}

TEST_CASE("rank loss against a plain loop, terms only where they apply") {
  const std::vector<float> sr = {0.2f, 0.5f, 0.7f}, syn = {0.25f, 0.4f, 0.9f}, gt = {0.9f, 0.45f, 0.6f}, first = {1, 1, 0},
                           second = {1, 0, 1};
  double sums[2] = {}, counts[2] = {};
  for (int i = 0; i < 3; ++i) {
    sums[0] += first[i] * std::max(0.0, 0.1 - (syn[i] - sr[i]));
    sums[1] += second[i] * std::max(0.0, 0.2 - (gt[i] - syn[i]));
    counts[0] += first[i];
    counts[1] += second[i];
  }
  const auto loss = [&](const at::Tensor& a, const at::Tensor& b) {
    return value(rank_loss(at::tensor(sr), at::tensor(syn), at::tensor(gt), a, b, 0.1, 0.2));
  };
  CHECK(loss(at::tensor(first), at::tensor(second)) == doctest::Approx(sums[0] / counts[0] + sums[1] / counts[1]).epsilon(1e-6));
  CHECK(loss(at::tensor(first), at::zeros({3})) == doctest::Approx(sums[0] / counts[0]).epsilon(1e-6));
  CHECK(loss(at::zeros({3}), at::tensor(second)) == doctest::Approx(sums[1] / counts[1]).epsilon(1e-6));
  CHECK(loss(at::zeros({3}), at::zeros({3})) == 0);
}

TEST_CASE("rank loss is zero, with no gradient, where both margins hold; else it pulls the scores apart") {
  const auto gradients = [](float sr_value, float syn_value, float gt_value) {
    const at::Tensor sr = at::tensor({sr_value}).requires_grad_(true), syn = at::tensor({syn_value}).requires_grad_(true),
                     gt = at::tensor({gt_value}).requires_grad_(true);
    const at::Tensor loss = rank_loss(sr, syn, gt, at::ones({1}), at::ones({1}), 0.1, 0.1);
    loss.backward();
    return std::vector<double>{value(loss), value(sr.grad()), value(syn.grad()), value(gt.grad())};
  };
  CHECK(gradients(0.2f, 0.5f, 0.8f) == std::vector<double>{0, 0, 0, 0});
  const auto wrong = gradients(0.8f, 0.5f, 0.2f);
  CHECK(wrong[0] == doctest::Approx(0.8));
  CHECK(wrong[1] == 1);
  CHECK(wrong[2] == 0);  // pushed up by one term, down by the other
  CHECK(wrong[3] == -1);
  CHECK(gradients(0.45f, 0.5f, 0.8f)[2] == -1);
}

TEST_CASE("align loss") {
  CHECK(value(align_loss(at::tensor({0.9f, 0.2f}), at::tensor({0.8f, 0.5f}))) == doctest::Approx(0.2));
  CHECK(value(align_loss(at::tensor({0.9f}), at::tensor({0.9f}))) == 0);
}

TEST_CASE("pseudo-opinion: .95 for clean, .05 from a mean label of .6, falling between") {
  double previous = 2;
  for (const double level : {0.0, 0.1, 0.3, 0.59}) {
    const double opinion = value(pseudo_opinion(at::full({1, 1, 4, 4}, level)));
    CHECK(opinion == doctest::Approx(0.95 - 0.9 * level / 0.6).epsilon(1e-5));
    CHECK(opinion < previous);
    previous = opinion;
  }
  for (const double level : {0.6, 0.8, 1.0})
    CHECK(value(pseudo_opinion(at::full({1, 1, 4, 4}, level))) == doctest::Approx(0.05).epsilon(1e-5));
  at::Tensor mask = at::zeros({1, 1, 4, 4}), label = at::zeros({1, 1, 4, 4});
  mask.narrow(3, 0, 2).fill_(1);
  label.narrow(3, 0, 2).fill_(0.3);
  CHECK(value(pseudo_opinion(label, mask)) == doctest::Approx(0.5).epsilon(1e-5));  // .3 there, whatever there is outside
  at::Tensor two = at::zeros({2, 1, 2, 2});
  two[1][0][0][0].fill_(0.6);
  const at::Tensor opinions = pseudo_opinion(two);
  CHECK(opinions.sizes() == at::IntArrayRef({2}));
  CHECK(value(opinions[0]) == doctest::Approx(0.95));
  CHECK(value(opinions[1]) == doctest::Approx(0.725));
}

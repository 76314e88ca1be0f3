// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/resshift.h"

#include <doctest/doctest.h>

using namespace finpercep;

namespace {

// KL(p_theta || p_ref) of step t is this times ||f_theta - f_ref||^2: alpha_t / (2 kappa^2 eta_t eta_{t-1}) for the posterior.
double kl_weight(const ResShiftSchedule& s, int t) {
  const double share = s.alpha(t) / s.eta[t], std = posterior_std(s, t);
  return share * share / (2 * std * std);
}

}  // namespace

TEST_CASE("golden schedule, T = 4") {
  const ResShiftSchedule s = resshift_schedule(4, 2.0, 0.2);
  const double eta[] = {0.0100, 0.2705, 0.5797, 0.9801}, std[] = {0, 0.1963, 0.7597, 0.9733}, kl[] = {0, 12.038, 0.2465, 0.0881};
  for (int t = 1; t <= 4; ++t) {
    CHECK(s.eta[t] == doctest::Approx(eta[t - 1]).epsilon(5e-3));
    CHECK(std::abs(posterior_std(s, t) - std[t - 1]) < 1e-4);
    if (t > 1) CHECK(kl_weight(s, t) == doctest::Approx(kl[t - 1]).epsilon(1e-3));
  }
}

TEST_CASE("golden schedule, T = 15") {
  const ResShiftSchedule s = resshift_schedule(15, 2.0, 0.04);
  const double eta[] = {.0004,  .01373, .03108, .05458, .08502, .12321, .17004, .22644,
                        .29341, .37199, .4633,  .56849, .68882, .82557, .9801};
  const double std[] = {.0394, .1751, .2314, .2796, .3247, .3684, .4116, .4547, .4979, .5415, .5856, .6303, .6756, .7216};
  const double kl[] = {303.4, 5.08, 1.73, .82};
  for (int t = 1; t <= 15; ++t) CHECK(std::abs(s.eta[t] - eta[t - 1]) < 6e-6);
  for (int t = 2; t <= 15; ++t) CHECK(std::abs(posterior_std(s, t) - std[t - 2]) < 6e-5);
  for (int t = 2; t <= 5; ++t) CHECK(kl_weight(s, t) == doctest::Approx(kl[t - 2]).epsilon(5e-3));
  CHECK(kl_weight(s, 15) == doctest::Approx(.024).epsilon(2e-2));
}

TEST_CASE("the posterior is that of the forward process: its mean and variance follow from Bayes' rule on three Gaussians") {
  // q(x_{t-1}|x0) and q(x_t|x_{t-1}) = N(x_{t-1} + alpha_t (y - x0), kappa^2 alpha_t) multiplied by hand.
  const ResShiftSchedule s = resshift_schedule(4, 1.0, 0.2);
  const double x0 = 0.3, y = 0.8, x_t = 1.1;
  for (int t = 2; t <= 4; ++t) {
    const double e0 = y - x0, prior_mean = x0 + s.eta[t - 1] * e0, prior_var = s.eta[t - 1], like_var = s.alpha(t);
    const double var = 1 / (1 / prior_var + 1 / like_var);
    const double mean = var * (prior_mean / prior_var + (x_t - s.alpha(t) * e0) / like_var);
    const auto tensor = [](double v) { return at::full({1}, v, at::kDouble); };
    CHECK(posterior_mean(s, tensor(x_t), tensor(x0), t).item<double>() == doctest::Approx(mean).epsilon(1e-9));
    CHECK(posterior_std(s, t) == doctest::Approx(std::sqrt(var)).epsilon(1e-9));
  }
}

TEST_CASE("a perfect denoiser of N(.7, .5^2) gives the known few-step marginal: exact mean, under-dispersed spread") {
  at::manual_seed(1);
  const ResShiftSchedule s = resshift_schedule(4, 2.0, 0.2);
  const int64_t n = 200000;
  const at::Tensor y = at::zeros({n}, at::kDouble);
  at::Tensor x = y + 2 * std::sqrt(s.eta[4]) * at::randn({n}, at::kDouble);
  for (int t = 4; t >= 1; --t) {
    // E[x0 | x_t]: x_t = (1 - eta) x0 + eta y + kappa sqrt(eta) e
    const double a = 1 - s.eta[t], noise = 4 * s.eta[t], prior = 0.25;
    const at::Tensor x0 = 0.7 + prior * a / (a * a * prior + noise) * (x - a * 0.7);
    x = posterior_mean(s, x, x0, t) + posterior_std(s, t) * at::randn({n}, at::kDouble);
  }
  CHECK(x.mean().item<double>() == doctest::Approx(0.70).epsilon(0.01));
  CHECK(x.std().item<double>() == doctest::Approx(0.239).epsilon(0.02));
}

TEST_CASE("diffuse at t: each picture of the batch has its own step") {
  const ResShiftSchedule s = resshift_schedule(4, 1.0, 0.2);
  const at::Tensor x0 = at::zeros({2, 1, 1, 1}), y = at::ones({2, 1, 1, 1}), noise = at::ones({2, 1, 1, 1});
  const at::Tensor x = diffuse(s, x0, y, noise, at::tensor({int64_t{1}, int64_t{4}}));
  CHECK(x[0].item<float>() == doctest::Approx(s.eta[1] + std::sqrt(s.eta[1])));
  CHECK(x[1].item<float>() == doctest::Approx(s.eta[4] + std::sqrt(s.eta[4])));
}

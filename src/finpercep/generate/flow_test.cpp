// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/flow.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

using namespace finpercep;

namespace {

at::Tensor number(double v) { return at::full({1}, v, at::kDouble); }

// Data N(m, s^2), start N(y, kappa^2): E[x1 - x0 | x_t], from the joint Gaussian.
at::Tensor exact_velocity(const at::Tensor& x, double t, double m, double s, double y, double kappa) {
  const double variance = (1 - t) * (1 - t) * s * s + t * t * kappa * kappa;
  const double gain = (t * kappa * kappa - (1 - t) * s * s) / variance;
  return (y - m) + gain * (x - ((1 - t) * m + t * y));
}

using Step = std::function<GaussianStep(const at::Tensor& x, const at::Tensor& v, double t, double next)>;

struct Gaussian {
  double mean, std;
};

// The chain's own distribution at time `stop` / `steps` under the exact velocity. All steps are affine in x, so a Gaussian stays one and
// two points tell where it goes: no sampling.
Gaussian run(int steps, double m, double s, double y, double kappa, const Step& step, int stop = 0) {
  Gaussian x{y, kappa};
  for (int k = steps; k > stop; --k) {
    const double t = static_cast<double>(k) / steps, next = static_cast<double>(k - 1) / steps;
    const at::Tensor points = at::tensor({0.0, 1.0}, at::kDouble);
    const GaussianStep to = step(points, exact_velocity(points, t, m, s, y, kappa), t, next);
    const double base = to.mean[0].item<double>(), gain = to.mean[1].item<double>() - base;
    x = {gain * x.mean + base, std::hypot(gain * x.std, to.std)};
  }
  return x;
}

}  // namespace

TEST_CASE("golden steps from pure noise: x = 1, v = -.5, t = .8 -> .6") {
  const at::Tensor x = number(1), v = number(-.5), y = number(0);
  const auto is = [](const GaussianStep& step, double mean, double std) {
    CHECK(step.mean.item<double>() == doctest::Approx(mean).epsilon(1e-6));
    CHECK(std::abs(step.std - std) < 1e-6);
  };
  is(sde_step(x, v, y, 1, .8, .6, flow_sde_sigma(.7, .8, .6)), .879500, .626099);
  is(sde_step(x, v, y, 1, .8, .6, .3), 1.089875, .134164);
  is(cps_step(x, v, y, 1, .8, .6, .7), .805155, .534604);
  is(ode_step(x, v, .8, .6), 1.1, 0);
  is(sde_step(x, v, y, 1, .8, .6, 0), 1.1, 0);
  CHECK(flow_sde_sigma(.7, 1, .75) == doctest::Approx(.7 * 2));
}

TEST_CASE("known spreads of a target of deviation .5 under the exact velocity, from pure noise") {
  const struct {
    std::string name;
    Step step;
    double spread[3];  // at 10, 40, 200 steps
  } cases[] = {
      {"ODE", [](auto& x, auto& v, double t, double next) { return ode_step(x, v, t, next); }, {.431, .482, .498}},
      {"Flow-SDE",
       [](auto& x, auto& v, double t, double next) { return sde_step(x, v, at::zeros_like(x), 1, t, next, flow_sde_sigma(.7, t, next)); },
       {.480, .497, .502}},
      {"Dance, no noise in the last step",
       [](auto& x, auto& v, double t, double next) {
         GaussianStep step = sde_step(x, v, at::zeros_like(x), 1, t, next, .3);
         if (next == 0) step.std = 0;
         return step;
       },
       {.431, .482, .496}},
      {"CPS",
       [](auto& x, auto& v, double t, double next) { return cps_step(x, v, at::zeros_like(x), 1, t, next, .7); },
       {.370, .408, .420}},
  };
  for (const auto& c : cases) {
    const int steps[] = {10, 40, 200};
    for (int i = 0; i < 3; ++i) {
      CAPTURE(c.name);
      CAPTURE(steps[i]);
      CHECK(std::abs(run(steps[i], 0, .5, 0, 1, c.step).std - c.spread[i]) < .002);
    }
  }
}

TEST_CASE("residual start: the score has y's centre and kappa's scale, so that every step keeps mean and spread of the data") {
  const double m = .7, s = .2, y = .4, kappa = .5;
  const auto centre = [&](const at::Tensor& x) { return at::full_like(x, y); };
  const Step steps[] = {
      [](auto& x, auto& v, double t, double next) { return ode_step(x, v, t, next); },
      [&](auto& x, auto& v, double t, double next) { return sde_step(x, v, centre(x), kappa, t, next, flow_sde_sigma(.7, t, next)); },
      [&](auto& x, auto& v, double t, double next) { return sde_step(x, v, centre(x), kappa, t, next, .3); },
  };
  for (const Step& step : steps) {
    const Gaussian out = run(200, m, s, y, kappa, step);
    CHECK(std::abs(out.mean - m) < .001);
    CHECK(std::abs(out.std - s) < .003);
  }
  // With the formula for a start from pure noise the mean drifts.
  const Gaussian wrong = run(200, m, s, y, kappa, [](auto& x, auto& v, double t, double next) {
    return sde_step(x, v, at::zeros_like(x), 1, t, next, flow_sde_sigma(.7, t, next));
  });
  CHECK(std::abs(wrong.mean - m) > .02);
}

TEST_CASE("the marginal at every time on the way is that of x_t = (1 - t) x0 + t (y + kappa e)") {
  const double m = .7, s = .2, y = .4, kappa = .5;
  for (const int stop : {160, 120, 80, 40}) {
    const double t = stop / 200.;
    const Gaussian x = run(
        200, m, s, y, kappa,
        [&](auto& at_t, auto& v, double now, double next) {
          return sde_step(at_t, v, at::full_like(at_t, y), kappa, now, next, flow_sde_sigma(.7, now, next));
        },
        stop);
    CAPTURE(t);
    CHECK(std::abs(x.mean - ((1 - t) * m + t * y)) < .001);
    CHECK(std::abs(x.std - std::hypot((1 - t) * s, t * kappa)) < .008);
  }
}

TEST_CASE("as a schedule: Euler's step of the ODE is the posterior's mean, and diffusing gives x_t") {
  const ResShiftSchedule s = flow_schedule(4, .5);
  CHECK(s.steps() == 4);
  const at::Tensor x0 = at::full({1, 1, 1, 1}, .3f), y = at::full({1, 1, 1, 1}, .8f), noise = at::full({1, 1, 1, 1}, 2.f);
  for (int64_t t = 1; t <= 4; ++t) {
    const double now = s.eta[t], next = s.eta[t - 1];
    const at::Tensor x_t = diffuse(s, x0, y, noise, at::tensor({t}));
    CHECK(x_t.item<double>() == doctest::Approx((1 - now) * .3 + now * (.8 + .5 * 2)));
    const at::Tensor guess = at::full({1, 1, 1, 1}, .35f);
    CHECK(posterior_mean(s, x_t, guess, t).item<double>() ==
          doctest::Approx(ode_step(x_t, flow_velocity(x_t, guess, now), now, next).mean.item<double>()));
    CHECK(posterior_std(s, t) == 0);
  }
}

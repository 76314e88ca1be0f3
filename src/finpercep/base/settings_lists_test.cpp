// SPDX-License-Identifier: Apache-2.0
// Fields of two numbers, and of names from a list.
#include <cmath>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/settings.h"

using namespace finpercep;

namespace {

struct Draws {
  std::array<double, 2> sigma = {0.5, 2}, betas = {0.9, 0.5};
  std::vector<std::string> kinds = {"box"};
  void visit(SettingsVisitor& v) {
    v.field("sigma", sigma, "blur, [low, high]", {.min = 0, .max = 10, .rising = true});
    v.field("betas", betas, "two decays", {.min = 0, .max = 1});
    v.choice("kinds", kinds, "families", {"box", "brush", "grid"});
  }
};

std::string refusal(const std::string& text) {
  Draws draws;
  try {
    load_settings(draws, text, "c.yaml");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::usage);
    CHECK((draws.sigma == Draws().sigma));
    CHECK((draws.kinds == Draws().kinds));
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("pairs and lists of names come back as they are written") {
  CHECK(to_yaml(Draws()) == "sigma: [0.5, 2]\nbetas: [0.9, 0.5]\nkinds: [box]\n");
  Draws draws;
  load_settings(draws, "sigma: [1, 1]\nbetas: [0.95, 0.1]\nkinds: [grid, brush]\n", "c.yaml", {"sigma=[1, 3.5]"});
  CHECK((draws.sigma == std::array{1.0, 3.5}));
  Draws back;
  load_settings(back, to_yaml(draws), "c.yaml");
  CHECK(to_yaml(back) == to_yaml(draws));
  draws.betas[1] = std::nan("");
  CHECK_THROWS_AS(to_yaml(draws), Error);
}

TEST_CASE("what is no pair, no rising one, or a name of another list is refused with place and path") {
  CHECK(refusal("sigma: [1]") == "config: c.yaml:1: sigma: expected two numbers, found 1. write [a, b]");
  CHECK(refusal("betas: [0.1, 0.2, 0.3]") == "config: c.yaml:1: betas: expected two numbers, found 3. write [a, b]");
  CHECK(refusal("sigma: [3, 1]") == "config: c.yaml:1: sigma: expected [low, high], found [3, 1]. swap the two numbers");
  CHECK(refusal("sigma: [1, 11]") == "config: c.yaml:1: sigma[1]: expected a number in 0 .. 10, found '11'");
  CHECK(refusal("sigma: 1") == "config: c.yaml:1: sigma: expected a list, found '1'. write [1]");
  CHECK(refusal("kinds: []") == "config: c.yaml:1: kinds: expected at least one of box, brush, grid, found none");
  CHECK(refusal("kinds: [box, brusk]") ==
        "config: c.yaml:1: kinds[1]: expected one of box, brush, grid, found 'brusk'. did you mean brush?");
}

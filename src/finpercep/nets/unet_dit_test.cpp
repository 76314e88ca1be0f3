// SPDX-License-Identifier: Apache-2.0
// What the two restoring nets promise alike, and the windows that the DiT attends in.
#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/nets/dit.h"
#include "finpercep/nets/test_formula_weights.h"
#include "finpercep/nets/unet.h"
#include "finpercep/nets/windows.h"

using namespace finpercep;

namespace {

struct SmallUNet : UNet {
  explicit SmallUNet(Params& params) : UNet(params, {.channels = {8, 16}, .blocks = 1, .unshuffle = 2}) {}
};
struct SmallDiT : DiT {
  explicit SmallDiT(Params& params) : DiT(params, {.width = 8, .depth = 2, .heads = 2, .window = 2, .patch = 2}) {}
};

void shake(const Params& params, double by) {
  at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : params.named()) tensor.add_(formula_noise(name, tensor.sizes()).to(tensor.scalar_type()) * by);
}

// N x rows x columns x C, a token at a time: who sees whom is decided by the windows' coordinates.
at::Tensor attend_slowly(const at::Tensor& qkv, int64_t side, int64_t heads, const at::Tensor& offsets, bool shifted) {
  const int64_t rows = qkv.size(1), columns = qkv.size(2), width = qkv.size(3) / 3, deep = width / heads, shift = shifted ? side / 2 : 0;
  const auto window = [&](int64_t at) { return (at + side - shift) / side; };
  at::Tensor out = at::zeros({qkv.size(0), rows, columns, width});
  for (int64_t n = 0; n < qkv.size(0); ++n)
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t x = 0; x < columns; ++x)
        for (int64_t h = 0; h < heads; ++h) {
          std::vector<at::Tensor> logits, values;
          for (int64_t v = 0; v < rows; ++v)
            for (int64_t u = 0; u < columns; ++u) {
              if (window(v) != window(y) || window(u) != window(x)) continue;
              const auto part = [&](int64_t row, int64_t column, int64_t which) {
                return qkv[n][row][column].narrow(0, which * width + h * deep, deep);
              };
              logits.push_back((part(y, x, 0) * part(v, u, 1)).sum() / std::sqrt(static_cast<double>(deep)) +
                               offsets[(y - v + side - 1) * (2 * side - 1) + x - u + side - 1][h]);
              values.push_back(part(v, u, 2));
            }
          out[n][y][x].narrow(0, h * deep, deep).copy_((at::softmax(at::stack(logits), 0).unsqueeze(1) * at::stack(values)).sum(0));
        }
  return out;
}

}  // namespace

TEST_CASE("a UNet needs channels in eights, and some") {
  for (const std::vector<int64_t>& channels : {std::vector<int64_t>{}, {16, 20}}) {
    Params params(0);
    CHECK_THROWS_AS(UNet(params, {.channels = channels}), Error);
  }
}

TEST_CASE_TEMPLATE("a fresh net returns its condition exactly; a shaken one does not, in the same shape", Net, SmallUNet, SmallDiT) {
  at::NoGradGuard no_grad;
  Params params(1);
  const Net net(params);
  CHECK(net.multiple() == 4);
  const at::Tensor x = formula_noise("x", {2, 3, 8, 12}), y = formula_noise("y", {2, 3, 8, 12}), t = at::tensor({0.25f, 1.0f});
  CHECK(at::equal(net(x, y, t), y));
  shake(params, 0.1);
  const at::Tensor out = net(x, y, t);
  CHECK((out.sizes() == y.sizes()));
  CHECK((out - y).abs().mean().template item<double>() > 1e-3);
  // Each of the three inputs matters, and pictures of a batch do not see each other.
  CHECK_FALSE(at::equal(net(x + 0.1, y, t), out));
  CHECK((net(x, y + 0.1, t) - 0.1 - out).abs().max().template item<double>() > 1e-4);
  CHECK_FALSE(at::equal(net(x, y, at::tensor({0.5f, 1.0f}))[0], out[0]));
  CHECK((net(x.narrow(0, 1, 1), y.narrow(0, 1, 1), t.narrow(0, 1, 1))[0] - out[1]).abs().max().template item<double>() < 1e-5);
  CHECK_THROWS(net(x.narrow(3, 0, 10), y.narrow(3, 0, 10), t));
}

TEST_CASE_TEMPLATE("gradients are those of finite differences", Net, SmallUNet, SmallDiT) {
  Params params(1);
  const Net net(params);
  shake(params, 0.1);
  params.to(at::kCPU, at::kDouble);
  params.require_grad(true);
  const auto noise = [](const std::string& name) { return formula_noise(name, {1, 3, 8, 8}).to(at::kDouble); };
  at::Tensor x = noise("x").requires_grad_(true);
  const at::Tensor y = noise("y"), t = at::tensor({0.5}, at::kDouble), out_weight = noise("weight");
  const auto loss = [&] { return (net(x, y, t) * out_weight).sum(); };
  loss().backward();
  NamedTensors watched = {{"x", x}};
  watched.insert(watched.end(), params.named().begin(), params.named().end());
  constexpr double step = 3e-3;  // the net's output is rounded to float32
  for (const auto& [name, tensor] : watched) {
    CAPTURE(name);
    REQUIRE(tensor.grad().defined());
    const at::Tensor direction =
        formula_noise("direction of " + name, tensor.sizes()).to(at::kDouble).div_(std::sqrt(static_cast<double>(tensor.numel())));
    const double expected = (tensor.grad() * direction).sum().template item<double>();
    at::NoGradGuard no_grad;
    tensor.add_(direction * step);
    const double above = loss().template item<double>();
    tensor.sub_(direction * (2 * step));
    const double below = loss().template item<double>();
    tensor.add_(direction * step);
    CHECK(std::abs((above - below) / (2 * step) - expected) < 5e-3 + 0.01 * std::abs(expected));
  }
}

TEST_CASE("attention in windows is that of the tokens of a window, shifted or not") {
  const at::Tensor qkv = formula_noise("qkv", {2, 8, 12, 12}), offsets = formula_noise("offsets", {window_offsets(4), 2});
  for (const bool shifted : {false, true}) {
    CAPTURE(shifted);
    const at::Tensor expected = attend_slowly(qkv, 4, 2, offsets, shifted), found = attend_in_windows(qkv, 4, 2, offsets, shifted);
    CHECK((found - expected).abs().max().item<double>() < 1e-5);
  }
}

TEST_CASE("a DiT that cannot be is refused by name") {
  Params params(1);
  CHECK_THROWS_WITH_AS(DiT(params, {.width = 10, .heads = 4}),
                       doctest::Contains("network_g.dit: expected a width that is a multiple of the heads, found 10 and 4"), Error);
  CHECK_THROWS_WITH_AS(DiT(params, {.window = 3}), doctest::Contains("network_g.dit.window: expected an even number, found 3"), Error);
}

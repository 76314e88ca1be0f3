// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/inception.h"

#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

using Block = Inception::Block;
using Pool = Inception::Pool;
using Unit = Inception::Unit;

constexpr double bn_eps = 1e-3;

struct Builder {
  Params& params;
  std::string block;  // "Mixed_5b."

  Unit unit(const std::string& name, int64_t in, int64_t out, std::array<int64_t, 2> kernel, std::array<int64_t, 2> padding = {0, 0},
            int64_t stride = 1) const {
    return {block + name, params.constant(block + name + ".weight", {out, in, kernel[0], kernel[1]}, 0),
            params.constant(block + name + ".bias", {out}, 0), stride, padding};
  }
  Unit one(const std::string& name, int64_t in, int64_t out) const { return unit(name, in, out, {1, 1}); }
  Unit three(const std::string& name, int64_t in, int64_t out) const { return unit(name, in, out, {3, 3}, {1, 1}); }
  Unit halving(const std::string& name, int64_t in, int64_t out) const { return unit(name, in, out, {3, 3}, {0, 0}, 2); }
  Unit wide(const std::string& name, int64_t in, int64_t out, int64_t n) const { return unit(name, in, out, {1, n}, {0, n / 2}); }
  Unit tall(const std::string& name, int64_t in, int64_t out, int64_t n) const { return unit(name, in, out, {n, 1}, {n / 2, 0}); }
};

// The letters are those of the TensorFlow and torchvision sources.
Block block_a(const Builder& b, int64_t in, int64_t pooled) {
  return {{Pool::none, {b.one("branch1x1", in, 64)}, {}},
          {Pool::none, {b.one("branch5x5_1", in, 48), b.unit("branch5x5_2", 48, 64, {5, 5}, {2, 2})}, {}},
          {Pool::none, {b.one("branch3x3dbl_1", in, 64), b.three("branch3x3dbl_2", 64, 96), b.three("branch3x3dbl_3", 96, 96)}, {}},
          {Pool::average, {b.one("branch_pool", in, pooled)}, {}}};
}
Block block_b(const Builder& b, int64_t in) {
  return {{Pool::none, {b.halving("branch3x3", in, 384)}, {}},
          {Pool::none, {b.one("branch3x3dbl_1", in, 64), b.three("branch3x3dbl_2", 64, 96), b.halving("branch3x3dbl_3", 96, 96)}, {}},
          {Pool::max_halved, {}, {}}};
}
Block block_c(const Builder& b, int64_t in, int64_t mid) {
  return {{Pool::none, {b.one("branch1x1", in, 192)}, {}},
          {Pool::none, {b.one("branch7x7_1", in, mid), b.wide("branch7x7_2", mid, mid, 7), b.tall("branch7x7_3", mid, 192, 7)}, {}},
          {Pool::none,
           {b.one("branch7x7dbl_1", in, mid), b.tall("branch7x7dbl_2", mid, mid, 7), b.wide("branch7x7dbl_3", mid, mid, 7),
            b.tall("branch7x7dbl_4", mid, mid, 7), b.wide("branch7x7dbl_5", mid, 192, 7)},
           {}},
          {Pool::average, {b.one("branch_pool", in, 192)}, {}}};
}
Block block_d(const Builder& b, int64_t in) {
  return {{Pool::none, {b.one("branch3x3_1", in, 192), b.halving("branch3x3_2", 192, 320)}, {}},
          {Pool::none,
           {b.one("branch7x7x3_1", in, 192), b.wide("branch7x7x3_2", 192, 192, 7), b.tall("branch7x7x3_3", 192, 192, 7),
            b.halving("branch7x7x3_4", 192, 192)},
           {}},
          {Pool::max_halved, {}, {}}};
}
Block block_e(const Builder& b, int64_t in, Pool pool) {
  return {{Pool::none, {b.one("branch1x1", in, 320)}, {}},
          {Pool::none, {b.one("branch3x3_1", in, 384)}, {b.wide("branch3x3_2a", 384, 384, 3), b.tall("branch3x3_2b", 384, 384, 3)}},
          {Pool::none,
           {b.one("branch3x3dbl_1", in, 448), b.three("branch3x3dbl_2", 448, 384)},
           {b.wide("branch3x3dbl_3a", 384, 384, 3), b.tall("branch3x3dbl_3b", 384, 384, 3)}},
          {pool, {b.one("branch_pool", in, 192)}, {}}};
}

at::Tensor pool(Pool kind, const at::Tensor& x) {
  switch (kind) {
    case Pool::none:
      return x;
    case Pool::average:
      return at::avg_pool2d(x, 3, 1, 1, false, false);
    case Pool::max:
      return at::max_pool2d(x, 3, 1, 1);
    case Pool::max_halved:
      return at::max_pool2d(x, 3, 2);
  }
  return x;
}

}  // namespace

at::Tensor Inception::Unit::operator()(const at::Tensor& x) const {
  return at::conv2d(x, weight, bias, at::IntArrayRef(stride), at::IntArrayRef(padding)).relu_();
}

Inception::Inception(Params& params) {
  const Builder stem{params, ""};
  blocks.push_back(
      {{Pool::none,
        {stem.halving("Conv2d_1a_3x3", 3, 32), stem.unit("Conv2d_2a_3x3", 32, 32, {3, 3}), stem.three("Conv2d_2b_3x3", 32, 64)},
        {}}});
  blocks.push_back({{Pool::max_halved, {stem.one("Conv2d_3b_1x1", 64, 80), stem.unit("Conv2d_4a_3x3", 80, 192, {3, 3})}, {}}});
  blocks.push_back({{Pool::max_halved, {}, {}}});
  blocks.push_back(block_a({params, "Mixed_5b."}, 192, 32));
  blocks.push_back(block_a({params, "Mixed_5c."}, 256, 64));
  blocks.push_back(block_a({params, "Mixed_5d."}, 288, 64));
  blocks.push_back(block_b({params, "Mixed_6a."}, 288));
  blocks.push_back(block_c({params, "Mixed_6b."}, 768, 128));
  blocks.push_back(block_c({params, "Mixed_6c."}, 768, 160));
  blocks.push_back(block_c({params, "Mixed_6d."}, 768, 160));
  blocks.push_back(block_c({params, "Mixed_6e."}, 768, 192));
  blocks.push_back(block_d({params, "Mixed_7a."}, 768));
  blocks.push_back(block_e({params, "Mixed_7b."}, 1280, Pool::average));
  blocks.push_back(block_e({params, "Mixed_7c."}, features, Pool::max));
}

at::Tensor Inception::operator()(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) == side && image.size(-2) == side, "Inception: expected sides of ", side, ", found ", image.sizes());
  at::Tensor x = image;
  for (const Block& block : blocks) {
    std::vector<at::Tensor> outputs;
    for (const Branch& branch : block) {
      at::Tensor h = pool(branch.pool, x);
      for (const Unit& unit : branch.chain) h = unit(h);
      if (branch.heads.empty()) outputs.push_back(h);
      for (const Unit& head : branch.heads) outputs.push_back(head(h));
    }
    x = outputs.size() == 1 ? outputs[0] : at::cat(outputs, 1);
  }
  return x.mean({2, 3});
}

void load_inception(const Inception& net, const TensorFile& file, const std::string& where) {
  for (const Block& block : net.blocks)
    for (const Inception::Branch& branch : block)
      for (const auto* units : {&branch.chain, &branch.heads})
        for (const Unit& unit : *units) load_folded({unit.weight, unit.bias}, file, where, unit.name + ".conv", unit.name + ".bn", bn_eps);
}

}  // namespace finpercep

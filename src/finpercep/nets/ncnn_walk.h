// SPDX-License-Identifier: Apache-2.0
// Takes the weights of a net out of an ncnn graph by doing the net's own forward pass on the graph: each step asks for the layer of the
// right kind on the right inputs, checks its parameters and shapes, and copies its weights. A graph that computes something else is
// refused.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "finpercep/base/ncnn.h"
#include "finpercep/nets/blocks.h"

namespace finpercep {

class NcnnWalk {  // the graph must outlive it
 public:
  using Blob = std::string;
  /// model_error naming `where` from here on.
  NcnnWalk(const NcnnGraph& graph, std::string where);

  Blob input() const { return input_; }
  /// Stride 1, same padding, with bias; followed by a leaky ReLU of this slope unless it is 1.
  Blob conv(const Blob& x, const Conv& to, double slope = 1);
  Blob prelu(const Blob& x, const at::Tensor& slopes);
  Blob concat(const std::vector<Blob>& parts);
  Blob add(const Blob& a, const Blob& b);
  /// scale a + b.
  Blob scaled_add(const Blob& a, double scale, const Blob& b);
  Blob nearest(const Blob& x, int factor);
  Blob pixel_shuffle(const Blob& x, int factor);
  /// `out` must be what the graph gives, and every layer must have been used.
  void finish(const Blob& out) const;

 private:
  const NcnnLayer& take(const std::string& type, const std::vector<Blob>& inputs);
  void expect(const NcnnLayer& layer, const std::string& what, double expected, double found) const;
  void copy(const NcnnLayer& layer, std::size_t which, const at::Tensor& to) const;

  std::string where_;
  Blob input_;
  std::map<std::string, const NcnnLayer*> layers_;  // not used yet, by type and inputs, Splits seen through
};

/// How many layers are of this type: what tells the depth of a net.
int64_t layer_count(const NcnnGraph& graph, const std::string& type);

}  // namespace finpercep

// SPDX-License-Identifier: Apache-2.0
// What nets with published weights share: where the files are, the statistics of the pictures they were trained on, and batch normalisation
// folded into convolutions.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "finpercep/nets/blocks.h"

namespace finpercep {

/// The folder of converted weights: FINPERCEP_CACHE, else XDG_CACHE_HOME/finpercep, else ~/.cache/finpercep.
std::filesystem::path weight_cache();

struct PretrainedWeights {
  const char* name;       ///< NAME.safetensors in the cache
  const char* published;  ///< the file that the user supplies, where no package registry carries it: "RN50.pt of OpenAI CLIP"; else ""
};
/// All that any net asks for, by name.
const std::vector<PretrainedWeights>& pretrained_weights();

/// NAME.safetensors of pretrained_weights() in the cache. model_error, when absent, with the command that fetches it, or the file to supply
/// and the command that converts it.
std::filesystem::path weight_file(const std::string& name);

/// NAME.param (NAME.bin lies beside it) in the weight cache. model_error with the command that fetches it when absent.
std::filesystem::path ncnn_weight_file(const std::string& name);

/// The tensor `name` of `file` in float32; model_error naming `where` and the tensor when it is missing or of another shape.
at::Tensor tensor_of(const TensorFile& file, const std::string& where, const std::string& name, at::IntArrayRef shape);

/// The mean and the deviation of each channel of RGB in [0,1], 1 x 3 x 1 x 1 in float32: such a net takes (x - mean) / deviation.
struct ChannelStatistics {
  at::Tensor mean, deviation;
};
ChannelStatistics imagenet_statistics(at::Device device);
ChannelStatistics clip_statistics(at::Device device);

/// Copies the convolution CONV.weight and the batch normalisation BN.{weight,bias,running_mean,running_var} after it into one convolution.
void load_folded(const Conv& conv, const TensorFile& file, const std::string& where, const std::string& conv_name,
                 const std::string& bn_name, double eps);

}  // namespace finpercep

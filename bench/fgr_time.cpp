// SPDX-License-Identifier: Apache-2.0
// fgr_time CONFIG [CROPS=8]: CPU milliseconds of each stage of an FGR build on one thread, and what a sample costs by the config's weights.
#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>

#include "finpercep/fgr/shards.h"
#include "finpercep/image/tensor.h"

using namespace finpercep;

namespace {

template <class Work>
double milliseconds(const Work& work) {
  const std::clock_t start = std::clock();
  work();
  return 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "fgr_time: expected CONFIG [CROPS]\n"), 2;
  const int crops = argc > 2 ? std::atoi(argv[2]) : 8;
  FgrSettings settings;
  load_settings(settings, read_config_text(argv[1]), argv[1]);
  settings.label.scale = 0.3;
  at::set_num_threads(1);
  at::NoGradGuard no_grad;
  const FgrBuilder builder(settings);
  const PhotoSet& photos = builder.photos();
  const Compute compute = resolve_compute(settings.device, settings.dtype);
  const auto sources =
      make_sources(settings.sources, photos, {settings.degradation, settings.strong_degradation, settings.strong_prob}, compute);
  std::vector<double> weights = settings.source_weights.empty() ? std::vector<double>(sources.size(), 1.0) : settings.source_weights;
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);

  double made = 0;
  std::vector<Image> pictures;
  for (std::size_t k = 0; k < sources.size(); ++k) {
    double spent = 0;
    for (int i = 0; i <= crops; ++i) {  // the first warms up
      Random random(1, "fgr_time", static_cast<uint64_t>(i));
      const PhotoCrop crop = photos.random_crop(static_cast<int>(settings.size), random);
      const Image gt = photos.cut(crop);
      SourcePicture picture;
      const double took = milliseconds([&] { picture = sources[k].make({crop, gt, 1, static_cast<uint64_t>(i)}); });
      if (i > 0) spent += took;
      if (pictures.size() < 6) pictures.push_back(picture.image);
    }
    std::printf("I_SR by %-72s %8.1f ms\n", settings.sources[k].c_str(), spent / crops);
    made += spent / crops * weights[k] / sum;
  }

  const LabelFeatures features(compute.device, settings.label.features);
  const MixedPrecision precision(compute.device, compute.dtype);
  const at::Tensor batch = to_batch(pictures);
  features.maps(batch);
  double maps = 0;
  for (int i = 0; i < crops; ++i) maps += milliseconds([&] { features.maps(batch); });
  maps /= crops * static_cast<double>(batch.size(0));
  std::printf("features of a picture (%s) %56.1f ms\n", settings.label.features.c_str(), maps);

  double mask = 0;
  for (int i = 0; i < 10 * crops; ++i) {
    Random random(2, "fgr_time", static_cast<uint64_t>(i));
    mask += milliseconds([&] {
      random_mask(settings.masks.kinds[i % settings.masks.kinds.size()], static_cast<int>(settings.size), static_cast<int>(settings.size),
                  settings.masks, random);
    });
  }
  mask /= 10 * crops;
  std::printf("a random mask %80.1f ms\n", mask);

  std::vector<FgrSample> samples;
  double whole = 0, encode = 0;
  int count = 0;
  for (int i = 0; i <= crops; ++i) {
    const double took = milliseconds([&] { samples = builder.samples_of(i); });
    const double written = milliseconds([&] { encode_samples(samples); });
    if (i == 0) continue;
    whole += took;
    encode += written;
    count += static_cast<int>(samples.size());
  }
  std::printf("encoding a sample %76.1f ms\n", encode / count);

  const double per_crop = static_cast<double>(settings.samples_per_crop), of_sources = static_cast<double>(settings.sources_per_crop);
  std::printf(
      "a sample: I_SR %.1f + features %.1f + masks %.1f + encoding %.1f ms by these parts; measured whole, with encoding: %.1f ms\n",
      made * of_sources / per_crop, maps * (1 + of_sources + per_crop) / per_crop, mask * static_cast<double>(settings.mask_candidates),
      encode / count, (whole + encode) / count);
}

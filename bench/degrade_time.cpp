// SPDX-License-Identifier: Apache-2.0
// degrade_time PHOTOS SIDE COUNT: CPU seconds a picture of the default degradation on central crops; for compare_degrade.py.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "finpercep/degrade/pipeline.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"

using namespace finpercep;

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "degrade_time: expected PHOTOS SIDE COUNT\n"), 2;
  const int side = std::atoi(argv[2]), count = std::atoi(argv[3]);
  std::vector<Image> photos;
  for (const auto& path : list_images({argv[1]})) {
    const Image photo = read_image(path);
    if (photo.width >= side && photo.height >= side)
      photos.push_back(crop(photo, (photo.width - side) / 2, (photo.height - side) / 2, side, side));
    if (photos.size() == 16) break;
  }
  if (photos.empty() || count < 1) return std::fprintf(stderr, "degrade_time: expected pictures of at least %d pixels a side\n", side), 3;
  double sum = 0;
  const auto run = [&](const char* purpose, int times) {
    for (int i = 0; i < times; ++i) sum += degrade(photos[i % photos.size()], {}, Random(0, purpose, i)).data[0];
  };
  run("warm up", 16);
  const std::clock_t start = std::clock();
  run("bench", count);
  std::printf("%.9f seconds a picture (checksum %g)\n", static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC / count, sum);
}

// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/photos.h"

#include <doctest/doctest.h>

#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;

TEST_CASE("centre pairs: the first photographs' centres, each degraded by the stream of its number") {
  const TestFolder folder;
  write_image(folder / "a.png", test::photo(80, 70));
  write_image(folder / "b.png", test::photo(66, 41));  // smaller than the side, and no multiple of the scale
  write_image(folder / "c.png", test::photo(90, 90));
  const PhotoSet photos({.photos = {folder.path().string()}}, 32);
  const DegradeSettings degradation;
  const auto pairs = centre_pairs(photos, 2, 50, degradation, 3, "photos_test");
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].gt.data == photos.centre_crop(0, 48, 48).data);
  CHECK(pairs[1].gt.data == crop(photos.centre_crop(1, 48, 48), 0, 0, 48, 40).data);
  for (std::size_t i = 0; i < pairs.size(); ++i)
    CHECK(pairs[i].lr.data == degrade(pairs[i].gt, degradation, Random(3, "photos_test", i)).data);
  CHECK(centre_pairs(photos, 9, 50, degradation, 3, "photos_test").size() == 3);
}

TEST_CASE("photographs that do not fit into memory are cut as those that do") {
  const TestFolder folder;
  write_image(folder / "a.png", test::photo(80, 70));
  write_image(folder / "b.png", test::photo(66, 41));
  const PhotoSettings settings{.photos = {folder.path().string()}};
  const PhotoSet kept(settings, 32), spilled(settings, 32, 0, 0);
  for (int64_t i : {0, 1}) CHECK(kept.photo(i).data == spilled.photo(i).data);
}

TEST_CASE("training pairs: LR is made of the varied photograph, which has 8 bits; without variation the photograph is as it was") {
  const TestFolder folder;
  write_image(folder / "a.png", test::photo(80, 70));
  const PhotoSet photos({.photos = {folder.path().string()}}, 32);
  const DegradeSettings degradation;
  const VariationSettings soft{.prob = 1, .kinds = {"soften"}, .soften = {1, 1}};
  for (uint64_t i = 0; i < 3; ++i) {
    const TrainingPair plain = make_pair(photos, {}, degradation, 32, 5, i), varied = make_pair(photos, soft, degradation, 32, 5, i);
    Random random(5, "crop", i);
    CHECK(plain.gt.data == photos.cut(photos.random_crop(32, random)).data);
    CHECK(varied.gt.data == rounded_to_bytes(vary(plain.gt, "soften", soft, random))
                                .data);  // as a file of it. a width that is no range draws alike from any stream
    for (const TrainingPair* pair : {&plain, &varied}) CHECK(pair->lr.data == degrade(pair->gt, degradation, Random(5, "degrade", i)).data);
  }
}

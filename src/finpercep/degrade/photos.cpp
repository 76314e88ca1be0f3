// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/photos.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"

namespace finpercep {

std::set<std::string> stems_in(const std::string& path) {
  std::set<std::string> stems;
  if (path.empty()) return stems;
  std::error_code none;
  if (!std::filesystem::exists(path, none))
    throw input_error(
        fmt::format("photos: {}: expected the file of stems that exclude or only names, found none. give another, or leave "
                    "it empty: KEY.exclude= KEY.only=",
                    path));
  std::istringstream lines(read_text_file(path));
  for (std::string line; std::getline(lines, line);) {
    line.insert(0, 1, ' ');
    for (const char* remark : {" #", "\t#"}) line.erase(std::min(line.find(remark), line.size()));
    const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
    while (!line.empty() && blank(line.back())) line.pop_back();
    line.erase(0, std::ranges::find_if_not(line, blank) - line.begin());
    if (!line.empty()) stems.insert(line);
  }
  return stems;
}

void PhotoSettings::visit(SettingsVisitor& v) {
  v.field("photos", photos, "clean photographs: files, folders, globs");
  v.field("exclude", exclude, "text file with one stem a line: these photographs stay out (the validation split)");
  v.field("only", only, "text file with one stem a line: only these photographs are taken");
  v.field("max_side", max_side, "larger photographs are reduced to this side, pixels", {.min = 64, .max = 65535});
  v.field("strict", strict, "a photograph that cannot be read or is too small is an error instead of being skipped");
}

namespace {

std::vector<std::filesystem::path> listed_photos(const PhotoSettings& settings) {
  if (settings.photos.empty())
    throw usage_error(
        "photos: expected at least one file or folder, found none. name them in the config, or for training by --set "
        "datasets.photos.photos=[DIR] (train reward, fgr build: see --print-config)");
  return list_images(settings.photos);
}

// Those that exclude and only leave.
std::vector<std::filesystem::path> chosen_photos(std::vector<std::filesystem::path> paths, const PhotoSettings& settings) {
  const std::size_t listed = paths.size();
  const auto excluded = stems_in(settings.exclude);
  std::erase_if(paths, [&](const auto& path) { return excluded.contains(path.stem().string()); });
  if (!settings.only.empty()) {
    const auto only = stems_in(settings.only);
    std::erase_if(paths, [&](const auto& path) { return !only.contains(path.stem().string()); });
  }
  if (paths.empty())
    throw input_error(fmt::format("photos: {}: expected photographs, found {} files whose stems {} all leave out. change exclude or only",
                                  settings.photos[0], listed,
                                  settings.only.empty() ? settings.exclude : settings.exclude + " " + settings.only));
  return paths;
}

}  // namespace

std::vector<std::filesystem::path> photo_files(const PhotoSettings& settings) { return chosen_photos(listed_photos(settings), settings); }

std::vector<std::filesystem::path> trained_on(const PhotoSettings& held_out, const PhotoSettings& training) {
  const auto facts = [](const std::filesystem::path& path) {  // of a copy elsewhere too
    std::error_code none;
    return std::pair(path.filename().string(), std::filesystem::file_size(path, none));
  };
  std::set<std::filesystem::path> known;
  std::set<std::pair<std::string, std::uintmax_t>> copies;
  for (const auto& path : photo_files(training)) {
    known.insert(std::filesystem::weakly_canonical(path));
    copies.insert(facts(path));
  }
  std::vector<std::filesystem::path> both = photo_files(held_out);
  std::erase_if(
      both, [&](const auto& path) { return !known.contains(std::filesystem::weakly_canonical(path)) && !copies.contains(facts(path)); });
  return both;
}

void PhotoSet::read(const std::vector<std::filesystem::path>& paths, const PhotoSettings& settings, int min_side) {
  std::vector<std::optional<Photo>> found(paths.size());
  std::vector<std::string> problems(paths.size());
  std::optional<Progress> progress;
  if (paths.size() >= 200) progress.emplace("photographs", static_cast<int64_t>(paths.size()));  // fewer are a matter of seconds
  parallel_for(static_cast<int64_t>(paths.size()), 0, [&](int64_t i) {
    stop_if_interrupted("photographs were being read, nothing has begun");
    if (progress) progress->advance();
    try {
      Image image = read_image(paths[i]);
      const int side = std::max(image.width, image.height);
      if (side > settings.max_side) {
        const double scale = static_cast<double>(settings.max_side) / side;
        image = resize(image, static_cast<int>(std::lround(image.width * scale)), static_cast<int>(std::lround(image.height * scale)),
                       Resize::area);
      }
      if (std::min(image.width, image.height) < min_side) {
        problems[i] = fmt::format("photo: {}: expected at least {} pixels a side, found {} x {}", paths[i].string(), min_side, image.width,
                                  image.height);
        return;
      }
      uint8_t* pixels = pixels_.take(image.data.size());
      for (std::size_t k = 0; k < image.data.size(); ++k)
        pixels[k] = static_cast<uint8_t>(std::lround(std::clamp(image.data[k], 0.0f, 1.0f) * 255));
      found[i] = Photo{paths[i].stem().string(), image.width, image.height, pixels};
    } catch (const WriteError&) {
      throw;  // no fault of this photograph
    } catch (const Error& error) {
      problems[i] = error.what();
    }
  });
  for (std::string& problem : problems) {
    if (problem.empty()) continue;
    if (settings.strict) throw input_error(problem + ". leave it out, or set photos.strict=false");
    log_warning(problem + ". skipped");
    skipped_.push_back(std::move(problem));
  }
  for (auto& photo : found)
    if (photo) photos_.push_back(std::move(*photo));
}

PhotoSet::PhotoSet(const PhotoSettings& settings, int min_side, int64_t most, uint64_t memory) : pixels_(memory) {
  const std::vector<std::filesystem::path> listed = listed_photos(settings), paths = chosen_photos(listed, settings);
  const auto count = static_cast<int64_t>(paths.size());
  if (paths.size() < listed.size())
    log_info(
        fmt::format("photos: {} of {} are used; exclude or only leave out {}", paths.size(), listed.size(), listed.size() - paths.size()));
  for (int64_t first = 0; first < count && (most == 0 || size() < most);) {
    const int64_t wanted = most == 0 ? count : std::min(count - first, most - size());
    read({paths.begin() + first, paths.begin() + first + wanted}, settings, min_side);
    first += wanted;
  }
  if (photos_.empty())
    throw input_error(fmt::format("photos: {}: expected photographs of at least {} pixels a side, found none among {} files",
                                  settings.photos[0], min_side, paths.size()));
  if (pixels_.spilled() > 0)
    log_info(fmt::format("photos: {}; beyond {:.1f} GiB they lie in a file of {:.1f} GiB under $TMPDIR or /var/tmp", size(),
                         static_cast<double>(memory) / (1 << 30), static_cast<double>(pixels_.spilled()) / (1 << 30)));
  double smallest = 1e18;
  for (const Photo& photo : photos_) smallest = std::min(smallest, static_cast<double>(photo.width) * photo.height);
  for (const Photo& photo : photos_) weights_.push_back(std::min(static_cast<double>(photo.width) * photo.height, 4 * smallest));
}

void check_names_differ(const PhotoSet& photos, const std::string& what) {
  std::set<std::string> known;
  for (int64_t i = 0; i < photos.size(); ++i)
    if (!known.insert(photos.name(i)).second)
      throw usage_error(
          fmt::format("{}: expected photographs of different names, by which their pictures are found, found '{}' twice. rename one", what,
                      photos.name(i)));
}

Image PhotoSet::cut(const Photo& photo, int x, int y, int width, int height) const {
  Image out(width, height);
  for (int c = 0; c < 3; ++c)
    for (int row = 0; row < height; ++row) {
      const uint8_t* from = photo.data + (static_cast<std::size_t>(c) * photo.height + y + row) * photo.width + x;
      float* to = out.plane(c) + static_cast<std::size_t>(row) * width;
      for (int i = 0; i < width; ++i) to[i] = static_cast<float>(from[i]) / 255.0f;
    }
  return out;
}

Image PhotoSet::photo(int64_t index) const {
  const Photo& photo = photos_[index];
  return cut(photo, 0, 0, photo.width, photo.height);
}

PhotoCrop PhotoSet::random_crop(int size, Random& random) const {
  const auto photo = static_cast<int64_t>(random.pick(weights_));
  return random_crop(photo, size, random);
}

PhotoCrop PhotoSet::random_crop(int64_t photo, int size, Random& random) const {
  PhotoCrop crop{.photo = photo, .size = size};
  crop.x = static_cast<int>(random.integer(0, width(crop.photo) - size));
  crop.y = static_cast<int>(random.integer(0, height(crop.photo) - size));
  crop.mirrored = random.chance(0.5);
  return crop;
}

Image PhotoSet::cut(const PhotoCrop& crop) const {
  const Image image = cut(photos_[crop.photo], crop.x, crop.y, crop.size, crop.size);
  return crop.mirrored ? flip_horizontal(image) : image;
}

Image PhotoSet::centre_crop(int64_t index, int width, int height) const {
  const Photo& photo = photos_[index];
  width = std::min(width, photo.width);
  height = std::min(height, photo.height);
  return cut(photo, (photo.width - width) / 2, (photo.height - height) / 2, width, height);
}

TrainingPair make_pair(const PhotoSet& photos, const VariationSettings& variation, const DegradeSettings& degradation, int gt_size,
                       uint64_t seed, uint64_t index) {
  Random random(seed, "crop", index);
  TrainingPair pair;
  pair.gt = photos.cut(photos.random_crop(gt_size, random));
  if (const std::string kind = draw_variation(variation, random); !kind.empty())
    pair.gt = rounded_to_bytes(vary(pair.gt, kind, variation, random));  // as a file of it, and as the pictures it is compared with
  pair.lr = degrade(pair.gt, degradation, Random(seed, "degrade", index));
  return pair;
}

std::vector<TrainingPair> centre_pairs(const PhotoSet& photos, int64_t count, int side, const DegradeSettings& degradation, uint64_t seed,
                                       std::string_view purpose) {
  const int scale = static_cast<int>(degradation.scale);
  std::vector<TrainingPair> pairs;
  for (int64_t i = 0; i < std::min(count, photos.size()); ++i) {
    const Image full = photos.centre_crop(i, side / scale * scale, side / scale * scale);
    Image gt = crop(full, 0, 0, full.width / scale * scale, full.height / scale * scale);  // the photograph may be smaller than the side
    Image lr = degrade(gt, degradation, Random(seed, purpose, static_cast<uint64_t>(i)));
    pairs.push_back({std::move(gt), std::move(lr)});
  }
  return pairs;
}

}  // namespace finpercep

// SPDX-License-Identifier: Apache-2.0
#include <cstdio>  // before jpeglib.h, which uses FILE

#include <jpeglib.h>

#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <new>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {
namespace {

constexpr char kFormat[] = "JPEG";

struct Errors {
  jpeg_error_mgr manager;  // first: libjpeg hands out a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto& errors = *reinterpret_cast<Errors*>(info->err);
  (*info->err->format_message)(info, errors.message);
  std::longjmp(errors.jump, 1);
}

// libjpeg calls damage a warning and fills the rest with gray. Here damage is an error.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // a trace
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
      // Cameras pad before the end mark; a long stretch inside the scans is picture data that the decoder lost its way in.
      if (info->is_decompressor && reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > 0 && info->err->msg_parm.i[0] > 64) break;
      return;
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:  // odd spectral limits in a baseline header; they are not used
      return;
    default:
      break;
  }
  on_error(info);
}

void no_output(j_common_ptr) {}

void use(Errors& errors, j_common_ptr info) {
  info->err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = on_error;
  errors.manager.emit_message = on_message;
  errors.manager.output_message = no_output;
}

// libjpeg tells of memory as of a damaged file.
void stop_if_memory_ran_out(const Errors& errors) {
  if (errors.manager.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
}

struct Reader {
  jpeg_decompress_struct info = {};
  Errors errors;
  jpeg_progress_mgr progress = {};
  std::vector<uint8_t> row;
  Image image;
  int orientation = 1;

  Reader() { use(errors, reinterpret_cast<j_common_ptr>(&info)); }
  ~Reader() { jpeg_destroy_decompress(&info); }
};

// A progressive file may hold any number of scans over all blocks, at a few bytes each. Cameras and encoders write about ten.
void limit_scans(j_common_ptr common) {
  const auto* info = reinterpret_cast<j_decompress_ptr>(common);
  const int64_t blocks = (int64_t{info->image_width} + 7) / 8 * ((int64_t{info->image_height} + 7) / 8);
  const int64_t limit = std::clamp<int64_t>((int64_t{1} << 28) / (blocks * std::max(1, info->num_components)), 30, 500);
  if (info->input_scan_number > limit) {
    auto& errors = *reinterpret_cast<Errors*>(common->err);
    std::snprintf(errors.message, sizeof errors.message, "more than %d scans", static_cast<int>(limit));
    std::longjmp(errors.jump, 1);
  }
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    if (marker->marker != JPEG_APP0 + 1 || marker->data_length < 6 || std::memcmp(marker->data, "Exif\0\0", 6) != 0) continue;
    return exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)));
  }
  return 1;
}

// In place, four samples to three, as PIL's convert("RGB"): Adobe stores ink upside down, and so does every CMYK JPEG met in practice.
void cmyk_to_rgb(uint8_t* row, int width) {
  for (int x = 0; x < width; ++x) {
    const int light = row[4 * x + 3];  // 255 - black
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - row[4 * x + c]) * light + 128;
      row[3 * x + c] = static_cast<uint8_t>(light - (((product >> 8) + product) >> 8));
    }
  }
}

// libjpeg leaves by longjmp: nothing here may own memory, all that does lies in the reader.
bool decode(Reader& reader, std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits) {
  jpeg_decompress_struct& info = reader.info;
  if (setjmp(reader.errors.jump) != 0) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&info, TRUE);
  check_size(kFormat, info.image_width, info.image_height, where, limits);
  // With Huffman codes a block takes at least a bit, so this refuses a huge picture of a few bytes before its memory is taken.
  const uint64_t blocks = (uint64_t{info.image_width} + 7) / 8 * ((uint64_t{info.image_height} + 7) / 8);
  if (!info.arith_code && bytes.size() * 8 < blocks) throw corrupt_error(kFormat, where, "too little picture data, the file is cut");
  reader.orientation = orientation_of(info);
  switch (info.num_components) {
    case 1:
      info.out_color_space = JCS_GRAYSCALE;
      break;
    case 3:
      info.out_color_space = JCS_RGB;
      break;
    case 4:
      info.out_color_space = JCS_CMYK;
      break;
    default:
      std::snprintf(reader.errors.message, sizeof reader.errors.message, "%d colour components", info.num_components);
      return false;
  }
  reader.progress.progress_monitor = limit_scans;
  info.progress = &reader.progress;
  jpeg_start_decompress(&info);
  const auto width = static_cast<int>(info.output_width);
  const auto height = static_cast<int>(info.output_height);
  const int step = info.output_components;
  reader.image = Image(width, height, step == 1 ? 1 : 3);
  reader.row.resize(static_cast<std::size_t>(width) * step);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = reader.row.data();
    const auto y = static_cast<int>(info.output_scanline);
    if (jpeg_read_scanlines(&info, &row, 1) != 1) return false;
    if (step == 4) cmyk_to_rgb(row, width);
    fill_row(reader.image, y, row, step == 4 ? 3 : step);
  }
  jpeg_finish_decompress(&info);  // reads up to the end mark: a file without one is cut
  return true;
}

struct Writer {
  jpeg_compress_struct info = {};
  Errors errors;
  unsigned char* data = nullptr;
  unsigned long size = 0;
  std::vector<uint8_t> row;

  Writer() { use(errors, reinterpret_cast<j_common_ptr>(&info)); }
  ~Writer() {
    jpeg_destroy_compress(&info);
    std::free(data);
  }
};

bool encode(Writer& writer, const Image& image, int quality, bool subsample_420) {
  jpeg_compress_struct& info = writer.info;
  if (setjmp(writer.errors.jump) != 0) return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.data, &writer.size);
  info.image_width = image.width;
  info.image_height = image.height;
  info.input_components = image.channels;
  info.in_color_space = image.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  if (image.channels == 3 && !subsample_420) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < image.height; ++y) {
    pack_row(image, y, writer.row.data());
    JSAMPROW row = writer.row.data();
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

Decoded decode_jpeg(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits) {
  Reader reader;
  if (!decode(reader, bytes, where, limits)) {
    stop_if_memory_ran_out(reader.errors);
    throw corrupt_error(kFormat, where, reader.errors.message);
  }
  return {std::move(reader.image), reader.orientation};
}

}  // namespace finpercep::codec

namespace finpercep {

std::vector<std::byte> encode_jpeg(const Image& image, int quality, bool subsample_420) {
  using namespace codec;
  check_writable(kFormat, image, JPEG_MAX_DIMENSION);
  if (quality < 1 || quality > 100) {
    throw usage_error("write JPEG: quality: expected 1 to 100, found " + std::to_string(quality) + ". choose one in this range");
  }
  Writer writer;
  writer.row.resize(static_cast<std::size_t>(image.width) * image.channels);
  if (!encode(writer, image, quality, subsample_420)) {
    stop_if_memory_ran_out(writer.errors);
    throw input_error(std::string("write JPEG: ") + writer.errors.message);
  }
  const auto* begin = reinterpret_cast<const std::byte*>(writer.data);
  return {begin, begin + writer.size};
}

}  // namespace finpercep

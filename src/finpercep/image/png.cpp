// SPDX-License-Identifier: Apache-2.0
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {
namespace {

constexpr char kFormat[] = "PNG";

// What libpng does not tell before it allocates: how much compressed data there is, and the EXIF block wherever it stands.
struct Layout {
  uint32_t width = 0, height = 0;
  int bits_per_pixel = 0;
  uint64_t idat_bytes = 0;
  std::span<const std::byte> exif;
};

Layout scan_chunks(std::span<const std::byte> bytes, const std::string& where) {
  Layout layout;
  if (bytes.size() < png_header_end || !starts_with(bytes, "IHDR", 12)) throw corrupt_error(kFormat, where, "no whole header");
  layout.width = big_endian(bytes, 16, 4);
  layout.height = big_endian(bytes, 20, 4);
  static constexpr int samples_of_colour_type[] = {1, 0, 3, 1, 2, 0, 4};
  const auto colour_type = std::to_integer<unsigned>(bytes[25]);
  layout.bits_per_pixel = (colour_type < 7 ? samples_of_colour_type[colour_type] : 0) * std::to_integer<int>(bytes[24]);
  auto rest = bytes.subspan(png_chunks);
  // Where the chunks end too early, libpng will say what is wrong.
  for (auto chunk = next_png_chunk(rest); chunk && chunk->type != "IEND"; chunk = next_png_chunk(rest)) {
    if (chunk->type == "IDAT") layout.idat_bytes += chunk->data.size();
    if (chunk->type == "eXIf") layout.exif = chunk->data;
  }
  return layout;
}

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> bytes;
  std::size_t at = 0;
  Samples samples = Samples::unit;
  char message[160] = "";
  bool raw_colour = false;
  std::vector<uint8_t> rows;  // 16-bit rows lie here too: vector memory is aligned for them
  std::vector<png_bytep> row_pointers;
  Image image;
  bool out_of_memory = false;

  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

// libpng tells of memory as of a damaged file.
void* take_memory(png_structp png, png_alloc_size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) static_cast<Reader*>(png_get_mem_ptr(png))->out_of_memory = true;
  return memory;
}
void give_memory(png_structp, void* memory) { std::free(memory); }

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* text = static_cast<char*>(png_get_error_ptr(png));
  std::snprintf(text, sizeof Reader::message, "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // what could spoil the picture was made an error by png_set_benign_errors

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto& reader = *static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader.bytes.size() - reader.at) png_error(png, "the file is cut");
  std::memcpy(out, reader.bytes.data() + reader.at, count);
  reader.at += count;
}

void put_row(Reader& reader, int y, const uint8_t* row, int bits, int step) {
  if (reader.samples == Samples::raw) {
    float* out = reader.image.plane(0) + static_cast<std::size_t>(y) * reader.image.width;
    const auto* wide = reinterpret_cast<const uint16_t*>(row);
    for (int x = 0; x < reader.image.width; ++x) out[x] = bits == 16 ? wide[x * step] : row[x * step];
  } else if (bits == 16) {
    fill_row(reader.image, y, reinterpret_cast<const uint16_t*>(row), step);
  } else {
    fill_row(reader.image, y, row, step);
  }
}

// libpng leaves by longjmp: nothing here may own memory, all that does lies in the reader.
bool decode(Reader& reader) {
  const png_structp png = reader.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, reader.info);
  const int bits = png_get_bit_depth(png, reader.info);
  const int colour = png_get_color_type(png, reader.info);
  if (reader.samples == Samples::raw) {
    if ((colour & PNG_COLOR_MASK_COLOR) != 0 && colour != PNG_COLOR_TYPE_PALETTE) {
      reader.raw_colour = true;
      return false;
    }
    png_set_packing(png);
  } else {
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY && bits < 8) png_set_expand_gray_1_2_4_to_8(png);
  }
  png_set_strip_alpha(png);
  if (bits == 16 && std::endian::native == std::endian::little) png_set_swap(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);

  const int step = png_get_channels(png, reader.info);
  const std::size_t row_bytes = png_get_rowbytes(png, reader.info);
  const auto width = static_cast<int>(png_get_image_width(png, reader.info));
  const auto height = static_cast<int>(png_get_image_height(png, reader.info));
  reader.image = Image(width, height, step >= 3 ? 3 : 1);
  const int depth = bits == 16 ? 16 : 8;
  if (passes == 1) {
    reader.rows.resize(row_bytes);
    for (int y = 0; y < height; ++y) {
      png_read_row(png, reader.rows.data(), nullptr);
      put_row(reader, y, reader.rows.data(), depth, step);
    }
  } else {
    reader.rows.resize(row_bytes * height);
    reader.row_pointers.resize(height);
    for (int y = 0; y < height; ++y) reader.row_pointers[y] = reader.rows.data() + row_bytes * y;
    png_read_image(png, reader.row_pointers.data());
    for (int y = 0; y < height; ++y) put_row(reader, y, reader.row_pointers[y], depth, step);
  }
  png_read_end(png, nullptr);  // the checksum of the last piece and the end mark
  return true;
}

struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  char message[160] = "";
  bool out_of_memory = false;
  std::vector<std::byte> out;
  std::vector<uint8_t> row;

  ~Writer() { png_destroy_write_struct(&png, &info); }
};

void write_bytes(png_structp png, png_bytep data, size_t count) {
  auto& writer = *static_cast<Writer*>(png_get_io_ptr(png));
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    writer.out.insert(writer.out.end(), bytes, bytes + count);
  } catch (...) {
    writer.out_of_memory = true;
  }
  if (writer.out_of_memory) png_error(png, "out of memory");
}

bool encode(Writer& writer, const Image& image, std::span<const std::byte> profile) {
  const png_structp png = writer.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, &writer, write_bytes, nullptr);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(png, writer.info, image.width, image.height, 8, image.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_benign_errors(png, 1);  // a profile that libpng takes for wrong is left out
  if (!profile.empty())
    png_set_iCCP(png, writer.info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, reinterpret_cast<png_const_bytep>(profile.data()),
                 static_cast<png_uint_32>(profile.size()));
  if (image.channels == 3) {
    // Photographs hold almost no repeats: Paeth and Huffman codes alone are smaller than zlib's level 6 and nine times as fast.
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
    png_set_compression_strategy(png, Z_HUFFMAN_ONLY);
    png_set_compression_level(png, 1);
  } else {
    // Maps and masks are flat or smooth.
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE | PNG_FILTER_SUB | PNG_FILTER_UP);
    png_set_compression_strategy(png, Z_DEFAULT_STRATEGY);
    png_set_compression_level(png, 3);
  }
  png_set_compression_buffer_size(png, 1 << 18);
  png_write_info(png, writer.info);
  for (int y = 0; y < image.height; ++y) {
    pack_row(image, y, writer.row.data());
    png_write_row(png, writer.row.data());
  }
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

Decoded decode_png(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits, Samples samples) {
  const Layout layout = scan_chunks(bytes, where);
  check_size(kFormat, layout.width, layout.height, where, limits);
  // Deflate shrinks at most 1032 to 1, so this refuses a huge picture of a few bytes before its memory is taken.
  const uint64_t raw_bytes = (uint64_t{layout.width} * layout.bits_per_pixel + 7) / 8 * layout.height;
  if ((layout.idat_bytes + 1) * 1032 < raw_bytes) throw corrupt_error(kFormat, where, "too little picture data, the file is cut");

  Reader reader;
  reader.bytes = bytes;
  reader.samples = samples;
  reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader.message, on_error, on_warning, &reader, take_memory, give_memory);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) throw std::bad_alloc();
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_set_user_limits(reader.png, layout.width, layout.height);
  png_set_chunk_cache_max(reader.png, 64);
  png_set_chunk_malloc_max(reader.png, png_alloc_size_t{1} << 28);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_benign_errors(reader.png, 0);
  // Text, colour profiles and the like change no sample here; unread, they can neither be bombs nor make a good picture unreadable.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  if (!decode(reader)) {
    if (reader.out_of_memory) throw std::bad_alloc();
    if (reader.raw_colour) {
      throw input_error("read labels: " + where + ": expected a gray or palette picture, found colour. save it with one channel");
    }
    throw corrupt_error(kFormat, where, reader.message);
  }
  return {std::move(reader.image), exif_orientation(layout.exif)};
}

}  // namespace finpercep::codec

namespace finpercep {

std::vector<std::byte> encode_png(const Image& image, std::span<const std::byte> profile) {
  using namespace codec;
  check_writable(kFormat, image, PNG_UINT_31_MAX);
  Writer writer;
  writer.row.resize(static_cast<std::size_t>(image.width) * image.channels);
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer.message, on_error, on_warning);
  if (writer.png != nullptr) writer.info = png_create_info_struct(writer.png);
  if (writer.info == nullptr) throw std::bad_alloc();
  if (!encode(writer, image, profile)) {
    if (writer.out_of_memory) throw std::bad_alloc();
    throw input_error(std::string("write PNG: ") + writer.message);
  }
  return std::move(writer.out);
}

}  // namespace finpercep

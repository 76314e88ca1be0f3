// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/tar.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

constexpr std::size_t block = 512;

std::size_t padded(std::size_t size) { return (size + block - 1) / block * block; }

void put_octal(char* field, std::size_t width, std::size_t value) {
  const std::string digits = fmt::format("{:0{}o}", value, width - 1);
  std::memcpy(field, digits.data(), width - 1);
}

// Sum of the header's bytes with the checksum field taken as blanks.
std::size_t header_sum(const char* header) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < block; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  return sum;
}

bool read_octal(const char* field, std::size_t width, std::size_t& value) {
  value = 0;
  bool any = false;
  for (std::size_t i = 0; i < width && field[i] != '\0' && field[i] != ' '; ++i) {
    if (field[i] < '0' || field[i] > '7') return false;
    value = value * 8 + static_cast<std::size_t>(field[i] - '0');
    any = true;
  }
  return any;
}

struct Header {
  std::string name;
  std::size_t size = 0;
};

// Nothing for the end mark.
std::optional<Header> parse_header(const char* header, uint64_t at, const std::string& where) {
  if (std::all_of(header, header + block, [](char c) { return c == 0; })) return std::nullopt;
  std::size_t size = 0, sum = 0;
  if (header[0] == 0 || !read_octal(header + 148, 8, sum) || sum != header_sum(header) || !read_octal(header + 124, 12, size))
    throw input_error(fmt::format("tar: {}: damaged header at byte {}. build it again", where, at));
  if (header[156] != '0' && header[156] != '\0')
    throw input_error(
        fmt::format("tar: {}: expected regular files only, found type {} at byte {}", where, static_cast<int>(header[156]), at));
  return Header{std::string(header, strnlen(header, 100)), size};
}

Error cut_error(const std::string& where, uint64_t at) {
  return input_error(fmt::format("tar: {}: expected an end mark, the file is cut at byte {}. build it again", where, at));
}

Error overrun_error(const std::string& where, uint64_t size) {
  return input_error(fmt::format("tar: {}: an entry of {} bytes runs past the end of the file. build it again", where, size));
}

}  // namespace

std::vector<std::byte> encode_tar(const std::vector<TarEntry>& entries) {
  std::vector<std::byte> out;
  for (const TarEntry& entry : entries) {
    if (entry.name.empty() || entry.name.size() > 100)
      throw input_error(fmt::format("tar: '{}': expected a name of 1 to 100 characters", entry.name));
    char header[block] = {};
    std::memcpy(header, entry.name.data(), entry.name.size());
    put_octal(header + 100, 8, 0644);
    put_octal(header + 108, 8, 0);
    put_octal(header + 116, 8, 0);
    put_octal(header + 124, 12, entry.bytes.size());
    put_octal(header + 136, 12, 0);
    header[156] = '0';
    std::memcpy(header + 257, "ustar\00000", 8);
    put_octal(header + 148, 7, header_sum(header));
    header[155] = ' ';
    const auto* bytes = reinterpret_cast<const std::byte*>(header);
    out.insert(out.end(), bytes, bytes + block);
    out.insert(out.end(), entry.bytes.begin(), entry.bytes.end());
    out.resize(padded(out.size()));
  }
  out.resize(out.size() + 2 * block);
  return out;
}

TarReader::TarReader(const std::filesystem::path& path) : where_(path.string()) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe would wait for its writer
  if (file.get() < 0)
    throw input_error(fmt::format("tar: {}: {}. {}", where_, std::strerror(errno),
                                  errno == EMFILE ? "raise the limit with ulimit -n" : "build it again"));
  struct stat facts = {};
  if (::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    throw input_error(fmt::format("tar: {}: expected a file, found something else. build it again", where_));
  file_ = std::make_shared<const Descriptor>(std::move(file));
}

std::vector<TarPlace> TarReader::list() const {
  struct stat facts = {};
  if (::fstat(file_->get(), &facts) != 0) throw input_error(fmt::format("tar: {}: {}", where_, std::strerror(errno)));
  const auto end = static_cast<uint64_t>(facts.st_size);
  std::vector<TarPlace> places;
  for (uint64_t at = 0;;) {
    if (end - at < block) throw cut_error(where_, at);
    const auto bytes = read({"", at, block});
    const auto header = parse_header(reinterpret_cast<const char*>(bytes.data()), at, where_);
    if (!header) return places;
    at += block;
    if (header->size > end - at) throw overrun_error(where_, header->size);
    places.push_back({header->name, at, header->size});
    at = std::min<uint64_t>(at + padded(header->size), end);
  }
}

std::vector<std::byte> TarReader::read(const TarPlace& place) const {
  std::vector<std::byte> bytes(place.size);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::pread(file_->get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(place.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw input_error(fmt::format("tar: {}: {}", where_, std::strerror(errno)));
    if (got == 0) throw cut_error(where_, place.offset + done);
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace finpercep

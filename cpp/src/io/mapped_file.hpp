// A file mapped into memory, to read parts of it where the system caches them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "io/file.hpp"

namespace chainrule::io {

class MappedFile {
 public:
  MappedFile(const std::string& path, std::string_view reader);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  ByteSpan bytes() const { return {static_cast<const unsigned char*>(data_), size_}; }
  const std::string& path() const { return path_; }
  // Throws where somebody has written to the file since it was opened, or cut it short.
  void check_unchanged() const;
  // Reads these bytes from the disk, where they are not in memory yet; throws where that fails.
  void fetch(std::size_t offset, std::size_t count) const;
  // They are not needed for now: the process drops its pages, the system may keep them in its cache.
  void release(std::size_t offset, std::size_t count) const noexcept;

 private:
  struct Pages {
    unsigned char* begin;
    std::size_t bytes;
  };
  Pages pages_of(std::size_t offset, std::size_t count) const noexcept;

  std::string path_, reader_;
  int file_ = -1;
  std::int64_t changed_ = 0;  // when, in nanoseconds
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace chainrule::io

// A file mapped into memory.
#include "io/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace chainrule::io {
namespace {

constexpr int populate_read = 22;  // MADV_POPULATE_READ, of Linux 5.14 on; headers may be older

std::int64_t time_of(const struct stat& facts) {
  return static_cast<std::int64_t>(facts.st_mtim.tv_sec) * 1'000'000'000 + facts.st_mtim.tv_nsec;
}

}  // namespace

MappedFile::MappedFile(const std::string& path, std::string_view reader) : path_(path), reader_(reader) {
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) file_fail(reader, path, "cannot be opened", std::strerror(errno));
  try {
    struct stat facts{};
    if (fstat(file_, &facts) != 0) file_fail(reader, path, "cannot be read", std::strerror(errno));
    if (!S_ISREG(facts.st_mode)) file_fail(reader, path, "is no file");
    size_ = static_cast<std::size_t>(facts.st_size);
    changed_ = time_of(facts);
    if (size_ == 0) return;
    data_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_, 0);
    if (data_ == MAP_FAILED) file_fail(reader, path, "cannot be mapped into memory", std::strerror(errno));
  } catch (...) {
    close(file_);
    throw;
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
  close(file_);
}

void MappedFile::check_unchanged() const {
  struct stat facts{};
  if (fstat(file_, &facts) != 0) file_fail(reader_, path_, "cannot be read", std::strerror(errno));
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size == size_ && time_of(facts) == changed_) return;
  file_fail(reader_, path_, "has changed since it was opened",
            size == size_ ? "" : std::to_string(size) + " bytes instead of " + std::to_string(size_),
            "leave it alone while it is read, or write a new one and rename it");
}

MappedFile::Pages MappedFile::pages_of(std::size_t offset, std::size_t count) const noexcept {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t begin = offset / page * page, end = (offset + count + page - 1) / page * page;
  return {static_cast<unsigned char*>(data_) + begin, end - begin};
}

void MappedFile::fetch(std::size_t offset, std::size_t count) const {
  if (count == 0) return;
  const auto [begin, bytes] = pages_of(offset, count);
  if (madvise(begin, bytes, populate_read) == 0) return;
  if (errno != EINVAL) file_fail(reader_, path_, "cannot be read", std::strerror(errno), "has it been cut short?");
  madvise(begin, bytes, MADV_WILLNEED);
  for (std::size_t at = 0; at < count; at += 4096)
    static_cast<void>(*static_cast<const volatile unsigned char*>(static_cast<unsigned char*>(data_) + offset + at));
}

void MappedFile::release(std::size_t offset, std::size_t count) const noexcept {
  if (count == 0) return;
  const auto [begin, bytes] = pages_of(offset, count);
  madvise(begin, bytes, MADV_DONTNEED);
}

}  // namespace chainrule::io

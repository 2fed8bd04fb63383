// Whole files in and out, on POSIX calls.
#include "io/file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace chainrule::io {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

// A descriptor that is closed at the end of its scope.
struct Descriptor {
  explicit Descriptor(int value) : fd(value) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int close() {
    const int result = ::close(fd);
    fd = -1;
    return result;
  }
  int fd;
};

// Removes the temporary file unless it became the real one.
struct Temporary {
  ~Temporary() {
    if (!path.empty()) ::unlink(path.c_str());
  }
  std::string path;
};

constexpr std::string_view temporary_mark = ".tmp-";

std::string temporary_name(const std::string& target) {
  static std::atomic<unsigned> count{0};
  return target + std::string(temporary_mark) + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

// Some file systems cannot sync a folder; the file itself is whole by then, so that is no error.
void sync_folder(const std::filesystem::path& folder) {
  const Descriptor parent(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.fd >= 0) [[maybe_unused]]
    const int synced = ::fsync(parent.fd);
}

}  // namespace

Bytes read_file(const std::string& path, std::string_view reader) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) file_fail(reader, path, "cannot be opened", reason(errno), errno == ENOENT ? "check the path" : "");
  struct stat facts{};
  if (::fstat(file.fd, &facts) != 0) file_fail(reader, path, "cannot be read", reason(errno));
  if (S_ISDIR(facts.st_mode)) file_fail(reader, path, "is a folder", "", "give the path of a file");
  if (S_ISCHR(facts.st_mode) || S_ISBLK(facts.st_mode))
    file_fail(reader, path, "is a device", "", "give the path of a file");
  if (S_ISREG(facts.st_mode) && facts.st_size > (std::int64_t{1} << 34))
    file_fail(reader, path, "is larger than any file read here", std::to_string(facts.st_size) + " bytes",
              "the limit is 16 GiB");
  // A pipe tells no size: read until its end, in growing steps.
  Bytes bytes(S_ISREG(facts.st_mode) && facts.st_size > 0 ? static_cast<std::size_t>(facts.st_size)
                                                          : std::size_t{1} << 16);
  std::size_t filled = 0;
  for (;;) {
    if (filled == bytes.size()) {
      unsigned char probe = 0;
      const ssize_t more = ::read(file.fd, &probe, 1);
      if (more == 0) break;
      if (more < 0 && errno == EINTR) continue;
      if (more < 0) file_fail(reader, path, "cannot be read", reason(errno));
      bytes.resize(2 * bytes.size());
      bytes[filled++] = probe;
    }
    const ssize_t n = ::read(file.fd, bytes.data() + filled, bytes.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) file_fail(reader, path, "cannot be read", reason(errno));
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  bytes.resize(filled);
  return bytes;
}

void write_file(const std::string& path, std::span<const std::string_view> parts, std::string_view writer) {
  namespace fs = std::filesystem;
  if (path.empty()) file_fail(writer, "''", "is no file name");
  std::error_code code;
  fs::path target(path);
  for (int links = 0; fs::is_symlink(target, code); ++links) {
    if (links == 40) file_fail(writer, path, "cannot be written", "too many symbolic links");
    const fs::path to = fs::read_symlink(target, code);
    if (code) file_fail(writer, path, "cannot be written", code.message());
    target = to.is_absolute() ? to : target.parent_path() / to;
  }
  const fs::file_status status = fs::status(target, code);
  if (fs::is_directory(status)) file_fail(writer, path, "is a folder", "", "give the path of a file");
  if (fs::exists(status) && !fs::is_regular_file(status))
    file_fail(writer, path, "is no regular file", "", "write to a file and copy it");
  Temporary temporary;
  int fd = -1;
  for (int attempt = 0; fd < 0; ++attempt) {
    const std::string name = temporary_name(target.string());
    fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0)
      temporary.path = name;
    else if (errno != EEXIST || attempt == 100)
      file_fail(writer, path, "cannot be written", reason(errno), "check that the folder exists and may be written");
  }
  Descriptor file(fd);
  if (fs::exists(status)) {
    // The new file keeps the old one's permissions; where that is not allowed, it has the usual ones.
    [[maybe_unused]] const int kept = ::fchmod(file.fd, static_cast<mode_t>(status.permissions()) & 07777);
  }
  for (std::string_view part : parts) {
    while (!part.empty()) {
      const ssize_t n = ::write(file.fd, part.data(), part.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) file_fail(writer, path, "cannot be written", reason(errno), "the old file, if any, is unchanged");
      part.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  if (::fsync(file.fd) != 0 || file.close() != 0)
    file_fail(writer, path, "cannot be written", reason(errno), "the old file, if any, is unchanged");
  if (::rename(temporary.path.c_str(), target.c_str()) != 0)
    file_fail(writer, path, "cannot be written", reason(errno), "the old file, if any, is unchanged");
  temporary.path.clear();
  sync_folder(target.parent_path());
}

bool link_file(const std::string& file, const std::string& path) {
  const Temporary temporary{temporary_name(path)};  // renamed or not: two names of one file are not renamed at all
  if (::link(file.c_str(), temporary.path.c_str()) != 0 || ::rename(temporary.path.c_str(), path.c_str()) != 0)
    return false;
  sync_folder(std::filesystem::path(path).parent_path());
  return true;
}

void remove_temporaries(const std::string& folder, std::string_view begin) {
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const std::size_t mark = name.rfind(temporary_mark);
    if (!name.starts_with(begin) || mark == std::string::npos) continue;
    pid_t writer = 0;
    std::from_chars(name.data() + mark + temporary_mark.size(), name.data() + name.size(), writer);
    const bool alive = writer > 0 && writer != ::getpid() && (::kill(writer, 0) == 0 || errno != ESRCH);
    if (!alive) std::filesystem::remove(entry.path(), code);
  }
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 40;
  const bool whole = text.size() <= most;
  if (!whole) text = text.substr(0, most);
  std::string shown(text);
  for (std::size_t at; (at = find_invalid_utf8(shown)) != std::string::npos;) shown[at] = '?';
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return "'" + shown + (whole ? "'" : "...'");
}

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const std::size_t n = text.size();
  std::size_t i = 0;
  while (i < n) {
    if (p[i] < 0x80) {  // eight bytes of ASCII at a time
      std::uint64_t word = 0;
      while (i + 8 <= n && (std::memcpy(&word, p + i, 8), (word & 0x8080808080808080u) == 0)) i += 8;
      while (i < n && p[i] < 0x80) ++i;
      continue;
    }
    // Lead byte: length, and the least code point of that length (shorter forms are not allowed).
    const int length = p[i] < 0xC2 ? 0 : p[i] < 0xE0 ? 2 : p[i] < 0xF0 ? 3 : p[i] < 0xF5 ? 4 : 0;
    if (length == 0 || i + static_cast<std::size_t>(length) > n) return i;
    std::uint32_t point = p[i] & (0x7Fu >> length);
    for (int k = 1; k < length; ++k) {
      const unsigned char c = p[i + static_cast<std::size_t>(k)];
      if ((c & 0xC0) != 0x80) return i;
      point = point << 6 | (c & 0x3Fu);
    }
    constexpr std::uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return i;
    i += static_cast<std::size_t>(length);
  }
  return std::string_view::npos;
}

}  // namespace chainrule::io

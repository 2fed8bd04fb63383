// For the tests of files: bytes written out by hand, and files that are removed again.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.hpp"

namespace chainrule::test {

using io::Bytes;

// A folder of this test's own.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "chainrule-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::size_t files() const {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) ++n;
    return n;
  }

 private:
  std::filesystem::path path_;
};

inline std::string write(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
  return path;
}
inline std::string write(const std::string& path, const Bytes& content) {
  return write(path, std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}
inline std::string text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes bytes_from(std::string_view text) { return {text.begin(), text.end()}; }

inline Bytes from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<unsigned char>(16 * digit(hex[i]) + digit(hex[i + 1])));
  return bytes;
}

// Numbers in either byte order, one after the other.
template <class T> void append(Bytes& bytes, T value, bool big_endian = false) {
  unsigned char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes.push_back(raw[big_endian ? sizeof(T) - 1 - i : i]);
}
inline void append(Bytes& bytes, std::string_view text) { bytes.insert(bytes.end(), text.begin(), text.end()); }
inline void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

}  // namespace chainrule::test

// The expression throws FileError (or E) whose text holds each of the given pieces.
#define CHECK_REFUSED_AS(E, expression, ...)                                                     \
  do {                                                                                           \
    std::string said;                                                                            \
    try {                                                                                        \
      (void)(expression);                                                                        \
    } catch (const E& error) { said = error.what(); }                                            \
    INFO("said: " << said);                                                                      \
    CHECK_FALSE(said.empty());                                                                   \
    for (const char* piece : {__VA_ARGS__}) CHECK_MESSAGE(said.find(piece) != said.npos, piece); \
  } while (false)
#define CHECK_REFUSED(expression, ...) CHECK_REFUSED_AS(::chainrule::FileError, expression, __VA_ARGS__)

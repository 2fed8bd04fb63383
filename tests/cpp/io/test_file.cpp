// Writing files: the old one or the new one, never half of one.
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "bytes.hpp"

using namespace chainrule;
using namespace chainrule::test;

namespace {

void put(const std::string& path, std::string_view content) {
  const std::string_view parts[] = {content.substr(0, content.size() / 2), content.substr(content.size() / 2)};
  io::write_file(path, parts, "save");
}
std::string get(const std::string& path) { return text_of(io::read_file(path, "test")); }

}  // namespace

TEST_CASE("write_file: new, over an old one, through a link") {
  const Folder folder;
  put(folder / "a", "one");
  CHECK(get(folder / "a") == "one");
  ::chmod((folder / "a").c_str(), 0640);
  put(folder / "a", "second");
  CHECK(get(folder / "a") == "second");
  struct stat facts{};
  REQUIRE(::stat((folder / "a").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0640);
  std::filesystem::create_symlink("a", folder / "link");
  put(folder / "link", "third");
  CHECK(get(folder / "a") == "third");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  put(folder / "empty", "");
  CHECK(get(folder / "empty").empty());
  CHECK(folder.files() == 3);  // no temporary file is left
}

TEST_CASE("write_file: what is refused leaves the folder as it was") {
  const Folder folder;
  std::filesystem::create_directory(folder / "sub");
  CHECK_REFUSED(put(folder / "sub", "x"), "save: ", "sub: is a folder");
  CHECK_REFUSED(put(folder / "none/a", "x"), "none/a: cannot be written", "check that the folder exists");
  CHECK_REFUSED(put("", "x"), "is no file name");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_REFUSED(put(folder / "pipe", "x"), "is no regular file");
  CHECK_REFUSED(put("/dev/null", "x"), "is no regular file");
  std::filesystem::create_symlink("loop", folder / "loop");
  CHECK_REFUSED(put(folder / "loop", "x"), "cannot be written");
  CHECK(folder.files() == 3);
}

TEST_CASE("write_file: an error in the middle leaves the old file and no other") {
  const Folder folder;
  put(folder / "a", "old");
  // A limit on the size of files fails as a full disk does.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{1000, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string said;
  try {
    put(folder / "a", std::string(5000, 'x'));
  } catch (const FileError& error) { said = error.what(); }
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  CHECK(said.find("a: cannot be written: File too large; the old file, if any, is unchanged") != said.npos);
  CHECK(get(folder / "a") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("in_quotes: what an error shows of a text") {
  CHECK(io::in_quotes("abc") == "'abc'");
  CHECK(io::in_quotes(std::string(100, 'x')) == "'" + std::string(40, 'x') + "...'");
  CHECK(io::in_quotes("a\nb\x01\xFF") ==
        "'a?b?"
        "?'");
}

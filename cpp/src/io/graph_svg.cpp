// A Graph drawn by Graphviz's program `dot`, which gets the graph on its standard input. No shell is involved.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "graph/view.hpp"
#include "io/file.hpp"

extern char** environ;

namespace chainrule {
namespace {

constexpr std::size_t most_nodes = 1000;  // dot takes minutes for much larger ones, and nobody can read them

struct File {
  explicit File(std::FILE* f) : stream(f) {}
  ~File() {
    if (stream) std::fclose(stream);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return ::fileno(stream); }
  std::string all() const {
    std::string text;
    std::rewind(stream);
    char block[65536];
    while (const std::size_t n = std::fread(block, 1, sizeof block, stream)) text.append(block, n);
    return text;
  }
  std::FILE* stream;
};

// Files in between instead of pipes: neither side ever waits for the other.
std::string run_dot(const std::string& input) {
  const char* const who = "to_svg";
  const File in(std::tmpfile()), out(std::tmpfile()), err(std::tmpfile());
  if (!in.stream || !out.stream || !err.stream ||
      std::fwrite(input.data(), 1, input.size(), in.stream) != input.size() || std::fflush(in.stream) != 0)
    fail<FileError>(who, "a temporary file cannot be written", std::strerror(errno), "check TMPDIR and free space");
  std::rewind(in.stream);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.fd(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out.fd(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, err.fd(), STDERR_FILENO);
  char name[] = "dot", format[] = "-Tsvg";
  char* arguments[] = {name, format, nullptr};
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, name, &files, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    fail<StateError>(
        who, "Graphviz's program 'dot' was not found", std::strerror(error),
        "install it (apt install graphviz, brew install graphviz, conda install graphviz) or use to_dot(), "
        "which needs nothing");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail<StateError>(who, "Graphviz's program 'dot' failed", io::in_quotes(err.all()), "look at the text of to_dot()");
  return out.all();
}

}  // namespace

std::string Graph::to_svg(const std::string& path) const {
  if (size() > most_nodes)
    fail<ValueError>("to_svg", "the graph is too large to draw", std::to_string(size()) + " ops",
                     "draw a part of it (up to " + std::to_string(most_nodes) + " ops), print it, or use to_dot()");
  std::string svg = run_dot(to_dot());
  // Without the prologue it can stand in a web page as well as in a file.
  const std::size_t start = svg.find("<svg");
  if (start == std::string::npos)
    fail<StateError>("to_svg", "Graphviz's program 'dot' drew nothing", io::in_quotes(svg),
                     "look at the text of to_dot()");
  svg.erase(0, start);
  if (!path.empty()) {
    const std::string_view parts[] = {svg};
    io::write_file(path, parts, "to_svg");
  }
  return svg;
}

std::string Graph::to_html() const {
  try {
    return to_svg();
  } catch (const Error&) {  // no dot, or too large a graph: the table shows the same
    if (!data_) return "<p>empty graph</p>";
    const GraphText g(*data_, view());
    std::string html = graph_table(g).html();
    for (const std::string& line : graph_footer(g)) html += "<p>" + escape_html(line) + "</p>\n";
    return html;
  }
}

}  // namespace chainrule

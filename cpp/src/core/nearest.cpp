// Distances between names.
#include "core/nearest.hpp"

#include <algorithm>
#include <cctype>

namespace chainrule {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest_name(std::string_view given, const std::vector<std::string>& known) {
  const std::string wanted = lower(given);
  if (wanted.empty() || wanted.size() > 100) return {};
  std::string best;
  std::size_t least = std::max<std::size_t>(1, wanted.size() / 4) + 1;
  for (const std::string& name : known) {
    const std::size_t d = distance(wanted, lower(name));
    if (d < least) least = d, best = name;
  }
  if (!best.empty() || wanted.size() < 3) return best;
  for (const std::string& name : known) {
    const std::string other = lower(name);
    const bool part =
        other.find(wanted) != std::string::npos || (other.size() > 2 && wanted.find(other) != std::string::npos);
    if (part && (best.empty() || name.size() < best.size())) best = name;
  }
  return best;
}

std::string did_you_mean(std::string_view given, const std::vector<std::string>& known) {
  const std::string near = nearest_name(given, known);
  return near.empty() ? "" : "did you mean " + near + "?";
}

}  // namespace chainrule

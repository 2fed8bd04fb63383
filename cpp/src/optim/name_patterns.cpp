// Matching by going back to the last star, in time |name| |pattern|.
#include "optim/name_patterns.hpp"

#include <algorithm>

#include "core/nearest.hpp"

namespace chainrule::optim {
namespace {

struct Letter {
  bool fits;
  std::size_t next;  // behind it in the pattern
};

// Whether the piece of the pattern at `at`, which is no star, fits letter c.
Letter fits_letter(char c, std::string_view pattern, std::size_t at) {
  if (pattern[at] == '?') return {true, at + 1};
  if (pattern[at] != '[') return {pattern[at] == c, at + 1};
  std::size_t i = at + 1;
  const bool others = i < pattern.size() && pattern[i] == '!';
  if (others) ++i;
  const std::size_t end = pattern.find(']', i + 1);  // a ] in the first place is one of the letters
  if (end == std::string_view::npos) return {c == '[', at + 1};
  bool found = false;
  for (; i < end; ++i) {
    if (i + 2 < end && pattern[i + 1] == '-') {
      found |= pattern[i] <= c && c <= pattern[i + 2];
      i += 2;
    } else {
      found |= pattern[i] == c;
    }
  }
  return {found != others, end + 1};
}

}  // namespace

bool name_fits(std::string_view name, std::string_view pattern) {
  constexpr std::size_t none = std::string_view::npos;
  std::size_t n = 0, p = 0, star = none, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
      continue;
    }
    if (p < pattern.size()) {
      const Letter letter = fits_letter(name[n], pattern, p);
      if (letter.fits) {
        ++n;
        p = letter.next;
        continue;
      }
    }
    if (star == none) return false;
    p = star + 1;
    n = ++from;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string exact_pattern(std::string_view name) {
  std::string pattern;
  for (const char c : name) pattern += c == '*' || c == '?' || c == '[' ? std::string{'[', c, ']'} : std::string{c};
  return pattern;
}

std::string advice_for(const std::string& pattern, const std::vector<std::string>& names) {
  constexpr std::size_t shown = 8;
  const std::size_t first = pattern.find_first_not_of("*."), last = pattern.find_last_not_of("*.");
  const std::string plain = first == std::string::npos ? "" : pattern.substr(first, last + 1 - first);
  std::vector<std::string> parts = names;
  for (const std::string& name : names)
    for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      parts.push_back(name.substr(0, dot));
      parts.push_back(name.substr(name.rfind('.') + 1));
    }
  const std::string near = nearest_name(plain, parts);
  std::string known;
  for (std::size_t i = 0; i < std::min(names.size(), shown); ++i) known += (i ? ", " : "") + names[i];
  if (names.size() > shown) known += ", ... (" + std::to_string(names.size()) + " in all)";
  const std::string there_are = names.empty() ? "there are no parameters" : "there are " + known;
  return near.empty() ? there_are : "did you mean " + near + "? " + there_are;
}

}  // namespace chainrule::optim

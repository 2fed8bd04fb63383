// Names of parameters and the patterns of shells that fit them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chainrule::optim {

// *: any text; ?: any letter; [abc], [a-c], [!abc]: one letter of these or of the others; a [ that nothing closes, and
// all else, is itself.
bool name_fits(std::string_view name, std::string_view pattern);
std::string exact_pattern(std::string_view name);  // fits this name alone
// For a pattern that fits no name: the nearest name or part of one, else what there is.
std::string advice_for(const std::string& pattern, const std::vector<std::string>& names);

}  // namespace chainrule::optim

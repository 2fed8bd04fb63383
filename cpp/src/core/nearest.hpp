// For errors about names: the known one that was probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chainrule {

// The known name nearest to the given one, letters of either case alike: one that begins, ends or continues it, else
// one that few wrong, missing or swapped letters lead to; empty where none is near.
std::string nearest_name(std::string_view given, const std::vector<std::string>& known);
// "did you mean f1_macro?", or nothing.
std::string did_you_mean(std::string_view given, const std::vector<std::string>& known);

}  // namespace chainrule

// Columns that callbacks watch: what the name tells of them.
#pragma once

#include <string>

namespace chainrule {

// greater_is_better of callbacks.hpp for a callback, which its error names.
bool greater_is_better(const char* who, const std::string& column);

}  // namespace chainrule

// The one place error messages are put together: "op: what is wrong: what was given; what to do".
#pragma once

#include <string>
#include <string_view>

#include "chainrule/error.hpp"

namespace chainrule {

std::string message(std::string_view op, std::string_view wrong, std::string_view given = {},
                    std::string_view todo = {});

template <class E>
[[noreturn]] void fail(std::string_view op, std::string_view wrong, std::string_view given = {},
                       std::string_view todo = {}) {
  throw E(message(op, wrong, given, todo));
}

}  // namespace chainrule

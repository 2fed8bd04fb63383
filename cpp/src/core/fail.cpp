// Error messages, and the destructors that give the exception classes a home.
#include "core/fail.hpp"

namespace chainrule {

std::string message(std::string_view op, std::string_view wrong, std::string_view given, std::string_view todo) {
  std::string text(op);
  if (!text.empty()) text += ": ";
  text += wrong;
  if (!given.empty()) text.append(": ").append(given);
  if (!todo.empty()) text.append("; ").append(todo);
  return text;
}

}  // namespace chainrule

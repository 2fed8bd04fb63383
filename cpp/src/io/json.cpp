// JSON with limits, and typed access that tells the place.
#include "io/json.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "io/file.hpp"

namespace chainrule::io {

Json parse_json(std::string_view text, int depth) {
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  int open = 0;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    switch (event) {
      case Event::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case Event::array_start:
        if (++open > depth) throw JsonError("nested deeper than " + std::to_string(depth) + " levels");
        break;
      case Event::object_end:
        keys.pop_back();
        [[fallthrough]];
      case Event::array_end:
        --open;
        break;
      case Event::key:
        if (!keys.back().insert(parsed.get_ref<const std::string&>()).second)
          throw JsonError("the key " + in_quotes(parsed.get_ref<const std::string&>()) + " is there twice");
        break;
      case Event::value:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception&) { throw JsonError("no valid JSON"); }
}

void JsonView::fail(const std::string& what) const { throw JsonError((path_.empty() ? "" : path_ + ": ") + what); }

bool JsonView::boolean() const {
  if (!value_->is_boolean()) fail("should be true or false");
  return value_->get<bool>();
}

std::int64_t JsonView::integer(std::int64_t least, std::int64_t most) const {
  if (!value_->is_number_integer()) fail("should be an integer");
  const bool fits =
      !value_->is_number_unsigned() || value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
  const std::int64_t number = fits ? value_->get<std::int64_t>() : 0;
  if (!fits || number < least || number > most) fail("is out of range: " + value_->dump());
  return number;
}

double JsonView::real() const {
  if (value_->is_number()) return value_->get<double>();
  if (value_->is_string()) {
    const auto& word = value_->get_ref<const std::string&>();
    if (word == "inf") return std::numeric_limits<double>::infinity();
    if (word == "-inf") return -std::numeric_limits<double>::infinity();
    if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  }
  fail("should be a number");
}

const std::string& JsonView::string() const {
  if (!value_->is_string()) fail("should be a text");
  return value_->get_ref<const std::string&>();
}

std::vector<std::string> JsonView::strings() const {
  std::vector<std::string> list;
  for (const JsonView& item : items()) list.push_back(item.string());
  return list;
}

std::size_t JsonView::size() const {
  if (!value_->is_array()) fail("should be a list");
  return value_->size();
}

JsonView JsonView::at(std::size_t i) const {
  if (i >= size()) fail("is too short");
  return {(*value_)[i], path_ + "[" + std::to_string(i) + "]"};
}

std::vector<JsonView> JsonView::items() const {
  std::vector<JsonView> list;
  const std::size_t n = size();
  list.reserve(n);
  for (std::size_t i = 0; i < n; ++i) list.push_back(at(i));
  return list;
}

bool JsonView::has(const char* key) const {
  if (!value_->is_object()) fail("should be an object");
  return value_->contains(key);
}

JsonView JsonView::operator[](const char* key) const {
  if (!has(key)) fail(std::string("has no \"") + key + "\"");
  return {(*value_)[key], path_.empty() ? key : path_ + "." + key};
}

void JsonView::only(std::initializer_list<const char*> required, std::initializer_list<const char*> optional) const {
  for (const char* key : required)
    if (!has(key)) fail(std::string("has no \"") + key + "\"");
  for (const auto& [key, value] : value_->items()) {
    const auto is_key = [&name = key](const char* known) { return name == known; };
    if (std::none_of(required.begin(), required.end(), is_key) &&
        std::none_of(optional.begin(), optional.end(), is_key))
      fail("has a member that is not known: " + in_quotes(key));
  }
}

Json real_to_json(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

}  // namespace chainrule::io

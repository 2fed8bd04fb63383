// JSON from files nobody vouches for: parsing with limits, and reading members with their types checked. Every failure
// is a JsonError that tells the place; the caller turns it into an error that names the file.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace chainrule::io {

using Json = nlohmann::json;

struct JsonError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Refuses duplicate keys, nesting deeper than `depth`, and anything behind the value.
Json parse_json(std::string_view text, int depth = 64);

// A value with the path that led to it: "graphs.eval.nodes[3].inputs".
class JsonView {
 public:
  JsonView(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[noreturn]] void fail(const std::string& what) const;
  bool is_null() const { return value_->is_null(); }
  bool is_string() const { return value_->is_string(); }
  bool is_array() const { return value_->is_array(); }
  bool is_object() const { return value_->is_object(); }
  const Json& json() const { return *value_; }

  bool boolean() const;
  std::int64_t integer(std::int64_t least = INT64_MIN, std::int64_t most = INT64_MAX) const;
  double real() const;  // also written as "inf", "-inf" or "nan"
  const std::string& string() const;
  std::vector<std::string> strings() const;

  std::size_t size() const;  // of an array
  JsonView at(std::size_t i) const;
  std::vector<JsonView> items() const;

  bool has(const char* key) const;  // of an object
  JsonView operator[](const char* key) const;
  // An object with exactly these members, of which those after `required` may be absent.
  void only(std::initializer_list<const char*> required, std::initializer_list<const char*> optional = {}) const;

 private:
  const Json* value_;
  std::string path_;
};

// A double as JSON: exact, and the words above where JSON has no number for it.
Json real_to_json(double value);

}  // namespace chainrule::io

// Arguments of layers, losses and optimizers: their text as Python writes it, and checked reading of saved ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chainrule/arguments.hpp"
#include "chainrule/dtype.hpp"

namespace chainrule::nn {

std::string text_of(double value);  // the shortest that reads back: "0.1", "1.0", "1e-05"
std::string text_of(const ArgumentValue& value);
std::string text_of(const Called& called);  // "Cosine(lr=0.001, steps=100)"
// "784, 10, bias=False": the first `positional` by value alone, the others where they differ from the defaults.
std::string text_of(const Arguments& arguments, std::size_t positional, const Arguments& defaults);

// Reads arguments by name; a file may hold anything, so every type is checked, and finish() refuses names nobody read.
class ArgumentReader {
 public:
  ArgumentReader(std::string_view kind, const Arguments& arguments);
  bool has(std::string_view name) const;
  std::int64_t integer(std::string_view name);  // must be there
  bool flag(std::string_view name, bool otherwise);
  double real(std::string_view name, double otherwise);
  std::int64_t integer(std::string_view name, std::int64_t otherwise);
  std::string text(std::string_view name, const std::string& otherwise);
  std::vector<double> reals(std::string_view name, const std::vector<double>& otherwise);
  std::vector<std::int64_t> integers(std::string_view name);  // must be there
  const std::vector<Called>* called(std::string_view name);   // null where it is no call
  DType dtype();
  void finish() const;

 private:
  const ArgumentValue* find(std::string_view name);
  [[noreturn]] void wrong(std::string_view name, const ArgumentValue& value, std::string_view wanted) const;

  std::string_view kind_;
  const Arguments& arguments_;
  std::vector<bool> read_;
};

}  // namespace chainrule::nn

// What fit trains and validates on: arguments checked, weights joined, the validation part split off. Trains nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "chainrule/trainer.hpp"

namespace chainrule {

struct FitData {
  std::vector<Tensor> x;
  Tensor y, weight;  // weight may be undefined
  Tensor given_y;    // before the split
  std::int64_t rows = 0;
  std::vector<std::int64_t> given_row;  // of each row, where validation_split took some away; else empty
  ValidationData validation;
};
FitData fit_data(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options, std::uint64_t seed);

// "nan in row 70, column 2", counted in the caller's arrays, of the first value in these rows that is not finite; else
// empty. missing_allowed: NaN is.
std::string not_finite_in(const Tensor& values, std::span<const std::int64_t> rows,
                          const std::vector<std::int64_t>& given_row, bool missing_allowed = false);

}  // namespace chainrule

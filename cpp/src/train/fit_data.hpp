// What fit trains and validates on: arguments checked, weights joined, the validation part split off. Trains nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chainrule/trainer.hpp"
#include "train/window_reader.hpp"

namespace chainrule {

struct FitData {
  std::vector<Tensor> x;
  Tensor y, weight;  // weight may be undefined
  Tensor given_y;    // before the split
  std::int64_t rows = 0;
  std::int64_t samples = 0;                        // in an epoch; a sampler may take others than all rows once
  std::shared_ptr<const data::Sampler> sampler{};  // of these rows, or null
  std::vector<std::int64_t> given_row;             // of each row, where validation_split took some away; else empty
  ValidationData validation;
  std::shared_ptr<WindowReader> windows{};  // of a source: the tensors above are those of one window; else null
  std::shared_ptr<WindowReader> validation_windows{};
  bool validates() const { return !validation.x.empty() || validation_windows; }
};
// ignored: the label that the loss leaves out.
FitData fit_data(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options, std::uint64_t seed,
                 std::optional<std::int64_t> ignored = {});
// Of a source, with the window that comes first in this epoch of the stream.
FitData fit_data(const std::shared_ptr<data::Source>& source, const FitOptions& options, std::uint64_t seed,
                 std::uint64_t epoch);
// The present window's rows take the place of those before.
void set_window(FitData& data, const data::SourceRows& rows, const FitOptions& options);

// "nan in row 70, column 2", counted in the caller's arrays, of the first value in these rows that is not finite; else
// empty. missing_allowed: NaN is.
std::string not_finite_in(const Tensor& values, std::span<const std::int64_t> rows,
                          const std::vector<std::int64_t>& given_row, bool missing_allowed = false);

}  // namespace chainrule

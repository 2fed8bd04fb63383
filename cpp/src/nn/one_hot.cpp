// OneHot: a column of categories becomes a column for each; and Columns, which picks columns.
#include <algorithm>
#include <cmath>
#include <limits>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/fitted_layer.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class OneHotImpl final : public FittedImpl {
 public:
  OneHotImpl(std::vector<std::int64_t> counts, std::string handle_unknown)
      : FittedImpl("OneHot", checked(counts)), counts_(std::move(counts)), handle_unknown_(std::move(handle_unknown)) {
    if (handle_unknown_ != "error" && handle_unknown_ != "ignore")
      fail<ValueError>("OneHot", "unknown handle_unknown", "'" + handle_unknown_ + "'", "use \"error\" or \"ignore\"");
    for (const std::int64_t count : counts_) width_ += count;
    // Where fewer were found the rest is NaN, which equals nothing.
    add_buffer("categories", Tensor::full({width_}, std::numeric_limits<double>::quiet_NaN(), DType::float64));
    add_fitted(0);
  }
  Arguments arguments() const override { return {{"categories", counts_}, {"handle_unknown", handle_unknown_}}; }
  std::string repr_arguments() const override {
    return text_of(arguments(), 1, {{"handle_unknown", std::string("error")}});
  }
  std::optional<std::int64_t> out_features() const override { return width_; }

  // Categories that are known from the start: a fit of nothing.
  void set_categories(const std::vector<std::vector<double>>& categories) {
    std::vector<double> all;
    for (std::size_t k = 0; k < categories.size(); ++k) {
      std::vector<double> own = categories[k];
      std::sort(own.begin(), own.end());
      for (const double value : own)
        if (!std::isfinite(value))
          fail<ValueError>("OneHot", "a category must be a finite number",
                           text_of(value) + " in column " + std::to_string(k));
      const auto twice = std::adjacent_find(own.begin(), own.end());
      if (twice != own.end())
        fail<ValueError>("OneHot", "a category is given twice", text_of(*twice) + " in column " + std::to_string(k));
      all.insert(all.end(), categories[k].begin(), categories[k].end());
    }
    own_buffers()[0].tensor.copy_(Tensor::from(all, {all.size()}));
    own_buffers()[1].tensor.copy_(Tensor::from(std::vector{std::int64_t{-1}}, {}));
  }

 private:
  static std::int64_t checked(const std::vector<std::int64_t>& counts) {
    if (counts.empty()) fail<ValueError>("OneHot", "there are no columns", "", "give one entry per column");
    for (const std::int64_t count : counts)
      if (count < 1)
        fail<ValueError>("OneHot", "a column needs one category at least", std::to_string(count) + " was given");
    return static_cast<std::int64_t>(counts.size());
  }

  std::vector<Tensor> statistics(const Rows& rows) const override {
    check_finite(rows, "give missing values a category of their own: nn.Imputer with strategy=\"constant\"");
    std::vector<double> all, found;
    for (std::size_t k = 0; k < counts_.size(); ++k) {
      found.clear();
      for (std::int64_t row = 0; row < rows.count(); ++row) found.push_back(rows.at(row, static_cast<std::int64_t>(k)));
      std::sort(found.begin(), found.end());
      found.erase(std::unique(found.begin(), found.end()), found.end());
      const auto count = static_cast<std::size_t>(counts_[k]);
      if (found.size() > count)
        fail<ValueError>(
            repr(), "a column holds more categories than it was made for",
            std::to_string(found.size()) + " in column " + std::to_string(k) + ", made for " + std::to_string(count),
            "write " + std::to_string(found.size()) + " for it");
      all.insert(all.end(), found.begin(), found.end());
      all.resize(all.size() + count - found.size(), std::numeric_limits<double>::quiet_NaN());
    }
    return {Tensor::from(all, {all.size()})};
  }

  Tensor apply(const Tensor& x) const override {
    const bool strict = handle_unknown_ == "error";
    if (strict && !x.symbolic()) check_known(x);
    const Tensor categories = buffer(0, x);
    std::vector<Tensor> parts;
    std::int64_t first = 0;
    for (std::size_t k = 0; k < counts_.size(); ++k) {
      const auto column = static_cast<std::int64_t>(k);
      std::vector<Slice> own(static_cast<std::size_t>(x.rank()));
      own.back() = Slice{.start = column, .stop = column + 1};
      const Tensor these = slice(categories, {Slice{.start = first, .stop = first + counts_[k]}});
      first += counts_[k];
      const Tensor hit = cast(equal(slice(x, own), these), x.dtype());
      parts.push_back(strict ? one_hot(position_of(hit, counts_[k]), counts_[k], x.dtype()) : hit);
    }
    return parts.size() == 1 ? parts[0] : concat(parts, -1);
  }
  // Where the 1 stands; what is none of the categories gets a place behind them, which one_hot refuses.
  static Tensor position_of(const Tensor& hit, std::int64_t count) {
    std::vector<double> places(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<double>(i) - static_cast<double>(count);
    Tensor place = Tensor::from(places, {count});
    if (hit.dtype() != DType::float64) place = cast(place, hit.dtype());
    place.data_handle()->constant = true;
    return cast(sum(hit * place, {-1}) + Tensor(static_cast<double>(count)), DType::int64);
  }
  void check_known(const Tensor& x) const {
    const NoGrad no_grad;
    const Tensor values = cast(x.detach(), DType::float64);
    const Tensor known = cast(buffer(0, x.detach()), DType::float64);
    const auto categories = known.span<double>();
    for (std::int64_t i = 0; i < values.size(); ++i) {
      const auto column = static_cast<std::size_t>(i) % counts_.size();
      std::size_t first = 0;
      for (std::size_t k = 0; k < column; ++k) first += static_cast<std::size_t>(counts_[k]);
      const auto own = categories.subspan(first, static_cast<std::size_t>(counts_[column]));
      const double value = values.data<double>()[i];
      if (std::find(own.begin(), own.end(), value) == own.end())
        fail<IndexError>(
            repr(), "a value is none of the categories",
            text_of(value) + " in row " + std::to_string(i / features()) + ", column " + std::to_string(column),
            "handle_unknown=\"ignore\" makes it a row of zeros");
    }
  }

  std::vector<std::int64_t> counts_;
  std::string handle_unknown_;
  std::int64_t width_ = 0;
};

class ColumnsImpl final : public Layer {
 public:
  explicit ColumnsImpl(std::vector<std::int64_t> columns) : columns_(std::move(columns)) {
    if (columns_.empty()) fail<ValueError>("Columns", "there are no columns", "", "give their numbers, from 0");
    for (const std::int64_t column : columns_) {
      if (column < 0) fail<IndexError>("Columns", "columns count from 0", std::to_string(column) + " was given");
      largest_ = std::max(largest_, column);
    }
    index_ = Tensor::from(columns_, {columns_.size()});
    index_.data_handle()->constant = true;
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    if (x.rank() == 0 || x.shape().back() <= largest_)
      fail<ShapeError>(repr(), "there are not so many columns", "x is " + x.shape().str());
    return take(x, index_, -1);
  }
  std::string kind() const override { return "Columns"; }
  Arguments arguments() const override { return {{"columns", columns_}}; }
  std::string repr_arguments() const override { return text_of(arguments(), 1, {}); }
  std::optional<std::int64_t> out_features() const override { return static_cast<std::int64_t>(columns_.size()); }

 private:
  std::vector<std::int64_t> columns_;
  std::int64_t largest_ = 0;
  Tensor index_;
};

std::shared_ptr<ModuleImpl> with_categories(const std::vector<std::vector<double>>& categories,
                                            const OneHotOptions& options) {
  std::vector<std::int64_t> counts;
  for (const auto& own : categories) counts.push_back(static_cast<std::int64_t>(own.size()));
  auto layer = std::make_shared<OneHotImpl>(counts, options.handle_unknown);
  layer->set_categories(categories);
  return layer;
}

}  // namespace

std::shared_ptr<ModuleImpl> read::one_hot(ArgumentReader& arguments) {
  const std::vector<std::int64_t> counts = arguments.integers("categories");
  return std::make_shared<OneHotImpl>(counts, arguments.text("handle_unknown", "error"));
}
std::shared_ptr<ModuleImpl> read::columns(ArgumentReader& arguments) {
  return std::make_shared<ColumnsImpl>(arguments.integers("columns"));
}

OneHot::OneHot(const std::vector<std::int64_t>& counts, const OneHotOptions& options)
    : FittedLayer(std::make_shared<OneHotImpl>(counts, options.handle_unknown)) {}
OneHot::OneHot(const std::vector<std::vector<double>>& categories, const OneHotOptions& options)
    : FittedLayer(with_categories(categories, options)) {}
Columns::Columns(const std::vector<std::int64_t>& columns) : Module(std::make_shared<ColumnsImpl>(columns)) {}

}  // namespace chainrule::nn

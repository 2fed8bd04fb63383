// Embedding: a learned row for every category. Integers reach a model as its floating dtype, so that is what it reads.
#include <cmath>

#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "core/fail.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class EmbeddingImpl final : public Layer {
 public:
  EmbeddingImpl(std::int64_t count, std::int64_t dim, std::optional<std::int64_t> padding, DType dtype)
      : count_(count), dim_(dim), padding_(padding) {
    if (count < 1 || dim < 1)
      fail<ValueError>("Embedding", "sizes must be at least 1",
                       "num_embeddings is " + std::to_string(count) + ", embedding_dim is " + std::to_string(dim));
    check_parameter_dtype("Embedding", dtype);
    if (dtype == DType::float32 && count > largest_exact)
      fail<ValueError>("Embedding", "float32 cannot tell so many categories apart", std::to_string(count),
                       "use dtype=\"float64\" for the whole model");
    if (padding_ && *padding_ < 0) *padding_ += count;
    if (padding_ && (*padding_ < 0 || *padding_ >= count))
      fail<IndexError>("Embedding", "padding_idx is outside the categories", std::to_string(*padding),
                       "they are 0 ... " + std::to_string(count - 1));
    add_parameter("weight", Tensor::zeros({count, dim}, dtype), false);
  }

  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    if (!x.symbolic()) check_values(x);
    const Tensor index = index_of(x);
    const Tensor rows = take(own_parameters()[0].tensor, index, 0);
    if (!padding_) return rows;
    return where(expand_dims(equal(index, Tensor(*padding_)), -1), stop_gradient(rows), rows);
  }

  void init_own(std::uint64_t key, std::uint32_t stream) override {
    Tensor& weight = own_parameters()[0].tensor;
    init::normal_(weight, 0.0, 1.0, {key, stream});
    if (!padding_) return;
    const NoGrad no_grad;
    const Tensor row = cast(equal(index_column(), Tensor(*padding_)), weight.dtype());
    weight.copy_((Tensor(1.0) - row) * weight.detach());
  }
  std::string kind() const override { return "Embedding"; }
  Arguments arguments() const override {
    Arguments all{{"num_embeddings", count_}, {"embedding_dim", dim_}};
    if (padding_) all.emplace_back("padding_idx", *padding_);
    all.emplace_back("dtype", std::string(name_of(own_parameters()[0].tensor.dtype())));
    return all;
  }
  std::string repr_arguments() const override { return text_of(arguments(), 2, {{"dtype", std::string("float32")}}); }
  std::optional<std::int64_t> out_features() const override { return dim_; }

 private:
  static constexpr std::int64_t largest_exact = std::int64_t{1} << 24;

  // 0 ... count - 1 as (count, 1)
  Tensor index_column() const {
    std::vector<std::int64_t> all(static_cast<std::size_t>(count_));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
    return Tensor::from(all, {count_, 1});
  }

  // What is no category becomes `count`, which the op refuses while a compiled program runs.
  Tensor index_of(const Tensor& x) const {
    const Tensor none(count_);
    if (!is_floating(x.dtype())) {
      const Tensor index = x.dtype() == DType::int64 ? x : cast(x, DType::int64);
      return where(less(index, Tensor(0)), none, index);
    }
    const Tensor last(static_cast<double>(count_ - 1));
    const Tensor inside = equal(x, clip(floor(x), Tensor(0.0), last));
    return where(inside, cast(where(inside, x, Tensor(0.0)), DType::int64), none);
  }
  void check_values(const Tensor& x) const {
    const NoGrad no_grad;
    const Tensor wide = x.dtype() == DType::float64 ? x.detach() : cast(x.detach(), DType::float64);
    for (std::int64_t i = 0; i < wide.size(); ++i) {
      const double value = wide.data<double>()[i];
      if (value >= 0 && value < static_cast<double>(count_) && value == std::floor(value)) continue;
      fail<IndexError>(
          repr(), "an input is none of the categories",
          (value == std::floor(value) && std::abs(value) < 1e15 ? std::to_string(static_cast<std::int64_t>(value))
                                                                : text_of(value)) +
              " at position " + std::to_string(i),
          "they are the integers 0 ... " + std::to_string(count_ - 1));
    }
  }

  std::int64_t count_, dim_;
  std::optional<std::int64_t> padding_;
};

std::shared_ptr<ModuleImpl> drawn(std::int64_t count, std::int64_t dim, const EmbeddingOptions& options) {
  auto layer = std::make_shared<EmbeddingImpl>(count, dim, options.padding_idx, options.dtype);
  layer->init_own(options.seed ? *options.seed : next_layer_key(), 0);
  return layer;
}

}  // namespace

std::shared_ptr<ModuleImpl> read::embedding(ArgumentReader& arguments) {
  const std::int64_t count = arguments.integer("num_embeddings"), dim = arguments.integer("embedding_dim");
  std::optional<std::int64_t> padding;
  if (arguments.has("padding_idx")) padding = arguments.integer("padding_idx");
  return std::make_shared<EmbeddingImpl>(count, dim, padding, arguments.dtype());
}

Embedding::Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim, const EmbeddingOptions& options)
    : Module(drawn(num_embeddings, embedding_dim, options)) {}
Tensor Embedding::weight() const { return impl_->own_parameters()[0].tensor; }

}  // namespace chainrule::nn

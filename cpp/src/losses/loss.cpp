// Loss: reduces what a LossImpl gives, with sample weights; and losses made of a function of the user's own.
#include "chainrule/losses.hpp"

#include "chainrule/ops.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

class FunctionLoss final : public LossImpl {
 public:
  FunctionLoss(Loss::FunctionOfOutputs function, std::string name)
      : function_(std::move(function)), name_(std::move(name)) {}

  LossTerms terms(const std::vector<Tensor>& output, const Tensor& target) const override {
    Tensor loss = function_(output, beside(output, target));
    if (!loss.defined()) fail<StateError>(name_, "returned nothing", "", "return a scalar or one value per sample");
    if (!is_floating(loss.dtype()))
      fail<DTypeError>(name_, "must return a floating tensor", "it returned " + std::string(name_of(loss.dtype())));
    const std::int64_t n = !output.empty() && output[0].rank() > 0 ? output[0].shape(0) : -1;
    const bool per_sample = loss.rank() == 1 || (loss.rank() == 2 && loss.shape(1) == 1);
    if (loss.rank() > 0 && n >= 0 && !(per_sample && loss.shape(0) == n))
      fail<ShapeError>(name_, "must return a scalar or one value per sample",
                       "it returned " + loss.shape().str() + " for " + std::to_string(n) + " samples",
                       "reduce the other axes with mean(axis=...)");
    return {std::move(loss)};
  }
  std::string name() const override { return name_; }
  const Function* function() const override { return &function_; }

 private:
  // (N,) beside an output of (N, 1), and the other way round, is given the output's shape: o - t must not be N x N.
  static Tensor beside(const std::vector<Tensor>& output, const Tensor& target) {
    if (output.size() != 1 || output[0].size() != target.size()) return target;
    const Shape &o = output[0].shape(), &t = target.shape();
    const bool column = (o.rank() == t.rank() + 1 && o.back() == 1) || (t.rank() == o.rank() + 1 && t.back() == 1);
    return column ? reshape(target, o) : target;
  }

  Loss::FunctionOfOutputs function_;
  std::string name_;
};

void check_reduction(const std::string& loss, const std::string& reduction) {
  if (reduction != "mean" && reduction != "sum" && reduction != "none")
    fail<ValueError>(loss, "unknown reduction", "'" + reduction + "'", "use \"mean\", \"sum\" or \"none\"");
}

// sample_weight as (N, 1, ...), to multiply a loss of (N, ...).
Tensor spread(const std::string& name, const Tensor& weight, const Tensor& loss) {
  if (loss.rank() == 0)
    fail<ValueError>(name, "a loss that returns one scalar cannot be weighted",
                     "sample_weight is " + weight.shape().str(),
                     "return one value per sample, shape (N,): the mean is taken for you");
  const std::int64_t n = loss.shape(0);
  const Shape& shape = weight.shape();
  if (shape != Shape{n} && shape != Shape{n, 1})
    fail<ShapeError>(name, "sample_weight must hold one number per sample",
                     "sample_weight is " + shape.str() + " for " + std::to_string(n) + " samples",
                     "its shape must be (" + std::to_string(n) + ",)");
  Shape wide{n};
  while (wide.rank() < loss.rank()) wide.push_back(1);
  const Tensor matched = weight.dtype() == loss.dtype() ? weight : cast(weight, loss.dtype());
  return wide == shape ? matched : reshape(matched, wide);
}

// Each sample's mean over its elements, (N,).
Tensor sample_means(const Tensor& loss) {
  if (loss.rank() < 2) return loss;
  Dims axes;
  for (int axis = 1; axis < loss.rank(); ++axis) axes.push_back(axis);
  return mean(loss, axes);
}

// sum(w l) / sum(w); 0 where nothing in the batch counts, since 0 / 0 would end a training.
Tensor weighted_mean(const Tensor& weighted, const Tensor& weights) {
  const Tensor total = sum(weights);
  return sum(weighted) / where(equal(total, Tensor(0.0)), Tensor(1.0), total);
}

}  // namespace

LossImpl::~LossImpl() = default;
void LossImpl::check_target(const Tensor&, const Shape&) const {}
std::vector<Loss> LossImpl::parts() const { return {}; }

Loss::Loss(std::shared_ptr<const LossImpl> impl, std::string reduction)
    : impl_(std::move(impl)), reduction_(std::move(reduction)) {
  check_reduction(impl_ ? impl_->name() : "Loss", reduction_);
}
Loss Loss::of_output(Function function, std::string name) {
  if (!function) fail<StateError>("Loss", "the function is empty");
  return of_outputs(
      [function = std::move(function), name](const std::vector<Tensor>& outputs, const Tensor& target) {
        if (outputs.size() != 1)
          fail<ValueError>(name, "takes one output", "the model gave " + std::to_string(outputs.size()));
        return function(outputs[0], target);
      },
      name);
}
Loss Loss::of_outputs(FunctionOfOutputs function, std::string name) {
  if (!function) fail<StateError>("Loss", "the function is empty");
  return Loss(std::make_shared<FunctionLoss>(std::move(function), std::move(name)));
}

Tensor Loss::operator()(const Tensor& output, const Tensor& target, const Tensor& sample_weight) const {
  return (*this)(std::vector<Tensor>{output}, target, sample_weight);
}

Tensor Loss::operator()(const std::vector<Tensor>& output, const Tensor& target, const Tensor& sample_weight) const {
  if (!impl_) fail<StateError>("Loss", "there is no loss in it", "", "assign one first");
  if (target.defined() && !target.symbolic()) impl_->check_target(target, {});
  const LossTerms terms = impl_->terms(output, target);
  if (!target.symbolic() && !output.empty()) impl_->check_target(target, output[0].shape());
  const bool weighted = sample_weight.defined();
  const Tensor factor = weighted ? spread(impl_->name(), sample_weight, terms.loss) : Tensor();
  if (reduction_ == "mean") {
    if (terms.weight.defined())
      return weighted ? weighted_mean(factor * terms.loss, factor * terms.weight)
                      : weighted_mean(terms.loss, terms.weight);
    if (!weighted) return terms.loss.rank() == 0 ? terms.loss : mean(terms.loss);
    const Tensor samples = sample_means(terms.loss);
    const Tensor weights = factor.rank() == 1 ? factor : reshape(factor, samples.shape());
    return weighted_mean(weights * samples, weights);
  }
  const Tensor loss = weighted ? factor * terms.loss : terms.loss;
  return reduction_ == "none" || loss.rank() == 0 ? loss : sum(loss);
}

std::pair<Tensor, Tensor> Loss::sums(const std::vector<Tensor>& output, const Tensor& target,
                                     const Tensor& weight) const {
  if (!impl_) fail<StateError>("Loss", "there is no loss in it", "", "assign one first");
  const LossTerms terms = impl_->terms(output, target);
  const DType dtype = terms.loss.dtype();
  if (terms.weight.defined()) {
    if (!weight.defined()) return {sum(terms.loss), sum(terms.weight)};
    const Tensor factor = spread(impl_->name(), weight, terms.loss);
    return {sum(factor * terms.loss), sum(factor * terms.weight)};
  }
  const Tensor samples = sample_means(terms.loss);
  if (weight.defined()) {
    const Tensor factor = spread(impl_->name(), weight, samples);
    return {sum(factor * samples), sum(factor)};
  }
  if (samples.rank() > 0) return {sum(samples), make_constant(static_cast<double>(samples.shape(0)), dtype)};
  const double n = !output.empty() && output[0].rank() > 0 ? static_cast<double>(output[0].shape(0)) : 1.0;
  return {samples * Tensor(n), make_constant(n, dtype)};
}

std::string Loss::str() const {
  if (!impl_) return "Loss()";
  nn::Arguments arguments = impl_->arguments();
  if (reduction_ != "mean") arguments.emplace_back("reduction", reduction_);
  return impl_->name() + "(" + nn::text_of(arguments, 0, {}) + ")";
}

}  // namespace chainrule

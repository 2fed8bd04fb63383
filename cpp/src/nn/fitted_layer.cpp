// Fitting: one layer on given data, and all layers of a model on what reaches them.
#include "nn/fitted_layer.hpp"

#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"
#include "nn/mode_override.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::nn {
namespace {

thread_local FittingScope* fitting = nullptr;

struct NothingLeftToFit final : StateError {
  using StateError::StateError;
};

const Tensor* fitted_of(const ModuleImpl& layer) {
  for (const NamedTensor& own : layer.own_buffers())
    if (own.name == "fitted" && own.tensor.dtype() == DType::int64 && own.tensor.size() == 1) return &own.tensor;
  return nullptr;
}

}  // namespace

FittedImpl::FittedImpl(const char* kind, std::int64_t features) : kind_(kind), features_(features) {
  if (features < 1) fail<ValueError>(kind, "features must be at least 1", "features is " + std::to_string(features));
}

Tensor FittedImpl::forward(const Tensor& x) {
  check_last_axis(*this, x, features_);
  const Tensor in = is_floating(x.dtype()) ? x : cast(x, DType::float32);
  if (!fitted()) {
    FittingScope* scope = FittingScope::current();
    if (scope == nullptr || x.symbolic())
      fail<StateError>(repr(), "is not fitted", "it has seen no data yet",
                       "call its fit(X), or Trainer.fit, which fits it on the training rows");
    fit(x);
    scope->fitted.push_back(std::static_pointer_cast<FittedImpl>(shared_from_this()));
    if (scope->done()) throw NothingLeftToFit("all layers are fitted");
  }
  return apply(in);
}

void FittedImpl::fit(const Tensor& x) {
  if (!x.defined()) fail<StateError>(repr(), "x is undefined");
  if (x.symbolic()) fail<StateError>(repr(), "cannot be fitted while a function is traced");
  check_last_axis(*this, x, features_);
  if (x.size() == 0)
    fail<ShapeError>(repr(), "there are no rows to fit", "x is " + x.shape().str(), "check for empty data");
  const NoGrad no_grad;
  Tensor wide = Tensor::empty(x.shape(), DType::float64);
  wide.copy_(x.detach());
  const Rows rows{wide.span<double>(), features_};
  const FloatEnvironment environment;
  const std::vector<Tensor> fresh = statistics(rows);
  for (std::size_t i = 0; i < fresh.size(); ++i) own_buffers()[i].tensor.copy_(fresh[i]);
  own_buffers().back().tensor.copy_(Tensor::from(std::vector{rows.count()}, {}));
}

bool FittedImpl::fitted() const { return own_buffers().back().tensor.data<std::int64_t>()[0] != 0; }
void FittedImpl::unfit() { ModuleImpl::init_own(0, 0); }

Tensor FittedImpl::buffer(std::size_t i, const Tensor& x) const {
  const Tensor value = read_with(own_buffers()[i].tensor, x);
  return value.dtype() == x.dtype() ? value : cast(value, x.dtype());
}

void FittedImpl::check_finite(const Rows& rows, const char* todo) const {
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(rows.values.size()); ++i) {
    const double value = rows.values[static_cast<std::size_t>(i)];
    if (std::isfinite(value)) continue;
    fail<ValueError>(
        repr(), "cannot be fitted on inf or NaN",
        text_of(value) + " in row " + std::to_string(i / features_) + ", column " + std::to_string(i % features_),
        todo);
  }
}

FittingScope::FittingScope(std::size_t layers) : layers_(layers), outer_(fitting) { fitting = this; }
FittingScope::~FittingScope() { fitting = outer_; }
FittingScope* FittingScope::current() { return fitting; }

std::vector<std::shared_ptr<FittedImpl>> fit_layers(const Module& model, const std::vector<Tensor>& x) {
  std::size_t open = 0;
  each_module(*model.impl(), [&](const std::string&, ModuleImpl& module) {
    const auto* layer = dynamic_cast<const FittedImpl*>(&module);
    open += layer != nullptr && !layer->fitted();
  });
  if (open == 0) return {};
  const NoGrad no_grad;
  const ModeOverride mode(false);
  FittingScope scope(open);
  try {
    model(x);
  } catch (...) {
    if (!scope.done()) {  // else it is our own, maybe turned into another on its way through Python
      for (const auto& layer : scope.fitted) layer->unfit();
      throw;
    }
  }
  return scope.fitted;
}

void check_fitted(const Module& model) {
  each_module(*model.impl(), [&](const std::string& name, ModuleImpl& module) {
    const auto* layer = dynamic_cast<const FittedImpl*>(&module);
    if (layer != nullptr && !layer->fitted())
      fail<StateError>("fit", "a layer has to be fitted to the data, which a source of several windows does not hold",
                       module.kind() + (name.empty() ? "" : " \"" + name + "\""),
                       "call its fit(rows) on a sample of the rows first");
  });
}

void unfit_layers(ModuleImpl& model) {
  each_module(model, [](const std::string&, ModuleImpl& module) {
    if (auto* layer = dynamic_cast<FittedImpl*>(&module)) layer->unfit();
  });
}

bool fills_missing(ModuleImpl& model) {
  bool found = false;
  each_module(model, [&](const std::string&, ModuleImpl& module) { found |= module.kind() == "Imputer"; });
  return found;
}

// A layer of a loaded model is no FittedImpl: one made from its arguments is fitted in its place.
void FittedLayer::fit(const Tensor& x) const {
  if (auto* own = dynamic_cast<FittedImpl*>(impl_.get())) return own->fit(x);
  if (!impl_ || fitted_of(*impl_) == nullptr)
    fail<StateError>("fit", "this layer has nothing to fit", impl_ ? impl_->repr() : "it is undefined");
  const auto layer = make_layer(impl_->kind(), impl_->arguments());
  dynamic_cast<FittedImpl&>(*layer).fit(x);
  for (std::size_t i = 0; i < impl_->own_buffers().size(); ++i)
    impl_->own_buffers()[i].tensor.copy_(layer->own_buffers()[i].tensor);
}

bool FittedLayer::fitted() const {
  const Tensor* rows = impl_ ? fitted_of(*impl_) : nullptr;
  return rows != nullptr && rows->data<std::int64_t>()[0] != 0;
}

}  // namespace chainrule::nn

// The built-in update rules: each is one op on (p, gradient, states..., scalars...), run recorded or in place.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/optim.hpp"
#include "core/arguments.hpp"
#include "graph/op.hpp"
#include "optim/schedule_kinds.hpp"

namespace chainrule::optim {

class OpRule : public UpdateRule {
 public:
  std::vector<Tensor> update(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                             const std::vector<Tensor>& scalars) const final;
  void update_in_place(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                       const std::vector<Tensor>& scalars) const final;

 protected:
  // The op and its real attributes, and whether the gradient is negated first; given once, by the constructor.
  void set_op(const char* op, std::initializer_list<double> reals, bool maximize);

 private:
  const Op* op_ = nullptr;
  Attrs attrs_{};
  bool maximize_ = false;
};

// Refuse with the optimizer's name; NaN is refused, too.
void check_at_least_zero(const char* optimizer, const char* name, double value);
void check_lr(const char* optimizer, const Rate& lr);
void check_fraction(const char* optimizer, const char* name, double value);  // [0, 1)
void check_betas(const char* optimizer, const Betas& betas);
Betas read_betas(const char* optimizer, nn::ArgumentReader& arguments, const Betas& otherwise);

// A rule by name, from saved arguments. IndexError: no such optimizer.
std::shared_ptr<UpdateRule> make_rule(const std::string& name, const nn::Arguments& arguments);
// The arguments that an optimizer has by default; none where it is not one of ours.
nn::Arguments default_arguments(const std::string& name);

namespace read {
std::shared_ptr<UpdateRule> sgd(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> adagrad(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> rmsprop(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> adam(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> adamw(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> adadelta(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> adamax(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> nadam(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> radam(nn::ArgumentReader& arguments);
std::shared_ptr<UpdateRule> lion(nn::ArgumentReader& arguments);
}  // namespace read

// For the constructors that take parameters: refuses an empty list.
const std::vector<Tensor>& some_parameters(const char* optimizer, const std::vector<Tensor>& parameters);

// The constructors of an optimizer, from the expression that makes its rule of `options`.
#define CHAINRULE_OPTIMIZER_CONSTRUCTORS(Name, ...)                                                       \
  Name::Name(const Name##Options& options, const GroupOptions& groups)                                    \
      : Optimizer(__VA_ARGS__, std::vector<Tensor>{}, groups) {}                                          \
  Name::Name(const Parameters& parameters, const Name##Options& options, const GroupOptions& groups)      \
      : Optimizer(__VA_ARGS__, some_parameters(#Name, parameters), groups) {}                             \
  Name::Name(const ParameterGroups& parameters, const Name##Options& options, const GroupOptions& groups) \
      : Optimizer(__VA_ARGS__, parameters, groups) {}

}  // namespace chainrule::optim

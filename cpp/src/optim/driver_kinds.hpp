// What the drivers share: checks, reading of saved state, and the objective that a closure is.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "chainrule/drivers.hpp"
#include "core/float_environment.hpp"
#include "optim/flat.hpp"
#include "optim/rules.hpp"

namespace chainrule::optim {

void check_count(const char* optimizer, const char* name, std::int64_t value);  // at least 1

// Reads what a driver's state() gave, and collects what is wrong with it.
class StateReader {
 public:
  explicit StateReader(const std::vector<nn::NamedTensor>& state);
  const Tensor& tensor(const std::string& name);                  // undefined where it is missing
  double number(const std::string& name);                         // 0 where it is wrong
  Vector values(const std::string& name, const Shape& expected);  // empty where they are wrong
  void differs(const std::string& text);
  void finish();  // names that nobody has asked for
  const std::string& differences() const { return differences_; }

 private:
  std::unordered_map<std::string, Tensor> tensors_;
  std::unordered_set<std::string> asked_;
  std::string differences_;
};

// The closure that step() is given, as an objective: of the loss it returns, or of residuals. It runs in the host's
// floating-point environment.
std::unique_ptr<Objective> closure_objective(const std::string& optimizer, const std::vector<Tensor>& parameters,
                                             const Optimizer::Closure& closure, const FloatEnvironment& environment);

namespace read {
std::shared_ptr<Driver> lbfgs(nn::ArgumentReader& arguments);
std::shared_ptr<Driver> levenberg_marquardt(nn::ArgumentReader& arguments);
}  // namespace read

}  // namespace chainrule::optim

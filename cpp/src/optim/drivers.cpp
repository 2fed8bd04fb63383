// What drivers share: flat views of parameters, and the saved state.
#include "chainrule/drivers.hpp"

#include <cmath>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "optim/driver_kinds.hpp"

namespace chainrule::optim {

Objective::Objective(const std::vector<Tensor>& parameters) {
  for (const Tensor& p : parameters)
    if (p.requires_grad()) {
      parameters_.push_back(p);
      size_ += static_cast<std::size_t>(p.size());
    }
}
Objective::~Objective() = default;

void Objective::read(std::span<double> x) const {
  std::size_t at = 0;
  for (const Tensor& p : parameters_)
    for (std::size_t i = 0, n = static_cast<std::size_t>(p.size()); i < n; ++i, ++at)
      x[at] = p.dtype() == DType::float64 ? p.data<double>()[i] : static_cast<double>(p.data<float>()[i]);
}

void Objective::write(std::span<const double> x) {
  std::size_t at = 0;
  for (const Tensor& p : parameters_) {
    for (std::size_t i = 0, n = static_cast<std::size_t>(p.size()); i < n; ++i, ++at) {
      if (p.dtype() == DType::float64)
        reinterpret_cast<double*>(bytes_of(p))[i] = x[at];
      else
        reinterpret_cast<float*>(bytes_of(p))[i] = static_cast<float>(x[at]);
    }
    ++p.data_handle()->storage->version;
  }
}

void Driver::check_size(std::size_t) const {}

void check_count(const char* optimizer, const char* name, std::int64_t value) {
  if (value < 1)
    fail<ValueError>(optimizer, std::string(name) + " must be at least 1",
                     std::string(name) + " is " + std::to_string(value));
}

StateReader::StateReader(const std::vector<nn::NamedTensor>& state) {
  for (const nn::NamedTensor& given : state) tensors_.emplace(given.name, given.tensor);
}
void StateReader::differs(const std::string& text) { differences_ += (differences_.empty() ? "" : ", ") + text; }
const Tensor& StateReader::tensor(const std::string& name) {
  static const Tensor none;
  const bool first = asked_.insert(name).second;
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  if (first) differs(name + " is missing");
  return none;
}
double StateReader::number(const std::string& name) {
  const Vector one = values(name, {});
  return one.empty() ? 0.0 : one[0];
}
Vector StateReader::values(const std::string& name, const Shape& expected) {
  const Tensor& given = tensor(name);
  if (!given.defined()) return {};
  if (!(given.shape() == expected)) {
    differs(name + " is " + expected.str() + " here, " + given.shape().str() + " was given");
    return {};
  }
  const Tensor wide = given.astype(DType::float64);
  const auto span = wide.span<double>();
  Vector read(span.begin(), span.end());
  if (all_finite(read)) return read;
  differs(name + " holds inf or NaN");
  return {};
}
void StateReader::finish() {
  for (const auto& [name, tensor] : tensors_)
    if (!asked_.contains(name)) differs(name + " is unknown");
}

}  // namespace chainrule::optim

// The objective of a driver that is stepped by hand: a closure that computes the loss and its gradients, or residuals.
#include <algorithm>
#include <cmath>
#include <limits>

#include "chainrule/ops.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "graph/stand_ins.hpp"
#include "graph/tensor_data.hpp"
#include "optim/driver_kinds.hpp"

namespace chainrule::optim {
namespace {

constexpr double not_finite = std::numeric_limits<double>::quiet_NaN();
constexpr double most_jacobian_bytes = 1u << 30;

class ClosureObjective final : public Objective {
 public:
  ClosureObjective(std::string optimizer, const std::vector<Tensor>& parameters, const Optimizer::Closure& closure,
                   const FloatEnvironment& environment)
      : Objective(parameters), optimizer_(std::move(optimizer)), closure_(closure), environment_(environment) {}

  double gradient(std::span<double> g) override {
    for (const Tensor& p : parameters()) Tensor(p).zero_grad();
    const Tensor value = returned("the loss");
    if (value.size() != 1)
      fail<ShapeError>(optimizer_, "the closure must return one number, the loss",
                       "it returned shape " + value.shape().str(), "reduce it, for instance with .mean()");
    std::size_t at = 0;
    bool any = false;
    for (const Tensor& p : parameters()) {
      const Tensor own = p.grad();
      const auto n = static_cast<std::size_t>(p.size());
      any |= own.defined();
      if (own.defined()) {
        const Tensor wide = own.detach().astype(DType::float64);
        std::copy_n(wide.data<double>(), n, g.begin() + static_cast<std::ptrdiff_t>(at));
      } else {
        std::fill_n(g.begin() + static_cast<std::ptrdiff_t>(at), n, 0.0);
      }
      at += n;
    }
    if (!any)
      fail<StateError>(optimizer_, "the closure left no gradient in any parameter", "",
                       "call loss.backward() in it before it returns the loss");
    const double loss = value.item();
    return std::isfinite(loss) && std::ranges::all_of(g, [](double v) { return std::isfinite(v); }) ? loss : not_finite;
  }

  double loss() override {
    const NoGrad no_grad;
    const Tensor r = cast(returned("the residuals").detach(), DType::float64);
    const double total = sum(square(r)).item();
    return std::isfinite(total) ? total : not_finite;
  }

  bool normal_equations(std::span<double> jtj, std::span<double> jtr) override {
    const auto columns = static_cast<std::int64_t>(size());
    const auto [r, jacobians] = value_and_jacobians(
        [&](const std::vector<Tensor>& stand_ins) {
          const StandIns scope(parameters(), stand_ins);
          Tensor residuals = returned("the residuals");
          check_bytes(residuals.size());
          return std::vector<Tensor>{std::move(residuals)};
        },
        parameters());
    const NoGrad no_grad;
    const std::int64_t rows = r.size();
    std::vector<Tensor> blocks;
    for (const Tensor& block : jacobians)
      blocks.push_back(reshape(cast(block, DType::float64), {rows, rows == 0 ? 0 : block.size() / rows}));
    const Tensor j = concat(blocks, 1), jt = transpose(j);
    const Tensor a = matmul(jt, j), b = matmul(jt, reshape(cast(r, DType::float64), {rows}));
    std::copy_n(a.data<double>(), columns * columns, jtj.begin());
    std::copy_n(b.data<double>(), columns, jtr.begin());
    const auto finite = [](double v) { return std::isfinite(v); };
    return std::ranges::all_of(jtj, finite) && std::ranges::all_of(jtr, finite);
  }

 private:
  Tensor returned(const char* what) const {
    const GradMode on(true);
    const HostEnvironment host(environment_);
    Tensor value = closure_();
    if (!value.defined())
      fail<StateError>(optimizer_, "the closure returned nothing", "", std::string("it must return ") + what);
    if (!is_floating(value.dtype()))
      fail<DTypeError>(optimizer_, "the closure must return floating values",
                       "it returned " + std::string(name_of(value.dtype())));
    return value;
  }
  void check_bytes(std::int64_t rows) const {
    const double bytes = static_cast<double>(rows) * static_cast<double>(size()) * 8.0;
    if (bytes > most_jacobian_bytes)
      fail<ValueError>(optimizer_, "the Jacobian is too large",
                       std::to_string(rows) + " residuals by " + std::to_string(size()) + " parameters, " +
                           std::to_string(static_cast<std::int64_t>(bytes / 1048576.0)) + " MiB of at most 1024",
                       "give fewer residuals per step, or train with a Trainer, which goes by blocks of rows");
  }

  std::string optimizer_;
  const Optimizer::Closure& closure_;
  const FloatEnvironment& environment_;
};

}  // namespace

std::unique_ptr<Objective> closure_objective(const std::string& optimizer, const std::vector<Tensor>& parameters,
                                             const Optimizer::Closure& closure, const FloatEnvironment& environment) {
  return std::make_unique<ClosureObjective>(optimizer, parameters, closure, environment);
}

}  // namespace chainrule::optim

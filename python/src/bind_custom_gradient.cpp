// Functions with derivative rules written in Python.
#include "tree_call.hpp"

namespace chainrule::python {
namespace {

// A rule in Python: rule(x1, ..., g1, ...) -> a tensor or a tuple.
Function rule_function(const py::object& rule, const char* what) {
  if (rule.is_none()) return {};
  if (PyCallable_Check(rule.ptr()) == 0)
    throw DTypeError(std::string("custom_gradient: ") + what + " must be a function, got " + type_name(rule));
  return [held_rule = hold(rule), what](const std::vector<Tensor>& in) {
    const py::gil_scoped_acquire locked;
    py::tuple arguments(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) arguments[i] = py::cast(in[i]);
    const py::object result = held(held_rule)(*arguments);
    if (result.is_none())
      throw ValueError(std::string("custom_gradient: the rule ") + what +
                       " returned None; return a tensor, or a tuple with None for what is zero");
    std::vector<Tensor> out;
    const auto add = [&](py::handle item) {
      out.push_back(item.is_none() ? Tensor() : to_tensor(item, "custom_gradient"));
    };
    if (PyTuple_Check(result.ptr()) || PyList_Check(result.ptr()))
      for (py::handle item : result) add(item);
    else
      add(result);
    return out;
  };
}

Function with_pullback(const py::object& f) {
  return custom_gradient(FunctionWithPullback([function = hold(f)](const std::vector<Tensor>& x) {
    const py::gil_scoped_acquire locked;
    py::tuple arguments(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) arguments[i] = py::cast(x[i]);
    const py::object result = held(function)(*arguments);
    if (!PyTuple_Check(result.ptr()) || py::len(result) != 2 || PyCallable_Check(result[py::int_(1)].ptr()) == 0)
      throw ValueError(
          "custom_gradient: the function must return (result, pullback), where pullback(gy) gives one cotangent per "
          "argument; or pass vjp= or jvp=");
    return std::pair<std::vector<Tensor>, Pullback>(to_tensors(result[py::int_(0)], "custom_gradient"),
                                                    rule_function(result[py::int_(1)], "the pullback"));
  }));
}

py::object make_custom(const py::object& f, const py::object& vjp_rule, const py::object& jvp_rule) {
  check_function(f, "custom_gradient");
  const Function function =
      vjp_rule.is_none() && jvp_rule.is_none()
          ? with_pullback(f)
          : custom_gradient(to_function(f), rule_function(vjp_rule, "vjp"), rule_function(jvp_rule, "jvp"));
  return named_like(py::cpp_function([function](const py::args& args) {
                      std::vector<Tensor> x;
                      for (py::handle arg : args) {
                        const Tensor t = to_tensor(arg, "custom_gradient");
                        const bool number = t.weak() && !t.symbolic();  // else a number that is an argument
                        const DType own = is_floating(t.dtype()) ? DType::float32 : t.dtype();
                        x.push_back(number ? new_tensor(arg, py::none()) : t.weak() ? t.astype(own) : t);
                      }
                      return from_tensors(function(x));
                    }),
                    f, "custom_gradient");
}

}  // namespace

void bind_custom_gradient(py::module_& m) {
  m.def(
      "custom_gradient", &make_custom, "f"_a, py::kw_only(), "vjp"_a = py::none(), "jvp"_a = py::none(),
      "f with derivative rules of its own. vjp(*x, *gy) gives one cotangent per argument, jvp(*x, *tx) one tangent per "
      "output; one of them is enough, the other is its transpose, for which it must be linear in gy or tx. As a "
      "decorator without rules, f returns "
      "(result, pullback), and pullback(gy) gives one cotangent per argument.\n\n"
      ">>> @cr.custom_gradient\n"
      "... def clipped(x):\n"
      "...     return x, lambda gy: gy.clip(-1.0, 1.0)\n"
      ">>> cr.grad(lambda x: (100.0 * clipped(x)).sum())(cr.tensor([1.0, 2.0]))\n"
      "Tensor([1., 1.])");
}

}  // namespace chainrule::python

// A Python function called from C++ on trees of tensors: what grad, vmap and their kin differentiate or trace.
#pragma once

#include <set>

#include "common.hpp"
#include "tree.hpp"

namespace chainrule::python {

void check_function(const py::object& f, const char* op);  // throws DTypeError where it cannot be called
// A function returned by a transform, with the name and doc of the one it came from.
py::object named_like(const py::cpp_function& made, const py::object& f, const char* transform);

// A Python function called on some of its arguments as tensors, the others as they were given.
class Call {
 public:
  // chosen: which arguments become tensors. floating: integers among them are refused.
  Call(const char* op, py::object f, const py::args& args, const py::kwargs& kwargs,
       const std::vector<std::size_t>& chosen, bool floating = true)
      : op_(op), f_(std::move(f)), args_(args), kwargs_(kwargs), chosen_(chosen) {
    take_apart();
    for (std::size_t i = 0, leaf = 0; floating && i < trees_.size(); ++i)
      for (std::size_t k = 0; k < trees_[i].leaf_count(); ++k, ++leaf) check_floating(leaf, chosen_[i]);
  }

  // The function as C++ calls it. It lives no longer than this.
  Function function(bool has_aux = false) {
    return [this, has_aux](const std::vector<Tensor>& x) {
      py::object result = run(x);
      if (has_aux) {
        if (!PyTuple_Check(result.ptr()) || py::len(result) != 2)
          throw ValueError(std::string(op_) + ": with has_aux=True the function must return (value, aux)");
        aux = result[py::int_(1)];
        result = result[py::int_(0)];
      }
      if (PyFloat_Check(result.ptr()) || PyLong_Check(result.ptr()))
        throw DTypeError(std::string(op_) +
                         ": the function must return one tensor, or tuples, lists and dicts of tensors, got " +
                         type_name(result) + "; its result does not depend on the arguments");
      if (result.is_none())
        throw ValueError(std::string(op_) +
                         ": the function returned None; return a tensor or nested tuples, lists or dicts of tensors");
      std::vector<Tensor> y;
      output = Tree::take_apart(result, op_, y);
      return y;
    };
  }
  Function scalar_function(bool has_aux) {
    return [this, f = function(has_aux)](const std::vector<Tensor>& x) {
      std::vector<Tensor> y = f(x);
      if (output.str() != "*")
        throw DTypeError(std::string(op_) + ": the function must return one tensor, got " + output.str() +
                         "; pass has_aux=True where it returns (value, aux)");
      return y;
    };
  }

  const std::vector<Tree>& trees() const { return trees_; }

  std::vector<Tensor> primals;  // the leaves of the chosen arguments
  Tree output;                  // of the last result
  py::object aux = py::none();

 private:
  // Numbers take the float dtype of the other arguments, chosen or not; where those have none, or several, their own.
  void take_apart() {
    for (std::size_t i : chosen_) trees_.push_back(Tree::take_apart(args_[i], op_, primals, Use::primals));
    std::optional<DType> common;
    bool numbers = false, several = false;
    const auto look = [&](DType dtype) {
      if (!is_floating(dtype)) return;
      several |= common && *common != dtype;
      common = dtype;
    };
    for (const Tensor& t : primals) {
      numbers |= t.weak();
      if (!t.weak()) look(t.dtype());
    }
    if (!numbers) return;
    for (py::handle arg : args_)
      if (is_tensor(arg) && !arg.cast<const Tensor&>().weak())
        look(arg.cast<const Tensor&>().dtype());
      else if (py::isinstance<py::array>(arg) && py::reinterpret_borrow<py::array>(arg).dtype().kind() == 'f')
        look(borrow(arg, op_).dtype());
    if (!common || several) {
      std::vector<Tensor> own;
      for (std::size_t i : chosen_) Tree::take_apart(args_[i], op_, own);
      primals = std::move(own);
      common = DType::float32;  // of what is traced and a number
    }
    for (Tensor& t : primals) {
      if (!t.weak()) continue;
      t = t.astype(is_floating(t.dtype()) ? *common : t.dtype());
      if (!t.symbolic()) t = Tensor::from_raw(t.raw_data(), 1, {}, t.dtype());  // no constant any more
    }
  }
  void check_floating(std::size_t leaf, std::size_t argument) const {
    if (!is_floating(primals[leaf].dtype()))
      throw DTypeError(std::string(op_) + ": argument " + std::to_string(argument) + " is " +
                       std::string(name_of(primals[leaf].dtype())) +
                       "; only floating-point arguments have gradients: pass floats");
  }
  py::object run(const std::vector<Tensor>& x) {
    py::list arguments(args_);
    std::vector<Tensor> parameters, stand_ins;
    std::size_t at = 0;
    for (std::size_t i = 0; i < trees_.size(); ++i) {
      const std::size_t n = trees_[i].leaf_count();
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(at);
      arguments[chosen_[i]] =
          trees_[i].build_argument({begin, begin + static_cast<std::ptrdiff_t>(n)}, parameters, stand_ins);
      at += n;
    }
    if (parameters.empty()) return f_(*py::tuple(arguments), **kwargs_);
    check_once(parameters);
    const nn::ParameterScope scope(parameters, stand_ins);
    return f_(*py::tuple(arguments), **kwargs_);
  }
  // A parameter has one value at a time, so it cannot be two arguments.
  void check_once(const std::vector<Tensor>& parameters) const {
    std::set<const void*> seen;
    for (const Tensor& p : parameters)
      if (!seen.insert(p.data_handle().get()).second)
        throw ValueError(std::string(op_) + ": a parameter of shape " + p.shape().str() +
                         " stands in two of the arguments; pass its module once, or a clone()");
  }

  const char* op_;
  py::object f_;
  py::tuple args_;
  py::dict kwargs_;
  std::vector<std::size_t> chosen_;
  std::vector<Tree> trees_;
};

}  // namespace chainrule::python

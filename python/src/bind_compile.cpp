// Compiled functions: one program per structure of the arguments, shapes and dtypes.
#include <unordered_map>

#include "tree_call.hpp"

namespace chainrule::python {
namespace {

// One C++ Compiled per structure of the arguments.
class CompiledTrees {
 public:
  explicit CompiledTrees(py::object f) : f_(hold(std::move(f))) {}

  py::object operator()(const py::args& args, const py::kwargs& kwargs, const py::object& out) {
    std::vector<Tensor> inputs;
    Variant& variant = variant_for(args, kwargs, inputs);
    if (!out.is_none()) return write(variant, inputs, out);
    std::vector<Tensor> outputs;
    {
      const Unlocked unlocked;
      outputs = variant.compiled(inputs);
    }
    return variant.output->build(outputs);
  }
  Profile profile(const py::args& args, int runs, const py::kwargs& kwargs) {
    std::vector<Tensor> inputs;
    Variant& variant = variant_for(args, kwargs, inputs);
    const Unlocked unlocked;
    return variant.compiled.profile(inputs, runs);
  }

 private:
  struct Variant {
    std::shared_ptr<Tree> arguments;
    std::shared_ptr<Tree> output;
    Compiled compiled;
  };

  Variant& variant_for(const py::args& args, const py::kwargs& kwargs, std::vector<Tensor>& inputs) {
    bool flat = kwargs.empty();  // the usual call: tensors and arrays only
    for (py::handle arg : args) flat &= is_tensor(arg) || py::isinstance<py::array>(arg);
    std::string key;
    auto tree = std::make_shared<Tree>();
    if (flat) {
      for (py::handle arg : args) inputs.push_back(borrow(arg, "compile"));
      key = std::to_string(args.size());
    } else {
      *tree = Tree::take_apart(py::make_tuple(args, by_name(kwargs)), "compile", inputs, Use::arguments);
      key = tree->str();
    }
    const auto found = variants_.find(key);
    if (found != variants_.end()) return found->second;
    if (flat) {
      std::vector<Tensor> unused;
      *tree = Tree::take_apart(py::make_tuple(args, py::dict()), "compile", unused);
    }
    auto output = std::make_shared<Tree>();
    const Function run = [f = f_, tree, output](const std::vector<Tensor>& x) {
      const py::gil_scoped_acquire locked;
      std::vector<Tensor> parameters, stand_ins, y;
      const py::object call = tree->build_argument(x, parameters, stand_ins);
      const auto positional = py::reinterpret_borrow<py::tuple>(call[py::int_(0)]);
      const auto named = py::reinterpret_borrow<py::dict>(call[py::int_(1)]);
      const nn::ParameterScope scope(parameters, stand_ins);
      const py::object result = held(f)(*positional, **named);
      if (result.is_none())
        throw ValueError(
            "compile: the function returned None; return a tensor or nested tuples, lists or dicts of tensors");
      *output = Tree::take_apart(result, "compile", y);
      return y;
    };
    return variants_.emplace(std::move(key), Variant{tree, output, compile(run)}).first->second;
  }

  // In the order of their names: the order in which they are written makes no difference.
  static py::dict by_name(const py::kwargs& kwargs) {
    py::list names(py::reinterpret_borrow<py::dict>(kwargs));
    names.attr("sort")();
    py::dict sorted;
    for (py::handle name : names) sorted[name] = kwargs[name];
    return sorted;
  }

  static py::object write(const Variant& variant, const std::vector<Tensor>& inputs, const py::object& out) {
    const std::vector<OutputView> views = output_views(out, "compile");
    const Unlocked unlocked;
    variant.compiled(inputs, views);
    return {};
  }

  std::shared_ptr<PyObject> f_;
  std::unordered_map<std::string, Variant> variants_;
};

}  // namespace

void bind_compile(py::module_& m) {
  py::class_<CompiledTrees>(m, "Compiled", "A compiled function of tensors.")
      .def(
          "__call__",
          [](CompiledTrees& c, const py::args& args, const py::object& out, const py::kwargs& kwargs) {
            const py::object result = c(args, kwargs, out);
            return result ? result : out;
          },
          py::kw_only(), "out"_a = py::none())
      .def("profile", &CompiledTrees::profile, py::kw_only(), "runs"_a = 100,
           "Where the time of a call with these arguments goes: a Profile, which prints as a table.");
  m.def(
      "compile",
      [](const py::object& f) {
        check_function(f, "compile");
        return CompiledTrees(f);
      },
      "f"_a,
      "f compiled: traced once per structure, shapes and dtypes of its arguments, then run as a program. A branch on "
      "values "
      "is an error. Arguments may be passed by name. Calls are recorded where a gradient is wanted; out= takes NumPy "
      "arrays to write the results to.");
}

}  // namespace chainrule::python

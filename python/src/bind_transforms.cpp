// Derivatives of functions of tensors, and vmap. Arguments and results are trees: see tree.hpp.
#include <algorithm>

#include "tree_call.hpp"

namespace chainrule::python {
namespace {

// Which arguments to differentiate, and whether one was named (a bare result) or a tuple (a tuple of results).
struct Argnums {
  std::vector<std::size_t> indices;
  bool bare = true;
};

Argnums to_argnums(const py::object& argnums, std::size_t count, const char* op) {
  const bool several = PyTuple_Check(argnums.ptr()) || PyList_Check(argnums.ptr());
  Argnums result{{}, !several};
  const auto n = static_cast<std::int64_t>(count);
  const auto refuse = [&](const std::string& why) {
    throw ValueError(std::string(op) + ": argnums " + why + "; write argnums=0, or (0, 1) for several");
  };
  const py::tuple items = several ? py::tuple(argnums) : py::make_tuple(argnums);
  if (items.empty()) refuse("names no argument");
  for (py::handle item : items) {
    if (PyBool_Check(item.ptr()) || PyIndex_Check(item.ptr()) == 0)
      refuse("must be an integer or a tuple of integers, got " + py::repr(argnums).cast<std::string>());
    const auto i = item.cast<std::int64_t>();
    if (i < -n || i >= n)
      throw ValueError(std::string(op) + ": argnums is " + std::to_string(i) + ", but there are " + std::to_string(n) +
                       " arguments");
    const auto index = static_cast<std::size_t>(i < 0 ? i + n : i);
    if (std::find(result.indices.begin(), result.indices.end(), index) != result.indices.end())
      refuse("names argument " + std::to_string(index) + " twice");
    result.indices.push_back(index);
  }
  return result;
}

std::vector<std::size_t> all_of(std::size_t count) {
  std::vector<std::size_t> indices(count);
  for (std::size_t i = 0; i < count; ++i) indices[i] = i;
  return indices;
}

// One result per chosen argument, in its structure: bare, or a tuple of them.
Tree structure_of(const std::vector<Tree>& trees, bool bare) { return bare ? trees[0] : Tree::tuple_of(trees); }

// (value, aux) as f returned them, aux without ways back into a differentiation that is over.
py::object settled(const py::object& aux, const std::vector<Tensor>& primals) {
  if (differentiating()) return aux;
  for (const Tensor& t : primals)
    if (t.requires_grad() || t.symbolic()) return aux;
  std::vector<Tensor> leaves;
  Tree tree;
  try {
    tree = Tree::take_apart(aux, "aux", leaves);
  } catch (const Error&) {
    return aux;  // not only tensors: as it is
  }
  bool recorded = false;
  for (Tensor& t : leaves) {
    recorded |= t.requires_grad();
    if (!t.symbolic()) t = t.detach();
  }
  return recorded ? tree.build(leaves) : aux;
}

// x or (x1, x2, ...): several primals are a tuple.
py::args as_primals(const py::object& at) {
  const py::tuple tuple = PyTuple_CheckExact(at.ptr()) ? py::reinterpret_borrow<py::tuple>(at) : py::make_tuple(at);
  return py::reinterpret_borrow<py::args>(tuple);
}

// Tangents with the structure of the primals, bare where those are.
std::vector<Tensor> tangents_like(const Call& call, const py::object& at, const py::object& along, const char* op) {
  const bool bare = !PyTuple_CheckExact(at.ptr());
  if (!bare && (!PyTuple_Check(along.ptr()) || py::len(along) != call.trees().size()))
    throw ValueError(std::string(op) + ": expected " + std::to_string(call.trees().size()) +
                     " tangents, one per primal (a tuple), got " +
                     (PyTuple_Check(along.ptr()) ? std::to_string(py::len(along)) : type_name(along)));
  if (bare && PyTuple_CheckExact(along.ptr()) && py::len(along) == 1)
    return structure_of(call.trees(), true).leaves_of(along[py::int_(0)], op, "tangents");
  return structure_of(call.trees(), bare).leaves_of(along, op, "tangents");
}

template <class Transform>
py::object derivative(const py::object& f, const py::object& argnums, bool has_aux, const char* op,
                      const Transform& transform) {
  check_function(f, op);
  return named_like(py::cpp_function([=](const py::args& args, const py::kwargs& kwargs) -> py::object {
                      const Argnums wanted = to_argnums(argnums, args.size(), op);
                      Call call(op, f, args, kwargs, wanted.indices);
                      return transform(call, wanted.bare, has_aux);
                    }),
                    f, op);
}

py::object gradient(Call& call, bool bare, bool has_aux, bool with_value) {
  const auto [value, gradients] =
      value_and_gradients(call.scalar_function(has_aux), call.primals, with_value ? "value_and_grad" : "grad");
  const py::object g = structure_of(call.trees(), bare).build(gradients);
  const py::object aux = has_aux ? settled(call.aux, call.primals) : py::none();
  if (!with_value) return has_aux ? py::object(py::make_tuple(g, aux)) : g;
  const py::object v = has_aux ? py::object(py::make_tuple(value, aux)) : py::cast(value);
  return py::make_tuple(v, g);
}

JacobianMode to_mode(const std::string& mode) {
  if (mode == "auto") return JacobianMode::automatic;
  if (mode == "reverse") return JacobianMode::reverse;
  if (mode == "forward") return JacobianMode::forward;
  throw ValueError("jacobian: mode is \"" + mode + "\"; use \"auto\", \"reverse\" or \"forward\"");
}

// The tree with other leaves, of any kind: results[0], results[1], ...
py::object filled(const Tree& tree, const std::vector<py::object>& results) {
  std::vector<Tensor> positions;
  for (std::size_t i = 0; i < results.size(); ++i) positions.push_back(Tensor::scalar(static_cast<double>(i)));
  std::size_t next = 0;
  const std::function<py::object(const py::object&)> fill = [&](const py::object& at) -> py::object {
    if (is_tensor(at)) return results[next++];
    if (PyDict_Check(at.ptr())) {
      py::dict items;
      for (auto [key, item] : py::reinterpret_borrow<py::dict>(at))
        items[key] = fill(py::reinterpret_borrow<py::object>(item));
      return items;
    }
    if (PyList_Check(at.ptr()) || PyTuple_Check(at.ptr())) {
      py::list items;
      for (py::handle item : at) items.append(fill(py::reinterpret_borrow<py::object>(item)));
      if (PyList_Check(at.ptr())) return items;
      return PyTuple_CheckExact(at.ptr()) ? py::object(py::tuple(items)) : py::type::of(at)(*items);
    }
    return at;
  };
  return fill(tree.build(positions));
}

// A tree whose every leaf is a tree: blocks[i][j].
py::object nested(const Tree& outer, const Tree& inner, const std::vector<std::vector<Tensor>>& blocks) {
  std::vector<py::object> results;
  for (const auto& block : blocks) results.push_back(inner.build(block));
  return filled(outer, results);
}

// --- vmap ------------------------------------------------------------------------------------------------------------

py::object run_vmap(const py::object& f, const py::object& in_axes, const py::object& out_axes, const py::args& args,
                    const py::kwargs& kwargs) {
  const bool each = PyTuple_Check(in_axes.ptr()) || PyList_Check(in_axes.ptr());
  if (each && py::len(in_axes) != args.size())
    throw ValueError("vmap: in_axes has " + std::to_string(py::len(in_axes)) + " entries, but there are " +
                     std::to_string(args.size()) + " arguments; give one axis (or None) per argument");
  std::vector<std::size_t> chosen;
  std::vector<int> axis_of;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const py::object axis = each ? py::object(in_axes[py::int_(i)]) : in_axes;
    if (axis.is_none()) continue;
    if (!PyLong_Check(axis.ptr())) throw DTypeError("vmap: an axis must be an integer or None, got " + type_name(axis));
    chosen.push_back(i);
    axis_of.push_back(axis.cast<int>());
  }
  Call call("vmap", f, args, kwargs, chosen, /*floating=*/false);
  std::vector<std::optional<int>> axes;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    for (std::size_t k = 0; k < call.trees()[i].leaf_count(); ++k) axes.emplace_back(axis_of[i]);
  const auto places = [&](std::size_t outputs) {
    if (PyLong_Check(out_axes.ptr())) return std::vector<int>(outputs, out_axes.cast<int>());
    std::vector<int> given;
    if (!PyTuple_Check(out_axes.ptr()) || py::len(out_axes) != call.output.children().size())
      throw ValueError("vmap: out_axes must be an integer, or a tuple with one per output of the function");
    for (std::size_t i = 0; i < call.output.children().size(); ++i)
      given.insert(given.end(), call.output.children()[i].leaf_count(), out_axes[py::int_(i)].cast<int>());
    return given;
  };
  const std::vector<Tensor> results = vmap_call(call.function(), call.primals, axes, places);
  return call.output.build(results);
}

}  // namespace

void bind_transforms(py::module_& m) {
  m.def(
      "grad",
      [](const py::object& f, const py::object& argnums, bool has_aux) {
        return derivative(f, argnums, has_aux, "grad",
                          [](Call& call, bool bare, bool aux) { return gradient(call, bare, aux, false); });
      },
      "f"_a, "argnums"_a = 0, "has_aux"_a = false,
      "The function that gives the gradient of scalar-valued f with respect to argument argnums (an int: bare; a tuple "
      "of ints: a tuple). An argument may be a tensor, nested tuples, lists and dicts of tensors, or a module, whose "
      "gradient is a dict by parameter name. has_aux: f returns (value, aux), the result is (gradient, aux).\n\n"
      ">>> cr.grad(lambda x: (x ** 2).sum())(cr.tensor([1.0, 2.0]))\n"
      "Tensor([2., 4.])");
  m.def(
      "value_and_grad",
      [](const py::object& f, const py::object& argnums, bool has_aux) {
        return derivative(f, argnums, has_aux, "value_and_grad",
                          [](Call& call, bool bare, bool aux) { return gradient(call, bare, aux, true); });
      },
      "f"_a, "argnums"_a = 0, "has_aux"_a = false,
      "The function that gives (value, gradient) of scalar-valued f; with has_aux ((value, aux), gradient). Arguments "
      "as "
      "in grad.");
  m.def(
      "jacobian",
      [](const py::object& f, const py::object& argnums, bool has_aux, const std::string& mode) {
        const JacobianMode how = to_mode(mode);
        return derivative(f, argnums, has_aux, "jacobian", [how](Call& call, bool bare, bool aux) -> py::object {
          const Jacobians jacobians = values_and_jacobians(call.function(aux), call.primals, how).second;
          const py::object j = nested(call.output, structure_of(call.trees(), bare), jacobians);
          return aux ? py::object(py::make_tuple(j, settled(call.aux, call.primals))) : j;
        });
      },
      "f"_a, "argnums"_a = 0, "has_aux"_a = false, "mode"_a = "auto",
      "The function that gives the Jacobian of f, of shape f(x).shape + x.shape. mode: \"reverse\" (one sweep carries "
      "all "
      "outputs' cotangents), \"forward\" (all inputs' tangents) or \"auto\" (the one that carries fewer). Where f "
      "returns "
      "tuples, lists or dicts of tensors, so is the result, with the Jacobian of each.\n\n"
      ">>> cr.jacobian(lambda x: x ** 2)(cr.tensor([1.0, 2.0]))\n"
      "Tensor([[2., 0.],\n        [0., 4.]])");
  m.def(
      "hessian",
      [](const py::object& f, const py::object& argnums, bool has_aux) {
        return derivative(f, argnums, has_aux, "hessian", [](Call& call, bool bare, bool aux) -> py::object {
          const auto blocks = hessians(call.function(aux), call.primals);
          const Tree structure = structure_of(call.trees(), bare);
          std::vector<py::object> each;
          for (const auto& block : blocks) each.push_back(nested(structure, structure, block));
          const py::object h = filled(call.output, each);
          return aux ? py::object(py::make_tuple(h, settled(call.aux, call.primals))) : h;
        });
      },
      "f"_a, "argnums"_a = 0, "has_aux"_a = false,
      "The function that gives the second derivatives of scalar-valued f, of shape x.shape + x.shape, by forward mode "
      "over reverse mode. For trees, a tree of trees: entry [a][b] is d2f / da db. Where f returns tuples, lists or "
      "dicts "
      "of scalars, so is the result, with the second derivatives of each.\n\n"
      ">>> cr.hessian(lambda x: x[0] ** 2 * x[1])(cr.tensor([1.0, 2.0]))\n"
      "Tensor([[4., 2.],\n        [2., 0.]])");
  m.def(
      "vjp",
      [](const py::object& f, const py::args& args) {
        check_function(f, "vjp");
        Call call("vjp", f, args, {}, all_of(args.size()));
        auto [outputs, pullback] = vjp(call.function(), call.primals);
        const auto pull = [pullback = std::move(pullback), output = call.output,
                           trees = call.trees()](const py::object& cotangent) {
          std::vector<Tensor> g;
          if (output.str() == "*" && PyTuple_CheckExact(cotangent.ptr()) && py::len(cotangent) == 1)
            g = output.leaves_of(cotangent[py::int_(0)], "pullback", "cotangents");
          else
            g = output.leaves_of(cotangent, "pullback", "cotangents");
          return Tree::tuple_of(trees).build(pullback(g));
        };
        return py::make_tuple(call.output.build(outputs),
                              one_line_errors(py::cpp_function(pull, py::name("pullback"), "cotangent"_a)));
      },
      "f"_a,
      "(outputs, pullback) of f at the primals. pullback(gy) takes a cotangent for each output, in the outputs' "
      "structure, "
      "and always returns a tuple: one cotangent per primal. f runs once, however often pullback is called.\n\n"
      ">>> y, pullback = cr.vjp(lambda x: x ** 2, cr.tensor([1.0, 2.0]))\n"
      ">>> pullback(cr.ones((2,)))\n"
      "(Tensor([2., 4.]),)");
  m.def(
      "jvp",
      [](const py::object& f, const py::object& at, const py::object& along) {
        check_function(f, "jvp");
        const py::args args = as_primals(at);
        Call call("jvp", f, args, {}, all_of(args.size()));
        const auto [outputs, tangents] = jvp(call.function(), call.primals, tangents_like(call, at, along, "jvp"));
        return py::make_tuple(call.output.build(outputs), call.output.build(tangents));
      },
      "f"_a, "primals"_a, "tangents"_a,
      "(outputs, tangents) of f when the primals move along the tangents. Several primals are a tuple, and so are "
      "their "
      "tangents.\n\n"
      ">>> cr.jvp(lambda x: x ** 2, cr.tensor([1.0, 2.0]), cr.tensor([1.0, 0.0]))\n"
      "(Tensor([1., 4.]), Tensor([2., 0.]))");
  m.def(
      "linearize",
      [](const py::object& f, const py::args& args) {
        check_function(f, "linearize");
        Call call("linearize", f, args, {}, all_of(args.size()));
        auto [outputs, push] = linearize(call.function(), call.primals);
        const auto run = [push = std::move(push), output = call.output,
                          trees = call.trees()](const py::args& tangents) {
          if (tangents.size() != trees.size())
            throw ValueError("linearize: expected " + std::to_string(trees.size()) + " tangents, one per primal, got " +
                             std::to_string(tangents.size()));
          return output.build(push(Tree::tuple_of(trees).leaves_of(tangents, "linearize", "tangents")));
        };
        return py::make_tuple(call.output.build(outputs), one_line_errors(py::cpp_function(run, py::name("linear"))));
      },
      "f"_a,
      "(outputs, push) of f at the primals: push(*tangents) gives the outputs' tangents. f runs once, however often "
      "push "
      "is called.");
  m.def(
      "hvp",
      [](const py::object& f, const py::object& at, const py::object& along) {
        check_function(f, "hvp");
        const py::args args = as_primals(at);
        Call call("hvp", f, args, {}, all_of(args.size()));
        const auto products = hvp(call.scalar_function(false), call.primals, tangents_like(call, at, along, "hvp"));
        return structure_of(call.trees(), !PyTuple_CheckExact(at.ptr())).build(products);
      },
      "f"_a, "x"_a, "v"_a,
      "The Hessian of scalar-valued f at x times v, without the Hessian: the derivative of f's gradient along v. "
      "Several "
      "arguments are a tuple.\n\n"
      ">>> cr.hvp(lambda x: (x ** 3).sum(), cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))\n"
      "Tensor([6., 12.])");
  m.def(
      "directional_derivative",
      [](const py::object& f, const py::object& at, const py::object& along) {
        check_function(f, "directional_derivative");
        const py::args args = as_primals(at);
        Call call("directional_derivative", f, args, {}, all_of(args.size()));
        return directional_derivative(call.scalar_function(false), call.primals,
                                      tangents_like(call, at, along, "directional_derivative"));
      },
      "f"_a, "x"_a, "v"_a,
      "How f changes when x moves along v: <gradient, v> for scalar-valued f, the Jacobian times v otherwise.");
  m.def(
      "vmap",
      [](const py::object& f, const py::object& in_axes, const py::object& out_axes) {
        check_function(f, "vmap");
        return named_like(py::cpp_function([=](const py::args& args, const py::kwargs& kwargs) {
                            return run_vmap(f, in_axes, out_axes, args, kwargs);
                          }),
                          f, "vmap");
      },
      "f"_a, "in_axes"_a = 0, "out_axes"_a = 0,
      "f, written for one sample, on a batch of them. Every sample gets random draws and dropout masks of its own. "
      "in_axes: the axis of the batch in every argument, or a tuple "
      "with one "
      "per argument, None for what all samples share; out_axes: where it goes in the outputs. Arguments given by name "
      "are shared by all samples. f is traced on one sample, twice, to see what would be frozen (np.random): a branch "
      "on values is an error.\n\n"
      ">>> cr.vmap(cr.grad(lambda x: (x ** 2).sum()))(cr.tensor([[1.0, 2.0], [3.0, 4.0]]))\n"
      "Tensor([[2., 4.],\n        [6., 8.]])");
  m.def(
      "check_gradients",
      [](const py::object& f, const py::args& args, double tolerance) {
        check_function(f, "check_gradients");
        Call call("check_gradients", f, args, {}, all_of(args.size()));
        return check_gradients(call.scalar_function(false), call.primals, tolerance);
      },
      "f"_a, py::kw_only(), "tolerance"_a = 1e-6,
      "Derivatives of f in reverse and forward mode beside central differences, in float64: a table with a line per "
      "tensor "
      "among the arguments. A ValueError with the table where an error exceeds tolerance * max(1, |derivative|). "
      "Tensors "
      "that f captures must be float64.");
  m.def(
      "functional_call",
      [](const py::object& module, const py::dict& parameters, const py::args& inputs) {
        std::vector<nn::NamedTensor> named;
        for (auto [name, value] : parameters) {
          if (!py::isinstance<py::str>(name))
            throw ValueError("functional_call: names must be strings, got " + type_name(name));
          named.push_back({name.cast<std::string>(),
                           is_tensor(value) ? value.cast<const Tensor&>() : new_tensor(value, py::none())});
        }
        std::vector<Tensor> x;
        for (py::handle input : inputs) x.push_back(to_tensor(input, "functional_call"));
        return from_tensors(functional_call(unwrap_module(module, "functional_call"), named, x));
      },
      "module"_a, "parameters"_a,
      "module(*inputs) with tensors, by name, in the place of its parameters and buffers; what is not named stays as "
      "it "
      "is. Gradients go to the tensors given.\n\n"
      ">>> model = nn.Linear(2, 1, seed=0)\n"
      ">>> loss = lambda p: (cr.functional_call(model, p, cr.ones((4, 2))) ** 2).mean()\n"
      ">>> sorted(cr.grad(loss)(dict(model.named_parameters())))\n"
      "['bias', 'weight']");
}

}  // namespace chainrule::python

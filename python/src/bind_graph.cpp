// Functions of tensors: traced, printed, compiled, differentiated.
#include "common.hpp"

namespace chainrule::python {

Function to_function(const py::object& f) {
  if (PyCallable_Check(f.ptr()) == 0) throw DTypeError("expected a function of tensors, got " + type_name(f));
  return [function = hold(f)](const std::vector<Tensor>& inputs) {
    const py::gil_scoped_acquire locked;
    py::tuple arguments(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) arguments[i] = py::cast(inputs[i]);
    const py::object result = held(function)(*arguments);
    if (result.is_none()) throw ValueError("the function returned None; return a tensor or a tuple of tensors");
    return to_tensors(result, "function");
  };
}

namespace {

std::vector<Tensor> primals(const py::args& args) {
  std::vector<Tensor> tensors;
  for (py::handle arg : args)
    tensors.push_back(is_tensor(arg) ? arg.cast<const Tensor&>() : new_tensor(arg, py::none()));
  return tensors;
}

// Which arguments to differentiate, and whether one was named (a bare result) or a tuple (a tuple of results).
struct Argnums {
  std::vector<std::size_t> indices;
  bool bare = true;
};

Argnums to_argnums(const py::object& argnums, std::size_t count, const char* op) {
  Argnums result{{}, !PyTuple_Check(argnums.ptr())};
  const Dims wanted = to_axes(argnums, op);
  const auto n = static_cast<std::int64_t>(count);
  for (std::int64_t i : wanted) {
    if (i < -n || i >= n)
      throw ValueError(std::string(op) + ": argnums is " + std::to_string(i) + ", but there are " + std::to_string(n) +
                       " arguments");
    result.indices.push_back(static_cast<std::size_t>(i < 0 ? i + n : i));
  }
  return result;
}

py::tuple as_tuple(const std::vector<Tensor>& tensors) {
  py::tuple tuple(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) tuple[i] = py::cast(tensors[i]);
  return tuple;
}

// (value, gradients, aux) of f at the primals. f runs on values, with those arguments replaced that are differentiated.
py::tuple differentiate(const py::object& f, const py::object& argnums, bool has_aux, const py::args& args,
                        const char* op) {
  const std::vector<Tensor> all = primals(args);
  const Argnums wanted = to_argnums(argnums, all.size(), op);
  std::vector<Tensor> chosen;
  for (std::size_t i : wanted.indices) {
    if (!is_floating(all[i].dtype()))
      throw DTypeError(std::string(op) + ": argument " + std::to_string(i) + " is " +
                       std::string(name_of(all[i].dtype())) +
                       "; only floating-point arguments have gradients: pass floats");
    chosen.push_back(all[i]);
  }
  py::object aux = py::none();
  const Function call = [&](const std::vector<Tensor>& inputs) -> std::vector<Tensor> {
    py::tuple arguments(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) arguments[i] = py::cast(all[i]);
    for (std::size_t j = 0; j < inputs.size(); ++j) arguments[wanted.indices[j]] = py::cast(inputs[j]);
    py::object result = f(*arguments);
    if (has_aux) {
      if (!PyTuple_Check(result.ptr()) || py::len(result) != 2)
        throw ValueError(std::string(op) + ": with has_aux=True the function must return (value, aux)");
      aux = result[py::int_(1)];
      result = result[py::int_(0)];
    }
    if (!is_tensor(result))
      throw DTypeError(std::string(op) + ": the function must return one tensor, got " + type_name(result));
    return {result.cast<Tensor>()};
  };
  const auto [value, gradients] = value_and_gradients(call, chosen);
  py::object result = py::cast(gradients[0]);
  if (!wanted.bare) { result = as_tuple(gradients); }
  return py::make_tuple(value, result, aux);
}

// A function returned by a transform, with the name and doc of the one it came from.
py::object named_like(const py::cpp_function& made, const py::object& f, const char* transform) {
  py::object wrapper = py::module_::import("functools").attr("partial")(made);
  const std::string name = py::hasattr(f, "__name__") ? f.attr("__name__").cast<std::string>() : type_name(f);
  wrapper.attr("__name__") = std::string(transform) + "(" + name + ")";
  return wrapper;
}

// One tensor, or a tuple of as many as there are.
std::vector<Tensor> matching(const py::object& value, std::size_t count, const char* op, const char* what) {
  std::vector<Tensor> tensors;
  if (PyTuple_Check(value.ptr()))
    for (py::handle item : value) tensors.push_back(to_tensor(item, op));
  else
    tensors.push_back(to_tensor(value, op));
  if (tensors.size() != count)
    throw ValueError(std::string(op) + ": expected " + std::to_string(count) + " " + what + ", got " +
                     std::to_string(tensors.size()));
  return tensors;
}

void check_function(const py::object& f, const char* op) {
  if (PyCallable_Check(f.ptr()) == 0)
    throw DTypeError(std::string(op) + ": expected a function, got " + type_name(f) + "; write " + op + "(f)(x)");
}

}  // namespace

void bind_graph(py::module_& m) {
  py::class_<Graph>(m, "Graph", "A recorded computation; printed, one line per operation.")
      .def("__str__", &Graph::str)
      .def("__repr__",
           [](const Graph& g) {
             return "Graph(" + std::to_string(g.size()) + " nodes, " + std::to_string(g.flops()) + " FLOP)";
           })
      .def("__len__", &Graph::size)
      .def_property_readonly("flops", &Graph::flops, "Floating-point operations of one run.");
  m.def(
      "trace",
      [](const py::object& f, const py::args& examples) {
        check_function(f, "trace");
        return trace(to_function(f), primals(examples));
      },
      "f"_a, "Record what f does on tensors shaped like the examples.");
  py::class_<Compiled>(m, "Compiled", "A compiled function of tensors.")
      .def("__call__", [](const Compiled& c, const py::args& args) {
        std::vector<Tensor> inputs;
        for (py::handle arg : args) inputs.push_back(borrow(arg, "compile"));
        std::vector<Tensor> outputs;
        {
          const py::gil_scoped_release unlocked;
          outputs = c(inputs);
        }
        return from_tensors(outputs);
      });
  m.def(
      "compile",
      [](const py::object& f) {
        check_function(f, "compile");
        return compile(to_function(f));
      },
      "f"_a,
      "f compiled: traced once per input shapes and dtypes, then run as a program. A branch on values is an error.");
  m.def(
      "grad",
      [](const py::object& f, const py::object& argnums, bool has_aux) {
        check_function(f, "grad");
        return named_like(py::cpp_function([f, argnums, has_aux](const py::args& args) -> py::object {
                            const py::tuple all = differentiate(f, argnums, has_aux, args, "grad");
                            return has_aux ? py::object(py::make_tuple(all[1], all[2])) : py::object(all[1]);
                          }),
                          f, "grad");
      },
      "f"_a, "argnums"_a = 0, "has_aux"_a = false,
      "The function that gives the gradient of scalar-valued f. argnums: an int gives a bare gradient, a tuple a "
      "tuple.\n"
      "has_aux: f returns (value, aux), the result is (gradient, aux).");
  m.def(
      "value_and_grad",
      [](const py::object& f, const py::object& argnums, bool has_aux) {
        check_function(f, "value_and_grad");
        return named_like(py::cpp_function([f, argnums, has_aux](const py::args& args) -> py::object {
                            const py::tuple all = differentiate(f, argnums, has_aux, args, "value_and_grad");
                            const py::object value =
                                has_aux ? py::object(py::make_tuple(all[0], all[2])) : py::object(all[0]);
                            return py::make_tuple(value, all[1]);
                          }),
                          f, "value_and_grad");
      },
      "f"_a, "argnums"_a = 0, "has_aux"_a = false,
      "The function that gives (value, gradient) of scalar-valued f; with has_aux ((value, aux), gradient).");
  m.def(
      "vjp",
      [](const py::object& f, const py::args& args) {
        check_function(f, "vjp");
        auto [outputs, pullback] = vjp(to_function(f), primals(args));
        const std::size_t count = outputs.size();
        const auto pull = [pullback = std::move(pullback), count](const py::object& cotangent) {
          return as_tuple(pullback(
              matching(cotangent, count, "pullback", "cotangents, one per output (a tuple where there are several)")));
        };
        return py::make_tuple(from_tensors(outputs), py::cpp_function(pull, "cotangent"_a));
      },
      "f"_a,
      "(outputs, pullback) of f at the primals. pullback takes one cotangent per output and always returns a tuple: "
      "one\n"
      "cotangent per primal.");
  m.def(
      "jvp",
      [](const py::object& f, const py::object& at, const py::object& along) {
        check_function(f, "jvp");
        const py::tuple args = PyTuple_Check(at.ptr()) ? py::reinterpret_borrow<py::tuple>(at) : py::make_tuple(at);
        const std::vector<Tensor> x = primals(py::reinterpret_borrow<py::args>(args));
        const auto [outputs, tangents] =
            jvp(to_function(f), x, matching(along, x.size(), "jvp", "tangents, one per primal"));
        return py::make_tuple(from_tensors(outputs), from_tensors(tangents));
      },
      "f"_a, "primals"_a, "tangents"_a,
      "(outputs, tangents) of f when the primals move along the tangents. Several primals are a tuple.");
}

}  // namespace chainrule::python

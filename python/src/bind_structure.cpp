// Op functions that move elements: shapes, joining and splitting, picking, contractions, logic. NumPy's signatures.
#include "calls.hpp"

namespace chainrule::python {
namespace {

Tensor operand(const py::object& x, const char* op) { return to_tensor(x, op); }

Dims to_dims(const py::object& axes, const char* op, const char* what) {
  return Dims(std::span<const std::int64_t>(to_integers(axes, op, what)));
}

void bind_shapes(py::module_& m) {
  m.def(
      "reshape",
      [](const py::object& x, const py::object& shape) {
        return reshape(operand(x, "reshape"), to_shape(shape, "reshape"));
      },
      "x"_a, "shape"_a, "Another shape of the same size; one size may be -1.");
  m.def(
      "transpose",
      [](const py::object& x, const py::object& axes) {
        const Tensor t = operand(x, "transpose");
        const bool none = PyTuple_Check(axes.ptr()) && py::len(axes) == 0;  // all the axes that a scalar has
        return transpose(t, none && t.rank() == 0 ? Dims{} : to_axes(axes, "transpose"));
      },
      "x"_a, "axes"_a = py::none(), "Axes in the given order; reversed by default.");
  m.def(
      "moveaxis",
      [](const py::object& x, const py::object& source, const py::object& destination) {
        return moveaxis(operand(x, "moveaxis"), to_dims(source, "moveaxis", "source"),
                        to_dims(destination, "moveaxis", "destination"));
      },
      "x"_a, "source"_a, "destination"_a, "The source axes put at the destinations; the others keep their order.");
  m.def(
      "swapaxes",
      [](const py::object& x, int axis1, int axis2) { return swapaxes(operand(x, "swapaxes"), axis1, axis2); }, "x"_a,
      "axis1"_a, "axis2"_a, "Two axes exchanged.");
  m.def(
      "squeeze",
      [](const py::object& x, const py::object& axis) {
        return squeeze(operand(x, "squeeze"), to_axes(axis, "squeeze"));
      },
      "x"_a, "axis"_a = py::none(), "Without the given axes of size 1; without all of them by default.");
  m.def(
      "expand_dims",
      [](const py::object& x, const py::object& axis) {
        return expand_dims(operand(x, "expand_dims"), to_dims(axis, "expand_dims", "axis"));
      },
      "x"_a, "axis"_a, "With new axes of size 1; axis (an int or a tuple) says where they are in the result.");
  m.def(
      "broadcast_to",
      [](const py::object& x, const py::object& shape) {
        return broadcast_to(operand(x, "broadcast_to"), to_shape(shape, "broadcast_to"));
      },
      "x"_a, "shape"_a, "Repeated along new axes and axes of size 1.");
  m.def(
      "flip",
      [](const py::object& x, const py::object& axis) { return flip(operand(x, "flip"), to_axes(axis, "flip")); },
      "x"_a, "axis"_a = py::none(), "Backwards along the axes; along all of them by default.");
  m.def(
      "repeat",
      [](const py::object& x, const py::object& repeats, std::optional<int> axis) {
        const Tensor t = operand(x, "repeat");
        if (PyIndex_Check(repeats.ptr())) return repeat(t, to_integers(repeats, "repeat", "repeats")[0], axis);
        return repeat(t, to_integers(repeats, "repeat", "repeats"), axis);
      },
      "x"_a, "repeats"_a, "axis"_a = py::none(),
      "Each entry along the axis `repeats` times in a row (one number, or one per entry); of x flattened by default.");
  m.def(
      "tile",
      [](const py::object& x, const py::object& reps) {
        return tile(operand(x, "tile"), to_dims(reps, "tile", "reps"));
      },
      "x"_a, "reps"_a, "x side by side, so often along each axis; one number counts for the last.");
  m.def(
      "pad",
      [](const py::object& x, const py::object& pad_width, const std::string& mode, const py::object& constant_values) {
        const Tensor t = operand(x, "pad");
        std::vector<std::pair<std::int64_t, std::int64_t>> widths;
        const auto pair = [](py::handle item) {
          const auto two = to_integers(item, "pad", "pad_width");
          if (two.empty() || two.size() > 2)
            throw ShapeError("pad: pad_width has " + std::to_string(two.size()) +
                             " numbers for one axis; give (before, after), or one number for both");
          return std::pair(two.front(), two.back());
        };
        if (PyIndex_Check(pad_width.ptr()) == 0 && PySequence_Check(pad_width.ptr()) == 0)
          throw DTypeError("pad: pad_width must be a number, a pair or one pair per axis, got " + type_name(pad_width));
        const bool nested = !PyIndex_Check(pad_width.ptr()) && py::len(pad_width) > 0 &&
                            !PyIndex_Check(py::object(pad_width[py::int_(0)]).ptr());
        if (nested)
          for (py::handle item : pad_width) widths.push_back(pair(item));
        else
          widths.push_back(pair(pad_width));
        return pad(t, widths, {mode, operand(constant_values, "pad")});
      },
      "x"_a, "pad_width"_a, "mode"_a = "constant", "constant_values"_a = 0.0,
      "More entries before and after each axis: pad_width is a number, (before, after) for all axes, or one such pair\n"
      "per axis. mode is constant, edge, reflect, symmetric or wrap.");
}

py::list to_py_list(const std::vector<Tensor>& tensors) {
  py::list result;
  for (const Tensor& t : tensors) result.append(py::cast(t));
  return result;
}

// A list of parts; of an array or a tensor its entries along the first axis, as in NumPy.
std::vector<Tensor> to_parts(const py::object& parts, const char* op) {
  const bool whole = is_tensor(parts) || py::isinstance<py::array>(parts);
  return to_tensors(whole ? py::object(py::list(parts)) : parts, op);
}

void bind_joining(py::module_& m) {
  const auto join = [](const py::object& parts, std::optional<int> axis) {
    return concat(to_parts(parts, "concat"), axis);
  };
  m.def("concat", join, "parts"_a, "axis"_a = 0, "The parts one after another along an axis; flattened for None.");
  m.def("concatenate", join, "parts"_a, "axis"_a = 0, "The parts one after another along an axis; flattened for None.");
  m.def(
      "stack", [](const py::object& parts, int axis) { return stack(to_parts(parts, "stack"), axis); }, "parts"_a,
      "axis"_a = 0, "Tensors of one shape along a new axis.");
  m.def(
      "vstack", [](const py::object& parts) { return vstack(to_parts(parts, "vstack")); }, "parts"_a,
      "The parts below each other, along axis 0; vectors are rows.");
  m.def(
      "hstack", [](const py::object& parts) { return hstack(to_parts(parts, "hstack")); }, "parts"_a,
      "The parts side by side, along axis 1; vectors one after another.");
  m.def(
      "split",
      [](const py::object& x, const py::object& indices_or_sections, int axis) {
        const Tensor t = operand(x, "split");
        const auto numbers = to_integers(indices_or_sections, "split", "indices_or_sections");
        return to_py_list(PyIndex_Check(indices_or_sections.ptr()) ? split(t, numbers[0], axis)
                                                                   : split_at(t, numbers, axis));
      },
      "x"_a, "indices_or_sections"_a, "axis"_a = 0,
      "A list of parts along the axis: so many equal ones, or those between the given indices.");
}

void bind_picking(py::module_& m) {
  m.def(
      "take",
      [](const py::object& x, const py::object& indices, std::optional<int> axis) {
        return take(operand(x, "take"), operand(indices, "take"), axis);
      },
      "x"_a, "indices"_a, "axis"_a = py::none(),
      "Entries at the indices along the axis, of x flattened by default. Negative indices count from the end. The\n"
      "gradients of an entry taken several times add up.");
  m.def(
      "take_along_axis",
      [](const py::object& x, const py::object& indices, int axis) {
        return take_along_axis(operand(x, "take_along_axis"), operand(indices, "take_along_axis"), axis);
      },
      "x"_a, "indices"_a, "axis"_a = -1,
      "NumPy's: out[i, j] = x[i, indices[i, j]] along the last axis. indices has x's rank; other sizes broadcast.");
  m.def(
      "take_along",
      [](const py::object& x, const py::object& index, int axis) {
        return take_along(operand(x, "take_along"), operand(index, "take_along"), axis);
      },
      "x"_a, "index"_a, "axis"_a = -1,
      "One entry of x per position along the axis: index has x's shape without that axis. Negative entries count from "
      "the end.");
  m.def(
      "one_hot",
      [](const py::object& index, std::int64_t classes, const py::object& dtype) {
        return one_hot(operand(index, "one_hot"), classes, to_dtype(dtype));
      },
      "index"_a, "classes"_a, "dtype"_a = "float32", "1 at the index, 0 elsewhere, along a new last axis.");
  m.def(
      "diagonal",
      [](const py::object& x, int offset, int axis1, int axis2) {
        return diagonal(operand(x, "diagonal"), offset, axis1, axis2);
      },
      "x"_a, "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1,
      "The diagonal of two axes along a new last axis; offset counts to the right of the main one.");
  m.def(
      "nonzero",
      [](const py::object& x) {
        const auto found = nonzero(operand(x, "nonzero"));
        py::tuple result(found.size());
        for (std::size_t i = 0; i < found.size(); ++i) result[i] = py::cast(found[i]);
        return result;
      },
      "x"_a, "One int64 tensor per axis: the positions of what is not 0. Not in traced functions.");
}

void bind_contractions(py::module_& m) {
  m.def(
      "einsum",
      [](const py::args& arguments) {
        if (arguments.empty() || !py::isinstance<py::str>(arguments[0]))
          throw DTypeError("einsum: the first argument must be the subscripts, for instance \"ij,jk->ik\", got " +
                           (arguments.empty() ? std::string("nothing") : type_name(arguments[0])));
        std::vector<Tensor> operands;
        for (std::size_t i = 1; i < arguments.size(); ++i)
          operands.push_back(to_tensor(py::object(arguments[i]), "einsum"));
        return einsum(arguments[0].cast<std::string>(), operands);
      },
      "einsum(subscripts, *operands): sums of products written with letters, one per axis, as in NumPy. Letters that "
      "are\n"
      "not behind -> are summed over, a letter twice in one operand is its diagonal, ... stands for the other axes;\n"
      "without -> the result has the letters that stand once, in alphabetical order.");
  m.def(
      "tensordot",
      [](const py::object& a, const py::object& b, const py::object& axes) {
        const Tensor x = operand(a, "tensordot"), y = operand(b, "tensordot");
        if (PyIndex_Check(axes.ptr()))
          return tensordot(x, y, static_cast<int>(to_integers(axes, "tensordot", "axes")[0]));
        if (PySequence_Check(axes.ptr()) == 0 || py::len(axes) != 2)
          throw ValueError("tensordot: axes must be a number or a pair (axes of a, axes of b), got " +
                           std::string(py::repr(axes)));
        return tensordot(x, y, to_dims(axes[py::int_(0)], "tensordot", "axes"),
                         to_dims(axes[py::int_(1)], "tensordot", "axes"));
      },
      "a"_a, "b"_a, "axes"_a = 2,
      "Sum of products over the last `axes` axes of a and the first of b, or over a pair (axes of a, axes of b).");
  m.def(
      "dot", [](const py::object& a, const py::object& b) { return dot(operand(a, "dot"), operand(b, "dot")); }, "a"_a,
      "b"_a, "Sum of products over the last axis of a and the last but one of b (the only one of a vector).");
  m.def(
      "inner", [](const py::object& a, const py::object& b) { return inner(operand(a, "inner"), operand(b, "inner")); },
      "a"_a, "b"_a, "Sum of products over the last axes of both.");
}

void bind_logic(py::module_& m) {
  const auto binary = [&m](const char* name, Binary f, const char* doc) {
    m.def(
        name, [f, name](const py::object& a, const py::object& b) { return call_binary(f, a, b, name); }, "a"_a, "b"_a,
        doc);
  };
  binary("logical_and", &logical_and, "Whether both hold (are not 0); a & b for bools.");
  binary("logical_or", &logical_or, "Whether one or both hold (are not 0); a | b for bools.");
  binary("logical_xor", &logical_xor, "Whether exactly one holds (is not 0); a ^ b for bools.");
  m.def(
      "logical_not", [](const py::object& x) { return call_unary(&logical_not, x, "logical_not"); }, "x"_a,
      "Whether it does not hold (is 0); ~x for bools.");
  using Reduction = Tensor (*)(const Tensor&, const Dims&, bool);
  const auto reduction = [&m](const char* name, Reduction f, const char* doc) {
    m.def(
        name,
        [f, name](const py::object& x, const py::object& axis, bool keepdims) {
          return f(borrow(x, name), to_axes(axis, name), keepdims);
        },
        "x"_a, "axis"_a = py::none(), "keepdims"_a = false, doc);
  };
  reduction("any", &any, "Whether any element along the axes (all by default) is not 0.");
  reduction("all", &all, "Whether no element along the axes (all by default) is 0.");
}

}  // namespace

void bind_structure(py::module_& m) {
  bind_shapes(m);
  bind_joining(m);
  bind_picking(m);
  bind_contractions(m);
  bind_logic(m);
}

}  // namespace chainrule::python

// einsum and its relatives: letters are worked off pair by pair with transpositions, matrix products and sums.
#include <algorithm>
#include <cctype>
#include <map>

#include "ops/operands.hpp"

namespace chainrule {
namespace {

constexpr const char* name = "einsum";

// A tensor with one label per axis: a letter, or 1, 2, ... for the axes under the ellipsis, counted from the last.
struct Term {
  Tensor value;
  std::string labels;
};
using Sizes = std::map<char, std::int64_t>;

bool has(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

std::string shown(char label) {
  return std::isalpha(static_cast<unsigned char>(label)) ? std::string(1, label) : "...";
}

[[noreturn]] void refuse(const std::string& what, const std::string& subscripts, const char* todo = "") {
  fail<ValueError>(name, what, "'" + subscripts + "'", todo);
}

// --- reading the subscripts ------------------------------------------------------------------------------------------
struct Subscripts {
  std::vector<std::string> inputs;  // with '.' for the ellipsis
  std::string output;
  bool explicit_output = false;
};

std::string read_part(const std::string& part, const std::string& subscripts) {
  std::string labels;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (std::isspace(static_cast<unsigned char>(c))) continue;
    if (c == '.') {
      if (part.compare(i, 3, "...") != 0 || has(labels, '.'))
        refuse("a dot that belongs to no ...", subscripts, "write ... once per operand");
      i += 2;
    } else if (!std::isalpha(static_cast<unsigned char>(c))) {
      refuse("'" + std::string(1, c) + "' is no letter", subscripts, "write for instance \"ij,jk->ik\"");
    }
    labels += c;
  }
  return labels;
}

Subscripts read(const std::string& subscripts, std::size_t operands) {
  Subscripts result;
  std::string left = subscripts;
  const std::size_t arrow = subscripts.find("->");
  if (arrow != std::string::npos) {
    result.explicit_output = true;
    left = subscripts.substr(0, arrow);
    result.output = read_part(subscripts.substr(arrow + 2), subscripts);
  }
  for (std::size_t begin = 0; begin <= left.size();) {
    const std::size_t comma = std::min(left.find(',', begin), left.size());
    result.inputs.push_back(read_part(left.substr(begin, comma - begin), subscripts));
    begin = comma + 1;
  }
  if (result.inputs.size() != operands)
    fail<ValueError>(name, "the number of operands does not fit",
                     "'" + subscripts + "' names " + std::to_string(result.inputs.size()) + ", " +
                         std::to_string(operands) + " were given");
  return result;
}

// '.' replaced by one label per axis that has no letter.
std::string spread(const std::string& part, int axes) {
  const std::size_t dots = part.find('.');
  if (dots == std::string::npos) return part;
  std::string labels = part.substr(0, dots);
  for (int i = axes; i > 0; --i) labels += static_cast<char>(i);
  return labels + part.substr(dots + 1);
}

// --- working on one term ---------------------------------------------------------------------------------------------
// Axes p < q of one label become one, at p.
Term diagonal_of(const Term& term, std::size_t p, std::size_t q) {
  const Tensor d = diagonal(term.value, 0, static_cast<int>(p), static_cast<int>(q));
  Term result{moveaxis(d, {d.rank() - 1}, {p}), term.labels};
  result.labels.erase(q, 1);
  return result;
}

Term summed(const Term& term, const std::string& kept) {
  Dims axes;
  std::string labels;
  for (std::size_t i = 0; i < term.labels.size(); ++i)
    if (has(kept, term.labels[i]))
      labels += term.labels[i];
    else
      axes.push_back(static_cast<std::int64_t>(i));
  return axes.empty() ? term : Term{cast(sum(term.value, axes), term.value.dtype()), labels};  // sum widens integers
}

Tensor ordered(const Term& term, const std::string& labels) {
  Dims axes;
  for (char label : labels) axes.push_back(static_cast<std::int64_t>(term.labels.find(label)));
  return axes.empty() ? term.value : transpose(term.value, axes);
}

// Repeated letters become diagonals; axes of size 1 that stand for larger ones go.
Term prepared(const Tensor& value, const std::string& labels, const Sizes& sizes) {
  Term term{value, labels};
  for (std::size_t p = 0; p < term.labels.size(); ++p)
    for (std::size_t q = term.labels.find(term.labels[p], p + 1); q != std::string::npos;
         q = term.labels.find(term.labels[p], p + 1))
      term = diagonal_of(term, p, q);
  Dims ones;
  std::string rest;
  for (std::size_t i = 0; i < term.labels.size(); ++i)
    if (term.value.shape()[static_cast<int>(i)] == 1 && sizes.at(term.labels[i]) != 1)
      ones.push_back(static_cast<std::int64_t>(i));
    else
      rest += term.labels[i];
  return ones.empty() ? term : Term{squeeze(term.value, ones), rest};
}

// --- two terms -------------------------------------------------------------------------------------------------------
std::int64_t size_of_labels(const std::string& labels, const Sizes& sizes) {
  std::int64_t n = 1;
  for (char label : labels) n *= sizes.at(label);
  return n;
}

void check_rank(const std::string& labels) {
  if (labels.size() > static_cast<std::size_t>(Shape::max_rank))
    fail<ShapeError>(name, "an intermediate result has too many axes", std::to_string(labels.size()), "8 are the most");
}

// Letters of both that are not kept are contracted; the result has those of both that are, then a's, then b's.
Term contracted(const Term& a, const Term& b, const std::string& kept, const Sizes& sizes) {
  std::string shared, of_a, of_b, inside;
  for (char label : a.labels) (!has(b.labels, label) ? of_a : has(kept, label) ? shared : inside) += label;
  for (char label : b.labels)
    if (!has(a.labels, label)) of_b += label;
  const std::string labels = shared + of_a + of_b;
  check_rank(labels);
  if (inside.empty()) {
    const auto place = [&](const Term& term, const std::string& own) {
      Dims shape;
      for (char label : labels) shape.push_back(has(own, label) ? sizes.at(label) : 1);
      return reshape(ordered(term, own), shape);
    };
    return {place(a, shared + of_a) * place(b, shared + of_b), labels};
  }
  // An operand whose axes are the other way round is read transposed instead of copied.
  const bool flip_a = a.labels == shared + inside + of_a, flip_b = b.labels == shared + of_b + inside;
  const Tensor x = ordered(a, flip_a ? a.labels : shared + of_a + inside);
  const Tensor y = ordered(b, flip_b ? b.labels : shared + inside + of_b);
  const std::int64_t m = size_of_labels(of_a, sizes), k = size_of_labels(inside, sizes),
                     n = size_of_labels(of_b, sizes);
  Dims of_x = flip_a ? Dims{k, m} : Dims{m, k}, of_y = flip_b ? Dims{n, k} : Dims{k, n}, shape;
  if (!shared.empty()) {
    of_x.insert(0, size_of_labels(shared, sizes));
    of_y.insert(0, size_of_labels(shared, sizes));
  }
  for (char label : labels) shape.push_back(sizes.at(label));
  return {reshape(matmul(reshape(x, of_x), reshape(y, of_y), flip_a, flip_b), shape), labels};
}

// Everything that is still needed when terms p and q are joined.
std::string needed(const std::vector<Term>& terms, std::size_t p, std::size_t q, const std::string& output) {
  std::string labels = output;
  for (std::size_t i = 0; i < terms.size(); ++i)
    if (i != p && i != q) labels += terms[i].labels;
  return labels;
}

// The pair with the smallest result, the first of equals.
std::pair<std::size_t, std::size_t> next_pair(const std::vector<Term>& terms, const std::string& output,
                                              const Sizes& sizes) {
  std::pair<std::size_t, std::size_t> best{0, 1};
  double least = -1;
  for (std::size_t p = 0; p < terms.size(); ++p)
    for (std::size_t q = p + 1; q < terms.size(); ++q) {
      const std::string kept = needed(terms, p, q, output);
      double size = 1;
      for (const auto& [label, n] : sizes)
        if (has(kept, label) && (has(terms[p].labels, label) || has(terms[q].labels, label)))
          size *= static_cast<double>(n);
      if (least < 0 || size < least) {
        least = size;
        best = {p, q};
      }
    }
  return best;
}

// Sums over pairs of axes of a and b; the result has a's other axes, then b's.
Tensor summed_over(const Tensor& a, const Tensor& b, const Dims& axes_a, const Dims& axes_b, const char* who) {
  const Tensors in = promoted({a, b}, who);
  if (axes_a.rank() != axes_b.rank())
    fail<ShapeError>(who, "different numbers of axes are to be summed over", axes_a.str() + " and " + axes_b.str());
  std::string left, right;
  for (int i = 0; i < in[0].rank(); ++i) left += static_cast<char>('a' + i);
  for (int i = 0; i < in[1].rank(); ++i) right += static_cast<char>('A' + i);
  std::string output = left + right;
  for (int i = 0; i < axes_a.rank(); ++i) {
    const int p = normal_axis(static_cast<int>(axes_a[i]), in[0].rank(), who);
    const int q = normal_axis(static_cast<int>(axes_b[i]), in[1].rank(), who);
    if (in[0].shape()[p] != in[1].shape()[q])
      fail<ShapeError>(who, "sizes to be summed over differ",
                       "axis " + std::to_string(p) + " of " + in[0].shape().str() + " and axis " + std::to_string(q) +
                           " of " + in[1].shape().str());
    for (char label : {left[static_cast<std::size_t>(p)], right[static_cast<std::size_t>(q)]}) {
      const std::size_t at = output.find(label);
      if (at == std::string::npos)
        fail<ValueError>(who, "an axis is named twice", axes_a.str() + " and " + axes_b.str());
      output.erase(at, 1);
    }
    right[static_cast<std::size_t>(q)] = left[static_cast<std::size_t>(p)];
  }
  return einsum(left + "," + right + "->" + output, in);
}

}  // namespace

Tensor einsum(const std::string& subscripts, const std::vector<Tensor>& operands) {
  const Subscripts given = read(subscripts, operands.size());
  const Tensors x = promoted(operands, name);

  int most_dots = 0;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int letters = static_cast<int>(given.inputs[i].size()) - (has(given.inputs[i], '.') ? 1 : 0);
    const int dots = x[i].rank() - letters;
    if (dots < 0 || (dots > 0 && !has(given.inputs[i], '.')))
      fail<ShapeError>(
          name, "the letters do not fit operand " + std::to_string(i),
          std::to_string(letters) + " letters for shape " + x[i].shape().str() + " in '" + subscripts + "'",
          dots > 0 ? "write one letter per axis, or ..." : "write one letter per axis");
    if (has(given.inputs[i], '.')) most_dots = std::max(most_dots, dots);
    parts.push_back(spread(given.inputs[i], dots));
  }

  Sizes sizes;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t axis = 0; axis < parts[i].size(); ++axis) {
      const std::int64_t n = x[i].shape()[static_cast<int>(axis)];
      auto& size = sizes.emplace(parts[i][axis], n).first->second;
      if (size == 1) size = n;
      const std::int64_t twin = x[i].shape()[static_cast<int>(parts[i].find(parts[i][axis]))];
      if (n != twin || (n != size && n != 1))
        fail<ShapeError>(
            name, "sizes of '" + shown(parts[i][axis]) + "' differ",
            std::to_string(n == twin ? size : twin) + " and " + std::to_string(n) + " in '" + subscripts + "'");
    }

  std::string output;
  if (given.explicit_output) {
    output = spread(given.output, most_dots);
    for (std::size_t i = 0; i < output.size(); ++i) {
      if (!sizes.contains(output[i])) refuse("'" + shown(output[i]) + "' of the result is in no operand", subscripts);
      if (output.find(output[i], i + 1) != std::string::npos)
        refuse("'" + shown(output[i]) + "' stands twice in the result", subscripts, "use each letter once");
    }
    if (most_dots > 0 && !has(given.output, '.'))
      refuse("the operands have ..., the result has not", subscripts, "write ... behind -> as well");
  } else {  // the ellipsis, then the letters that stand once, in alphabetical order
    output = spread(".", most_dots);
    for (const auto& [label, size] : sizes) {
      std::ptrdiff_t times = 0;
      for (const std::string& part : parts) times += std::count(part.begin(), part.end(), label);
      if (times == 1 && std::isalpha(static_cast<unsigned char>(label))) output += label;
    }
  }

  std::vector<Term> terms;
  for (std::size_t i = 0; i < x.size(); ++i) terms.push_back(prepared(x[i], parts[i], sizes));
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i] = summed(terms[i], needed(terms, i, i, output));
  while (terms.size() > 1) {
    const auto [p, q] = next_pair(terms, output, sizes);
    terms[p] = contracted(terms[p], terms[q], needed(terms, p, q, output), sizes);
    terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(q));
    terms[p] = summed(terms[p], needed(terms, p, p, output));
  }
  return ordered(terms[0], output);
}

Tensor diagonal(const Tensor& x, int offset, int axis1, int axis2) {
  const Tensor in = settle(x, "diagonal");
  const int a = normal_axis(axis1, in.rank(), "diagonal"), b = normal_axis(axis2, in.rank(), "diagonal");
  if (a == b) fail<ValueError>("diagonal", "an axis is named twice", "axes are " + Dims{axis1, axis2}.str());
  // Rows and columns last and merged: entries of the diagonal are columns + 1 apart.
  const Tensor moved = moveaxis(in, {a, b}, {-2, -1});
  const std::int64_t rows = moved.shape(-2), columns = moved.shape(-1);
  const std::int64_t first = offset >= 0 ? offset : -std::int64_t{offset} * columns;
  const std::int64_t count =
      std::max<std::int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
  Dims shape;
  for (int i = 0; i < moved.rank() - 2; ++i) shape.push_back(moved.shape()[i]);
  shape.push_back(rows * columns);
  std::vector<Slice> slices(static_cast<std::size_t>(shape.rank()));
  if (count == 0)
    slices.back() = {0, 0, 1};
  else
    slices.back() = {first, first + (count - 1) * (columns + 1) + 1, columns + 1};
  return slice(reshape(moved, shape), slices);
}

Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& axes_a, const Dims& axes_b) {
  return summed_over(a, b, axes_a, axes_b, "tensordot");
}

Tensor tensordot(const Tensor& a, const Tensor& b, int axes) {
  if (axes < 0 || axes > std::min(a.rank(), b.rank()))
    fail<ValueError>("tensordot", "the number of axes does not fit",
                     std::to_string(axes) + " for shapes " + a.shape().str() + " and " + b.shape().str());
  Dims last, first;
  for (int i = 0; i < axes; ++i) {
    last.push_back(a.rank() - axes + i);
    first.push_back(i);
  }
  return tensordot(a, b, last, first);
}

Tensor dot(const Tensor& a, const Tensor& b) {
  if (a.rank() == 0 || b.rank() == 0) return multiply(a, b);
  return summed_over(a, b, {-1}, {b.rank() == 1 ? -1 : -2}, "dot");
}

Tensor inner(const Tensor& a, const Tensor& b) {
  if (a.rank() == 0 || b.rank() == 0) return multiply(a, b);
  return summed_over(a, b, {-1}, {-1}, "inner");
}

}  // namespace chainrule

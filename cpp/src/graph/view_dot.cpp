// A Graph as a picture: the language of Graphviz. Modules are frames; gradients stand on the edges they came by.
#include <map>

#include "graph/tensor_data.hpp"
#include "graph/view.hpp"

namespace chainrule {

std::string escape_html(const std::string& text) {
  std::string out;
  for (char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

namespace {

constexpr const char* gradient_color = "#b3261e";

// What is drawn within one module, and within the modules of it.
struct Frame {
  std::string lines;
  std::map<std::string, Frame> inner;
};
Frame& frame_of(Frame& root, const std::string& path) {
  Frame* at = &root;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    at = &at->inner[path.substr(begin, end - begin)];
    begin = end + 1;
  }
  return *at;
}

std::string id_of(ValueId id) { return "v" + std::to_string(id); }

// Several lines of a label; those of a matrix keep to the left.
std::string with_breaks(const std::string& text) {
  constexpr const char* left = "<BR ALIGN=\"LEFT\"/>";
  std::string out = escape_html(text);
  if (out.find('\n') == std::string::npos) return out;
  for (std::size_t at = 0; (at = out.find('\n', at)) != std::string::npos;)
    out.replace(at, 1, std::string(left) + "\xC2\xA0");
  return out + left;
}
std::string small(const std::string& text) {
  return "<BR/><FONT POINT-SIZE=\"9\" COLOR=\"#666666\">" + escape_html(text) + "</FONT>";
}
std::string colored(const std::string& text) {
  return "<FONT COLOR=\"" + std::string(gradient_color) + "\">" + text + "</FONT>";
}

class Drawing {
 public:
  explicit Drawing(const GraphText& text) : g_(text) {}

  std::string str() {
    for (ValueId id : g_.data.inputs) leaf(id, "#e3eefb");
    for (const BoundValue& c : g_.data.captures) leaf(c.value, "#e6f4e6");
    for (const BoundValue& c : g_.data.constants)
      if (!g_.literal(c.value)) leaf(c.value, "#f3f3f3");
    for (std::size_t n = 0; n < g_.data.nodes.size(); ++n) node(n);
    std::string out =
        "digraph chainrule {\n"
        "  graph [bgcolor=\"white\", fontname=\"Helvetica\", fontsize=11, nodesep=0.3, ranksep=0.4];\n"
        "  node [shape=box, style=\"rounded,filled\", fillcolor=\"white\", color=\"#555555\", fontname=\"Helvetica\", "
        "fontsize=11, margin=\"0.12,0.06\"];\n"
        "  edge [color=\"#555555\", arrowsize=0.6, fontname=\"Helvetica\", fontsize=10];\n";
    int frames = 0;
    write(root_, "  ", frames, out);
    return out + edges_ + "}\n";
  }

 private:
  std::string numbers(ValueId id) const {
    std::string text;
    for (const StateUpdate& update : g_.data.updates)
      if (update.value == id) text += small("becomes " + g_.target(update));
    const auto append = [&](const std::string& line) {
      const bool broken = text.ends_with("LEFT\"/>") || text.ends_with("LEFT\"/></FONT>");  // ends with its own break
      text += (broken ? "" : "<BR/>") + line;
    };
    if (g_.has_values) append(with_breaks(value_text(g_.value(id), 4, 16, "\n")));
    if (g_.gradient(id).defined()) {
      const Tensor sum = g_.gradient(id);
      const std::string shown = sum.size() == 1 ? sum_text(g_.summands(id), sum) : value_text(sum, 4, 16, "\n");
      append(colored(with_breaks(shown)));
    }
    return text;
  }
  std::string box(ValueId id, const std::string& title, const std::string& extra) const {
    return id_of(id) + " [label=<<B>" + escape_html(title) + "</B>" + small(g_.type(id)) + numbers(id) + ">" +
           (g_.output(id) ? ", penwidth=2" : "") + extra + "];\n";
  }
  void leaf(ValueId id, const char* color) {
    // Within the module that uses it, if no other does.
    std::string scope;
    bool first = true;
    for (const auto& [n, operand] : g_.uses[static_cast<std::size_t>(id)]) {
      const std::string& here = g_.data.nodes[n].scope;
      if (!first && here != scope) scope.clear();
      if (first) scope = here;
      first = false;
    }
    if (g_.kind(id) == ValueKind::input) scope.clear();
    frame_of(root_, scope).lines += box(id, g_.name(id), ", fillcolor=\"" + std::string(color) + "\"");
  }
  void node(std::size_t n) {
    const Node& node = g_.data.nodes[n];
    const ValueId first = node.outputs.empty() ? no_value : node.outputs[0];
    if (first == no_value) return;  // a check: nothing comes out of it
    const std::string shown = g_.name(first) + " = " + g_.expression(node);
    Frame& frame = frame_of(root_, node.scope);
    frame.lines += box(first, shown, "");
    for (std::size_t j = 1; j < node.outputs.size(); ++j) {
      if (g_.uses[static_cast<std::size_t>(node.outputs[j])].empty() && !g_.output(node.outputs[j])) continue;
      frame.lines += box(node.outputs[j], g_.name(node.outputs[j]), "");
      edges_ += "  " + id_of(first) + " -> " + id_of(node.outputs[j]) + " [style=dashed, arrowhead=none];\n";
    }
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (g_.literal(node.inputs[i])) continue;
      edges_ += "  " + id_of(node.inputs[i]) + " -> " + id_of(first);
      const Tensor sent = g_.sent(n, i);
      if (sent.defined()) edges_ += " [label=<" + colored(with_breaks(value_text(sent, 4, 9, "\n"))) + ">]";
      edges_ += ";\n";
    }
  }
  void write(const Frame& frame, const std::string& indent, int& frames, std::string& out) const {
    for (std::size_t at = 0; at < frame.lines.size();) {
      const std::size_t end = frame.lines.find('\n', at) + 1;
      out += indent + frame.lines.substr(at, end - at);
      at = end;
    }
    for (const auto& [name, inner] : frame.inner) {
      out += indent + "subgraph cluster_" + std::to_string(frames++) + " {\n";
      out += indent + "  label=<" + escape_html(name) + ">; color=\"#bbbbbb\"; style=rounded; labeljust=l;\n";
      write(inner, indent + "  ", frames, out);
      out += indent + "}\n";
    }
  }

  const GraphText& g_;
  Frame root_;
  std::string edges_;
};

}  // namespace

std::string Graph::to_dot() const {
  if (!data_) return "digraph chainrule {\n}\n";
  const GraphText text(*data_, view());
  return Drawing(text).str();
}

}  // namespace chainrule

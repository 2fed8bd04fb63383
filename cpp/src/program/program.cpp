// A Program's groups as text, for tests and for a look.
#include "program/program.hpp"

namespace chainrule {

std::string Program::str() const {
  std::string text;
  const auto write = [&](const Group& group) {
    text += group.parallel ? "shared" : "serial";
    text += " rows " + std::to_string(group.rows) + " tile " + std::to_string(group.tile_rows) + ":";
    for (int i = 0; i < group.count; ++i) {
      const Instruction& instruction =
          instructions[static_cast<std::size_t>(group.first) + static_cast<std::size_t>(i)];
      text += " " + std::string(graph.nodes[static_cast<std::size_t>(instruction.node)].op->name);
    }
    text += "\n";
  };
  auto next = groups.begin();
  for (const SlabGroups& each : slabs) {
    while (next != groups.begin() + each.first) write(*next++);
    text += std::to_string(each.slabs()) + " slabs of " + std::to_string(each.rows) + " rows:\n";
    for (int i = 0; i < each.count; ++i) text += "  ", write(*next++);
    next = groups.begin() + each.first + each.count * each.slabs();
  }
  while (next != groups.end()) write(*next++);
  return text + std::to_string(instructions.size()) + " instructions, arena " + std::to_string(arena_bytes) +
         " bytes, scratch " + std::to_string(scratch_bytes) + " bytes, " + std::to_string(write_backs.size()) +
         " write-backs\n";
}

}  // namespace chainrule

// Notes of flags read by a trace.
#include "graph/mode_reads.hpp"

#include <utility>

namespace chainrule {
namespace {
thread_local ModeReads* innermost = nullptr;
}

ModeReads::ModeReads() : outer_(innermost) { innermost = this; }
ModeReads::~ModeReads() { innermost = outer_; }

bool ModeReads::wanted() noexcept { return innermost != nullptr; }
void ModeReads::note(ModeRead read) { innermost->reads_.push_back(std::move(read)); }

}  // namespace chainrule

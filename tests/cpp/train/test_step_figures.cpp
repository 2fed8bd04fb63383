// Counted guards of speed: the bytes of the arena and the barriers of one training step of each workload, compared with
// recorded figures. Allocations are counted in test_allocations.cpp, instructions in tests/test_instructions.py.
#include <doctest/doctest.h>

#include "core/parallel.hpp"
#include "train/compiled_step.hpp"
#include "workloads.hpp"

using namespace chainrule;

namespace {

struct Figures {
  std::string name;
  std::int64_t arena_bytes;
  std::uint32_t barriers;
};

// They depend on nothing but the networks: not on the processor, the level or the compiler.
const std::vector<Figures> recorded{
    {"tiny", 17216, 0}, {"digits", 86720, 0}, {"mnist", 1076928, 11}, {"deep", 3701952, 65}, {"wide", 110743616, 19},
};

// How often a team of two meets in one step.
std::uint32_t barriers(Workspace& workspace) {
  std::uint32_t passed = 0;
  run_team(workspace.threads(), [&](int thread, Team& team) {
    workspace.run_as(thread, team);
    if (thread == 0) passed = team.barrier.passed();
  });
  REQUIRE_FALSE(workspace.failed());
  return passed;
}

}  // namespace

TEST_CASE("a step's arena and barriers are the recorded ones") {
  const int threads = num_threads();
  set_num_threads(2);
  std::string measured;
  bool same = true;
  const std::vector<Workload> all = workloads();
  REQUIRE(all.size() == recorded.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Workload& w = all[i];
    const nn::MLP model = w.model();
    optim::Optimizer optimizer(w.optimizer().rule(), model.parameters());
    const StepInputs inputs{{{DType::float32, {w.batch, w.sizes.front()}}}, {DType::int64, {w.batch}}, {}};
    CompiledStep step(model, nn::CrossEntropyLoss(), optimizer, inputs, {});
    const std::vector<std::int64_t> rows(static_cast<std::size_t>(w.batch), 0);
    step.load({Tensor::zeros({1, w.sizes.front()})}, Tensor::zeros({1}, DType::int64), {}, rows, optimizer,
              std::vector{optimizer.lr()}, 0, 0, 1, 0);
    const Figures now{w.name, step.workspace().program().arena_bytes, barriers(step.workspace())};
    same = same && now.name == recorded[i].name && now.arena_bytes == recorded[i].arena_bytes &&
           now.barriers == recorded[i].barriers;
    measured +=
        "    {\"" + now.name + "\", " + std::to_string(now.arena_bytes) + ", " + std::to_string(now.barriers) + "},\n";
  }
  set_num_threads(threads);
  const std::string advice =
      "A step now takes other memory or meets more or less often than recorded. Fewer of both is "
      "progress, more needs a reason in the commit's message; then the table `recorded` in " +
      std::string(__FILE__) + " becomes:\n" + measured;
  CHECK_MESSAGE(same, advice);
}

// Whose state is what in a checkpoint.
#include "train/callback_states.hpp"

#include <algorithm>

namespace chainrule {
namespace {

bool writes(const Callback& callback) { return dynamic_cast<const callbacks::Checkpoint*>(&callback) != nullptr; }

std::string class_of(const std::string& text) { return text.substr(0, text.find('(')); }

}  // namespace

std::vector<std::string> save_states(const Callbacks& callbacks, const Callback* shown, CheckpointFacts& facts,
                                     std::vector<nn::NamedTensor>& state) {
  std::vector<std::string> names;
  for (const auto& callback : callbacks) {
    const std::vector<nn::NamedTensor> own = callback->state_dict();
    std::string& name = names.emplace_back();
    if (own.empty()) continue;
    const bool writer = writes(*callback);
    std::vector<std::string>& texts = writer ? facts.writers : callback->observer() ? facts.observers : facts.callbacks;
    const char* kind = writer ? "writers/" : callback->observer() ? "observers/" : "callbacks/";
    name = kind + std::to_string(texts.size()) + "/";
    texts.push_back(callback->str());
    for (const nn::NamedTensor& t : own)
      if (callback.get() != shown || !t.name.starts_with(averaged)) state.push_back({name + t.name, t.tensor});
  }
  return names;
}

std::vector<std::string> names_of_states(const Callbacks& callbacks, const CheckpointFacts& facts,
                                         const std::function<void(const std::string&)>& differs) {
  std::vector<std::string> names(callbacks.size());
  std::size_t writers = 0;
  for (std::size_t i = 0; i < callbacks.size(); ++i) {
    if (!writes(*callbacks[i])) continue;
    if (writers < facts.writers.size()) {
      const std::string here = callbacks[i]->str(), there = facts.writers[writers];
      if (!here.empty() && !there.empty() && here != there)
        differs("there is " + here + " here, " + there + " in the checkpoint");
      names[i] = "writers/" + std::to_string(writers) + "/";
    }
    ++writers;
  }
  const auto take_up = [&](const std::vector<std::string>& texts, const std::string& kind, bool needed) {
    for (std::size_t t = 0; t < texts.size(); ++t) {
      std::string other;  // of the same class, made with other arguments
      const auto is_it = [&](std::size_t i) {
        if (writes(*callbacks[i]) || !names[i].empty()) return false;
        const std::string here = callbacks[i]->str();
        if (here != texts[t] && class_of(here) == class_of(texts[t])) other = here;
        return here == texts[t];
      };
      std::size_t i = 0;
      while (i < callbacks.size() && !is_it(i)) ++i;
      if (i < callbacks.size())
        names[i] = kind + std::to_string(t) + "/";
      else if (needed && !other.empty())
        differs("a callback is " + other + " here, " + texts[t] + " in the checkpoint");
      else if (needed)
        differs("callbacks lacks " + texts[t] + " of the checkpoint");
    }
  };
  take_up(facts.callbacks, "callbacks/", true);
  take_up(facts.observers, "observers/", false);
  return names;
}

}  // namespace chainrule

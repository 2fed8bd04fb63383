// Which parameters of an Optimizer move by which arguments: groups given as lists, by name, and without weight decay.
#include <algorithm>
#include <map>

#include "core/fail.hpp"
#include "core/nearest.hpp"
#include "optim/name_patterns.hpp"
#include "optim/optimizer_state.hpp"
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

constexpr const char *scale_name = "lr_scale", *freeze_name = "freeze", *decay_name = "weight_decay";

const nn::ArgumentValue* find(const nn::Arguments& arguments, std::string_view name) {
  for (const auto& [own, value] : arguments)
    if (own == name) return &value;
  return nullptr;
}

void set(nn::Arguments& arguments, const std::string& name, const nn::ArgumentValue& value) {
  for (auto& [own, present] : arguments)
    if (own == name) {
      present = value;
      return;
    }
  arguments.emplace_back(name, value);
}

bool of_group_alone(const std::string& name) { return name == scale_name || name == freeze_name; }

// The rule's arguments with a group's in their places.
nn::Arguments merged(const UpdateRule& rule, const nn::Arguments& given) {
  nn::Arguments all = rule.arguments();
  for (const auto& [name, value] : given)
    if (!of_group_alone(name)) set(all, name, value);
  return all;
}

double decay_of(const nn::Arguments& arguments) {
  const nn::ArgumentValue* value = find(arguments, decay_name);
  const double* decay = value != nullptr ? std::get_if<double>(value) : nullptr;
  return decay != nullptr ? *decay : 0.0;
}

void check_arguments(const UpdateRule& rule, const nn::Arguments& given) {
  std::vector<std::string> known{scale_name, freeze_name};
  for (const auto& [name, value] : rule.arguments()) known.push_back(name);
  std::string all;
  for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
  for (const auto& [name, value] : given) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string near = did_you_mean(name, known);
    fail<ValueError>(rule.name(), "a group has an argument that the optimizer does not know",
                     name + "=" + nn::text_of(value), near.empty() ? "known are " + all : near);
  }
  nn::ArgumentReader reader(rule.name(), given);
  check_at_least_zero(rule.name().c_str(), scale_name, reader.real(scale_name, 1.0));
  reader.flag(freeze_name, false);
}

void check_built_in(const UpdateRule& rule) {
  if (default_arguments(rule.name()).empty())
    fail<ValueError>(rule.name(), "groups are made of the built-in optimizers", rule.name() + " is a rule of your own",
                     "make one optimizer for each group of parameters");
}

void check_options(const UpdateRule& rule, const GroupOptions& options) {
  if (!options.groups.empty() || !options.decay_bias_and_norm) check_built_in(rule);
  for (const NamedGroup& group : options.groups) {
    if (group.patterns.empty())
      fail<ValueError>(rule.name(), "a group has no pattern of names", "", "write one, for instance \"*.bias\"");
    check_arguments(rule, group.arguments);
  }
}

std::vector<Tensor> joined(const std::string& name, const std::vector<Group>& groups) {
  std::vector<Tensor> all;
  if (groups.empty()) fail<ValueError>(name, "the list of groups is empty", "", "give groups of parameters");
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].parameters.empty()) fail<ValueError>(name, "a group has no parameters", "group " + std::to_string(i));
    all.insert(all.end(), groups[i].parameters.begin(), groups[i].parameters.end());
  }
  return all;
}

std::string text_of(const NamedGroup& group) {
  std::string patterns, arguments;
  for (const std::string& pattern : group.patterns) patterns += (patterns.empty() ? "'" : ", '") + pattern + "'";
  for (const auto& [name, value] : group.arguments)
    arguments += (arguments.empty() ? "'" : ", '") + name + "': " + nn::text_of(value);
  return (group.patterns.size() > 1 ? "(" + patterns + ")" : patterns) + ": {" + arguments + "}";
}

}  // namespace

Optimizer::Optimizer(std::shared_ptr<UpdateRule> rule, const ParameterGroups& parameters, const GroupOptions& groups)
    : Optimizer(rule, rule ? joined(rule->name(), parameters) : std::vector<Tensor>{},
                GroupOptions{{}, groups.decay_bias_and_norm}) {
  State& s = state();
  const std::vector<Group>& given = parameters;
  if (!groups.groups.empty())
    fail<ValueError>(s.rule->name(), "groups are given by name and as lists of parameters", "", "give one of them");
  check_built_in(*s.rule);
  s.by_hand = true;
  std::vector<std::size_t> entry_of;
  std::vector<nn::Arguments> arguments;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < given.size(); ++i) {
    check_arguments(*s.rule, given[i].arguments);
    entry_of.insert(entry_of.end(), given[i].parameters.size(), i);
    arguments.push_back(given[i].arguments);
    names.push_back(std::to_string(i));
  }
  split(entry_of, arguments, names);
}

// Makes the groups: of each entry one, and another of those of its parameters that do not decay.
void Optimizer::split(const std::vector<std::size_t>& entry_of, const std::vector<nn::Arguments>& arguments,
                      const std::vector<std::string>& names) {
  State& s = state();
  std::vector<State::Group> groups;
  std::vector<std::size_t> group_of;
  std::map<std::pair<std::size_t, bool>, std::size_t> made;
  const auto group_for = [&](std::size_t entry, bool decays) {
    const auto [at, fresh] = made.emplace(std::pair(entry, decays), groups.size());
    if (!fresh) return at->second;
    nn::Arguments own = arguments[entry];
    if (!decays) set(own, decay_name, 0.0);
    State::Group group;
    group.name = names[entry] + (decays ? "" : names[entry].empty() ? "no decay" : ", no decay");
    group.rule = own.empty() ? s.rule : make_rule(s.rule->name(), merged(*s.rule, own));
    group.own_rate = find(own, "lr") != nullptr;
    group.rate_scale = nn::ArgumentReader(s.rule->name(), own).real(scale_name, 1.0);
    group.frozen = nn::ArgumentReader(s.rule->name(), own).flag(freeze_name, false);
    groups.push_back(std::move(group));
    return at->second;
  };
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const std::size_t entry = entry_of[i];
    const bool decays = s.options.decay_bias_and_norm || s.parameters[i].rank() > 1 ||
                        decay_of(merged(*s.rule, arguments[entry])) == 0.0;
    group_of.push_back(group_for(entry, decays));
  }
  if (groups.empty()) group_for(0, true);
  s.groups = std::move(groups);
  s.group_of = std::move(group_of);
  s.memory.assign(s.groups.size() + 1, {});
  for (std::size_t i = 0; i < s.parameters.size(); ++i)
    if (s.groups[s.group_of[i]].frozen) s.parameters[i].requires_grad_(false);
}

void Optimizer::split_alike(const GroupOptions& options) {
  State& s = state();
  check_options(*s.rule, options);
  for (const NamedGroup& group : options.groups) {
    make_rule(s.rule->name(), merged(*s.rule, group.arguments));  // refuses values now
    if (!s.parameters.empty())
      fail<StateError>(s.rule->name(), "groups by name need the names of the parameters", "'" + group.patterns[0] + "'",
                       "hand the optimizer to a Trainer without parameters, or pass model.named_parameters()");
  }
  s.options = options;
  split(std::vector<std::size_t>(s.parameters.size(), 0), {{}}, {""});
}

Optimizer Optimizer::with(const std::vector<nn::NamedTensor>& named) const {
  const State& s = state();
  std::vector<Tensor> parameters;
  std::vector<std::string> names;
  for (const nn::NamedTensor& p : named) {
    parameters.push_back(p.tensor);
    names.push_back(p.name);
  }
  if (s.driver || named.empty()) return with(std::move(parameters));
  check_no_lists();
  const std::vector<NamedGroup>& given = s.options.groups;
  for (const NamedGroup& group : given)
    for (const std::string& pattern : group.patterns)
      if (std::none_of(names.begin(), names.end(), [&](const std::string& n) { return name_fits(n, pattern); }))
        fail<ValueError>(s.rule->name(), "no parameter has a name that a group wants", "'" + pattern + "'",
                         advice_for(pattern, names));
  Optimizer made(s.rule->clone(), std::move(parameters), GroupOptions{{}, s.options.decay_bias_and_norm});
  std::map<std::vector<std::size_t>, std::size_t> entries;  // by which of the given ones fit
  std::vector<std::size_t> entry_of;
  std::vector<nn::Arguments> arguments;
  std::vector<std::string> entry_names;
  for (const std::string& name : names) {
    std::vector<std::size_t> fit;
    nn::Arguments own;
    std::string fitting;
    for (std::size_t k = 0; k < given.size(); ++k)
      for (const std::string& pattern : given[k].patterns) {
        if (!name_fits(name, pattern)) continue;
        fit.push_back(k);
        for (const auto& [argument, value] : given[k].arguments) set(own, argument, value);
        fitting +=
            (fitting.empty() ? "" : ", ") + (given[k].patterns.size() > 1 ? given[k].patterns[0] + ", ..." : pattern);
        break;
      }
    const auto [at, fresh] = entries.emplace(std::move(fit), arguments.size());
    if (fresh) {
      arguments.push_back(std::move(own));
      entry_names.push_back(fitting);
    }
    entry_of.push_back(at->second);
  }
  made.state().options = s.options;
  made.state().names = std::move(names);
  made.split(entry_of, arguments, entry_names);
  return made;
}

void Optimizer::check_no_lists() const {
  if (state().by_hand)
    fail<StateError>(state().rule->name(), "groups of parameters make no recipe", str(),
                     "give groups by name: groups={\"*.bias\": {\"weight_decay\": 0.0}}");
}

Optimizer Optimizer::with(std::vector<Tensor> parameters) const {
  const State& s = state();
  if (s.driver) return Optimizer(s.driver->clone(), std::move(parameters));
  check_no_lists();
  return Optimizer(s.rule->clone(), std::move(parameters), s.options);
}

Optimizer Optimizer::recipe() const {
  const State& s = state();
  if (!s.rates_changed) return with(std::vector<Tensor>{});
  check_no_lists();
  if (s.names.empty())
    fail<StateError>(s.rule->name(), "the rate of a group was changed, and a recipe could not say whose", str(),
                     "pass model.named_parameters(), or hand it to a Trainer without parameters");
  std::vector<nn::NamedTensor> named;
  for (std::size_t i = 0; i < s.names.size(); ++i) named.push_back({s.names[i], s.parameters[i]});
  return recipe(named);
}

Optimizer Optimizer::recipe(const std::vector<nn::NamedTensor>& named) const {
  const State& s = state();
  std::vector<std::string> names;
  for (const Tensor& p : s.parameters) {
    const auto same = [&](const nn::NamedTensor& own) { return own.tensor.data_handle() == p.data_handle(); };
    const auto found = std::find_if(named.begin(), named.end(), same);
    if (found == named.end())
      fail<StateError>(s.method->name(), "a parameter has no name", "one of shape " + p.shape().str(),
                       "give the names of all that it moves");
    names.push_back(found->name);
  }
  const bool by_the_same_names = !s.by_hand && (s.options.groups.empty() || s.names == names);
  if (s.driver || (by_the_same_names && !s.rates_changed)) return with(std::vector<Tensor>{});
  GroupOptions options;
  for (std::size_t g = 0; g < s.groups.size(); ++g) {
    NamedGroup entry;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (s.group_of[i] == g) entry.patterns.push_back(exact_pattern(names[i]));
    entry.arguments = s.own_arguments(g);
    options.groups.push_back(std::move(entry));
  }
  return Optimizer(s.rule->clone(), std::vector<Tensor>{}, options);
}

nn::Arguments Optimizer::State::own_arguments(std::size_t g) const {
  const Group& group = groups[g];
  const nn::Arguments usual = rule->arguments();
  nn::Arguments own;
  for (const auto& [name, value] : group.rule->arguments()) {
    const nn::ArgumentValue* otherwise = find(usual, name);
    if (name == "lr" ? group.own_rate : otherwise == nullptr || !(*otherwise == value)) own.emplace_back(name, value);
  }
  if (group.rate_scale != 1.0) own.emplace_back(scale_name, group.rate_scale);
  if (group.frozen) own.emplace_back(freeze_name, true);
  return own;
}

std::string Optimizer::str() const {
  if (!state_) return "Optimizer()";
  const State& s = *state_;
  const nn::Arguments all = s.method->arguments();
  nn::Arguments usual = default_arguments(s.method->name());
  std::erase_if(usual, [](const auto& argument) { return argument.first == "lr"; });  // always shown
  std::string text = s.method->name() + "(" + nn::text_of(all, 0, usual), groups;
  if (s.by_hand) text += ", " + std::to_string(s.groups.size()) + " groups";
  std::vector<NamedGroup> entries = s.options.groups;
  if (s.rates_changed && !s.by_hand) {  // as they are now, under the names of Optimizer::groups()
    entries.clear();
    for (std::size_t g = 0; g < s.groups.size(); ++g)
      if (const nn::Arguments own = s.own_arguments(g); !own.empty()) entries.push_back({{s.groups[g].name}, own});
  }
  for (const NamedGroup& group : entries) groups += (groups.empty() ? "" : ", ") + text_of(group);
  if (!groups.empty()) text += ", groups={" + groups + "}";
  if (!s.options.decay_bias_and_norm) text += ", decay_bias_and_norm=False";
  return text + ")";
}

const GroupOptions& Optimizer::group_options() const { return state().options; }
std::size_t Optimizer::group_count() const { return std::max<std::size_t>(1, state().groups.size()); }
std::size_t Optimizer::group_of(std::size_t parameter) const {
  return state().driver ? 0 : state().group_of.at(parameter);
}
const UpdateRule& Optimizer::rule_of(std::size_t group) const { return *state().groups.at(group).rule; }
void Optimizer::rates_at(std::int64_t step, std::span<double> rates) const {
  const State& s = state();
  if (s.driver) rates[0] = lr_at(step);
  for (std::size_t g = 0; g < s.groups.size(); ++g) rates[g] = s.rate_at(g, step);
}

std::vector<ParameterGroup> Optimizer::groups() const {
  std::vector<ParameterGroup> all;
  for (std::size_t g = 0; g < group_count(); ++g) all.emplace_back(*this, g);
  return all;
}

std::vector<Schedule> Optimizer::schedules() const {
  const State& s = state();
  std::vector<Schedule> all;
  const auto add = [&](const Rate& rate) {
    if (rate.schedule().defined()) all.push_back(rate.schedule());
  };
  add(s.method->lr);
  for (const State::Group& group : s.groups)
    if (group.own_rate) add(group.rule->lr);
  for (const NamedGroup& group : s.options.groups)  // of a recipe, whose groups are not made yet
    if (s.parameters.empty() && find(group.arguments, "lr") != nullptr)
      add(make_rule(s.rule->name(), merged(*s.rule, group.arguments))->lr);
  return all;
}

std::string ParameterGroup::name() const {
  const auto& groups = optimizer_.state().groups;
  return groups.empty() ? "" : groups[group_].name;
}

nn::Arguments ParameterGroup::arguments() const {
  const Optimizer::State& s = optimizer_.state();
  if (s.driver) return s.driver->arguments();
  const auto& group = s.groups[group_];
  nn::Arguments all = group.rule->arguments();
  if (!group.own_rate) set(all, "lr", s.method->lr);
  if (group.rate_scale != 1.0) all.emplace_back(scale_name, group.rate_scale);
  return all;
}

std::vector<Tensor> ParameterGroup::parameters() const {
  const std::vector<Tensor>& all = optimizer_.parameters();
  std::vector<Tensor> own;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (optimizer_.group_of(i) == group_) own.push_back(all[i]);
  return own;
}

double ParameterGroup::lr() const {
  const Optimizer::State& s = optimizer_.state();
  return s.driver ? optimizer_.lr() : s.rate_at(group_, s.steps);
}

void ParameterGroup::set_lr(const Rate& lr) {
  Optimizer::State& s = optimizer_.state();
  if (s.groups.size() < 2 && (s.groups.empty() || s.groups[0].rule == s.rule)) return optimizer_.set_lr(lr);
  check_lr(s.rule->name().c_str(), lr);
  auto& group = s.groups[group_];
  if (group.rule == s.rule) group.rule = s.rule->clone();
  group.rule->lr = lr;
  group.own_rate = s.rates_changed = true;
  group.rate_scale = 1.0;
  s.memory[group_ + 1] = {};
}

std::string ParameterGroup::str() const {
  const std::string own = name();
  const std::size_t count = parameters().size();
  return "ParameterGroup(" + (own.empty() ? "" : "'" + own + "', ") + std::to_string(count) +
         (count == 1 ? " parameter, " : " parameters, ") + nn::text_of(arguments(), 0, {}) + ")";
}

}  // namespace chainrule::optim

#include "engine/evolving.hpp"

#include <algorithm>
#include <numeric>

namespace engine_test {

namespace {

host_function reversed() {
  return [](host_call& call) -> status {
    const auto from = call.operand<word>(0);
    const auto to = call.result<word>();
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[(from.size() - 1) - i % from.size()];
    return {};
  };
}

}  // namespace

evolving::evolving(std::uint64_t seed, readers mode)
    : random_(seed), desk(opened(declare(), {.mode = mode})) {
  by_epoch_[1] = std::make_shared<const state>(now_);
}

const model& evolving::declare() {
  for (std::uint32_t i = 0; i < 4; ++i) {
    entry made{.kind = form::source, .handle = {}, .name = "source" + std::to_string(i)};
    const std::uint64_t length = 700 + i * 500;
    made.is_contiguous = i % 2 == 1;
    made.handle = declared_.source<word>(
        made.name, length,
        {.page = i == 2 ? page_class::b256 : page_class::b4k,
         .layout = made.is_contiguous ? layout::contiguous : layout::paged});
    made.values.assign(length, 0);
    now_.push_back(std::move(made));
  }
  first_ = now_[0].handle;
  for (std::uint32_t i = 0; i < 4; ++i) {
    for (const form kind : {form::scaled, form::total, form::running}) {
      add_derived(declared_, kind, i);
    }
  }
  add_derived(declared_, form::host, 0);
  derive(now_);
  return declared_;
}

definition<word> evolving::definition_of(const entry& of) const {
  const array<word> from = now_[of.reads].handle;
  switch (of.kind) {
    case form::total: return sum(from);
    case form::running: return scan(semiring_id::sum_product, from);
    default: return definition<word>(from * of.factor + word{1});
  }
}

void evolving::add_derived(model& in, form kind, std::uint32_t reads) {
  entry made{.kind = kind, .handle = {}, .name = {}, .reads = reads, .factor = random_() % 100};
  // Names of dropped arrays come again.
  const auto is_taken = [&](const entry& each) { return each.is_live && each.name == made.name; };
  do made.name = "derived" + std::to_string(names_++ % 40);
  while (std::ranges::any_of(now_, is_taken));
  if (kind == form::host) {
    made.handle = in.derive_host<word>(made.name, 300, {now_[reads].handle}, reversed());
    made.values.assign(300, 0);
  } else {
    made.is_contiguous = kind == form::scaled && random_() % 2 == 0;
    made.handle =
        in.derive(made.name, definition_of(made),
                  {.layout = made.is_contiguous ? layout::contiguous : layout::paged});
  }
  now_.push_back(std::move(made));
}

void evolving::derive(state& of) {
  for (entry& each : of) {
    if (each.kind == form::source || !each.is_live) continue;
    const std::vector<word>& from = of[each.reads].values;
    switch (each.kind) {
      case form::total: each.values = {std::accumulate(from.begin(), from.end(), word{0})}; break;
      case form::running:
        each.values.resize(from.size());
        std::partial_sum(from.begin(), from.end(), each.values.begin());
        break;
      case form::host:
        for (std::size_t i = 0; i < each.values.size(); ++i) {
          each.values[i] = from[(from.size() - 1) - i % from.size()];
        }
        break;
      default:
        each.values.resize(from.size());
        std::ranges::transform(from, each.values.begin(),
                               [&](word value) { return value * each.factor + 1; });
        break;
    }
  }
}

std::uint32_t evolving::any_of(bool derived) {
  for (;;) {
    const auto found = static_cast<std::uint32_t>(random_() % now_.size());
    if (now_[found].is_live && (now_[found].kind != form::source) == derived) return found;
  }
}

void evolving::write(transaction& txn) {
  for (unsigned count = 1 + random_() % 5; count != 0; --count) {
    entry& source = now_[any_of(false)];
    const std::uint64_t index = random_() % source.values.size();
    const word value = random_();
    txn.set(source.handle, {.index = index}, value);
    source.values[index] = value;
  }
}

void evolving::resize(transaction& txn, entry& source, std::uint64_t length) {
  source.handle = txn.resize(source.handle, length);
  source.values.resize(length, 0);
  follow(txn.graph(), source);
}

/// A scan does not follow the length of what it reads by itself.
void evolving::follow(model& in, const entry& source) {
  for (entry& each : now_) {
    if (each.kind != form::running || !each.is_live || &now_[each.reads] != &source) continue;
    each.handle = in.redefine(each.handle, definition_of(each));
  }
}

void evolving::redefine(model& in, entry& target) {
  if (target.kind == form::host) return;
  target.factor = random_() % 100;
  std::uint32_t reads = any_of(false);
  target.reads = reads;
  target.handle = in.redefine(target.handle, definition_of(target));
}

void evolving::drop(model& in) {
  const std::uint32_t gone = any_of(true);
  in.drop(now_[gone].handle);
  now_[gone].is_live = false;
  now_[gone].values.clear();
  const form kinds[] = {form::scaled, form::total, form::running, form::host};
  add_derived(in, kinds[random_() % 4], any_of(false));
}

void evolving::change_graph(transaction& txn) {
  entry& source = now_[any_of(false)];
  switch (random_() % 6) {
    case 0: return resize(txn, source, 1 + random_() % length_max);
    case 1: {
      std::vector<word> more(1 + random_() % 800);
      for (word& value : more) value = random_();
      if (source.values.size() + more.size() > 2 * length_max) return write(txn);
      source.handle = txn.append(source.handle, more);
      source.values.insert(source.values.end(), more.begin(), more.end());
      return follow(txn.graph(), source);
    }
    case 2: {
      entry& named = now_[any_of(true)];
      named.name = "renamed" + std::to_string(names_++);
      return txn.graph().rename(named.handle, named.name);
    }
    case 3: return drop(txn.graph());
    default: return redefine(txn.graph(), now_[any_of(true)]);
  }
}

void evolving::announce() {
  const auto next = std::make_shared<const state>(now_);
  const std::lock_guard lock(mutex_);
  by_epoch_[desk.epoch().value + 1] = next;
}

std::shared_ptr<const evolving::state> evolving::at(epoch which) {
  const std::lock_guard lock(mutex_);
  const auto found = by_epoch_.find(which.value);
  return found == by_epoch_.end() ? nullptr : found->second;
}

void evolving::step() {
  auto txn = desk.begin();
  const bool edits = random_() % 2 == 0;
  if (edits) change_graph(txn);
  // Both, in one transaction or the next.
  if (!edits || random_() % 2 == 0) write(txn);
  derive(now_);
  announce();
  const auto done = std::move(txn).commit();
  ASSERT_TRUE(done) << done.error().message();
  ASSERT_NE(at(*done), nullptr);
}

}  // namespace engine_test

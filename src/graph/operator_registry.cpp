#include <sheaf/graph/operator_registry.hpp>

#include <deque>

#include <sheaf/base/mutex.hpp>

namespace sheaf::inline v0 {
namespace {

struct registered {
  std::string name;
  std::uint32_t version = 0;
  unsigned arity = 0;  ///< 0: mentioned only
  operator_step bodies[dtype_count][isa_count] = {};
  status refusal;
};

class registry {
 public:
  mutex lock;

  std::uint32_t intern(std::string_view name, std::uint32_t version) SHEAF_REQUIRES(lock) {
    const std::uint32_t found = find(name, version);
    if (found != entries_.size()) return found;
    entries_.push_back({.name = std::string(name), .version = version, .refusal = {}});
    return found;
  }
  /// `count()` where there is none.
  std::uint32_t find(std::string_view name, std::uint32_t version) const SHEAF_REQUIRES(lock) {
    std::uint32_t i = 0;
    while (i < count() && (entries_[i].version != version || entries_[i].name != name)) ++i;
    return i;
  }
  std::uint32_t count() const SHEAF_REQUIRES(lock) {
    return static_cast<std::uint32_t>(entries_.size());
  }
  registered& at(std::uint32_t index) SHEAF_REQUIRES(lock) { return entries_[index]; }

 private:
  std::deque<registered> entries_ SHEAF_GUARDED_BY(lock);  ///< a deque: names never move
};

/// Never destroyed: operators may be looked up while the process ends.
registry& the_registry() {
  static registry* const only = new registry;
  return *only;
}

status fault_of_form(const operator_description& description) noexcept {
  const char* fault = nullptr;
  if (description.id.name == nullptr || *description.id.name == '\0') fault = "no name";
  else if (description.arity == 0 || description.arity > operator_arity_max) fault = "arity";
  else if (description.kernels.empty()) fault = "no bodies";
  else if (description.probes[0] == nullptr) fault = "no contraction probe";
  for (const operator_kernels& kernels : description.kernels) {
    if (kernels.body[0] == nullptr) fault = "no scalar body";
    for (unsigned set = 0; set < isa_count; ++set) {
      if (kernels.body[set] != nullptr && description.probes[set] == nullptr) {
        fault = "a body without its contraction probe";
      }
    }
  }
  if (fault == nullptr) return {};
  return make_status(status_code::invalid_argument, subsystem::graph,
                     "a custom operator is not described completely", "'%s': %s",
                     description.id.name == nullptr ? "" : description.id.name, fault);
}

/// a * a is 1 + 2^-26 + 2^-54 and rounds to 1 + 2^-26: two roundings give 0, one gives 2^-54.
status fault_of_contraction(const operator_description& description) noexcept {
  volatile double a = 1.0 + 0x1p-27;
  volatile double c = -(1.0 + 0x1p-26);
  for (unsigned set = 0; set < isa_count; ++set) {
    if (description.probes[set] == nullptr || !is_available(static_cast<isa>(set))) continue;
    if (description.probes[set](a, a, c) == 0.0) continue;
    return make_status(status_code::contraction, subsystem::graph,
                       "a custom operator was compiled with multiply-add contraction, compile it "
                       "with -ffp-contract=off",
                       "'%s' version %u on %s", description.id.name, description.id.version,
                       name_of(static_cast<isa>(set)).data());
  }
  return {};
}

bool same_content(const registered& entry, const operator_description& description) noexcept {
  operator_step bodies[dtype_count][isa_count] = {};
  for (const operator_kernels& kernels : description.kernels) {
    for (unsigned set = 0; set < isa_count; ++set) {
      bodies[static_cast<unsigned>(kernels.type)][set] = kernels.body[set];
    }
  }
  for (unsigned type = 0; type < dtype_count; ++type) {
    for (unsigned set = 0; set < isa_count; ++set) {
      if (bodies[type][set] != entry.bodies[type][set]) return false;
    }
  }
  return entry.arity == description.arity;
}

}  // namespace

status register_operator(const operator_description& description) noexcept {
  const status form = fault_of_form(description);
  if (!form.is_ok() && (description.id.name == nullptr || *description.id.name == '\0')) {
    return form;
  }
  const status refusal = form.is_ok() ? fault_of_contraction(description) : form;
  registry& all = the_registry();
  const mutex_lock held(all.lock);
  registered& entry = all.at(all.intern(description.id.name, description.id.version));
  if (!refusal.is_ok()) {
    if (entry.arity == 0) entry.refusal = refusal;
    return refusal;
  }
  if (entry.arity != 0) {
    if (same_content(entry, description)) return {};
    return make_status(status_code::duplicate_name, subsystem::graph,
                       "a custom operator is registered with other content, give it another "
                       "name or version",
                       "'%s' version %u", description.id.name, description.id.version);
  }
  entry.refusal = {};
  entry.arity = description.arity;
  for (const operator_kernels& kernels : description.kernels) {
    for (unsigned set = 0; set < isa_count; ++set) {
      entry.bodies[static_cast<unsigned>(kernels.type)][set] = kernels.body[set];
    }
  }
  return {};
}

std::uint32_t intern_operator(operator_id id) {
  registry& all = the_registry();
  const mutex_lock held(all.lock);
  return all.intern(id.name, id.version);
}

result<std::uint32_t> find_operator(std::string_view name, std::uint32_t version) {
  registry& all = the_registry();
  const mutex_lock held(all.lock);
  const std::uint32_t found = all.find(name, version);
  if (found != all.count()) return found;
  return make_status(status_code::operator_missing, subsystem::graph,
                     "no operator of that name and version", "'%.*s' version %u",
                     static_cast<int>(name.size()), name.data(), version);
}

operator_entry operator_at(std::uint32_t index) {
  registry& all = the_registry();
  const mutex_lock held(all.lock);
  SHEAF_ASSERT(index < all.count(), "operator-number-known");
  const registered& entry = all.at(index);
  return {entry.name, entry.version, entry.arity, entry.refusal};
}

operator_step operator_body(std::uint32_t index, dtype type, isa set) noexcept {
  registry& all = the_registry();
  const mutex_lock held(all.lock);
  if (index >= all.count()) return nullptr;
  return all.at(index).bodies[static_cast<unsigned>(type)][static_cast<unsigned>(set)];
}

std::uint32_t operator_count() noexcept {
  registry& all = the_registry();
  const mutex_lock held(all.lock);
  return all.count();
}

}  // namespace sheaf::inline v0

#include <chrono>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>
#include <sheaf/observe/figures.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "observe/json.hpp"

namespace sheaf::cli {

namespace {

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class dice {
 public:
  explicit dice(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15u;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9u;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebu;
    return z ^ (z >> 31);
  }
  /// Below `bound`, which is below 2^32.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }
  /// In [0, 1), a multiple of 2^-24.
  float unit() noexcept { return static_cast<float>(next() >> 40) * 0x1p-24f; }

 private:
  std::uint64_t state_;
};

/// Levels of arrays, each derived from `fan_in` arrays of the level before; returns the sources.
std::vector<array<float>> declare(model& to, const stat_options& options, dice& random) {
  std::vector<array<float>> sources(options.arrays);
  for (array<float>& source : sources) source = to.source<float>("", options.length);
  std::vector<array<float>> below = sources;
  std::vector<array<float>> level(options.arrays);
  std::vector<array<float>> operands(options.fan_in);
  for (std::uint32_t l = 0; l < options.levels; ++l) {
    for (array<float>& node : level) {
      for (array<float>& operand : operands) operand = below[random.below(options.arrays)];
      node = to.derive("", combine(options.semiring, operands));
    }
    below.swap(level);
  }
  return sources;
}

status fill(engine& in, const std::vector<array<float>>& sources, dice& random) {
  auto txn = in.begin();
  for (const array<float>& source : sources) {
    std::vector<float> values(source.size());
    for (float& value : values) value = random.unit();
    txn.range(source, {}, values);
  }
  const result<epoch> done = std::move(txn).commit();
  return done ? status() : done.error();
}

/// Runs the commits; `elapsed` is the time in `commit` alone.
status run_commits(engine& in, const std::vector<array<float>>& sources,
                   const stat_options& options, dice& random,
                   std::chrono::nanoseconds& elapsed) {
  using clock = std::chrono::steady_clock;
  for (std::uint32_t i = 0; i < options.commits; ++i) {
    auto txn = in.begin();
    for (std::uint32_t k = 0; k < options.writes; ++k) {
      const array<float>& source = sources[random.below(options.arrays)];
      txn.set(source, {.index = random.below(options.length)}, random.unit());
    }
    const clock::time_point begin = clock::now();
    const result<epoch> done = std::move(txn).commit();
    elapsed += clock::now() - begin;
    if (!done) return done.error();
  }
  return {};
}

std::string_view name_of_mode(readers mode) noexcept {
  return mode == readers::wait_free ? "wait_free" : "brief_wait";
}

std::string as_json(const stat_options& options, const engine_stats& stats,
                    std::chrono::nanoseconds elapsed, const audit_report* audit) {
  json_object model_part;
  model_part.number("arrays", options.arrays)
      .number("length", options.length)
      .number("fan_in", options.fan_in)
      .number("levels", options.levels)
      .text("semiring", name_of(options.semiring))
      .number("seed", options.seed);
  json_object out;
  out.truth("in_memory", true)
      .raw("model", model_part.done())
      .number("writes_per_commit", options.writes)
      .text("mode", name_of_mode(options.mode))
      .number("commit_ns_total", static_cast<std::uint64_t>(elapsed.count()))
      .raw("engine", to_json(stats));
  if (audit != nullptr) {
    out.raw("audit", json_object()
                         .number("pages_compared", audit->pages_compared)
                         .number("lines_different", audit->lines_different)
                         .done());
  }
  return out.done() + '\n';
}

std::string as_text(const stat_options& options, const engine_stats& stats,
                    std::chrono::nanoseconds elapsed, const audit_report* audit) {
  const double us = static_cast<double>(elapsed.count()) * 1e-3;
  std::string out;
  print(out, "in memory   nothing was read from disk or written to it\n");
  print(out, "model       synthetic, seed %llu: %u sources of %u f32; %u levels of %u arrays,\n",
        static_cast<unsigned long long>(options.seed), options.arrays, options.length,
        options.levels, options.arrays);
  print(out, "            each the %s combine of %u arrays of the level before\n",
        std::string(name_of(options.semiring)).c_str(), options.fan_in);
  print(out, "commits     %u, each setting %u element%s; %s readers\n", options.commits,
        options.writes, options.writes == 1 ? "" : "s",
        std::string(name_of_mode(options.mode)).c_str());
  print(out, "time        %.3f us a commit, %.6f s in all\n", us / options.commits, us * 1e-6);
  if (audit != nullptr) {
    print(out, "audit       %llu pages recomputed aside, %llu lines different\n",
          static_cast<unsigned long long>(audit->pages_compared),
          static_cast<unsigned long long>(audit->lines_different));
  }
  out += "\nThe engine after the commits; what is counted is theirs alone.\n";
  return out + to_text(stats);
}

}  // namespace

result<std::string> stat_report(const stat_options& options, form as) {
  dice random(options.seed);
  model declared;
  const std::vector<array<float>> sources = declare(declared, options, random);
  engine_options how;
  how.mode = options.mode;
  how.threads = options.threads;
  how.memory_bytes_max = options.memory_mib << 20;
  auto opened = engine::open(declared, how);
  if (!opened) return opened.error();
  SHEAF_TRY(fill(*opened, sources, random));
  const engine_stats before = opened->stats();
  std::chrono::nanoseconds elapsed{0};
  SHEAF_TRY(run_commits(*opened, sources, options, random, elapsed));
  const engine_stats between = difference(opened->stats(), before);
  audit_report audit;
  if (options.wants_audit) {
    result<audit_report> done = opened->audit();
    if (!done) return done.error();
    audit = *done;
    if (audit.lines_different != 0) {
      return make_status(status_code::failed, subsystem::cli,
                         "the audit found lines that a full recompute gives otherwise",
                         "%llu lines", static_cast<unsigned long long>(audit.lines_different));
    }
  }
  const audit_report* shown = options.wants_audit ? &audit : nullptr;
  return as == form::json ? as_json(options, between, elapsed, shown)
                          : as_text(options, between, elapsed, shown);
}

}  // namespace sheaf::cli

/// \file
/// The command `sheaf`: reads its arguments, runs one subcommand, writes its report.
///
/// Exit codes: 0 done; 1 it could not be done, or standard output could not be written; 2 the
/// arguments make no sense. Errors go to standard error, reports and help to standard output.
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include <sheaf/observe/build_info.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace sheaf::cli {

namespace {

constexpr int exit_done = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

constexpr const char* footer =
    "Examples:\n"
    "  sheaf demo                              what sheaf does, in one screen\n"
    "  sheaf stat --commits 10000 --writes 5   what commits of 5 writes cost and recompute\n"
    "  sheaf stat --json | python3 -m json.tool\n"
    "  SHEAF_FORCE_BACKEND=avx2 sheaf version  the same with one instruction set forced\n"
    "\n"
    "Exit codes: 0 done; 1 it could not be done; 2 the arguments make no sense.\n"
    "'sheaf COMMAND --help' says what a command takes.\n";

constexpr const char* stat_footer =
    "The same options give the same work on every run, every machine and any number of threads;\n"
    "only the time differs.\n"
    "\n"
    "Examples:\n"
    "  sheaf stat                                             1000 commits of one write\n"
    "  sheaf stat --levels 10 --arrays 100 --audit            deeper; the bits are checked\n"
    "  sheaf stat --semiring min_plus                         minima: changes are cut off\n"
    "  sheaf stat --writes 5000 --commits 100 --threads 0     wide commits on all cores\n";

struct choice {
  bool wants_json = false;
  stat_options stat;
};

/// Accepts whole numbers in [least, most]; says so in the words of this program.
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  const auto check = [least, most](std::string& word) -> std::string {
    std::uint64_t value = 0;
    const char* end = word.data() + word.size();
    const std::from_chars_result read = std::from_chars(word.data(), end, value);
    if (read.ec == std::errc{} && read.ptr == end && value >= least && value <= most) return {};
    return "'" + word + "' is no whole number from " + std::to_string(least) + " to " +
           std::to_string(most);
  };
  return CLI::Validator(check, "");
}

/// An option that takes one of `words`, which stand for `values`.
template <class Value, std::size_t Count>
void add_named(CLI::App& to, const char* name, Value& value, const char* about,
               const std::pair<std::string_view, Value> (&names)[Count]) {
  std::string all;
  for (const auto& [word, meaning] : names) {
    if (!all.empty()) all += '|';
    all += word;
  }
  const auto take = [&value, &names, all, name](const std::string& given) {
    for (const auto& [word, meaning] : names) {
      if (given == word) {
        value = meaning;
        return;
      }
    }
    throw CLI::ValidationError(name, "'" + given + "' is none of " + all);
  };
  to.add_option_function<std::string>(name, take, about)
      ->type_name(all)
      ->default_str(std::string(names[0].first));
}

constexpr std::pair<std::string_view, readers> modes[] = {{"brief_wait", readers::brief_wait},
                                                          {"wait_free", readers::wait_free}};
constexpr std::pair<std::string_view, semiring_id> semirings[] = {
    {sum_product::name, semiring_id::sum_product}, {min_plus::name, semiring_id::min_plus},
    {max_plus::name, semiring_id::max_plus},       {max_times::name, semiring_id::max_times},
    {max_min::name, semiring_id::max_min},         {log_sum_exp::name, semiring_id::log_sum_exp}};

void add_stat_options(CLI::App& to, stat_options& options) {
  const auto count = [&](const char* name, auto& value, std::uint64_t least, std::uint64_t most,
                         const char* about) {
    to.add_option(name, value, about)
        ->check(whole_number(least, most))
        ->type_name("N")
        ->capture_default_str();
  };
  count("--arrays", options.arrays, 1, 1'000'000, "arrays of each level, the sources included");
  count("--length", options.length, 1, 1'000'000'000, "elements (f32) of each array");
  count("--fan-in", options.fan_in, 1, 1024, "arrays that each derived array combines");
  count("--levels", options.levels, 1, 10'000, "levels of derived arrays");
  count("--commits", options.commits, 1, 1'000'000'000, "commits to run and count");
  count("--writes", options.writes, 1, 10'000'000, "elements each commit sets, drawn at random");
  count("--threads", options.threads, 0, 1024, "threads of a propagation; 0: one per core");
  count("--memory", options.memory_mib, 1, 1'000'000, "MiB of frames the engine may take");
  count("--seed", options.seed, 0, ~std::uint64_t{0}, "of everything drawn at random");
  add_named(to, "--mode", options.mode, "what opening a snapshot in mid commit does", modes);
  add_named(to, "--semiring", options.semiring, "how a derived array combines its operands",
            semirings);
  to.add_flag("--audit", options.wants_audit, "recompute everything at the end and compare");
}

int finish(const result<std::string>& report) {
  if (!report) {
    complain(report.error().message());
    return exit_failed;
  }
  return write_out(*report) ? exit_done : exit_failed;
}

/// `asked`: the command whose help says more; may be empty.
int complain_of_usage(const std::string& words, const std::string& asked) {
  complain(words);
  complain("'sheaf " + asked + (asked.empty() ? "" : " ") + "--help' says how to call it");
  return exit_usage;
}

int run(int count, char** arguments) {
  CLI::App app("Keeps what is derived from pages of data current, commit by commit. This version\n"
               "keeps everything in memory.");
  app.name("sheaf");
  app.footer(footer);
  app.require_subcommand(1);
  app.set_version_flag("--version", "sheaf " + std::string(library_build().version) + "\n");
  choice chosen;
  CLI::App* version = app.add_subcommand("version", "version, compiler and instruction sets");
  CLI::App* demo = app.add_subcommand("demo", "a short tour: commits, and what they recomputed");
  CLI::App* stat = app.add_subcommand("stat", "commits to a synthetic model, counted exactly");
  stat->footer(stat_footer);
  for (CLI::App* command : {version, demo, stat}) {
    command->add_flag("--json", chosen.wants_json, "one JSON object instead of text");
  }
  add_stat_options(*stat, chosen.stat);
  if (count < 2) return complain_of_usage("a command is missing: version, demo or stat", "");
  const std::string first = arguments[1];
  const auto known = {"version", "demo", "stat", "-h", "--help", "--version"};
  if (std::find(known.begin(), known.end(), first) == known.end()) {
    return complain_of_usage("no command '" + first + "': there are version, demo and stat", "");
  }
  try {
    app.parse(count, arguments);
  } catch (const CLI::CallForHelp&) {
    return finish(app.help());
  } catch (const CLI::CallForVersion& asked) {
    return finish(std::string(asked.what()));
  } catch (const CLI::ParseError& error) {
    return complain_of_usage(error.what(), app.got_subcommand(stat) ? "stat" : "");
  }
  const form as = chosen.wants_json ? form::json : form::text;
  if (version->parsed()) return finish(version_report(as));
  if (demo->parsed()) return finish(demo_report(as));
  if (std::uint64_t{chosen.stat.arrays} * (chosen.stat.levels + 1) > stat_arrays_max) {
    return complain_of_usage("--arrays times (--levels + 1) is more than " +
                                 std::to_string(stat_arrays_max), "stat");
  }
  return finish(stat_report(chosen.stat, as));
}

}  // namespace

}  // namespace sheaf::cli

int main(int count, char** arguments) {
  // Writing to a pipe whose reader left is then an error code, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return sheaf::cli::run(count, arguments);
  } catch (const std::exception& thrown) {
    sheaf::cli::complain(thrown.what());
    return sheaf::cli::exit_failed;
  }
}

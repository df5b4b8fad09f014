/// \file
/// risk_desk: replays a market through an engine that keeps a desk's risk current at every tick,
/// and proves at the end that nothing drifted. `--help` says how to call it.
///
/// Exit codes: 0 all bits equal; 1 bits differ, or the engine failed; 2 bad arguments or bad data.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <sheaf/engine/engine.hpp>

#include "desk.hpp"
#include "latency.hpp"
#include "market.hpp"
#include "reference.hpp"
#include "replay.hpp"

namespace {

using namespace risk_desk;

constexpr std::size_t sample_count = 200;

constexpr const char* help_text =
    "usage: risk_desk [--data FILE] [--ticks N] [--threads N] [--rows booked|stock]\n"
    "\n"
    "Replays the closing prices of a stock market as ticks against 10000 positions and keeps\n"
    "values, exposures, profit and value-at-risk current at each of them. At the end everything\n"
    "is recomputed from scratch and compared bit by bit.\n"
    "\n"
    "  --data FILE    stockdata.rda of the R package huge (Debian: r-cran-huge); without it a\n"
    "                 seeded random walk of the same shape, 452 stocks over 1258 days\n"
    "  --ticks N      only the first N ticks\n"
    "  --threads N    threads of a propagation, 0 for one per core; default 1\n"
    "  --rows ORDER   which position is in which row: booked (default), in the order of booking;\n"
    "                 stock, those of a stock side by side\n"
    "  --help         this text\n"
    "\n"
    "exit code: 0 all bits equal; 1 bits differ or the engine failed; 2 bad arguments or data\n";

struct options {
  std::string data;
  std::size_t ticks = std::numeric_limits<std::size_t>::max();
  unsigned threads = 1;
  bool has_rows_by_stock = false;
  bool wants_help = false;
};

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

/// False where `value` is none that `name` takes.
bool set_option(options& out, std::string_view name, std::string_view value) {
  if (name == "--data") out.data = value;
  if (name == "--data") return !value.empty();
  if (name == "--ticks") return parse_number(value, out.ticks) && out.ticks != 0;
  if (name == "--threads") return parse_number(value, out.threads);
  out.has_rows_by_stock = value == "stock";
  return value == "stock" || value == "booked";
}

/// Nothing where the arguments make no sense; the reason is printed.
std::optional<options> parse_options(int count, char** arguments) {
  options out;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") {
      out.wants_help = true;
      continue;
    }
    if (name != "--data" && name != "--ticks" && name != "--threads" && name != "--rows") {
      std::fprintf(stderr, "risk_desk: unknown argument %s; --help lists them\n", arguments[i]);
      return std::nullopt;
    }
    if (i + 1 == count) {
      std::fprintf(stderr, "risk_desk: %s needs a value\n", arguments[i]);
      return std::nullopt;
    }
    if (!set_option(out, name, arguments[++i])) {
      std::fprintf(stderr, "risk_desk: %s does not take '%s'\n", arguments[i - 1], arguments[i]);
      return std::nullopt;
    }
  }
  return out;
}

int fail(const char* doing, const sheaf::status& error) {
  std::fprintf(stderr, "risk_desk: %s: %s\n", doing, error.message().c_str());
  return 1;
}

void print_input(const market& source, const position_book& book, const options& chosen) {
  if (source.is_real)
    std::printf("data       %s: closing prices of real stocks\n", chosen.data.c_str());
  else
    std::printf("data       seeded random walk, no real prices (--data FILE takes real ones)\n");
  std::printf("market     %zu stocks in %zu sectors, %zu days: %zu ticks, one for each closing\n"
              "           price, day by day, within a day in a seeded random order\n",
              source.stocks, source.sectors.size(), source.days, source.days * source.stocks);
  std::printf("positions  %zu, long and short, drawn with a fixed seed: nobody's holdings; rows\n"
              "           %s\n",
              book.size(),
              chosen.has_rows_by_stock ? "by stock (--rows stock)" : "in the order of booking");
  std::printf("risk       %zu scenarios (the market's own daily returns), 99 %% value-at-risk\n",
              source.scenario_count());
}

void print_engine(const sheaf::engine_stats& stats) {
  std::printf("engine     in memory, %u thread%s, %s: %u arrays, %u nodes, %u levels, %llu pages,\n"
              "           %.1f MB of frames\n",
              stats.threads, stats.threads == 1 ? "" : "s", stats.isa.c_str(), stats.arrays,
              stats.nodes, stats.levels, static_cast<unsigned long long>(stats.page_nodes),
              static_cast<double>(stats.frame_bytes) * 1e-6);
}

void print_latency(const char* label, const latency_recorder& of) {
  const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) * 1e-3; };
  std::printf("%-10s p50 %.2f us, p99 %.2f us, p99.9 %.2f us, max %.1f us\n", label,
              us(of.percentile_ns(0.50)), us(of.percentile_ns(0.99)), us(of.percentile_ns(0.999)),
              us(of.max_ns()));
}

void print_work(const sheaf::work_counters& work, std::size_t ticks) {
  const auto each = [&](std::uint64_t total) {
    return static_cast<double>(total) / static_cast<double>(ticks);
  };
  std::printf("work       each tick: %.1f pages and %.1f lines recomputed (%.1f pages, %.1f lines\n"
              "           cut off with equal bits), %.1f pages left alone, %.2f host calls\n",
              each(work.pages_recomputed), each(work.lines_recomputed), each(work.pages_cut_off),
              each(work.lines_cut_off), each(work.page_nodes_skipped), each(work.host_calls));
  std::printf("           %.1f levels pushed, %.1f pulled, %.1f full; %.1f pages copied, %.1f\n"
              "           caught up, %.1f lines carried over, %.1f frames taken, %.1f kB moved\n",
              each(work.levels_pushed), each(work.levels_pulled), each(work.levels_full),
              each(work.frames_copied), each(work.frames_reused), each(work.lines_copied),
              each(work.frames_allocated), each(work.bytes_moved) * 1e-3);
}

void print_report(const replay_report& report) {
  std::printf("replayed   %zu ticks and %zu day openings in %.2f s: %.0f ticks/s\n", report.ticks,
              report.days_opened, report.seconds,
              static_cast<double>(report.ticks) / report.seconds);
  print_latency("tick", report.tick_latency);
  if (report.days_opened != 0) print_latency("day", report.day_latency);
  print_work(report.tick_work, report.ticks);
  const double tick_us = static_cast<double>(report.tick_latency.percentile_ns(0.5)) * 1e-3;
  const double loops_us = median_of(report.loops_us);
  const double own_us = median_of(report.recompute_us);
  std::printf("ratio      recomputing everything at each tick costs %.1f us by hand-written\n"
              "           loops (%.1f x a tick) and %.1f us by the engine (%.1f x), medians of\n"
              "           %zu samples\n",
              loops_us, loops_us / tick_us, own_us, own_us / tick_us, report.loops_us.size());
}

void print_figures(const market& source, const desk_values& now) {
  std::printf("desk       value %.2f, day profit %.2f, 99 %% value-at-risk %.2f\n",
              static_cast<double>(now.total_value), static_cast<double>(now.total_profit),
              static_cast<double>(now.value_at_risk));
  for (std::size_t k = 0; k < source.sectors.size(); ++k)
    std::printf("           %-28s exposure %14.2f\n", source.sectors[k].c_str(),
                static_cast<double>(now.sector_exposure[k]));
}

void print_mismatch(const char* against, const difference& found) {
  std::printf("check      FAILED: %s[%zu] is %a in the engine and %a %s\n", found.array.c_str(),
              found.index, static_cast<double>(found.left), static_cast<double>(found.right),
              against);
}

/// The proof: everything again, by the engine's audit and by the loops.
int check(const replay_input& input, const replay_report& report) {
  if (report.first_mismatch) {
    std::printf("check      at tick %zu:\n", report.mismatch_tick);
    print_mismatch("by the loops", *report.first_mismatch);
    return 1;
  }
  const auto audit = input.engine.audit();
  if (!audit) return fail("audit", audit.error());
  desk_values engine_values;
  desk_values loop_values;
  const auto now = input.engine.snapshot();
  if (!now) return fail("snapshot", now.error());
  if (const auto read = read_desk(now, input.desk, engine_values); !read.is_ok())
    return fail("reading the desk", read);
  input.all.recompute(report.price, report.previous_close, loop_values);
  print_figures(input.source, engine_values);
  if (audit->lines_different != 0) {
    std::printf("check      FAILED: %llu lines differ from the engine's recompute\n",
                static_cast<unsigned long long>(audit->lines_different));
    return 1;
  }
  if (const auto found = first_difference(engine_values, loop_values)) {
    print_mismatch("recomputed by the loops", *found);
    return 1;
  }
  std::printf("check      all bits equal: %llu pages against the engine's recompute from scratch,\n"
              "           and every figure against hand-written loops, also at %zu ticks before\n",
              static_cast<unsigned long long>(audit->pages_compared), report.loops_us.size());
  return 0;
}

int run(const market& source, const options& chosen) {
  const position_book booked = draw_positions(source);
  const position_book book =
      chosen.has_rows_by_stock ? rows_by_stock(booked, source.stocks) : booked;
  print_input(source, book, chosen);
  const desk_model desk = declare_desk(source, book);
  auto engine = sheaf::engine::open(desk.model, {.threads = chosen.threads});
  if (!engine) return fail("opening the engine", engine.error());
  if (const auto loaded = load_desk(*engine, desk, source, book); !loaded.is_ok())
    return fail("loading the desk", loaded);
  print_engine(engine->stats());
  std::fflush(stdout);
  const reference all(source, book);
  const replay_input input{*engine, desk, source, all, chosen.ticks, sample_count};
  replay_report report;
  progress_bar bar(stderr, "ticks", std::min(chosen.ticks, source.days * source.stocks));
  if (const auto done = replay(input, bar, report); !done.is_ok()) return fail("replay", done);
  print_report(report);
  return check(input, report);
}

}  // namespace

int main(int count, char** arguments) {
  const auto chosen = parse_options(count, arguments);
  if (!chosen) return 2;
  if (chosen->wants_help) {
    std::fputs(help_text, stdout);
    return 0;
  }
  if (chosen->data.empty()) return run(random_walk_market(), *chosen);
  const auto source = load_market(chosen->data);
  if (source) return run(*source, *chosen);
  std::fprintf(stderr, "risk_desk: %s\n", source.error().message().c_str());
  return 2;
}

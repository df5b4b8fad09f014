/// \file
/// `sheaf demo`: a small desk in memory and six things that happen to it. No clock, no random
/// numbers, no instruction set in the output: it is the same bytes on every machine (promise P1).
#include <charconv>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>
#include <sheaf/observe/figures.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "observe/json.hpp"

namespace sheaf::cli {

namespace {

constexpr std::uint32_t stock_count = 64;
constexpr std::uint32_t sector_count = 8;
constexpr std::uint32_t position_count = 4096;
constexpr double limit = 150'000;

/// Prices are multiples of 1/4 and quantities small integers, so every sum here is exact and a
/// reader can check it by hand.
struct desk {
  model declared;
  array<double> price = declared.source<double>("price", stock_count);
  array<double> quantity = declared.source<double>("quantity", position_count);
  array<double> value = declared.derive("value", gather(price, stock_of_position()), {});
  array<double> worth = declared.derive("worth", value * quantity);
  array<double> exposure = declared.derive(
      "exposure",
      segment_reduce(semiring_id::sum_product, worth,
                     segments::from_ids(sector_of_position(), sector_count)));
  array<double> total = declared.derive("total", sum(worth));
  array<double> over = declared.derive("over", lt(limit, exposure));
  array<double> alarms = declared.derive("alarms", sum(over));

  /// 64 positions of each stock, side by side.
  static std::vector<std::uint32_t> stock_of_position() {
    std::vector<std::uint32_t> out(position_count);
    for (std::uint32_t i = 0; i < position_count; ++i) out[i] = i * stock_count / position_count;
    return out;
  }
  static std::vector<std::uint32_t> sector_of_position() {
    std::vector<std::uint32_t> out = stock_of_position();
    for (std::uint32_t& stock : out) stock = stock * sector_count / stock_count;
    return out;
  }
  static std::vector<double> first_prices() {
    std::vector<double> out(stock_count);
    for (std::uint32_t i = 0; i < stock_count; ++i) out[i] = 20 + 1.25 * i;
    return out;
  }
  static std::vector<double> first_quantities() {
    std::vector<double> out(position_count);
    for (std::uint32_t i = 0; i < position_count; ++i) out[i] = (i * 7) % 23 - 5.0;
    return out;
  }
};

/// One thing that happened.
struct step {
  const char* title;
  std::uint64_t epoch = 0;
  double total = 0;
  double alarms = 0;
  work_counters work = {};
  status refusal = {};  ///< ok: it was committed
};

/// Commits `txn` and adds what it did to `story`.
status commit_step(engine& in, const desk& on, transaction&& txn, const char* title,
                   std::vector<step>& story) {
  const result<epoch> done = std::move(txn).commit();
  if (!done) return done.error();
  const snapshot now = in.snapshot();
  const result<double> total = now.get(on.total);
  const result<double> alarms = now.get(on.alarms);
  if (!total) return total.error();
  if (!alarms) return alarms.error();
  story.push_back({title, done->value, *total, *alarms, in.last_commit()});
  return {};
}

status change_one_price(engine& in, const desk& on, const char* title, std::vector<step>& story) {
  auto txn = in.begin();
  txn.set(on.price, {.index = 42}, 101.25);
  return commit_step(in, on, std::move(txn), title, story);
}

status fill(engine& in, const desk& on, std::vector<step>& story) {
  auto txn = in.begin();
  txn.range(on.price, {}, desk::first_prices());
  txn.range(on.quantity, {}, desk::first_quantities());
  return commit_step(in, on, std::move(txn), "every price and quantity is set", story);
}

/// A bad write must be refused and change nothing; what the engine says about it is told.
status refuse_a_bad_write(engine& in, const desk& on, std::vector<step>& story) {
  auto txn = in.begin();
  txn.set(on.price, {.index = 0}, 1.0);
  txn.set(on.quantity, {.index = position_count}, 1.0);
  const result<epoch> done = std::move(txn).commit();
  if (done) return status(status_code::failed, subsystem::cli, "a bad write was accepted");
  story.push_back({"a transaction with a bad index", in.epoch().value, story.back().total,
                   story.back().alarms, {}, done.error()});
  return {};
}

std::string shortest(double value) {
  char digits[32];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
  return {digits, end.ptr};
}

unsigned long long wide(std::uint64_t value) noexcept { return value; }

std::string as_text(const std::vector<step>& story, std::uint64_t lines_of_all,
                    double total_of_snapshot, const audit_report& audit) {
  std::string out =
      "A small desk in memory. The host writes price (64 stocks) and quantity (4096 positions);\n"
      "sheaf keeps value, worth, exposure by sector, total, over (exposure above 150000) and\n"
      "alarms current at every commit, and recomputes only lines (64 bytes) that can differ.\n";
  for (std::size_t i = 0; i < story.size(); ++i) {
    const step& at = story[i];
    print(out, "\n%zu. %s\n", i + 1, at.title);
    if (!at.refusal.is_ok()) {
      print(out, "   refused: %s\n   (%s); still epoch %llu\n",
            std::string(at.refusal.text()).c_str(), std::string(at.refusal.detail()).c_str(),
            wide(at.epoch));
      continue;
    }
    print(out, "   epoch %llu, total %.2f, alarms %.0f\n", wide(at.epoch), at.total, at.alarms);
    print(out, "   source lines changed: %llu; derived lines recomputed: %llu of %llu",
          wide(at.work.source_lines_changed), wide(at.work.lines_recomputed), wide(lines_of_all));
    if (at.work.lines_cut_off != 0) {
      print(out, ",\n   of which %llu came out equal and caused no more work",
            wide(at.work.lines_cut_off));
    }
    out += '\n';
  }
  print(out, "\n%zu. a snapshot of epoch %llu, open all the while\n", story.size() + 1,
        wide(story[0].epoch));
  print(out, "   total still %.2f; for its sake step 2 copied %llu pages before it changed them\n",
        total_of_snapshot, wide(story[1].work.frames_copied));
  print(out, "\n%zu. everything recomputed aside and compared bit by bit\n", story.size() + 2);
  print(out, "   %llu pages, %llu lines different\n", wide(audit.pages_compared),
        wide(audit.lines_different));
  return out;
}

std::string as_json(const std::vector<step>& story, std::uint64_t lines_of_all,
                    double total_of_snapshot, const audit_report& audit) {
  std::string steps;
  for (const step& at : story) {
    json_object one;
    one.text("title", at.title).number("epoch", at.epoch);
    if (at.refusal.is_ok()) {
      one.raw("total", shortest(at.total)).raw("alarms", shortest(at.alarms));
      one.raw("work", to_json(at.work));
    } else {
      one.text("refused", at.refusal.message());
    }
    if (!steps.empty()) steps += ", ";
    steps += one.done();
  }
  return json_object()
             .truth("in_memory", true)
             .number("derived_lines", lines_of_all)
             .raw("steps", "[" + steps + "]")
             .raw("snapshot", json_object()
                                  .number("epoch", story[0].epoch)
                                  .raw("total", shortest(total_of_snapshot))
                                  .done())
             .raw("audit", json_object()
                               .number("pages_compared", audit.pages_compared)
                               .number("lines_different", audit.lines_different)
                               .done())
             .done() +
         '\n';
}

}  // namespace

result<std::string> demo_report(form as) {
  const desk on;
  auto opened = engine::open(on.declared);
  if (!opened) return opened.error();
  const std::uint64_t lines_of_all = opened->last_commit().lines_recomputed;
  std::vector<step> story;
  SHEAF_TRY(fill(*opened, on, story));
  const snapshot before = opened->snapshot();
  SHEAF_TRY(change_one_price(*opened, on, "stock 42 trades at 101.25", story));
  SHEAF_TRY(change_one_price(*opened, on, "stock 42 trades at 101.25 again", story));
  SHEAF_TRY(refuse_a_bad_write(*opened, on, story));
  const result<double> total_of_snapshot = before.get(on.total);
  if (!total_of_snapshot) return total_of_snapshot.error();
  const result<audit_report> audit = opened->audit();
  if (!audit) return audit.error();
  return as == form::json ? as_json(story, lines_of_all, *total_of_snapshot, *audit)
                          : as_text(story, lines_of_all, *total_of_snapshot, *audit);
}

}  // namespace sheaf::cli

#include "model/thread_program.hpp"

#include <deque>
#include <thread>

#include "model/compare.hpp"
#include "model/random_model.hpp"
#include "model/random_writer.hpp"

namespace model_test {

namespace {

/// Tickets and balances first, the random model behind them.
std::vector<array_recipe> with_tickets(dice& random, std::uint64_t tickets) {
  std::vector<array_recipe> arrays{
      {.name = "tickets", .type = dtype::u64, .length = tickets, .is_fixed = true},
      {.name = "balance", .type = dtype::f32, .length = 2, .is_fixed = true}};
  return random_model(random, model_shape::mixed, std::move(arrays));
}

class thread_program {
 public:
  thread_program(std::uint64_t seed, thread_coverage& covered)
      : seed_(seed), covered_(covered), random_(seed), threads_(1 + seed % 8) {}

  std::string run() {
    ++covered_.programs;
    const auto actions = static_cast<unsigned>(random_.between(8, 30));
    auto first = std::make_shared<declared_graph>();
    first->arrays = with_tickets(random_, std::uint64_t{threads_} * actions);
    sheaf::model model;
    first->handles = declare_all(model, first->arrays, hosts_);
    sheaf::engine_options options;
    options.threads = random_.chance(30) ? 4 : 1;
    options.mode = random_.chance(50) ? sheaf::readers::wait_free : sheaf::readers::brief_wait;
    if (random_.chance(30)) {
      options.group_transactions_max = static_cast<std::uint32_t>(random_.between(1, 4));
    }
    try {
      auto opened = sheaf::engine::open(model, options);
      require(opened, "open");
      run_writers(*opened, actions, first);
    } catch (const mismatch& found) {
      return found.text + "\n" + std::to_string(threads_) + " writers of " +
             std::to_string(actions) + " actions\n" + describe(first->arrays);
    }
    return {};
  }

 private:
  void run_writers(sheaf::engine& engine, unsigned actions,
                   const std::shared_ptr<const declared_graph>& first) {
    auto changes = engine.subscribe(std::span<const sheaf::any_array>());
    require(static_cast<bool>(changes), "a subscription");
    shared_graph graph(first);
    std::deque<random_writer> writers;
    for (unsigned i = 0; i < threads_; ++i) {
      writers.emplace_back(seed_ * 64 + i, i, actions, engine, graph, hosts_);
    }
    {
      std::vector<std::jthread> running;
      for (random_writer& one : writers) running.emplace_back([&one] { one.run(); });
    }
    for (const random_writer& one : writers) require(one.wrong.empty(), one.wrong);
    commit_order order;
    for (sheaf::change_event event; changes.poll(event);) {
      require(event.missed == 0, "a subscription missed epochs");
      std::vector<std::string>& tags = order[event.epoch().value];
      for (std::uint32_t i = 0; i < event.record.transaction_count(); ++i) {
        tags.emplace_back(event.record.tag(i).who);
      }
    }
    std::vector<thread_log> logs;
    for (random_writer& one : writers) logs.push_back(std::move(one.log));
    check_history(first, logs, order, engine.snapshot(), covered_);
    const auto report = engine.audit();
    require(report && report->lines_different == 0, "an audit finds lines that differ");
  }

  std::uint64_t seed_;
  thread_coverage& covered_;
  dice random_;
  unsigned threads_;
  host_switch hosts_;
};

}  // namespace

std::string run_thread_program(std::uint64_t seed, thread_coverage& covered) {
  return thread_program(seed, covered).run();
}

}  // namespace model_test

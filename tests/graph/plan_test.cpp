#include <chrono>
#include <random>

#include "graph/plan_check.hpp"
#include "graph/support.hpp"

namespace {

using namespace graph_test;
using sheaf::check_plan;
using sheaf::page_class;
using sheaf::plan;

using floats = std::vector<array<float>>;

/// A model that uses every kind of definition, forward declarations, repeats and lazy arrays.
class random_model {
 public:
  explicit random_model(unsigned seed) : random_(seed) {}

  model make(int steps) {
    for (int i = 0; i < 6; ++i) {
      remember(m_.source<float>("", length(), {.page = some_page()}), false);
    }
    std::vector<array<float>> declared;
    for (int i = 0; i < 3; ++i) declared.push_back(m_.declare<float>("", length()));
    for (const auto& forward : declared) {  // defined from what is there, used by what comes
      define(forward);
      remember(forward, false);
    }
    for (int i = 0; i < steps; ++i) derive();
    return std::move(m_);
  }

 private:
  std::size_t draw(std::size_t below) { return random_() % below; }
  std::uint64_t length() {
    constexpr std::uint64_t lengths[] = {1, 16, 100, 1024, 3000};
    return lengths[draw(5)];
  }
  page_class some_page() { return static_cast<page_class>(draw(sheaf::page_class_count)); }
  void remember(array<float> a, bool lazy) {
    if (!lazy) eager_.push_back(a);
    all_.push_back(a);
  }
  array<float> pick(bool lazy) {
    const floats& from = lazy ? all_ : eager_;
    return from[draw(from.size())];
  }
  /// Some arrays of one length.
  floats alike(bool lazy) {
    const auto first = pick(lazy);
    floats found{first};
    for (int i = 0; i < 6; ++i) {
      const auto other = pick(lazy);
      if (other.size() == first.size() || other.size() == 1) found.push_back(other);
    }
    return found;
  }
  void define(const array<float>& forward) {
    m_.define(forward, sheaf::expression<float>(m_.source<float>("", 1)) + 1.0f);
  }
  void derive() {
    const bool lazy = draw(5) == 0;
    sheaf::derive_options options{.when = lazy ? evaluation::lazy : evaluation::eager};
    if (draw(4) == 0) options.page = some_page();
    const auto some = alike(lazy);
    const auto a = some[draw(some.size())];
    switch (draw(7)) {
      case 0:
        return remember(m_.derive("", sheaf::combine(semiring_id::sum_product, some), options),
                        lazy);
      case 1: {
        std::vector<sheaf::term<float>> terms;
        for (const auto& x : some) {
          if (draw(2) == 0) terms.emplace_back(x, some[0]);
          else terms.emplace_back(element_of(x, 0), float(draw(3)));
        }
        return remember(m_.derive("", sheaf::combine(semiring_id::max_plus, terms), options),
                        lazy);
      }
      case 2: return remember(m_.derive("", a * some[0] + element_of(a, 0), options), lazy);
      case 3: return remember(m_.derive("", sheaf::sum(a), options), lazy);
      case 4: {
        std::vector<std::uint32_t> ids(a.size());
        for (auto& id : ids) id = static_cast<std::uint32_t>(draw(10));
        return remember(m_.derive("", sheaf::segment_reduce(semiring_id::min_plus, a,
                                                            sheaf::segments::from_ids(ids, 10)),
                                  options),
                        lazy);
      }
      case 5: {
        std::vector<std::uint32_t> indices(1 + draw(200));
        for (auto& index : indices) index = static_cast<std::uint32_t>(draw(a.size()));
        return remember(m_.derive("", sheaf::gather(a, indices), options), lazy);
      }
      default:
        return remember(m_.derive_host<float>("", length(), {a, pick(lazy)},
                                              [](sheaf::host_call&) { return sheaf::status(); },
                                              options),
                        lazy);
    }
  }

  std::mt19937 random_;
  model m_;
  floats eager_;
  floats all_;
};

TEST(Plan, OfRandomModelsKeepsEveryInvariant) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const model m = random_model(seed).make(40);
    const auto made = plan_of(m);
    ASSERT_TRUE(check_plan(*made).is_ok()) << check_plan(*made).message();
  }
}

struct corruption {
  const char* words;
  void (*apply)(plan&);
};

/// The checker itself: each broken field is found, and named.
TEST(Plan, CheckFindsEachCorruption) {
  const corruption corruptions[] = {
      {"a node's slots", [](plan& p) { ++p.nodes[2].slot; }},
      {"a source's slots", [](plan& p) { ++p.sources[1].slot; }},
      {"a source's page count", [](plan& p) { ++p.sources[0].length; }},
      {"slot_count", [](plan& p) { ++p.slot_count; }},
      {"producer_of_array", [](plan& p) { p.producer_of_array[0] = p.producer_of_array[1]; }},
      {"no such operation", [](plan& p) { p.nodes[0].operation = 99; }},
      {"operand lists", [](plan& p) { ++p.nodes[1].operand_begin; }},
      {"operand slot past", [](plan& p) { p.operands[0] = p.slot_count; }},
      {"a uniform operand", [](plan& p) { p.operands[0] = p.sources[2].slot; }},
      {"invariant 1", [](plan& p) { p.operands[0] = p.nodes.back().slot; }},
      {"invariant 2", [](plan& p) { p.operations[p.nodes[0].operation].lazy = true; }},
      {"invariant 3", [](plan& p) { std::swap(p.children[0], p.children[1]); }},
      {"children nobody has", [](plan& p) { p.children.push_back(0); }},
      {"level sums", [](plan& p) { ++p.levels[1].fan_in; }},
      {"level sums", [](plan& p) { ++p.levels[0].fan_out; }},
      {"a segment", [](plan& p) { ++p.segments[1].node_begin; }},
      {"consumers", [](plan& p) { p.levels[0].consumer_end = p.levels[0].consumer_begin; }},
      {"reaches_fallible", [](plan& p) { p.reaches_fallible[0] ^= 1; }},
      {"a program does not verify", [](plan& p) { p.programs[0].code.clear(); }},
      {"an index table", [](plan& p) { p.tables[0].reach_offsets[0] = 1; }},
  };
  model m;
  const auto a = m.source<float>("a", 1024);
  const auto b = m.source<float>("b", 1024);
  m.source<float>("shorter", 16);
  const auto x = m.derive("x", sheaf::combine(semiring_id::sum_product, {a, b}));
  const auto y = m.derive("y", sheaf::combine(semiring_id::sum_product, {a, x}));
  const auto z = m.derive("z", sheaf::combine(semiring_id::sum_product, {x, y}));
  m.derive("program", z * 2.0f);
  m.derive("gather", sheaf::gather(a, {1, 2, 3}));
  m.derive("last", sheaf::combine(semiring_id::sum_product, {z, y}));
  const auto good = plan_of(m);
  ASSERT_TRUE(check_plan(*good).is_ok()) << check_plan(*good).message();
  for (const auto& [words, apply] : corruptions) {
    plan bad = *good;
    apply(bad);
    const auto found = check_plan(bad);
    EXPECT_THAT(found.message(), ::testing::AnyOf(::testing::HasSubstr(words),
                                                  ::testing::HasSubstr("lazy before eager")));
  }
}

TEST(Plan, NumbersSlotsByLevelAndInDeclarationOrderInside) {
  model m;
  const auto a = m.source<float>("a", 2048);  // two pages
  const auto x = m.derive("x", a + 1.0f);
  const auto deep = m.derive("deep", x + 1.0f);
  const auto y = m.derive("y", a + 2.0f);
  const auto lazy = m.derive("lazy", a + 3.0f, {.when = evaluation::lazy});
  const auto b = m.source<float>("b", 1);
  const auto made = plan_of(m);
  const auto slot = [&](const array<float>& v) {
    const auto producer = made->producer_of_array[index_of(v.id())];
    return made->is_source(producer) ? made->sources[producer].slot
                                     : made->node_of(producer).slot;
  };
  EXPECT_EQ(slot(a), 0u);
  EXPECT_EQ(slot(b), 2u);
  EXPECT_EQ(slot(x), 3u);
  EXPECT_EQ(slot(y), 5u);
  EXPECT_EQ(slot(deep), 7u);
  EXPECT_EQ(slot(lazy), 9u);
  EXPECT_EQ(made->slot_count, 11u);
  EXPECT_EQ(made->eager_node_count, 3u);
  ASSERT_EQ(made->levels.size(), 3u);
  EXPECT_EQ(made->levels[2].slot_end, 9u);
}

TEST(Plan, JoinsOnePageNodesOfALevelIntoOneSegment) {
  model m;
  const auto a = m.source<float>("a", 1024);
  for (int i = 0; i < 5; ++i) m.derive("", a + float(i));
  const auto wide = m.source<float>("wide", 4096);
  m.derive("", wide + 1.0f);
  m.derive("", a - 1.0f);
  const auto made = plan_of(m);
  ASSERT_EQ(made->levels[1].segment_end - made->levels[1].segment_begin, 3u);
  const auto* runs = made->segments.data() + made->levels[1].segment_begin;
  EXPECT_EQ(runs[0].node_count, 5u);
  EXPECT_EQ(runs[1].node_count, 1u);
  EXPECT_EQ(runs[1].slot_end - runs[1].slot_begin, 4u);
  EXPECT_EQ(runs[2].node_begin, 6u);
}

TEST(Plan, ListsAChildOnceThoughItReadsTwice) {
  model m;
  const auto a = m.source<float>("a", 16);
  const auto b = m.source<float>("b", 16);
  m.derive("x", sheaf::combine(semiring_id::sum_product, {a, b, a, a}));
  m.derive("y", sheaf::combine(semiring_id::sum_product, {b, a}));
  const auto made = plan_of(m);
  EXPECT_EQ(made->child_begin, (std::vector<std::uint32_t>{0, 2, 4, 4, 4}));
  EXPECT_EQ(made->children, (std::vector<std::uint32_t>{0, 1, 0, 1}));
  EXPECT_EQ(made->levels[1].fan_in, 6u);
  EXPECT_EQ(made->levels[0].fan_out, 4u);
}

TEST(Plan, NamesOperandsOfUniformNodesByFirstSlot) {
  model m;
  const auto a = m.source<float>("a", 4096);
  const auto b = m.source<float>("b", 4096);
  const auto x = m.derive("x", sheaf::combine(semiring_id::sum_product, {b, a}));
  const auto made = plan_of(m);
  EXPECT_TRUE(operation_of(*made, x.id()).uniform);
  EXPECT_EQ(made->operands, (std::vector<std::uint32_t>{4, 0}));
}

TEST(Plan, GivesWeightedTermsValuesThenWeights) {
  model m;
  const auto a = m.source<float>("a", 16);
  const auto b = m.source<float>("b", 16);
  const auto x = m.derive(
      "x", sheaf::combine(semiring_id::sum_product,
                          {sheaf::term{a, 2.0f}, sheaf::term{element_of(b, 3), a}}));
  const auto made = plan_of(m);
  const auto& operation = operation_of(*made, x.id());
  EXPECT_TRUE(operation.weighted);
  ASSERT_EQ(operation.operand_count, 4u);
  const auto* details = made->operand_details.data();
  EXPECT_EQ(details[0].producer, 0u);
  EXPECT_EQ(details[1].element, 3u);
  EXPECT_EQ(details[2].producer, no_index);
  EXPECT_EQ(made->constants[details[2].slot], 0x40000000u);
  EXPECT_EQ(details[3].producer, 0u);
}

TEST(Plan, KnowsWhichSourcesReachAHostFunction) {
  model m;
  const auto a = m.source<float>("a", 16);
  const auto b = m.source<float>("b", 16);
  const auto c = m.source<float>("c", 16);
  const auto x = m.derive("x", a + 1.0f);
  m.derive_host<float>("h", 3, {x}, [](sheaf::host_call&) { return sheaf::status(); });
  m.derive_host<float>("lazy", 3, {b}, [](sheaf::host_call&) { return sheaf::status(); },
                       {.when = evaluation::lazy});
  m.derive("y", b + c);
  EXPECT_EQ(plan_of(m)->reaches_fallible, (std::vector<std::uint8_t>{1, 0, 0}));
}

/// `levels` levels of `width` one-page sums of four.
model layered(std::size_t width, std::size_t levels) {
  model m;
  std::mt19937 random(99);
  floats above(width);
  floats here(width);
  for (auto& source : above) source = m.source<float>("", 1024);
  for (std::size_t level = 0; level < levels; ++level) {
    for (auto& node : here) {
      const auto any = [&] { return above[random() % width]; };
      node = m.derive("", sheaf::combine(semiring_id::sum_product, {any(), any(), any(), any()}));
    }
    std::swap(above, here);
  }
  return m;
}

TEST(Plan, SchedulingMetadataIsAtMost64BytesPerPageNode) {
  const auto made = plan_of(layered(1000, 10));
  ASSERT_EQ(made->slot_count, 11'000u);
  EXPECT_EQ(made->operations.size(), 1u);
  // Besides the plan, the executor keeps per slot a line mask and a dirty bit in two bitmaps.
  const double outside = 8.25;
  const double bytes = static_cast<double>(made->scheduling_bytes()) / 11'000 + outside;
  RecordProperty("bytes_per_page_node", std::to_string(bytes));
  EXPECT_LE(bytes, 64.0);
  EXPECT_GE(bytes, 50.0);  // a figure below would mean something is left out
}

TEST(Plan, OfAMillionNodesIsBuilt) {
  const auto begin = std::chrono::steady_clock::now();
  const auto made = plan_of(layered(100'000, 10));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(made->nodes.size(), 1'000'000u);
  EXPECT_EQ(made->levels.size(), 11u);
  EXPECT_EQ(made->segments.size(), 11u);
  EXPECT_LT(took, std::chrono::seconds(30));
}

TEST(Plan, OfAChain200000DeepIsBuiltInLinearTime) {
  constexpr std::uint32_t depth = 200'000;
  const auto begin = std::chrono::steady_clock::now();
  model m;
  auto last = m.source<float>("first", 16);
  for (std::uint32_t i = 0; i < depth; ++i) last = m.derive("", last + 1.0f);
  const auto made = plan_of(m);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(made->levels.size(), depth + 1);
  EXPECT_EQ(made->consumers.size(), depth);
  EXPECT_EQ(made->operations.size(), 1u);
  EXPECT_LT(took, std::chrono::seconds(30));  // quadratic time would be hours
}

TEST(Plan, OfAChain200000DeepDefinedBackwardsIsBuiltInLinearTime) {
  constexpr std::uint32_t depth = 200'000;
  const auto begin = std::chrono::steady_clock::now();
  model m;
  floats chain;
  for (std::uint32_t i = 0; i < depth; ++i) chain.push_back(m.declare<float>("", 16));
  for (std::uint32_t i = 0; i + 1 < depth; ++i) m.define(chain[i], chain[i + 1] + 1.0f);
  m.define(chain.back(), m.source<float>("first", 16) + 1.0f);
  const auto made = plan_of(m);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(made->levels.size(), depth + 1);
  EXPECT_LT(took, std::chrono::seconds(30));
}

}  // namespace

/// \file
/// Executors of branches: they find pages through the branch, write to frames of its own, and give
/// the bits the engine's own executor gives.

#include <map>

#include <sheaf/propagate/page_branch.hpp>

#include "page/random.hpp"
#include "propagate/rig.hpp"

namespace propagate_test {
namespace {

/// Private frames in a map over the current pages of a rig.
class map_branch final : public page_branch {
 public:
  explicit map_branch(rig& base) : base_(base) {}

  std::uint32_t find(std::uint32_t slot, page_class) noexcept override {
    ++finds;
    const auto own = own_.find(slot);
    return own == own_.end() ? base_.frames().frames()[slot] : own->second;
  }
  std::uint32_t make_writable(std::uint32_t slot, page_class page,
                              line_mask changing) noexcept override {
    if (const auto own = own_.find(slot); own != own_.end()) return own->second;
    if (frames_left == 0) return nothing;
    --frames_left;
    page_allocator& allocator = base_.frames().allocator();
    const std::uint32_t old = base_.frames().frames()[slot];
    const frame_id fresh = allocator.allocate(page);
    std::memset(allocator.address(page, fresh), 0xee, bytes_of(page));
    for_each_line(first_lines(lines_of(page)) & ~changing, [&](unsigned line) {
      std::memcpy(allocator.address(page, fresh) + line * line_size,
                  allocator.address(page, frame_id{old}) + line * line_size, line_size);
    });
    own_[slot] = index_of(fresh);
    return index_of(fresh);
  }
  status failure() const noexcept override {
    return status(status_code::out_of_memory, subsystem::engine, "the branch has no frame left");
  }
  std::size_t own_pages() const { return own_.size(); }

  unsigned frames_left = ~0u;
  std::uint64_t finds = 0;

 private:
  rig& base_;
  std::map<std::uint32_t, std::uint32_t> own_;
};

/// One of every operator kind over two sources of several pages.
struct kinds {
  kinds() {
    sheaf_test::random_numbers random(5);
    a = declared.source<float>("a", 3000);
    b = declared.source<float>("b", 3000);
    const auto sum = declared.derive("sum", a + b);
    const auto least = declared.derive("least", combine(semiring_id::min_plus, {a, sum}));
    std::vector<std::uint32_t> indices(2000), group_of(2000);
    for (auto& index : indices) index = static_cast<std::uint32_t>(random() % 3000);
    for (auto& group : group_of) group = static_cast<std::uint32_t>(random() % 40);
    const auto gathered = declared.derive("gathered", gather(least, indices));
    const auto groups = declared.derive(
        "groups", segment_reduce(semiring_id::sum_product, gathered,
                                 segments::from_ids(group_of, 40)));
    const auto total = declared.derive("total", sheaf::sum(groups));
    declared.derive("scaled", sum * element_of(total, 0));
    const auto ring = declared.declare<float>("ring", 3000);
    const auto back = declared.declare<float>("back", 3000);
    declared.fixpoint<float>(semiring_id::min_plus, {{ring, {least, term(back, 2.0f)}},
                                                     {back, {term(ring, 1.0f), sum}}});
    declared.derive_host<float>("hosted", 40, {groups}, [](host_call& call) {
      const auto from = call.operand<float>(0);
      const auto to = call.result<float>();
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] * 2;
      return status();
    });
  }
  model declared;
  array<float> a, b;
};

/// Writes one element in the branch that `run` has entered, and marks its line.
void set_in_branch(rig& base, executor& run, const array<float>& target, std::uint64_t index,
                   float value) {
  const plan& graph = base.graph();
  const plan_source& source = graph.sources[graph.producer_of_array[index_of(target.id())]];
  const std::uint64_t byte = index * sizeof(float);
  const auto slot = source.slot + static_cast<std::uint32_t>(byte >> byte_shift(source.page));
  ASSERT_TRUE(run.make_writable(slot, source.page, 0));
  std::byte* page = base.frames().base(source.page) +
                    (std::size_t{run.branch_frames()[slot]} << byte_shift(source.page));
  const std::uint64_t inside = byte & (bytes_of(source.page) - 1);
  if (std::memcmp(page + inside, &value, sizeof value) == 0) return;
  std::memcpy(page + inside, &value, sizeof value);
  run.masks()[slot] |= line_mask{1} << (inside >> line_shift);
  run.mark(slot);
  delta written;
  ASSERT_TRUE(written.set(target.id(), merge_operator::assign, index, value).is_ok());
  run.note_written(written);
}

/// The bytes of every page as `branch` has them, in the order of `rig::image`.
std::vector<std::byte> image_of(rig& base, map_branch& branch) {
  std::vector<std::byte> out;
  const auto add = [&](std::uint32_t slot, std::uint32_t pages, page_class page) {
    for (std::uint32_t at = slot; at < slot + pages; ++at) {
      const std::byte* from = base.frames().base(page) +
                              (std::size_t{branch.find(at, page)} << byte_shift(page));
      out.insert(out.end(), from, from + bytes_of(page));
    }
  };
  const plan& graph = base.graph();
  for (const plan_source& source : graph.sources) add(source.slot, source.page_count, source.page);
  for (std::uint32_t index = 0; index < graph.eager_node_count; ++index) {
    const plan_operation& op = graph.operation_of(graph.nodes[index]);
    add(graph.nodes[index].slot, op.page_count, op.page);
  }
  return out;
}

TEST(Branch, GivesTheBitsOfAnExecutorOfItsOwnAndLeavesItsBaseAlone) {
  kinds k;
  rig base(k.declared), twin(k.declared);
  sheaf_test::random_numbers random(3);
  for (unsigned i = 0; i < 3000; ++i) {
    const float a = static_cast<float>(random() % 1000), b = static_cast<float>(random() % 1000);
    base.set(k.a, i, a), twin.set(k.a, i, a);
    base.set(k.b, i, b), twin.set(k.b, i, b);
  }
  base.propagate(), twin.propagate();
  const auto before = base.image();
  const auto run = executor::create_for_branches(base.run().seed_of_branches()).value();
  map_branch branch(base);
  for (unsigned commit = 0; commit < 20; ++commit) {
    run->enter(branch);
    for (unsigned i = 0; i < 1 + commit * 40; ++i) {
      const std::uint64_t index = random() % 3000;
      const float value = static_cast<float>(random() % 1000);
      set_in_branch(base, *run, commit % 2 == 0 ? k.a : k.b, index, value);
      twin.set(commit % 2 == 0 ? k.a : k.b, index, value);
    }
    const status done = run->propagate();
    ASSERT_TRUE(done.is_ok()) << done.message();
    run->finish(false);
    twin.propagate();
    const auto report = run->audit();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->lines_different, 0u);
    run->leave();
    ASSERT_TRUE(image_of(base, branch) == twin.image()) << "commit " << commit;
  }
  EXPECT_TRUE(base.image() == before);
}

TEST(Branch, ACommitAsksForThePagesItTouchesAndNoOthers) {
  model declared;
  const auto source = declared.source<float>("source", 1 << 20);
  array<float> at = source;
  for (int i = 0; i < 10; ++i) at = declared.derive("", at + 1.0f);
  rig base(declared);
  const auto run = executor::create_for_branches(base.run().seed_of_branches()).value();
  for (unsigned commit = 0; commit < 3; ++commit) {
    map_branch branch(base);
    run->enter(branch);
    set_in_branch(base, *run, source, 500'000 + commit, 1);
    ASSERT_TRUE(run->propagate().is_ok());
    run->finish(false);
    run->leave();
    EXPECT_EQ(branch.own_pages(), 11u);
    EXPECT_LE(branch.finds, 11u);
  }
}

TEST(Branch, WithoutAFrameTheCommitFailsWithTheBranchsWordsAndTheNextOneIsFine) {
  kinds k;
  rig base(k.declared);
  const auto before = base.image();
  const auto run = executor::create_for_branches(base.run().seed_of_branches()).value();
  unsigned needed = 0;
  for (unsigned frames = 1;; ++frames) {
    map_branch branch(base);
    branch.frames_left = frames;
    run->enter(branch);
    for (unsigned i = 0; i < 60; ++i) set_in_branch(base, *run, k.a, i, 7.0f);
    const status done = run->propagate();
    if (done.is_ok()) {
      run->finish(false);
      run->leave();
      needed = frames;
      break;
    }
    EXPECT_EQ(done.code(), status_code::out_of_memory) << done.message();
    run->discard();
    run->leave();
    ASSERT_TRUE(base.image() == before);
    for (std::uint32_t slot = 0; slot < base.graph().slot_count; ++slot) {
      ASSERT_EQ(run->masks()[slot], 0u);
    }
  }
  EXPECT_GT(needed, 5u);
}

}  // namespace
}  // namespace propagate_test

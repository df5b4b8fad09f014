// Deltas that are born on a device, and what changed brought back: every operator, type and width
// of an index against one merge after the other on the host; collections in as many calls as they
// take.
#include <algorithm>
#include <memory>
#include <numeric>

#include "cuda/page/collect.hpp"
#include "cuda/page/element_scatter.hpp"
#include "model/dice.hpp"
#include "page/gpu_rig.hpp"

namespace {

using namespace page_test;
using model_test::dice;

constexpr std::uint32_t first_slot = 5;

struct case_of {
  merge_operator op;
  bool is_distinct, is_wide;
  std::uint64_t count;
  page_class size;
  std::uint32_t pages;
};

// A host's array that gets records of what changed on the device: the copy that follows.
struct follower {
  std::vector<std::byte>* bytes;
  std::vector<line_mask>* masks;
  page_class size;
};
void follow(void* context, const device_record& record) {
  auto& to = *static_cast<follower*>(context);
  const std::byte* from = record.lines;
  std::uint32_t lines = 0;
  for (std::uint32_t i = 0; i < record.page_count; ++i) {
    const line_record& page = record.pages[i];
    (*to.masks)[page.slot] |= page.lines;
    for_each_line(page.lines, [&](unsigned line) {
      std::memcpy(to.bytes->data() + (page.slot - first_slot) * bytes_of(to.size) +
                      line * line_size,
                  from, line_size);
      from += line_size;
      ++lines;
    });
  }
  PAGE_CHECK(lines == record.line_count, "%u of %u lines", lines, record.line_count);
}

// Deltas, the pages before them, and what one merge after the other makes of those.
template <element T, class Index>
struct delta_case {
  delta_case(dice& random, const case_of& what)
      : array{first_slot, what.size, dtype_of<T>,
              what.pages * bytes_of(what.size) / sizeof(T) - random.below(2)},
        begin(what.pages * bytes_of(what.size)), expected_masks(first_slot + what.pages) {
    for (std::uint64_t i = 0; i < array.length; ++i) {
      const T value = random.value<T>();
      std::memcpy(begin.data() + i * sizeof(T), &value, sizeof(T));
    }
    indices.resize(what.is_distinct ? std::min(what.count, array.length) : what.count);
    if (what.is_distinct) {
      std::vector<Index> all(array.length);
      std::iota(all.begin(), all.end(), Index{0});
      for (std::size_t i = 0; i < indices.size(); ++i) {
        std::swap(all[i], all[i + random.below(all.size() - i)]);
        indices[i] = all[i];
      }
    } else {
      const std::uint64_t near = 1 + random.below(array.length);
      for (Index& each : indices) each = static_cast<Index>(random.below(near));
    }
    for (std::size_t k = 0; k < indices.size(); ++k) bits.push_back(to_bits(random.value<T>()));
    merge_all(what);
  }
  void merge_all(const case_of& what) {
    expected = begin;
    for (std::size_t k = 0; k < indices.size(); ++k) {
      std::byte* place = expected.data() + indices[k] * sizeof(T);
      bits_of<T> old;
      std::memcpy(&old, place, sizeof(T));
      const bits_of<T> merged =
          what.op == merge_operator::assign
              ? bits[k]
              : to_bits(merge_by<T>(what.op, from_bits<T>(old), from_bits<T>(bits[k])));
      std::memcpy(place, &merged, sizeof(T));
      if (merged == old) continue;
      const std::uint64_t line = indices[k] * sizeof(T) / line_size;
      const std::uint64_t page = line >> static_cast<unsigned>(what.size);
      expected_masks[first_slot + page] |= line_mask{1} << (line & (lines_of(what.size) - 1));
    }
  }

  device_array array;
  std::vector<std::byte> begin, expected;
  std::vector<line_mask> expected_masks;
  std::vector<Index> indices;
  std::vector<bits_of<T>> bits;
};

template <element T, class Index>
void merges_like_a_host(dice& random, delta_port& port, const case_of& what) {
  delta_case<T, Index> given(random, what);
  const device_array& array = given.array;
  const std::vector<std::byte>& begin = given.begin;
  const std::vector<std::byte>& expected = given.expected;
  const std::vector<line_mask>& expected_masks = given.expected_masks;
  std::vector<Index>& indices = given.indices;
  const device_vector<std::byte> memory(begin);
  std::vector<std::uint32_t> frames(first_slot + what.pages);
  for (std::uint32_t i = 0; i < what.pages; ++i) frames[first_slot + i] = i;
  const device_vector<std::uint32_t> device_frames(frames);
  const device_vector<line_mask> changed(expected_masks.size());
  const device_vector<Index> device_indices(indices);
  const device_vector<bits_of<T>> device_values(given.bits);
  device_scatter into{};
  into.pages.base[static_cast<unsigned>(what.size)] = memory.data();
  into.pages.frames = device_frames.data();
  into.changed = changed.data();
  element_deltas deltas{device_indices.data(), device_values.data(), indices.size(), what.op,
                        sizeof(Index) == 8,    what.is_distinct};
  std::vector<std::byte> copy = begin;
  std::vector<line_mask> masks(expected_masks.size());
  follower to{&copy, &masks, what.size};
  cudaStream_t hosts, ours;
  PAGE_MUST(cudaStreamCreateWithFlags(&hosts, cudaStreamNonBlocking));
  PAGE_MUST(cudaStreamCreateWithFlags(&ours, cudaStreamNonBlocking));
  device_error why;
  device_code code = port.scatter_device(array, deltas, into, hosts, ours, follow, &to, &why);
  PAGE_CHECK(code == device_code::ok, "%s", why.text);
  PAGE_MUST(cudaDeviceSynchronize());
  const auto name = [&] { return name_of(what.op).data(); };
  PAGE_CHECK(memory.get() == expected, "%s %s", name(), name_of(array.type).data());
  PAGE_CHECK(changed.get() == expected_masks, "%s %s", name(), name_of(array.type).data());
  PAGE_CHECK(copy == expected, "%s %s: the copy", name(), name_of(array.type).data());
  PAGE_CHECK(masks == expected_masks, "%s %s: the record", name(), name_of(array.type).data());

  indices[random.below(indices.size())] = static_cast<Index>(array.length);
  PAGE_MUST(cudaMemcpy(device_indices.data(), indices.data(), indices.size() * sizeof(Index),
                       cudaMemcpyHostToDevice));
  PAGE_MUST(cudaDeviceSynchronize());
  code = port.scatter_device(array, deltas, into, hosts, ours, follow, &to, &why);
  PAGE_CHECK(code == device_code::invalid, "%s: a bad index", name());
  PAGE_MUST(cudaDeviceSynchronize());
  PAGE_CHECK(memory.get() == expected && changed.get() == expected_masks, "%s: a bad index",
             name());
  PAGE_MUST(cudaStreamDestroy(hosts));
  PAGE_MUST(cudaStreamDestroy(ours));
}

void all_operators_and_types(dice& random, delta_port& port) {
  for (int round = 0; round < 4; ++round) {
    for (unsigned o = 0; o < merge_operator_count; ++o) {
      for (unsigned t = 0; t < dtype_count; ++t) {
        if (!supports(merge_operator(o), dtype(t))) continue;
        visit_dtype(dtype(t), [&](auto type) {
          using T = typename decltype(type)::type;
          const case_of what{merge_operator(o),
                             random.chance(50),
                             random.chance(50),
                             1 + random.below(round == 0 ? 5000 : 300),
                             page_class(random.below(page_class_count)),
                             static_cast<std::uint32_t>(1 + random.below(60))};
          if (what.is_wide) merges_like_a_host<T, std::uint64_t>(random, port, what);
          else merges_like_a_host<T, std::uint32_t>(random, port, what);
        });
      }
    }
  }
}

void refuses_what_cannot_be(delta_port& port) {
  const device_array array{0, page_class::b64, dtype::f32, 16};
  element_deltas deltas{&port, &port, 1, merge_operator::bit_xor, false, false};
  device_error why;
  const device_scatter into{};
  const auto ask = [&] {
    return port.scatter_device(array, deltas, into, nullptr, nullptr, follow, nullptr, &why);
  };
  PAGE_CHECK(ask() == device_code::invalid, "xor of floats");
  deltas.op = merge_operator::add;
  deltas.count = element_deltas_max + 1;
  PAGE_CHECK(ask() == device_code::invalid, "too many");
  deltas.count = 1;
  deltas.values = nullptr;
  PAGE_CHECK(ask() == device_code::invalid, "no values");
}

// Lists and ranges of slots, observed or not, into a space that most collections do not fit.
void collects_everything_once(random_numbers& random) {
  device_error why;
  collector* made = nullptr;
  PAGE_CHECK(collector::open(collector::space_bytes_min, 10, &made, &why) == device_code::ok, "%s",
             why.text);
  if (made == nullptr) std::_Exit(1);
  const std::unique_ptr<collector> collects(made);
  for (int round = 0; round < 40; ++round) {
    const std::uint32_t slots = 1 + random() % (round % 4 == 0 ? 40 : 4000);
    device_rig rig(random, slots);
    std::vector<std::uint32_t> observed(slots / 32 + 1), list(slots);
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      observed[slot >> 5] |= (random() % 4 != 0 ? 1u : 0u) << (slot & 31);
      if (random() % 3 == 0) continue;
      rig.changed[slot] =
          random_mask(random, random() % 3) & first_lines(lines_of(rig.classes[slot]));
    }
    std::iota(list.begin(), list.end(), 0u);
    for (std::uint32_t i = slots; i > 1; --i) std::swap(list[i - 1], list[random() % i]);
    const std::vector<line_mask> masks = rig.changed;
    device_mirror mirror(rig);
    const device_vector<line_mask> onto(slots);
    const device_vector<std::uint32_t> device_observed(observed), device_list(list);
    collect_request request{};
    request.pages = mirror.pages();
    request.changed = mirror.changed.data();
    request.onto = onto.data();
    request.classes = mirror.classes.data();
    request.slots = round % 2 == 0 ? device_list.data() : nullptr;
    request.observed = device_observed.data();
    request.count = slots;
    std::vector<line_mask> seen(slots);
    collector::rest left{1, 1};
    for (std::uint32_t calls = 0; left.pages != 0 && calls <= slots; ++calls) {
      device_record record{};
      PAGE_CHECK(collects->start(request, nullptr, &why) == device_code::ok, "%s", why.text);
      PAGE_CHECK(collects->finish(&record, &left, &why) == device_code::ok, "%s", why.text);
      std::uint32_t at = 0;
      bool is_right = true;
      for (std::uint32_t i = 0; i < record.page_count; ++i) {
        const std::uint32_t slot = record.pages[i].slot;
        is_right &= slot < slots && seen[slot] == 0;
        seen[slot] = record.pages[i].lines;
        if ((observed[slot >> 5] >> (slot & 31) & 1) == 0) continue;
        for_each_line(record.pages[i].lines, [&](unsigned line) {
          is_right &= std::memcmp(record.lines + at++ * line_size,
                                  rig.expected_page(slot) + line * line_size, line_size) == 0;
        });
      }
      PAGE_CHECK(is_right && at == record.line_count, "round %d, call %u", round, calls);
    }
    PAGE_CHECK(left.pages == 0 && left.lines == 0, "round %d never ended", round);
    PAGE_CHECK(seen == masks && onto.get() == masks, "round %d: masks", round);
    rig.expected_changed.assign(slots, 0);
    PAGE_CHECK(mirror.is_as_expected(), "round %d: masks are cleared, pages stay", round);
  }
}

}  // namespace

int main() {
  if (!has_device()) return 77;
  const std::uint32_t seed = seed_of("device_deltas");
  dice random(seed);
  random_numbers numbers(seed);
  delta_port* made = nullptr;
  device_error why;
  PAGE_CHECK(delta_port::open({100, collector::space_bytes_min, 10}, &made, &why) ==
                 device_code::ok,
             "%s", why.text);
  if (made == nullptr) return 1;
  const std::unique_ptr<delta_port> port(made);
  all_operators_and_types(random, *port);
  refuses_what_cannot_be(*port);
  collects_everything_once(numbers);
  std::printf("%s\n", failures() == 0 ? "all right" : "wrong");
  return failures() == 0 ? 0 : 1;
}

/// The interpreter of line programs, its steps, and the compiled shapes of the kernel manifest, on
/// every instruction set of this machine, against an element-by-element reference, bit for bit.
#include "propagate/kernels_support.hpp"

#include <graph/expression_compiler.hpp>
#include <sheaf/graph/expression.hpp>

#include "graph/operate.hpp"

namespace {

using namespace kernels_support;

bool takes(opcode op, dtype type) {
  if (op == opcode::call || op == opcode::cast) return false;
  if (op == opcode::sqrt || op >= opcode::exp) return is_float(type);
  const bool bitwise = op >= opcode::bit_and && op <= opcode::shr;
  return !bitwise || !is_float(type);
}

template <element To>
std::uint64_t cast_of(dtype from, std::uint64_t bits) {
  return visit_dtype(from, [&](auto type) -> std::uint64_t {
    using From = typename decltype(type)::type;
    return to_bits(sheaf::cast<To>(from_bits<From>(static_cast<bits_of<From>>(bits))));
  });
}

/// What the test's custom operator does: a step body that no table holds.
template <element T>
void average_step(std::byte* destination, const std::byte* const* arguments, std::uint32_t lines) {
  const auto at = [&](unsigned k, std::size_t i) {
    return reinterpret_cast<const T*>(arguments[k])[i];
  };
  for (std::size_t i = 0; i < lines * line_size / sizeof(T); ++i) {
    reinterpret_cast<T*>(destination)[i] = add(subtract(at(0, i), at(1, i)), at(2, i));
  }
}

/// One element through a whole program; values are bit patterns. Call entry 0 is `average_step`.
std::uint64_t evaluate(const line_program& program, const std::vector<std::uint64_t>& operands) {
  std::uint64_t registers[register_count_max] = {};
  for (const instruction& step : program.code) {
    const auto value = [&](value_ref ref) {
      if (ref >= constant_ref_begin) return program.constants[ref - constant_ref_begin];
      return ref >= operand_ref_begin ? operands[ref - operand_ref_begin] : registers[ref];
    };
    registers[step.destination] = visit_dtype(step.type, [&](auto type) -> std::uint64_t {
      using T = typename decltype(type)::type;
      if (step.op == opcode::cast) {
        return cast_of<T>(static_cast<dtype>(step.from_or_call), value(step.a));
      }
      const auto as = [&](value_ref ref) {
        return from_bits<T>(static_cast<bits_of<T>>(value(ref)));
      };
      const T a = as(step.a);
      const T b = as(step.b);
      const T c = as(step.c);
      if (step.op == opcode::call) return to_bits(add(subtract(a, b), c));
      return to_bits(graph_test::operate(step.op, a, b, c));
    });
  }
  return registers[program.code.back().destination];
}

/// A valid random program of up to `size` instructions whose values are as wide as `T`.
template <element T>
line_program random_program(generator& random, unsigned size) {
  std::vector<dtype> types;
  for (unsigned t = 0; t < dtype_count; ++t) {
    if (size_of(static_cast<dtype>(t)) == sizeof(T)) types.push_back(static_cast<dtype>(t));
  }
  const auto any_type = [&] { return types[random.below(types.size())]; };
  line_program program;
  program.result = dtype_of<T>;
  program.calls = {0};
  for (unsigned o = 0; o < 5; ++o) program.operand_types.push_back(any_type());
  program.operand_types.push_back(dtype_of<T>);
  for (unsigned c = 0; c < 3; ++c) program.constants.push_back(to_bits(random.value<T>()));
  std::vector<int> written;  // type of each register
  const auto reference = [&](dtype type) -> value_ref {
    for (unsigned attempt = 0; attempt < 40; ++attempt) {
      const unsigned kind = random.below(4);
      if (kind == 0) return static_cast<value_ref>(constant_ref_begin + random.below(3));
      if (kind == 1) {
        const unsigned o = random.below(program.operand_types.size());
        if (program.operand_types[o] == type) return static_cast<value_ref>(operand_ref_begin + o);
      } else if (!written.empty()) {
        const unsigned r = random.below(written.size());
        if (written[r] == static_cast<int>(type)) return static_cast<value_ref>(r);
      }
    }
    return constant_ref_begin;
  };
  const unsigned count = 1 + random.below(size);
  for (unsigned i = 0; i < count; ++i) {
    const dtype type = i + 1 == count ? dtype_of<T> : any_type();
    opcode op = static_cast<opcode>(random.below(opcode_count));
    while (!takes(op, type) && op != opcode::cast && op != opcode::call) {
      op = static_cast<opcode>(random.below(opcode_count));
    }
    const dtype from = any_type();
    instruction step{};
    step.op = op;
    step.type = type;
    if (op == opcode::cast) step.from_or_call = static_cast<std::uint8_t>(from);
    const dtype wanted = op == opcode::cast ? from : type;
    step.a = reference(wanted);
    step.b = arity_of(op) > 1 ? reference(wanted) : step.a;
    step.c = arity_of(op) > 2 ? reference(wanted) : step.a;
    step.destination = static_cast<std::uint8_t>(random.below(std::min<std::size_t>(
        written.size() + 1, 6)));
    if (step.destination == written.size()) written.push_back(0);
    written[step.destination] = static_cast<int>(type);
    program.code.push_back(step);
  }
  program.register_count = static_cast<std::uint8_t>(written.size());
  return program;
}

/// Operands of a program: pages, some of them one element that meets all.
template <element T>
struct operand_pages {
  operand_pages(generator& random, unsigned count, const page_shape& shape) {
    for (unsigned o = 0; o < count; ++o) {
      pages.push_back(std::make_unique<guarded_page>(shape.lines));
      fill<T>(random, *pages[o], shape);
      const bool aligned = random.below(3) != 0;
      const std::size_t place = aligned ? 0 : random.below(shape.lines * line_size / sizeof(T));
      views.push_back({pages[o]->data() + place * sizeof(T), aligned ? 64u : 0u});
    }
  }
  std::vector<std::uint64_t> at(std::size_t i) const {
    std::vector<std::uint64_t> values;
    for (const operand_view& view : views) {
      const T* data = reinterpret_cast<const T*>(view.data);
      values.push_back(to_bits(data[view.step == 0 ? 0 : i]));
    }
    return values;
  }
  std::vector<T> expected(const line_program& program, const page_shape& shape) const {
    std::vector<T> result(shape.lines * line_size / sizeof(T));
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = from_bits<T>(static_cast<bits_of<T>>(evaluate(program, at(i))));
    }
    return result;
  }

  std::vector<std::unique_ptr<guarded_page>> pages;
  std::vector<operand_view> views;
};

TEST(KernelsStep, EachInstructionMatchesItsScalarMeaningAlsoInPlace) {
  for (const kernel_table* table : tables()) {
    for_each_type([&]<element T>() {
      constexpr auto t = static_cast<unsigned>(dtype_of<T>);
      for (unsigned o = 0; o < opcode_count; ++o) {
        const auto op = static_cast<opcode>(o);
        ASSERT_EQ(table->step[o][t] != nullptr, takes(op, dtype_of<T>)) << o;
        if (!takes(op, dtype_of<T>)) continue;
        for (const unsigned lines : {1u, 2u, 3u, 16u}) {
          generator random(o * 100 + lines);
          operand_pages<T> arguments(random, 3, {lines});
          guarded_page& a = *arguments.pages[0];
          guarded_page& b = *arguments.pages[1];
          guarded_page& c = *arguments.pages[2];
          const std::byte* chunks[] = {a.data(), b.data(), c.data()};
          std::vector<T> expected(lines * line_size / sizeof(T));
          for (std::size_t i = 0; i < expected.size(); ++i) {
            expected[i] =
                canonical(graph_test::operate(op, a.as<T>()[i], b.as<T>()[i], c.as<T>()[i]));
          }
          guarded_page apart(lines);
          guarded_page* const targets[] = {&apart, &a, &b, &c};
          guarded_page& target = *targets[random.below(4)];
          table->step[o][t](target.data(), chunks, lines);
          for (std::size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(to_bits(canonical(target.as<T>()[i])), to_bits(expected[i]))
                << name_of(table->set) << " opcode " << o << ' ' << name_of(dtype_of<T>)
                << " element " << i << "; seed " << seed();
          }
          ASSERT_TRUE(target.guards_are_intact());
        }
      }
    });
  }
}

TEST(KernelsCast, BetweenTypesOfOneSizeSaturatesAndNoOtherIsThere) {
  for (const kernel_table* table : tables()) {
    for_each_type([&]<element From>() {
      for_each_type([&]<element To>() {
        const step_body body = table->cast[static_cast<unsigned>(dtype_of<From>)]
                                          [static_cast<unsigned>(dtype_of<To>)];
        ASSERT_EQ(body != nullptr, sizeof(From) == sizeof(To));
        if (body == nullptr) return;
        generator random(1);
        guarded_page from(16);
        guarded_page to(16);
        fill<From>(random, from, {16});
        const std::byte* chunk = from.data();
        body(to.data(), &chunk, 16);
        for (std::size_t i = 0; i < from.size() / sizeof(From); ++i) {
          ASSERT_EQ(to_bits(canonical(to.as<To>()[i])),
                    to_bits(canonical(cast<To>(from.as<From>()[i]))))
              << name_of(table->set) << ' ' << name_of(dtype_of<From>) << " to "
              << name_of(dtype_of<To>) << "; seed " << seed();
        }
      });
    });
  }
}

TEST(KernelsProgram, InterpretsRandomProgramsOverRandomMasksTailsAndBroadcasts) {
  alignas(line_size) static std::byte scratch[program_scratch_size];
  for (const kernel_table* table : tables()) {
    for_each_type([&]<element T>() {
      for (unsigned round = 0; round < 60; ++round) {
        SCOPED_TRACE(testing::Message() << name_of(table->set) << ' ' << name_of(dtype_of<T>)
                                        << " round " << round);
        generator random(round);
        const page_shape shape = random_shape<T>(random, 1u << random.below(7));
        const line_program program = random_program<T>(random, 12);
        ASSERT_TRUE(verify(program).is_ok()) << verify(program).message();
        const operand_pages<T> operands(random, 6, shape);
        const step_body calls[] = {&average_step<T>};
        check_page_body<T>(
            random, shape, operands.expected(program, shape), [&](const line_task& task) {
              std::memset(scratch, 0xee, sizeof scratch);
              return table->program[static_cast<unsigned>(dtype_of<T>)](
                  task, program.view(), operands.views.data(), calls, scratch);
            });
        if (testing::Test::HasFatalFailure()) return;
      }
    });
  }
}

TEST(KernelsProgram, SpreadsConstantsOverNoMoreLinesThanTheLongestRunNeeds) {
  alignas(line_size) static std::byte scratch[program_scratch_size];
  line_program program;
  program.result = dtype::i32;
  program.operand_types = {dtype::i32};
  program.constants = {7};
  program.code = {{opcode::add, dtype::i32, 0, operand_ref_begin, constant_ref_begin,
                   operand_ref_begin, 0, 0}};
  program.register_count = 1;
  generator random(3);
  for (const kernel_table* table : tables()) {
    guarded_page operand(64);
    fill<std::int32_t>(random, operand, {64});
    guarded_page page(64);
    const operand_view view{operand.data(), 64};
    std::memset(scratch, 0xee, sizeof scratch);
    const line_task task{page.data(), page.data(), 0b1101, page_lines_max, 0};
    const program_body body = table->program[static_cast<unsigned>(dtype::i32)];
    body(task, program.view(), &view, nullptr, scratch);
    const std::size_t constant = chunk_lines * line_size;  // the chunk after the one register
    EXPECT_EQ(scratch[constant + 2 * line_size - 4], std::byte{7});
    EXPECT_EQ(scratch[constant + 2 * line_size], std::byte{0xee});
  }
}

/// The program an entry of the manifest stands for.
line_program program_of(const manifest_entry& entry, generator& random) {
  line_program program;
  program.code.assign(entry.code, entry.code + entry.instruction_count);
  program.result = program.code.back().type;
  program.operand_types.assign(entry.operand_count, program.result);
  unsigned constants = 0;
  for (const instruction& step : program.code) {
    program.register_count = std::max<std::uint8_t>(program.register_count, step.destination + 1);
    for (const value_ref ref : {step.a, step.b, step.c}) {
      if (ref >= constant_ref_begin) constants = std::max(constants, ref - constant_ref_begin + 1u);
    }
  }
  visit_dtype(program.result, [&](auto type) {
    for (unsigned c = 0; c < constants; ++c) {
      program.constants.push_back(to_bits(random.value<typename decltype(type)::type>()));
    }
  });
  return program;
}

TEST(KernelsManifest, EachBodyGivesTheBitsOfTheProgramItStandsFor) {
  alignas(line_size) static std::byte scratch[program_scratch_size];
  for (const kernel_table* table : tables()) {
    ASSERT_GT(table->manifest_count, 0u);
    for (unsigned e = 0; e < table->manifest_count; ++e) {
      const manifest_entry& entry = table->manifest[e];
      for (unsigned round = 0; round < 12; ++round) {
        generator random(e * 100 + round);
        const line_program program = program_of(entry, random);
        ASSERT_TRUE(verify(program).is_ok()) << entry.name << ": " << verify(program).message();
        ASSERT_EQ(find_in_manifest(program), static_cast<int>(e)) << entry.name;
        SCOPED_TRACE(testing::Message() << name_of(table->set) << ' ' << entry.name << ' '
                                        << name_of(program.result) << " round " << round);
        visit_dtype(program.result, [&](auto type) {
          using T = typename decltype(type)::type;
          const page_shape shape = random_shape<T>(random, 1u << random.below(7));
          const operand_pages<T> operands(random, entry.operand_count, shape);
          const std::vector<T> expected = operands.expected(program, shape);
          check_page_body<T>(random, shape, expected, [&](const line_task& task) {
            return entry.body(task, operands.views.data(), program.constants.data());
          });
          check_page_body<T>(random, shape, expected, [&](const line_task& task) {
            return table->program[static_cast<unsigned>(program.result)](
                task, program.view(), operands.views.data(), nullptr, scratch);
          });
        });
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(KernelsManifest, HoldsTheSameShapesInTheSameOrderOnEverySet) {
  const kernel_table& reference = *kernels_of(isa::scalar);
  for (const kernel_table* table : tables()) {
    ASSERT_EQ(table->manifest_count, reference.manifest_count);
    for (unsigned e = 0; e < reference.manifest_count; ++e) {
      const manifest_entry& ours = table->manifest[e];
      const manifest_entry& theirs = reference.manifest[e];
      EXPECT_STREQ(ours.name, theirs.name);
      EXPECT_EQ(ours.operand_count, theirs.operand_count);
      EXPECT_TRUE(std::equal(ours.code, ours.code + ours.instruction_count, theirs.code,
                             theirs.code + theirs.instruction_count));
    }
  }
}

/// The name of the shape that the expression compiler's program for `expression` matches, or "".
template <element T>
std::string shape_of(const expression<T>& value) {
  const result<compiled_expression> compiled = compile_expression(value.steps(), dtype_of<T>);
  if (!compiled) return "refused";
  const int found = find_in_manifest(compiled->program);
  return found < 0 ? "" : kernels_of(isa::scalar)->manifest[found].name;
}

TEST(KernelsManifest, MatchesWhatTheExpressionCompilerEmits) {
  const auto check = []<element T>() {
    const array<T> a({array_id{0}, 1, 100});
    const array<T> b({array_id{1}, 1, 100});
    const array<T> c({array_id{2}, 1, 100});
    EXPECT_EQ(shape_of<T>(a + b), "a+b");
    EXPECT_EQ(shape_of<T>(a - b), "a-b");
    EXPECT_EQ(shape_of<T>(a * b), "a*b");
    EXPECT_EQ(shape_of<T>(a * b + c), "a*b+c");
    EXPECT_EQ(shape_of<T>(a * b - c), "a*b-c");
    EXPECT_EQ(shape_of<T>(a * b * c), "a*b*c");
    EXPECT_EQ(shape_of<T>(a * (b - c)), "a*(b-c)");
    EXPECT_EQ(shape_of<T>(c * (a - b)), "a*(b-c)");
    EXPECT_EQ(shape_of<T>(-a), "-a");
    EXPECT_EQ(shape_of<T>(a * T{3}), "a*constant");
    EXPECT_EQ(shape_of<T>(T{3} * a), "constant*a");
    EXPECT_EQ(shape_of<T>(a + T{3}), "a+constant");
    EXPECT_EQ(shape_of<T>(a * T{3} + b), "a*constant+b");
    EXPECT_EQ(shape_of<T>(a * b + a), "");
    EXPECT_EQ(shape_of<T>(a * b + c - a), "");
    if constexpr (float_element<T>) {
      EXPECT_EQ(shape_of<T>(a / b), "a/b");
      EXPECT_EQ(shape_of<T>(fma(a, b, c)), "fma(a,b,c)");
      EXPECT_EQ(shape_of<T>(min(a, b)), "min(a,b)");
      EXPECT_EQ(shape_of<T>(max(a, b)), "max(a,b)");
    }
  };
  check.operator()<float>();
  check.operator()<double>();
  check.operator()<std::int32_t>();
  check.operator()<std::int64_t>();
}

}  // namespace

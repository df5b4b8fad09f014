#include <gtest/gtest.h>

#include <functional>

#include <sheaf/base/status.hpp>
#include <sheaf/graph/line_program.hpp>

namespace {

using sheaf::dtype;
using sheaf::instruction;
using sheaf::line_program;
using sheaf::opcode;

/// (x * 2 + y) cast to i32, through one custom operator.
line_program valid_program() {
  line_program p;
  p.code = {
      {opcode::mul, dtype::f32, 0, 32, 160, 32, 0, 0},
      {opcode::call, dtype::f32, 1, 33, 33, 33, 0, 0},
      {opcode::add, dtype::f32, 0, 0, 1, 0, 0, 0},
      {opcode::cast, dtype::i32, 0, 0, 0, 0, static_cast<std::uint8_t>(dtype::f32), 0},
  };
  p.constants = {0x40000000};
  p.operand_types = {dtype::f32, dtype::f32};
  p.calls = {5};
  p.result = dtype::i32;
  p.register_count = 2;
  return p;
}

TEST(LineProgram, VerifiesAValidOne) {
  EXPECT_TRUE(verify(valid_program()).is_ok()) << verify(valid_program()).message();
}

struct corruption {
  const char* name;
  const char* words;
  void (*apply)(line_program&);
};

class CorruptedLineProgram : public ::testing::TestWithParam<corruption> {};

TEST_P(CorruptedLineProgram, IsRefusedWithItsFault) {
  line_program p = valid_program();
  GetParam().apply(p);
  const sheaf::status found = verify(p);
  EXPECT_EQ(found.code(), sheaf::status_code::bad_format);
  EXPECT_NE(found.message().find(GetParam().words), std::string::npos) << found.message();
}

INSTANTIATE_TEST_SUITE_P(
    Each, CorruptedLineProgram,
    ::testing::Values(
        corruption{"empty", "no instruction", [](line_program& p) { p.code.clear(); }},
        corruption{"registers", "too many registers",
                   [](line_program& p) { p.register_count = 33; }},
        corruption{"operands", "too many operands",
                   [](line_program& p) { p.operand_types.assign(129, dtype::f32); }},
        corruption{"constants", "too many constants",
                   [](line_program& p) { p.constants.assign(97, 0); }},
        corruption{"operand_size", "operand of another element size",
                   [](line_program& p) { p.operand_types[1] = dtype::f64; }},
        corruption{"opcode", "instruction 0: no such opcode",
                   [](line_program& p) {
                     p.code[0].op = static_cast<opcode>(sheaf::opcode_count);
                   }},
        corruption{"type", "instruction 2: result of another element size",
                   [](line_program& p) { p.code[2].type = dtype::u8; }},
        corruption{"bit_float", "instruction 2: the opcode does not take this type",
                   [](line_program& p) { p.code[2].op = opcode::bit_xor; }},
        corruption{"sqrt_integer", "instruction 3: the opcode does not take this type",
                   [](line_program& p) {
                     p.code[3] = {opcode::sqrt, dtype::i32, 0, 0, 0, 0, 0, 0};
                   }},
        corruption{"exp_integer", "instruction 3: the opcode does not take this type",
                   [](line_program& p) {
                     p.code[3] = {opcode::exp, dtype::i32, 0, 0, 0, 0, 0, 0};
                   }},
        corruption{"reserved", "reserved byte", [](line_program& p) { p.code[1].reserved = 1; }},
        corruption{"destination", "destination is no register",
                   [](line_program& p) { p.code[1].destination = 2; }},
        corruption{"unwritten", "instruction 2: reads a register before",
                   [](line_program& p) { p.code[1].destination = 0; }},
        corruption{"operand_index", "instruction 1: operand past",
                   [](line_program& p) { p.code[1].a = p.code[1].b = p.code[1].c = 34; }},
        corruption{"constant_index", "instruction 0: constant past",
                   [](line_program& p) { p.code[0].b = 161; }},
        corruption{"operand_type", "instruction 0: operand of another type",
                   [](line_program& p) { p.operand_types[0] = dtype::i32; }},
        corruption{"register_type", "instruction 3: register holds another type",
                   [](line_program& p) {
                     p.code[3].from_or_call = static_cast<std::uint8_t>(dtype::u32);
                   }},
        corruption{"cast_size", "instruction 3: cast from another element size",
                   [](line_program& p) {
                     p.code[3].from_or_call = static_cast<std::uint8_t>(dtype::f64);
                   }},
        corruption{"call", "instruction 1: call past the call table",
                   [](line_program& p) { p.calls.clear(); }},
        corruption{"stray_index", "instruction 0: an index that the opcode does not use",
                   [](line_program& p) { p.code[0].from_or_call = 1; }},
        corruption{"unused", "instruction 3: an unused value does not repeat the first",
                   [](line_program& p) { p.code[3].b = 1; }},
        corruption{"result", "another type than the result",
                   [](line_program& p) { p.result = dtype::u32; }}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace

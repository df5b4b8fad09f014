/// \file
/// Deterministic elementary functions of f32 and f64: exp, log, tanh, erf, sin, cos, pow; sqrt is
/// in scalar.hpp. Each is one text over kernel values and gives the same bits on every
/// backend, after `canonical`, for every input: subnormals, infinities, NaN and signed zeros too.
///
/// Thread safety: pure functions. Cost: see each.
#pragma once

#include <sheaf/algebra/math_erf.hpp>
#include <sheaf/algebra/math_exp.hpp>
#include <sheaf/algebra/math_log.hpp>
#include <sheaf/algebra/math_pow.hpp>
#include <sheaf/algebra/math_tanh.hpp>
#include <sheaf/algebra/math_trig.hpp>

#!/usr/bin/env python3
"""Derives the polynomials of include/sheaf/algebra/math_*.hpp.

usage: minimax.py [NAME...]      prints the coefficients of all polynomials, or of those named

Method: the Remez exchange algorithm in 60 digits (mpmath) on a weighted error; then the
coefficients are rounded to f32 or f64. The printed error is that of the rounded polynomial, in the
weight given, on a fine grid. Rounding in evaluation is not part of it: the tests measure the whole.
"""
import sys
from mpmath import mp, mpf, matrix, lu_solve, cos, pi, exp, expm1, log, log1p, sqrt, tanh, erf, erfc
from mpmath import sin, atanh, nstr, frexp, ldexp, floor, fabs

mp.dps = 60


def rounded(x, bits):
    """x to `bits` significant bits, nearest even."""
    if x == 0:
        return mpf(0)
    mantissa, exponent = frexp(x)
    scaled = ldexp(mantissa, bits)
    whole = floor(scaled + mpf(1) / 2)
    if whole - scaled == mpf(1) / 2 and int(whole) % 2:
        whole -= 1
    return ldexp(whole, exponent - bits)


def chebyshev_nodes(low, high, count):
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * cos(pi * i / (count - 1)) for i in range(count)]


def fit(target, weight, low, high, powers, rounds=12):
    """Coefficients of `powers` that minimise max |weight * (p - target)| on [low, high]."""
    n = len(powers)
    grid = chebyshev_nodes(low, high, 40 * (n + 1))
    most = max(weight(x) for x in grid)
    grid = [x for x in grid if weight(x) > most / 10 ** 9]
    targets = [target(x) for x in grid]
    weights = [weight(x) for x in grid]
    points = [round(i * (len(grid) - 1) / n) for i in range(n + 1)]
    coefficients = None
    for _ in range(rounds):
        system, right = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for row, at in enumerate(points):
            x = grid[at]
            for column, power in enumerate(powers):
                system[row, column] = x ** power
            system[row, n] = (-1) ** row / weights[at]
            right[row] = targets[at]
        solved = lu_solve(system, right)
        coefficients = [solved[i] for i in range(n)]
        errors = [weight * (sum(c * x ** p for c, p in zip(coefficients, powers)) - wanted)
                  for x, wanted, weight in zip(grid, targets, weights)]
        extremes = []
        for i, error in enumerate(errors):  # the largest of each run of one sign
            if extremes and (error > 0) == (errors[extremes[-1]] > 0):
                if fabs(error) > fabs(errors[extremes[-1]]):
                    extremes[-1] = i
            else:
                extremes.append(i)
        while len(extremes) > n + 1:
            extremes.pop(0 if fabs(errors[extremes[0]]) < fabs(errors[extremes[-1]]) else -1)
        if len(extremes) < n + 1:
            raise ArithmeticError(f"{len(extremes)} extremes, {n + 1} wanted")
        if extremes == points:
            break
        points = extremes
    return coefficients


def polynomial(target, weight, low, high, powers, bits):
    """As `fit`, with coefficients of `bits` bits, and the error they leave."""
    low, high = mpf(low), mpf(high)
    made = [rounded(c, bits) for c in fit(target, weight, low, high, powers)]
    grid = chebyshev_nodes(low, high, 2000)
    error = max(fabs(weight(x) * (sum(c * x ** p for c, p in zip(made, powers)) - target(x)))
                for x in grid)
    return made, error


def c_literal(x, bits):
    """Exact hexadecimal."""
    if bits == 24:
        return float(x).hex() + "f"
    return float(x).hex()


def at_zero(function, value):
    """`function`, continued by `value` at 0."""
    return lambda x: function(x) if x != 0 else mpf(value)


LN2_HALF = log(mpf(2)) / 2 * (1 + mpf(2) ** -10)
ROOT = sqrt(mpf(2))


def exp_of(degree, bits):
    """e^r = 1 + r + r^2 q(r): q. Relative error of e^r."""
    return polynomial(at_zero(lambda r: (expm1(r) - r) / r ** 2, 0.5), lambda r: r ** 2 / exp(r),
                      -LN2_HALF, LN2_HALF, list(range(degree - 1)), bits)


def log_of(degree, bits):
    """log(1 + f) = f - f^2 / 2 + f^3 p(f): p. Relative error of the logarithm."""
    return polynomial(at_zero(lambda f: (log1p(f) - f + f ** 2 / 2) / f ** 3, mpf(1) / 3),
                      at_zero(lambda f: f ** 3 / log1p(f), mpf(10) ** -30),
                      1 / ROOT - 1, ROOT - 1, list(range(degree - 2)), bits)


def log_by_quotient_of(terms, bits):
    """s = f / (2 + f): log(1 + f) = 2 s + s z p(z), z = s^2: p. Relative error of the logarithm."""
    reach = ((ROOT - 1) / (ROOT + 1)) ** 2 * (1 + mpf(2) ** -20)
    def target(z):
        s = sqrt(z)
        return (2 * atanh(s) - 2 * s) / (s * z)
    return polynomial(at_zero(target, mpf(2) / 3), lambda z: z / 2, 0, reach,
                      list(range(terms)), bits)


def tanh_of(terms, bits, reach):
    """tanh x = x + x z p(z), z = x^2, for |x| <= reach: p. Relative error."""
    def target(z):
        x = sqrt(z)
        return (tanh(x) / x - 1) / z
    return polynomial(at_zero(target, -mpf(1) / 3),
                      at_zero(lambda z: z * sqrt(z) / tanh(sqrt(z)), 0), 0, mpf(reach) ** 2,
                      list(range(terms)), bits)


def erf_of(terms, bits, reach):
    """erf x = x + x p(z), z = x^2, for |x| <= reach: p. Relative error."""
    def target(z):
        x = sqrt(z)
        return erf(x) / x - 1
    return polynomial(at_zero(target, 2 / sqrt(pi) - 1),
                      at_zero(lambda z: sqrt(z) / erf(sqrt(z)), sqrt(pi) / 2), 0, mpf(reach) ** 2,
                      list(range(terms)), bits)


def erf_tail_of(degree, bits, low, high, middle):
    """erf t = 1 - exp(p(t - middle) - t^2) for low <= t <= high: p. Relative error of erf."""
    middle = mpf(middle)
    return polynomial(lambda u: log(erfc(u + middle)) + (u + middle) ** 2,
                      lambda u: erfc(u + middle) / erf(u + middle), mpf(low) - middle,
                      mpf(high) - middle, list(range(degree + 1)), bits)


def sin_of(terms, bits):
    """sin r = r + r z p(z), z = r^2, for |r| <= pi / 4: p. Relative error."""
    def target(z):
        r = sqrt(z)
        return (sin(r) / r - 1) / z
    return polynomial(at_zero(target, -mpf(1) / 6),
                      at_zero(lambda z: z * sqrt(z) / sin(sqrt(z)), 0), 0,
                      (pi / 4 * (1 + mpf(2) ** -10)) ** 2, list(range(terms)), bits)


def cos_rest_of(terms, bits):
    """cos r = 1 - z / 2 + z^2 p(z), z = r^2, for |r| <= pi / 4: p. Relative error."""
    return polynomial(at_zero(lambda z: (cos(sqrt(z)) - 1 + z / 2) / z ** 2, mpf(1) / 24),
                      lambda z: z ** 2 / cos(sqrt(z)), 0, (pi / 4 * (1 + mpf(2) ** -10)) ** 2,
                      list(range(terms)), bits)


def log_rest_of(terms, bits):
    """s = (m - 1) / (m + 1): log m = 2 s (1 + z (1/3 + z p(z))), z = s^2: p. Relative error."""
    reach = ((ROOT - 1) / (ROOT + 1)) ** 2 * (1 + mpf(2) ** -20)
    def target(z):
        s = sqrt(z)
        return ((atanh(s) / s - 1) / z - mpf(1) / 3) / z
    return polynomial(at_zero(target, mpf(1) / 5), lambda z: z ** 2, 0, reach, list(range(terms)),
                      bits)


def cos_of(terms, bits):
    """cos r = 1 + z p(z), z = r^2, for |r| <= pi / 4: p. Relative error."""
    return polynomial(at_zero(lambda z: (cos(sqrt(z)) - 1) / z, -mpf(1) / 2),
                      lambda z: z / cos(sqrt(z)), 0, (pi / 4 * (1 + mpf(2) ** -10)) ** 2,
                      list(range(terms)), bits)


POLYNOMIALS = {
    "exp_f32": (lambda: exp_of(6, 24), 24),
    "exp_f64": (lambda: exp_of(11, 53), 53),
    "log_f32": (lambda: log_of(10, 24), 24),
    "log_f64": (lambda: log_by_quotient_of(7, 53), 53),
    "tanh_f32": (lambda: tanh_of(5, 24, 0.625), 24),
    "tanh_f64": (lambda: tanh_of(12, 53, 0.625), 53),
    "erf_f32": (lambda: erf_of(6, 24, 0.90625), 24),
    "erf_tail_f32": (lambda: erf_tail_of(6, 24, 0.90625, 4, 2), 24),
    "erf_f64": (lambda: erf_of(12, 53, 0.90625), 53),
    "erf_tail_f64": (lambda: erf_tail_of(18, 53, 0.90625, 6, 2.5), 53),
    "sin_f32": (lambda: sin_of(4, 53), 53),
    "cos_f32": (lambda: cos_of(5, 53), 53),
    "sin_f64": (lambda: sin_of(6, 53), 53),
    "cos_f64": (lambda: cos_rest_of(6, 53), 53),
    "pow_log_f32": (lambda: log_by_quotient_of(5, 53), 53),
    "pow_exp_f32": (lambda: exp_of(7, 53), 53),
    "pow_log_f64": (lambda: log_rest_of(8, 53), 53),
}


def main():
    names = sys.argv[1:] or list(POLYNOMIALS)
    for name in names:
        make, bits = POLYNOMIALS[name]
        coefficients, error = make()
        print(f"{name}: error 2^{nstr(log(error) / log(mpf(2)), 4)}")
        for c in coefficients:
            print(f"    {c_literal(c, bits)},  // {nstr(c, 9)}")


if __name__ == "__main__":
    main()

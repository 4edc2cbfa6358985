"""Hopper's sums of FP8 products in exact rational arithmetic: slow, and nothing of the library.

The rules: Fasi et al. 2021 (PeerJ CS 7:e330), Khattak and Mikaitis 2025 (arXiv 2512.07004), MMA-Sim
(arXiv 2511.10909): 32 products and the accumulator are cut to 13 fractional bits of the largest
exponent among them, added exactly, and the sum is cut to 13 fractional bits.
"""

from __future__ import annotations

import math
from fractions import Fraction

import reference as ref
from torch import Tensor

FRACTIONAL_BITS = 13
PRODUCTS = 32
PROMOTION = 128


def exponent_of(value: Fraction) -> int:
    """e with 2^e <= |value| < 2^(e + 1)."""
    size = abs(value)
    e = size.numerator.bit_length() - size.denominator.bit_length()
    return e if size >= Fraction(2) ** e else e - 1


def cut(value: Fraction, exponent: int) -> Fraction:
    """The value with 13 fractional bits of that exponent, towards zero."""
    unit = Fraction(2) ** (exponent - FRACTIONAL_BITS)
    return math.trunc(value / unit) * unit


def fused_sum(accumulator: Fraction, products: list[tuple[Fraction, int]]) -> Fraction:
    """One instruction: the accumulator and (product, exponent) pairs."""
    terms = [(value, exponent) for value, exponent in products if value]
    if accumulator:
        terms.append((accumulator, exponent_of(accumulator)))
    if not terms:
        return Fraction(0)
    largest = max(exponent for _, exponent in terms)
    total = sum((cut(value, largest) for value, _ in terms), Fraction(0))
    return cut(total, exponent_of(total)) if total else total


def operand(codes: Tensor) -> list[list[tuple[Fraction, int]]]:
    """Rows of (value, exponent); a subnormal's exponent is that of the smallest normal number."""
    smallest = 1 - ref.EXPONENT_BIAS[codes.dtype]

    def described(number: float) -> tuple[Fraction, int]:
        value = Fraction(number)
        return value, max(exponent_of(value), smallest) if value else smallest

    return [[described(number) for number in row] for row in ref.decode(codes).tolist()]


def dot(a: list[tuple[Fraction, int]], b: list[tuple[Fraction, int]], fast_accum: bool) -> float:
    """One element of a b^T, a float32 held in a Python float."""
    partial, promoted = Fraction(0), 0.0
    for first in range(0, len(a), PRODUCTS):
        if not fast_accum and first % PROMOTION == 0:
            promoted, partial = float32(promoted + float(partial)), Fraction(0)
        pairs = zip(a[first : first + PRODUCTS], b[first : first + PRODUCTS], strict=True)
        partial = fused_sum(partial, [(x * y, e + f) for (x, e), (y, f) in pairs])
    return float32(promoted + float(partial))


def float32(value: float) -> float:
    """The nearest float32 of a float64 sum of two float32 values, which that holds exactly here."""
    return float(Tensor([value])[0])


def product(a: Tensor, b: Tensor, fast_accum: bool) -> Tensor:
    """a [M, K] b [N, K]^T, float32."""
    rows, columns = operand(a), operand(b)
    return Tensor([[dot(row, column, fast_accum) for column in columns] for row in rows])

//! Openings, bytes each way and material of every operation and gate: the formula of its header, written out again, is
//! what the meter forecasts and what real parties send.

mod extensions;
mod gates;
mod operations;

use crate::common::{Body, Gate};
use blindroute_protocol::{Cost, Tensor};

/// ⌈bits · count / 8⌉.
pub(crate) fn words(count: usize, bits: usize) -> usize {
    (count * bits).div_ceil(8)
}

/// 8·⌈count/64⌉ for each plane.
pub(crate) fn planes(planes: usize, count: usize) -> usize {
    planes * 8 * count.div_ceil(64)
}

/// Of the comparison's header: bytes each way, material.
pub(crate) fn comparison(n: usize, thresholds: usize, digits: usize, digit_bits: u32) -> (usize, usize) {
    let opened = planes(thresholds * (2 * digits - 1), n) + planes(thresholds, n);
    let products = (1 << digits) + (1 << (digits - 1)) - 2 * digits - 1;
    let material = digits * planes(1, n << digit_bits) + planes(1, n) + thresholds * planes(products, n);
    (opened, material)
}

pub(crate) fn cost(openings: usize, opening_bytes: usize, material_bytes: usize) -> Cost {
    Cost { openings, opening_bytes, material_bytes }
}

/// Runs the parties on zeros: the ledger, the forecast and the formula agree. An audit of the material passes.
pub(crate) fn check<B: Body + std::fmt::Debug>(program: &Gate<B>, expected: Cost) {
    let weights: Vec<_> = program.weights.iter().map(|spec| Tensor::zeros(spec.shape())).collect();
    let inputs: Vec<_> = program.inputs.iter().map(|form| Tensor::zeros(form.shape)).collect();
    let run = crate::common::run(1, program, &weights, &inputs);
    assert_eq!(run.forecast, expected, "{:?}", program.body);
    crate::audit::passes(program);
}

/// Numbers of elements: one word of bits, less, and more.
const SIZES: [usize; 5] = [1, 7, 64, 65, 300];

/// The openings that a test's inputs take: `n` words of each width, all at once.
pub(crate) fn opened(n: usize, bits: &[usize]) -> usize {
    bits.iter().map(|&bits| words(n, bits)).sum()
}

/// Of the extension's header: a value truncated to `width` bits and extended to a ring, for n elements.
fn extension_cost(n: usize, width: usize, ring: usize) -> usize {
    words(n, ring) + words(n, ring.saturating_sub(width))
}

/// Of the extension's header: n elements truncated to e bits times n′ truncated to e′ bits.
fn extended_product((n, e): (usize, usize), (few, other): (usize, usize), ring: usize) -> usize {
    let part = |less: usize| words(n, ring.saturating_sub(less));
    extension_cost(n, e, ring) + extension_cost(few, other, ring) + part(0) + part(e) + part(other) + part(e + other)
}

/// Of the extension's header: sums of squares of rows, n elements truncated to e bits.
fn square_sum(n: usize, rows: usize, e: usize, ring: usize) -> usize {
    extension_cost(n, e, ring) + words(rows, ring) + words(n, ring.saturating_sub(e + 1))
}

/// Of the selection's header: n elements truncated to e bits.
fn select_extended(n: usize, e: usize, ring: usize) -> usize {
    3 * words(n, ring) + 2 * words(n, ring.saturating_sub(e))
}

/// Of the exponential's header, e bits of t: bytes each way of its two openings, material.
fn exponential(n: usize, e: u32, ring: usize) -> (usize, usize) {
    let bits = 3 * (16 * n).div_ceil(64) + (n << e).div_ceil(64) + 25 * n.div_ceil(64);
    (planes(7, n) + planes(2, n), 8 * bits + 3 * words(n, ring))
}

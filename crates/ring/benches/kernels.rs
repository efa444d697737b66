//! The ring's kernels alone: products at the encoder's shapes by every kernel of the machine, the generator, the wire
//! format, the elementwise loops, digits, wiping and the tensor's loops. Elements of a product are its multiply-adds, so
//! `Gelem/s` reads as GMAC/s.
//!
//! `cargo bench -p blindroute-ring -- matmul/u64/avx512` runs a part. Each bench checks its answer once before it starts.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use blindroute_ring::digits::{look_up_with, one_hot_with, top_bits_with};
use blindroute_ring::lanes::{combine_bits_with, combine_with};
use blindroute_ring::pack::{pack_sum_with, pack_with, packed_len, unpack_add_with, unpack_with};
use blindroute_ring::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, Prg, Scalar, Seed, Shape, Tensor, Word};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Rows, inner, columns: one token bucket each of 32, 128 and 256 by the projections of MiniLM, and its attention.
const SHAPES: [(usize, usize, usize); 12] = [
    (32, 384, 384),
    (128, 384, 384),
    (256, 384, 384),
    (32, 384, 1536),
    (128, 384, 1536),
    (256, 384, 1536),
    (256, 1536, 384),
    (1, 384, 384),
    (256, 384, 1),
    (32, 32, 32),
    (256, 32, 256),
    (256, 256, 32),
];

/// Elements of the benches that are not of products: those of 128 tokens by 512.
const ELEMENTS: usize = 1 << 16;

fn name<W: Word>() -> String {
    format!("u{}", W::BITS)
}

/// Products in rings of 2^`bits`.
fn multiply<W: MatrixWord + std::fmt::Debug>(criterion: &mut Criterion, bits: u32) {
    let mut prg = Prg::new(&Seed::new([1; 16]));
    for kernel in Kernel::available() {
        let ring = if bits == W::BITS { name::<W>() } else { format!("{} ring {bits}", name::<W>()) };
        let mut group = criterion.benchmark_group(format!("matmul/{ring}/{}", kernel.name()));
        for (rows, inner, columns) in SHAPES {
            let left = prg.words::<W>(rows * inner);
            let right = prg.words::<W>(inner * columns);
            let packed = PackedMatrix::pack_with(kernel, &right, inner, columns, MatrixLayout::RowMajor, bits);
            let mut product = vec![W::ZERO; rows * columns];
            blindroute_ring::matmul(&left, &packed, &mut product);
            for (row, column) in [(0, 0), (rows / 2, columns / 3), (rows - 1, columns - 1)] {
                let terms = (0..inner).map(|k| left[row * inner + k].times(right[k * columns + column]));
                let sum = terms.fold(W::ZERO, Scalar::plus);
                assert_eq!(product[row * columns + column].low_bits(bits), sum.low_bits(bits));
            }
            group.throughput(Throughput::Elements((rows * inner * columns) as u64));
            group.bench_function(format!("{rows}x{inner}x{columns}"), |bench| {
                bench.iter(|| blindroute_ring::matmul(black_box(&left), black_box(&packed), &mut product));
            });
            if rows.min(inner).min(columns) == 32 {
                // In attention the right factor is new every time.
                for layout in [MatrixLayout::RowMajor, MatrixLayout::Transposed] {
                    group.bench_function(format!("{rows}x{inner}x{columns} and packing {layout:?}"), |bench| {
                        bench.iter(|| {
                            let packed =
                                PackedMatrix::pack_with(kernel, black_box(&right), inner, columns, layout, bits);
                            blindroute_ring::matmul(black_box(&left), &packed, &mut product)
                        });
                    });
                }
            }
        }
    }
}

fn multiply_u32(criterion: &mut Criterion) {
    multiply::<u32>(criterion, 32);
}

fn multiply_u64(criterion: &mut Criterion) {
    multiply::<u64>(criterion, 64);
    multiply::<u64>(criterion, 40);
}

fn lay_out<W: MatrixWord>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("lay out/{}", name::<W>()));
    let words = Prg::new(&Seed::new([2; 16])).words::<W>(384 * 1536);
    group.throughput(Throughput::Bytes(size_of_val(&words[..]) as u64));
    for layout in [MatrixLayout::RowMajor, MatrixLayout::Transposed] {
        group.bench_function(format!("{layout:?}"), |bench| {
            bench.iter(|| PackedMatrix::pack(black_box(&words), 384, 1536, layout, W::BITS));
        });
    }
}

fn generate<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("prg/{}", name::<W>()));
    let seed = Seed::new([3; 16]);
    let mut words = vec![W::ZERO; 1 << 16];
    Prg::new(&seed).fill_words(&mut words);
    assert_eq!(Prg::new(&seed).words::<W>(1 << 16), words);
    group.throughput(Throughput::Bytes(size_of_val(&words[..]) as u64));
    let mut prg = Prg::new(&seed);
    group.bench_function("fill", |bench| bench.iter(|| prg.fill_words(black_box(&mut words))));
    let mut other = Prg::new(&Seed::new([8; 16]));
    group.bench_function("fill_sum", |bench| bench.iter(|| prg.fill_sum(&mut other, black_box(&mut words))));
    group.bench_function("words", |bench| bench.iter(|| prg.words::<W>(black_box(1 << 16))));
}

fn wire<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    for kernel in Kernel::available() {
        let mut group = criterion.benchmark_group(format!("wire/{}/{}", name::<W>(), kernel.name()));
        let mut words = Prg::new(&Seed::new([4; 16])).words::<W>(ELEMENTS);
        for bits in [1, 8, 13, 20, 24, 27, 32, 40, 48, 58, 61, 64].into_iter().filter(|&bits| bits <= W::BITS) {
            let mut bytes = Vec::with_capacity(packed_len(words.len(), bits));
            pack_with(kernel, &words, bits, &mut bytes);
            let low: Vec<W> = words.iter().map(|word| word.low_bits(bits)).collect();
            assert_eq!(unpack_with::<W>(kernel, &bytes, words.len(), bits), low);
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(format!("pack {bits}"), |bench| {
                bench.iter(|| {
                    bytes.clear();
                    pack_with(kernel, black_box(&words), bits, &mut bytes);
                });
            });
            group.bench_function(format!("pack_sum {bits}"), |bench| {
                bench.iter(|| {
                    bytes.clear();
                    pack_sum_with(kernel, black_box(&mut words), &low, bits, &mut bytes);
                });
            });
            group.bench_function(format!("unpack {bits}"), |bench| {
                bench.iter(|| unpack_with::<W>(kernel, black_box(&bytes), words.len(), bits));
            });
            group.bench_function(format!("unpack_add {bits}"), |bench| {
                bench.iter(|| unpack_add_with(kernel, black_box(&bytes), bits, black_box(&mut words)));
            });
        }
    }
}

fn elementwise<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    let mut prg = Prg::new(&Seed::new([6; 16]));
    let [a, b, c] = [(); 3].map(|()| prg.words::<W>(ELEMENTS));
    let bits = prg.words::<u64>(ELEMENTS / 64);
    let mut out = vec![W::ZERO; ELEMENTS];
    let words: [&[W]; 0] = [];
    let product = |_: W, [a, b, c]: [W; 3], []: [W; 0]| a.times(b).minus(c);
    let select = |_: W, bit: W, [a, b, c]: [W; 3], []: [W; 0]| c.plus(bit.bit_and(a.times(b).minus(c)));
    for kernel in Kernel::available() {
        let mut group = criterion.benchmark_group(format!("lanes/{}/{}", name::<W>(), kernel.name()));
        group.throughput(Throughput::Bytes(4 * size_of_val(&a[..]) as u64));
        combine_with(kernel, &mut out, [&a, &b, &c], words, product);
        assert_eq!(out[77], a[77].times(b[77]).minus(c[77]));
        group.bench_function("product", |bench| {
            bench.iter(|| combine_with(kernel, black_box(&mut out), [&a, &b, &c], words, product));
        });
        combine_bits_with(kernel, &mut out, &bits, [&a, &b, &c], words, select);
        assert_eq!(out[77], if bits[1] >> 13 & 1 == 1 { a[77].times(b[77]) } else { c[77] });
        group.bench_function("select", |bench| {
            bench.iter(|| combine_bits_with(kernel, black_box(&mut out), &bits, [&a, &b, &c], words, select));
        });
    }
}

fn digit<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    let mut prg = Prg::new(&Seed::new([7; 16]));
    let (words, threshold) = (prg.words::<W>(ELEMENTS), prg.words::<W>(1)[0]);
    let mut table = vec![0; ELEMENTS / 4];
    let [mut less, mut equal] = [(); 2].map(|()| vec![0; ELEMENTS / 64]);
    for kernel in Kernel::available() {
        let mut group = criterion.benchmark_group(format!("digits/{}/{}", name::<W>(), kernel.name()));
        group.throughput(Throughput::Elements(ELEMENTS as u64));
        one_hot_with(kernel, &words, (9, 4), &mut table);
        look_up_with(kernel, &words, W::ZERO, (9, 4), &table, (&mut less, Some(&mut equal)));
        assert!(less.iter().all(|&less| less == 0) && equal.iter().all(|&equal| equal == u64::MAX));
        group.bench_function("one_hot", |bench| {
            bench.iter(|| one_hot_with(kernel, black_box(&words), (9, 4), &mut table));
        });
        group.bench_function("look_up", |bench| {
            bench.iter(|| {
                let equal = Some(&mut equal[..]);
                look_up_with(kernel, black_box(&words), threshold, (9, 4), &table, (&mut less, equal))
            });
        });
        group.bench_function("top_bits", |bench| {
            bench.iter(|| top_bits_with(kernel, black_box(&words), threshold, 20, &mut less));
        });
    }
}

fn wipe<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    use zeroize::Zeroize;
    let mut group = criterion.benchmark_group(format!("wipe/{}", name::<W>()));
    let mut words = Prg::new(&Seed::new([9; 16])).words::<W>(ELEMENTS);
    group.throughput(Throughput::Bytes(size_of_val(&words[..]) as u64));
    group.bench_function("zeroize", |bench| bench.iter(|| black_box(&mut words[..]).zeroize()));
    group.bench_function("wipe", |bench| bench.iter(|| blindroute_ring::wipe(black_box(&mut words[..]))));
    assert!(words.iter().all(|&word| word == W::ZERO));
}

fn tensor<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("tensor/{}", name::<W>()));
    let shape = Shape::matrix(128, 384);
    let mut prg = Prg::new(&Seed::new([5; 16]));
    let (a, b) = (Tensor::new(shape, prg.words::<W>(shape.len())), Tensor::new(shape, prg.words::<W>(shape.len())));
    let row = b.rows(0, 1);
    assert_eq!(a.split_heads(12).merge_heads(12), a);
    assert_eq!(a.zip(&row, W::plus).zip(&row, W::minus), a);
    group.throughput(Throughput::Bytes(size_of_val(a.data()) as u64));
    group.bench_function("zip", |bench| bench.iter(|| black_box(&a).zip(&b, W::plus)));
    group.bench_function("zip row", |bench| bench.iter(|| black_box(&a).zip(&row, W::plus)));
    group.bench_function("map", |bench| bench.iter(|| black_box(&a).map(|word| word.shift_right(12))));
    group.bench_function("sum_columns", |bench| bench.iter(|| black_box(&a).sum_columns()));
    group.bench_function("split_heads", |bench| bench.iter(|| black_box(&a).split_heads(12)));
}

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(700));
    targets = multiply_u32, multiply_u64, lay_out::<u32>, lay_out::<u64>, generate::<u32>, generate::<u64>,
        wire::<u32>, wire::<u64>, elementwise::<u32>, elementwise::<u64>, digit::<u32>, digit::<u64>, wipe::<u32>,
        wipe::<u64>, tensor::<u32>, tensor::<u64>
}
criterion_main!(kernels);

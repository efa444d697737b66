//! The ring's kernels alone: products at the encoder's shapes by every kernel of the machine, the generator, the wire
//! format and the tensor's loops. Elements of a product are its multiply-adds, so `Gelem/s` reads as GMAC/s.
//!
//! `cargo bench -p blindroute-ring -- matmul/u64/avx512` runs a part. Each bench checks its answer once before it starts.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use blindroute_ring::pack::{pack, packed_len, unpack, unpack_add};
use blindroute_ring::{Kernel, Matrix, PackedMatrix, Prg, Scalar, Seed, Shape, Tensor, Word};
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

fn name<W: Word>() -> String {
    format!("u{}", W::BITS)
}

/// Products in rings of 2^`bits`.
fn multiply<W: Word + std::fmt::Debug>(criterion: &mut Criterion, bits: u32) {
    let mut prg = Prg::new(&Seed::new([1; 16]));
    for kernel in Kernel::available() {
        let ring = if bits == W::BITS { name::<W>() } else { format!("{} ring {bits}", name::<W>()) };
        let mut group = criterion.benchmark_group(format!("matmul/{ring}/{}", kernel.name()));
        for (rows, inner, columns) in SHAPES {
            let left = prg.words::<W>(rows * inner);
            let right = prg.words::<W>(inner * columns);
            let packed = PackedMatrix::pack_with(kernel, &right, inner, columns, Matrix::RowMajor, bits);
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
                for layout in [Matrix::RowMajor, Matrix::Transposed] {
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

fn lay_out<W: Word>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("lay out/{}", name::<W>()));
    let words = Prg::new(&Seed::new([2; 16])).words::<W>(384 * 1536);
    group.throughput(Throughput::Bytes(size_of_val(&words[..]) as u64));
    for layout in [Matrix::RowMajor, Matrix::Transposed] {
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
    group.bench_function("words", |bench| bench.iter(|| prg.words::<W>(black_box(1 << 16))));
}

fn wire<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("wire/{}", name::<W>()));
    let mut words = Prg::new(&Seed::new([4; 16])).words::<W>(1 << 16);
    group.throughput(Throughput::Bytes(size_of_val(&words[..]) as u64));
    for bits in [1, 8, 20, 24, 32, 37, 48, 61, 64].into_iter().filter(|&bits| bits <= W::BITS) {
        let mut bytes = Vec::with_capacity(packed_len(words.len(), bits));
        pack(&words, bits, &mut bytes);
        let low: Vec<W> = words.iter().map(|word| word.low_bits(bits)).collect();
        assert_eq!(unpack::<W>(&bytes, words.len(), bits), low);
        group.bench_function(format!("pack {bits}"), |bench| {
            bench.iter(|| {
                bytes.clear();
                pack(black_box(&words), bits, &mut bytes);
            });
        });
        group.bench_function(format!("unpack {bits}"), |bench| {
            bench.iter(|| unpack::<W>(black_box(&bytes), words.len(), bits));
        });
        group.bench_function(format!("unpack_add {bits}"), |bench| {
            bench.iter(|| unpack_add(black_box(&bytes), bits, black_box(&mut words)));
        });
    }
}

fn tensor<W: Word + std::fmt::Debug>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("tensor/{}", name::<W>()));
    let shape = Shape::matrix(128, 384);
    let mut prg = Prg::new(&Seed::new([5; 16]));
    let (a, b) = (Tensor::new(shape, prg.words::<W>(shape.len())), Tensor::new(shape, prg.words::<W>(shape.len())));
    let row = b.rows(0, 1);
    assert_eq!(a.split_heads(12).merge_heads(), a);
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
        wire::<u32>, wire::<u64>, tensor::<u32>, tensor::<u64>
}
criterion_main!(kernels);

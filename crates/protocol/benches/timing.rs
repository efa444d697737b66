//! Whether the time of the client's sharing and of a server's online steps depends on secrets (`testkit/src/timing.rs`).
//!
//! `cargo bench -p blindroute-protocol --bench timing -- --runs 100000` measures each operation that often and prints a line of JSON for
//! each; it ends with status 1 if an operation's |t| is 4.5 or more. Words after `--` choose operations by a part of their names. Without
//! `--bench`, as `cargo test` starts it, each runs a few times and nothing is concluded.
//!
//! What is timed is what one thread does between its messages: of a server the whole online phase of a program of one operation, whose
//! peer's messages are random bytes in memory. It works on a fixed secret state (zeros, and one seed) or on a random one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/protocols/common/mod.rs"]
mod common;

use blindroute_protocol::gates::{self, SignWindow, Target, Wide};
use blindroute_protocol::{
    Comparison, Error, Form, Inputs, Interpreter, Machine, Output, OutputSize, OutputSpec, Program, Seed, Shape,
    Tensor, Tuning, WeightId, WeightKind, WeightSpec,
};
use blindroute_testkit::timing::{Difference, LIMIT, difference};
use blindroute_testkit::{Noise, ServerAlone, State};
use common::{Gate, body, everything};
use std::hint::black_box;
use std::time::Instant;

/// Elements: some vectors, and a remainder.
const SIZE: usize = 37;

/// What a server does in one program.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Reveal,
    Linear,
    Scale,
    Product,
    Matmul,
    SquareSum,
    Truncate,
    Extend,
    Compare,
    Select,
    Table,
    TableOfBits,
    Relu,
    Gelu,
    InverseRoot,
    Exponential,
    Argmax,
}

const STEPS: [Step; 18] = [
    Step::Open,
    Step::Reveal,
    Step::Linear,
    Step::Scale,
    Step::Product,
    Step::Matmul,
    Step::SquareSum,
    Step::Truncate,
    Step::Extend,
    Step::Compare,
    Step::Select,
    Step::Table,
    Step::TableOfBits,
    Step::Relu,
    Step::Gelu,
    Step::InverseRoot,
    Step::Exponential,
    Step::Argmax,
];

body!(One { step: Step, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    match this.step {
        Step::Reveal => {
            let x = machine.input::<u64>(0)?;
            machine.reveal(x, "a measurement")
        }
        Step::Table | Step::TableOfBits => tables(machine, this.step),
        Step::InverseRoot => {
            let norm = machine.input::<u64>(3)?;
            let norm = machine.open(norm)?;
            gates::inverse_root(machine, &norm, 1.0, &Wide { low: 4, high: 17, fraction: 8 }).map(|_| ())
        }
        Step::Exponential | Step::Relu => narrow(machine, this.step),
        step => wide(machine, step),
    }
});

fn tables<I: Interpreter>(machine: &mut Machine<I>, step: Step) -> Result<(), Error> {
    let index = machine.input::<u32>(2)?;
    let index = machine.open(index)?;
    if matches!(step, Step::Table) {
        return machine.lookup::<u32, u64>(&index, &[0, 1, 4, 9, 16, 25, 36, 49], 20).map(|_| ());
    }
    let odd: Vec<bool> = (0..8).map(|entry| entry % 2 == 1).collect();
    let odd = machine.lookup_bits(&index, &odd)?;
    let odd = machine.open_bits(odd)?;
    machine.bits_to_share::<u32>(&odd, 5).map(|_| ())
}

fn narrow<I: Interpreter>(machine: &mut Machine<I>, step: Step) -> Result<(), Error> {
    let x = machine.input::<u32>(4)?;
    let x = machine.open(x)?;
    if matches!(step, Step::Exponential) {
        let target = Target { bits: 32, fraction: 11 };
        return gates::softmax_numerators::<I, u32, u32>(machine, &x, target).map(|_| ());
    }
    let window = SignWindow { range: 8, digits: 3 };
    gates::relu::<I, u32, u32>(machine, &x, window, Target { bits: 28, fraction: 4 }).map(|_| ())
}

fn wide<I: Interpreter>(machine: &mut Machine<I>, step: Step) -> Result<(), Error> {
    let y = machine.input::<u64>(1)?;
    let y = machine.defer(y)?;
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let y = machine.take(y)?;
    match step {
        Step::Linear => machine.linear(&x, WeightId(0))?.add(&machine.bias(WeightId(2), 24)?).map(|_| ()),
        Step::Scale => machine.scale_columns(&y, WeightId(1)).map(|_| ()),
        Step::Product => machine.product(&x, &y).map(|_| ()),
        Step::Matmul => machine.matmul_transposed(&x, &y).map(|_| ()),
        Step::SquareSum => machine.square_sum::<u64, u64>(&x, 0, 60).map(|_| ()),
        Step::Truncate => {
            let share = machine.share_of(&x)?;
            let share = machine.truncate_reduce(share, 6)?;
            machine.open(share).map(|_| ())
        }
        Step::Extend => machine.extend::<u64, u128>(&x, 6, 88).map(|_| ()),
        Step::Compare => machine.compare(&x, &Comparison::of_many(vec![0], 8, 3)).map(|_| ()),
        Step::Select => {
            let bits = machine.compare(&x, &Comparison::of_many(vec![0], 8, 3))?;
            machine.select(&bits, &x).map(|_| ())
        }
        Step::Gelu => {
            let small = machine.share_of(&x)?;
            let small = machine.truncate_reduce(small, 2)?;
            let small = machine.open(small)?.narrowed(50);
            gates::gelu::<I, u64, u64>(machine, &small, Target { bits: 64, fraction: 10 }).map(|_| ())
        }
        Step::Argmax => gates::argmax(machine, &y, &Comparison::exact(5, 4)).map(|_| ()),
        _ => Ok(()),
    }
}

/// What `cargo bench` and the caller ask for.
struct Options {
    runs: usize,
    conclude: bool,
    names: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let (mut runs, mut conclude, mut names) = (None, false, Vec::new());
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => conclude = true,
                "--runs" => runs = Some(arguments.next().expect("a number").parse().expect("a number of runs")),
                name => names.push(name.to_owned()),
            }
        }
        Self { runs: runs.unwrap_or(if conclude { 100_000 } else { 3 }), conclude, names }
    }

    /// Times `work` on what `prepare` makes of the fixed secret (`true`) or a random one, in random order; prints what was found, and
    /// returns whether the time depends on the secret.
    fn measure<T>(&self, name: &str, mut prepare: impl FnMut(bool, &mut Noise) -> T, work: impl Fn(T)) -> bool {
        if !self.names.is_empty() && !self.names.iter().any(|part| name.contains(part)) {
            return false;
        }
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("the operating system's randomness");
        let mut noise = Noise::new(u64::from_le_bytes(seed));
        let mut times = Vec::with_capacity(self.runs);
        // The first runs fill caches and are not counted.
        for run in 0..self.runs + self.runs / 100 {
            let fixed = noise.word() >> 63 == 1;
            let prepared = prepare(fixed, &mut noise);
            let start = Instant::now();
            work(prepared);
            let time = start.elapsed().as_nanos() as f64;
            if run >= self.runs / 100 {
                times.push((fixed, time));
            }
        }
        let Difference { t, below, medians } = difference(&times);
        let leaks = self.conclude && t.abs() >= LIMIT;
        println!(
            r#"{{"operation":"{name}","runs":{},"t":{t:.2},"below":{below:.4},"median_ns":[{:.0},{:.0}],"leaks":{leaks}}}"#,
            self.runs, medians[0], medians[1]
        );
        leaks
    }
}

/// A client's numbers: zeros, or random ones within a limit.
fn numbers(form: Form, fixed: bool, noise: &mut Noise) -> Tensor<f32> {
    let keep = Noise::kept(fixed);
    let mut number = || ((noise.word() & keep) as i64 as f64 / 2f64.powi(60)) as f32;
    Tensor::new(form.shape, (0..form.shape.len()).map(|_| number()).collect())
}

/// The client: sharing of what it sends, and putting together what it gets.
fn client(options: &Options) -> bool {
    let mut leaks = false;
    for (name, form) in [
        ("client shares lambda", Form::new(Shape::row(4), 5, 0)),
        ("client shares an embedding", Form::new(Shape::row(384), 40, 16)),
        ("client shares tokens", Form::new(Shape::matrix(8, 384), 32, 9)),
    ] {
        let prepare = |fixed: bool, noise: &mut Noise| {
            let mut seed = [0; 16];
            seed.copy_from_slice(&noise.bytes(16));
            (vec![numbers(form, fixed, noise)], Seed::new(seed))
        };
        leaks |= options.measure(name, prepare, |(values, seed)| {
            Inputs::check(&[form], &values).expect("the numbers are small");
            black_box(Inputs::share(&[form], &values, &seed).expect("the numbers are as many as the form says"));
        });
    }
    let specs = [
        OutputSpec { size: OutputSize::Words(Form::new(Shape::row(SIZE), 40, 16)), reason: "a measurement" },
        OutputSpec { size: OutputSize::Bits(SIZE), reason: "a measurement" },
    ];
    let prepare = |fixed: bool, noise: &mut Noise| {
        let keep = Noise::kept(fixed) as u8;
        let mut share = || {
            let mut bytes = noise.bytes(Output::byte_len(&specs));
            bytes.iter_mut().for_each(|byte| *byte &= keep);
            bytes
        };
        (share(), share())
    };
    let combine = |(zero, one): (Vec<u8>, Vec<u8>)| {
        black_box(Output::combine(&specs, &zero, &one).expect("the messages have the length of the outputs"));
    };
    leaks | options.measure("client combines the answer", prepare, combine)
}

/// A server's online phase of a program.
fn server(options: &Options, name: &str, program: &impl Program) -> bool {
    let prepare = |fixed: bool, noise: &mut Noise| {
        let state = State::of_kind(fixed, noise);
        ServerAlone::prepare(program, state, Noise::new(noise.word())).expect("the program is prepared")
    };
    options.measure(name, prepare, |server| {
        black_box(server.run().expect("the program runs"));
    })
}

fn main() {
    let options = Options::read();
    let mut leaks = client(&options);
    let all = everything(SIZE);
    for tuning in Tuning::ALL {
        for step in STEPS {
            let program = Gate { weights: all.weights.clone(), inputs: all.inputs.clone(), body: One { step, tuning } };
            leaks |= server(&options, &format!("server {step:?} {tuning:?}").to_lowercase(), &program);
        }
    }
    // One with a matrix that the kernels of products take.
    let matrix = WeightSpec::new("matrix", WeightKind::Matrix { inner: 64, columns: 48 }, 12);
    let body = One { step: Step::Linear, tuning: Tuning::ALL[0] };
    let weights = vec![matrix, all.weights[1].clone(), WeightSpec::new("bias", WeightKind::Bias(48), 24)];
    let inputs = vec![Form::new(Shape::matrix(8, 64), 60, 12); 2];
    leaks |= server(&options, "server a larger linear layer", &Gate { weights, inputs, body });
    std::process::exit(i32::from(leaks));
}

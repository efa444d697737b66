//! The clear interpreter: f32, exact functions, nothing hidden. The reference, and the `local` placement.

use super::Interpreter;
use crate::error::Error;
use crate::form::Form;
use crate::linear::{Linear, Structure};
use crate::machine::Machine;
use crate::program::{Output, Program, WeightId, check_weights};
use crate::protocols::comparison::Comparison;
use crate::record::RingWord;
use crate::spline::Function;
use blindroute_ring::{Shape, Tensor};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::sync::Arc;

/// Runs programs on plain f32.
#[derive(Debug)]
pub struct Clear<'a> {
    weights: &'a [Tensor<f32>],
    inputs: Vec<Tensor<f32>>,
    output: Output,
}

type Planes = Arc<Vec<Tensor<f32>>>;

impl<'a> Clear<'a> {
    /// Runs a program on its inputs.
    ///
    /// # Errors
    /// If weights or inputs do not fit the program.
    pub fn run<P: Program>(program: &P, weights: &'a [Tensor<f32>], inputs: Vec<Tensor<f32>>) -> Result<Output, Error> {
        let (specs, forms) = (program.weights(), program.inputs());
        check_weights(&specs, weights)?;
        for (form, input) in forms.iter().zip(&inputs) {
            if form.shape != input.shape() {
                return Err(Error::Shape { what: "input", expected: form.shape, found: input.shape() });
            }
        }
        let mut machine = Machine::new(Self { weights, inputs, output: Output::default() }, &specs, &forms);
        program.run(&mut machine)?;
        Ok(machine.into_interpreter().output)
    }

    fn weight(&self, id: WeightId) -> &'a Tensor<f32> {
        &self.weights[id.0]
    }
}

/// `left · right` of row-major matrices, batch by batch; a single right factor multiplies every matrix of `left`.
fn multiply(left: &Tensor<f32>, right: &Tensor<f32>, transposed: bool) -> Tensor<f32> {
    let (a, b) = (left.shape(), right.shape());
    let (inner, columns) = if transposed { (b.columns, b.rows) } else { (b.rows, b.columns) };
    let mut out = Tensor::zeros(Shape::new(a.batch, a.rows, columns));
    let rows = a.batch * a.rows / b.batch.max(1);
    for batch in 0..b.batch {
        let left = &left.data()[batch * rows * inner..(batch + 1) * rows * inner];
        let right = &right.data()[batch * inner * columns..(batch + 1) * inner * columns];
        let product = &mut out.data_mut()[batch * rows * columns..(batch + 1) * rows * columns];
        // The library stores columns first: what it sees are the transposes, so it computes (left · right)ᵀ.
        let left = DMatrixView::from_slice(left, inner, rows);
        let mut product = DMatrixViewMut::from_slice(product, columns, rows);
        if transposed {
            let right = DMatrixView::from_slice(right, inner, columns).transpose();
            product.gemm(1.0, &right, &left, 0.0);
        } else {
            product.gemm(1.0, &DMatrixView::from_slice(right, columns, inner), &left, 0.0);
        }
    }
    out
}

fn plane_of(x: &Tensor<f32>, threshold: f32) -> Tensor<f32> {
    x.map(|value| if value >= threshold { 1.0 } else { 0.0 })
}

impl Interpreter for Clear<'_> {
    type Share<W: RingWord> = Tensor<f32>;
    type Masked<W: RingWord> = Arc<Tensor<f32>>;
    type Bits = Tensor<f32>;
    type MaskedBits = Planes;
    type Pending<W: RingWord> = Arc<Tensor<f32>>;
    type PendingBits = Planes;

    fn input<W: RingWord>(&mut self, index: usize, _out: &Form) -> Result<Tensor<f32>, Error> {
        let missing = || Error::Program(format!("there is no input {index}"));
        self.inputs.get(index).cloned().ok_or_else(missing)
    }
    fn reveal<W: RingWord>(&mut self, share: Tensor<f32>, _form: &Form, _reason: &'static str) -> Result<(), Error> {
        self.output.values.push(share.data().iter().map(|&x| f64::from(x)).collect());
        Ok(())
    }
    fn reveal_bits(&mut self, bits: Tensor<f32>, _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        self.output.bits.push(bits.data().iter().map(|&x| x != 0.0).collect());
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, share: &mut Tensor<f32>, _form: &Form, value: &[f64]) -> Result<(), Error> {
        for (x, &value) in share.data_mut().iter_mut().zip(value.iter().cycle()) {
            *x += value as f32;
        }
        Ok(())
    }
    fn constants<W: RingWord>(&mut self, values: &[f64], out: &Form) -> Result<Arc<Tensor<f32>>, Error> {
        Ok(Arc::new(Tensor::new(out.shape, values.iter().map(|&value| value as f32).collect())))
    }
    fn cut<W: RingWord>(&mut self, share: Tensor<f32>, _form: &Form, _shift: u32) -> Result<Tensor<f32>, Error> {
        Ok(share)
    }
    fn share_of<W: RingWord>(&mut self, x: &Arc<Tensor<f32>>, _form: &Form) -> Result<Tensor<f32>, Error> {
        Ok((**x).clone())
    }
    fn defer<W: RingWord>(&mut self, share: Tensor<f32>, _form: &Form) -> Result<Arc<Tensor<f32>>, Error> {
        Ok(Arc::new(share))
    }
    fn defer_bits(&mut self, bits: Tensor<f32>, _planes: usize, _len: usize) -> Result<Planes, Error> {
        Ok(Arc::new(vec![bits]))
    }
    fn exchange(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn take<W: RingWord>(&mut self, pending: Arc<Tensor<f32>>, _form: &Form) -> Result<Arc<Tensor<f32>>, Error> {
        Ok(pending)
    }
    fn take_bits(&mut self, pending: Planes) -> Result<Planes, Error> {
        Ok(pending)
    }
    fn bias<W: RingWord>(&mut self, weight: WeightId, _out: &Form) -> Result<Tensor<f32>, Error> {
        Ok(self.weight(weight).clone())
    }
    fn linear<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        _form: &Form,
        weight: WeightId,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(multiply(x, self.weight(weight), false))
    }
    fn scale_columns<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        _form: &Form,
        weight: WeightId,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.zip(self.weight(weight), |x, w| x * w))
    }
    fn matmul<W: RingWord>(
        &mut self,
        a: (&Arc<Tensor<f32>>, &Form),
        b: (&Arc<Tensor<f32>>, &Form),
        transposed: bool,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(multiply(a.0, b.0, transposed))
    }
    fn product<W: RingWord>(
        &mut self,
        a: (&Arc<Tensor<f32>>, &Form),
        b: (&Arc<Tensor<f32>>, &Form),
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(a.0.zip(b.0, |a, b| a * b))
    }
    fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        (a, ..): (&Arc<Tensor<f32>>, &Form, u32),
        (b, ..): (&Arc<Tensor<f32>>, &Form, u32),
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(a.zip(b, |a, b| a * b))
    }
    fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        _form: &Form,
        _shift: u32,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| x * x).sum_columns())
    }
    fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Arc<Tensor<f32>>) -> Arc<Tensor<f32>> {
        Arc::clone(x)
    }
    fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        _form: &Form,
        _shift: u32,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok((**x).clone())
    }
    fn compare<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        form: &Form,
        comparison: &Comparison,
    ) -> Result<Planes, Error> {
        let unit = 2f64.powi(form.fraction as i32);
        Ok(Arc::new(comparison.thresholds.iter().map(|&t| plane_of(x, (t as f64 / unit) as f32)).collect()))
    }
    fn plane(&mut self, bits: &Planes, plane: usize) -> Planes {
        Arc::new(vec![bits[plane].clone()])
    }
    fn restructure_bits(&mut self, bits: &Planes, structure: &Structure) -> Result<Planes, Error> {
        Ok(Arc::new(bits.iter().map(|plane| plane.restructure(structure)).collect()))
    }
    fn select<W: RingWord>(&mut self, bits: &Planes, x: &Arc<Tensor<f32>>, _form: &Form) -> Result<Tensor<f32>, Error> {
        Ok(x.zip(&bits[0], |x, bit| if bit != 0.0 { x } else { 0.0 }))
    }
    fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &Planes,
        (x, form, _): (&Arc<Tensor<f32>>, &Form, u32),
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        self.select::<W>(bits, x, form)
    }
    fn piecewise<W: RingWord>(
        &mut self,
        _bits: &Planes,
        x: &Arc<Tensor<f32>>,
        _form: &Form,
        function: &Function,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| function.exact(f64::from(x)) as f32))
    }
    fn exponential<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        _form: &Form,
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.map(f32::exp2))
    }
    fn bits_to_share<W: RingWord>(&mut self, bits: &Planes, _out: &Form) -> Result<Tensor<f32>, Error> {
        Ok(bits[0].clone())
    }
    fn bits_product<W: RingWord>(&mut self, a: &Planes, b: &Planes, _out: &Form) -> Result<Tensor<f32>, Error> {
        Ok(a[0].zip(&b[0], |a, b| a * b))
    }
    fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        form: &Form,
        table: &[i64],
        _out: &Form,
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| table[(x as i64).rem_euclid(1 << form.bits) as usize] as f32))
    }
    fn lookup_bits<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<f32>>,
        form: &Form,
        table: &[bool],
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| if table[(x as i64).rem_euclid(1 << form.bits) as usize] { 1.0 } else { 0.0 }))
    }
}

//! What programs are written in.
//!
//! The machine keeps what is public about each value (its [`Form`]) and checks it; the interpreter keeps the rest. The
//! machine's primitives are here: inputs, outputs, openings, and linear maps of values. Every other method is an
//! operation and stands in the operation's file in [`protocols`](crate::protocols), with all that it means. Every
//! method says what it costs in openings; bytes and material are in the operation's file.

pub(crate) mod interpreter;
mod values;

pub use values::{Bits, Masked, MaskedBits, Pending, Share};

use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::material::word::RingWord;
use crate::operation::{Kind, Operation, Returned, World};
use crate::tuning::Tuning;
use crate::weight_spec::{WeightId, WeightSpec};
use interpreter::Interpreter;

/// An interpreter with the program's weights: what a program runs on.
#[derive(Debug)]
pub struct Machine<'a, I> {
    interpreter: I,
    weights: &'a [WeightSpec],
    inputs: &'a [Form],
    tuning: Tuning,
}

impl<'a, I: Interpreter> Machine<'a, I> {
    /// A machine for a program of these weights and inputs.
    pub(crate) fn new(interpreter: I, weights: &'a [WeightSpec], inputs: &'a [Form]) -> Self {
        Self { interpreter, weights, inputs, tuning: Tuning::default() }
    }

    /// Chooses between the implementations of the gates that follow. A program sets it from what all parties agreed on.
    pub fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    /// [`tune`](Self::tune) for what `gate` does with the program's largest tensors: a lean program is near there.
    ///
    /// # Errors
    /// From the gate.
    pub fn with_large<T>(&mut self, gate: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let tuning = self.tuning;
        if tuning == Tuning::Lean {
            self.tuning = Tuning::Near;
        }
        let result = gate(self);
        self.tuning = tuning;
        result
    }

    /// The choice in force.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    pub(crate) fn into_interpreter(self) -> I {
        self.interpreter
    }

    /// The specification of a weight.
    ///
    /// # Errors
    /// If the program has no such weight.
    pub(crate) fn weight(&self, id: WeightId) -> Result<&'a WeightSpec, Error> {
        self.weights.get(id.0).ok_or_else(|| Error::Program(format!("there is no weight {}", id.0)))
    }

    /// What an operation does to operands, in this machine's meaning.
    ///
    /// # Errors
    /// From the operation.
    pub(crate) fn apply<A: Kind, R: Kind>(
        &mut self,
        operation: &impl Operation<A, R>,
        operands: A::In<I::World>,
    ) -> Returned<R, I::World> {
        self.interpreter.apply::<A, R>(operation, operands)
    }

    /// The client's input `index`, in shares. No opening.
    ///
    /// # Errors
    /// If there is no such input.
    pub fn input<W: RingWord>(&mut self, index: usize) -> Result<Share<I, W>, Error> {
        let form = *self.inputs.get(index).ok_or_else(|| Error::Program(format!("there is no input {index}")))?;
        Ok(Share { form, payload: self.interpreter.input::<W>(index, &form)? })
    }

    /// Sends the shares of a value to the client: with [`Machine::reveal_bits`] the only way out of the masked world.
    /// `reason` says why the client may learn it; [`Meter::outputs`](crate::Meter::outputs) lists the reasons. No
    /// opening between the servers.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn reveal<W: RingWord>(&mut self, share: Share<I, W>, reason: &'static str) -> Result<(), Error> {
        self.interpreter.reveal::<W>(share.payload, &share.form, reason)
    }

    /// Sends the shares of bits to the client, as [`Machine::reveal`] does with words.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn reveal_bits(&mut self, bits: Bits<I>, reason: &'static str) -> Result<(), Error> {
        self.interpreter.reveal_bits(bits.payload, bits.shape, reason)
    }

    /// Leaves a value with the servers, in shares, for a program that continues this one: it is an input there, by the order in
    /// which values are kept. Nobody learns anything. No opening.
    ///
    /// # Errors
    /// If its ring is wider than 64 bits, or from the interpreter.
    pub fn keep<W: RingWord>(&mut self, share: Share<I, W>) -> Result<(), Error> {
        if share.form.bits > u64::BITS {
            return Err(Error::Program(format!(
                "a ring of {} bits cannot be kept: expected at most 64",
                share.form.bits
            )));
        }
        self.interpreter.keep::<W>(share.payload, &share.form)
    }

    /// Adds a public constant to every element.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn add_constant<W: RingWord>(&mut self, mut share: Share<I, W>, value: f64) -> Result<Share<I, W>, Error> {
        self.interpreter.add_constant::<W>(&mut share.payload, &share.form, &[value]);
        Ok(share)
    }

    /// Adds public constants, one per element.
    ///
    /// # Errors
    /// If there are not as many as elements.
    pub fn add_constants<W: RingWord>(&mut self, mut share: Share<I, W>, values: &[f64]) -> Result<Share<I, W>, Error> {
        if values.len() != share.form.shape.len() {
            return Err(Error::Program("expected one public constant per element".into()));
        }
        self.interpreter.add_constant::<W>(&mut share.payload, &share.form, values);
        Ok(share)
    }

    /// Public constants, one per element, as a masked value whose mask is zero. No opening.
    ///
    /// # Errors
    /// If there are not as many as elements.
    pub fn constants<W: RingWord>(&mut self, form: Form, values: &[f64]) -> Result<Masked<I, W>, Error> {
        if values.len() != form.shape.len() {
            return Err(Error::Program("expected one public constant per element".into()));
        }
        Ok(Masked { form, payload: self.interpreter.constants::<W>(values, &form) })
    }

    /// Drops `shift` fraction bits; the ring shrinks by as many, so that opening the value takes fewer bytes. Stochastic:
    /// off by less than one unit of the last place, unbiased. See
    /// [`protocols::truncate_reduce`](crate::protocols::truncate_reduce). No opening.
    ///
    /// # Errors
    /// If there are not that many fraction bits.
    pub fn truncate_reduce<W: RingWord>(&mut self, share: Share<I, W>, shift: u32) -> Result<Share<I, W>, Error> {
        let form = share.form.truncated(shift)?;
        let payload = self.interpreter.truncate_reduce::<W>(share.payload, &share.form, shift)?;
        Ok(Share { form, payload })
    }

    /// [`truncate_reduce`](Self::truncate_reduce) to `fraction` fraction bits. No opening.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn truncate_to<W: RingWord>(&mut self, share: Share<I, W>, fraction: u32) -> Result<Share<I, W>, Error> {
        let found = share.form.fraction;
        let shift = found.checked_sub(fraction);
        let shift = shift.ok_or_else(|| Error::Program(format!("{found} fraction bits are fewer than {fraction}")))?;
        self.truncate_reduce(share, shift)
    }

    /// Opens a share under a fresh mask: one opening, which also carries everything deferred before.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn open<W: RingWord>(&mut self, share: Share<I, W>) -> Result<Masked<I, W>, Error> {
        let pending = self.defer(share)?;
        self.exchange()?;
        self.take(pending)
    }

    /// Lets a share leave with the next exchange, whichever operation makes it.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn defer<W: RingWord>(&mut self, share: Share<I, W>) -> Result<Pending<I, W>, Error> {
        if share.form.bits > W::BITS {
            return Err(Error::Program(format!("a ring of {} bits in a word of {}", share.form.bits, W::BITS)));
        }
        Ok(Pending { form: share.form, payload: self.interpreter.defer::<W>(share.payload, &share.form)? })
    }

    /// Exchanges everything deferred: one opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn exchange(&mut self) -> Result<(), Error> {
        self.interpreter.exchange()
    }

    /// A deferred share after its exchange.
    ///
    /// # Errors
    /// If there was no exchange since.
    pub fn take<W: RingWord>(&mut self, pending: Pending<I, W>) -> Result<Masked<I, W>, Error> {
        Ok(Masked { form: pending.form, payload: self.interpreter.take::<W>(pending.payload, &pending.form)? })
    }

    /// Opens bits under fresh mask bits. One opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn open_bits(&mut self, bits: Bits<I>) -> Result<MaskedBits<I>, Error> {
        let pending = self.interpreter.defer_bits(bits.payload, bits.shape.len())?;
        self.interpreter.exchange()?;
        Ok(MaskedBits { shape: bits.shape, planes: 1, payload: self.interpreter.take_bits(pending)? })
    }

    /// The same share in another word that still holds its ring: what is opened in a narrower word needs half the mask.
    ///
    /// # Errors
    /// If the ring is wider than the word.
    pub fn share_to_word<W: RingWord, V: RingWord>(&mut self, x: Share<I, W>) -> Result<Share<I, V>, Error> {
        let form = in_word::<V>(x.form)?;
        Ok(Share { form, payload: I::World::share_to_word::<W, V>(x.payload) })
    }

    /// The same masked value in another word that still holds its ring. No opening.
    ///
    /// # Errors
    /// If the ring is wider than the word.
    pub fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Masked<I, W>) -> Result<Masked<I, V>, Error> {
        let form = in_word::<V>(x.form)?;
        Ok(Masked { form, payload: I::World::to_word::<W, V>(&x.payload) })
    }

    /// Bits rearranged by [`Structure::Gather`] or reshaped.
    ///
    /// # Errors
    /// For any other structure.
    pub fn restructure_bits(&mut self, bits: &MaskedBits<I>, structure: &Structure) -> Result<MaskedBits<I>, Error> {
        let payload = I::World::restructure_bits(&bits.payload, structure)?;
        Ok(MaskedBits { shape: structure.shape(bits.shape), planes: bits.planes, payload })
    }

    /// One plane of several: the bits of one threshold. No opening.
    ///
    /// # Errors
    /// If there are not that many.
    pub fn plane(&mut self, bits: &MaskedBits<I>, plane: usize) -> Result<MaskedBits<I>, Error> {
        if plane >= bits.planes {
            return Err(Error::Program(format!("plane {plane} of {}", bits.planes)));
        }
        Ok(MaskedBits { shape: bits.shape, planes: 1, payload: I::World::plane(&bits.payload, plane) })
    }
}

/// The form, if words `V` hold its ring.
fn in_word<V: RingWord>(form: Form) -> Result<Form, Error> {
    if form.bits > V::BITS {
        return Err(Error::Program(format!("a ring of {} bits in a word of {}", form.bits, V::BITS)));
    }
    Ok(form)
}

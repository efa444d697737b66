//! Values that the servers keep between two programs.

use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::program::Inputs;
use crate::secret::Secret;
use blindroute_ring::{Shape, Tensor};

/// One server's shares of the values that a program [kept](crate::Machine::keep), for a program that continues it.
///
/// The shares were re-randomised as an answer is, so that they are uniform but for their sum. They are used once: there is no
/// `Clone`, and becoming inputs consumes them. Wiped on drop, never printed.
#[derive(Default)]
pub struct Kept {
    values: Vec<(Form, Secret<u64>)>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({} values, redacted)", self.values.len())
    }
}

impl Kept {
    pub(crate) fn put<W: RingWord>(&mut self, form: &Form, share: &Secret<W>) {
        let words = share.expose().data().iter().map(|&word| word.cast()).collect();
        self.values.push((*form, Secret::new(Tensor::new(form.shape, words))));
    }

    /// Whether the program kept nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// These elements of the batch as the inputs of a program with these forms. The others are dropped.
    ///
    /// # Errors
    /// If the values are not of these forms, a place is beyond the batch, or places do not rise.
    pub fn into_inputs(self, forms: &[Form], places: &[usize]) -> Result<Inputs, Error> {
        if self.values.len() != forms.len() {
            let (found, expected) = (self.values.len(), forms.len());
            return Err(Error::Program(format!("{found} values were kept, the program continues with {expected}")));
        }
        if !places.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Error::Program("the places of kept values do not rise".into()));
        }
        let tensors = self.values.into_iter().zip(forms).map(|((kept, share), form)| {
            let batch = kept.shape.batch;
            let expected = Form { shape: Shape { batch: places.len(), ..kept.shape }, ..kept };
            if *form != expected {
                return Err(Error::Program(format!("{kept:?} was kept, the program continues with {form:?}")));
            }
            if let Some(place) = places.iter().find(|place| **place >= batch) {
                return Err(Error::Program(format!("place {place} of a batch of {batch} was kept")));
            }
            let each = kept.shape.rows * kept.shape.columns;
            let part = |place: &usize| share.expose().data()[place * each..(place + 1) * each].iter().copied();
            Ok(Some(Secret::new(Tensor::new(form.shape, places.iter().flat_map(part).collect()))))
        });
        Ok(Inputs { tensors: tensors.collect::<Result<_, Error>>()? })
    }
}

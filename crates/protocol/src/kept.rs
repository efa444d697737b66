//! Values that the servers keep between two programs.

use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::program::Inputs;
use crate::secret::Secret;
use blindroute_ring::{Shape, Tensor, pack};
use zeroize::Zeroizing;

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

    /// What the values are: shapes, rings and binary points, which are public.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        self.values.iter().map(|(form, _)| *form).collect()
    }

    /// These elements of the batch, in rising order. The others are dropped.
    ///
    /// # Errors
    /// If a place is beyond the batch, or places do not rise.
    pub fn select(self, places: &[usize]) -> Result<Self, Error> {
        self.selected(places)?;
        let values = self.values.into_iter().map(|(kept, share)| {
            let each = kept.shape.rows * kept.shape.columns;
            let form = kept.with_shape(Shape { batch: places.len(), ..kept.shape });
            // As large as it becomes, so that no part of a share stays behind in memory that it outgrew.
            let mut words = Vec::with_capacity(form.shape.len());
            let part = |place: &usize| &share.expose().data()[place * each..(place + 1) * each];
            places.iter().for_each(|place| words.extend_from_slice(part(place)));
            (form, Secret::new(Tensor::new(form.shape, words)))
        });
        Ok(Self { values: values.collect() })
    }

    /// The forms of these elements of the batch.
    fn selected(&self, places: &[usize]) -> Result<Vec<Form>, Error> {
        if !places.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Error::Program("the places of kept values do not rise".into()));
        }
        let forms = self.values.iter().map(|(kept, _)| {
            let batch = kept.shape.batch;
            if let Some(place) = places.iter().find(|place| **place >= batch) {
                return Err(Error::Program(format!("place {place} of a batch of {batch} was kept")));
            }
            Ok(kept.with_shape(Shape { batch: places.len(), ..kept.shape }))
        });
        forms.collect()
    }

    /// Whether these elements of the batch can be the inputs of a program with these forms.
    ///
    /// # Errors
    /// As for [`Kept::into_inputs`].
    pub fn check(&self, forms: &[Form], places: &[usize]) -> Result<(), Error> {
        if self.values.len() != forms.len() {
            let (found, expected) = (self.values.len(), forms.len());
            return Err(Error::Program(format!("{found} values were kept, the program continues with {expected}")));
        }
        for (kept, form) in self.selected(places)?.iter().zip(forms) {
            if kept != form {
                return Err(Error::Program(format!("{kept:?} was kept, the program continues with {form:?}")));
            }
        }
        Ok(())
    }

    /// These elements of the batch as the inputs of a program with these forms. The others are dropped.
    ///
    /// # Errors
    /// If the values are not of these forms, a place is beyond the batch, or places do not rise.
    pub fn into_inputs(self, forms: &[Form], places: &[usize]) -> Result<Inputs, Error> {
        self.check(forms, places)?;
        let tensors = self.select(places)?.values.into_iter().map(|(_, share)| Some(share));
        Ok(Inputs { tensors: tensors.collect() })
    }

    /// The shares as they are sent to the server of the same position in another pair.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::byte_len(&self.forms())));
        self.values.iter().for_each(|(form, share)| pack::pack(share.expose().data(), form.bits, &mut bytes));
        bytes
    }

    /// Bytes of shares of these forms.
    #[must_use]
    pub fn byte_len(forms: &[Form]) -> usize {
        Inputs::byte_len(forms)
    }

    /// Shares that were sent.
    ///
    /// # Errors
    /// If the length is not that of these forms.
    pub fn from_bytes(forms: &[Form], bytes: &[u8]) -> Result<Self, Error> {
        let tensors = Inputs::from_bytes(forms, bytes)?.tensors;
        Ok(Self { values: forms.iter().copied().zip(tensors.into_iter().flatten()).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let mut kept = Kept::default();
        let form = |bits, columns| Form::new(Shape::new(3, 1, columns), bits, 4);
        kept.put(&form(24, 2), &Secret::new(Tensor::new(Shape::new(3, 1, 2), vec![1u64, 2, 3, 4, 5, 6])));
        kept.put(&form(64, 1), &Secret::new(Tensor::new(Shape::new(3, 1, 1), vec![7u64, 8, u64::MAX])));
        kept
    }

    #[test]
    fn what_was_sent_is_what_was_chosen() {
        let chosen = kept().select(&[0, 2]).unwrap();
        let forms = chosen.forms();
        assert_eq!(forms.iter().map(|form| form.shape.batch).collect::<Vec<_>>(), [2, 2]);
        let bytes = chosen.to_bytes();
        assert_eq!((bytes.len(), Kept::byte_len(&forms)), (4 * 3 + 2 * 8, 4 * 3 + 2 * 8));
        let again = Kept::from_bytes(&forms, &bytes).unwrap();
        let inputs = again.into_inputs(&forms, &[0, 1]).unwrap();
        let words: Vec<&[u64]> = inputs.tensors.iter().flatten().map(|share| share.expose().data()).collect();
        assert_eq!(words, [&[1, 2, 5, 6][..], &[7, u64::MAX]]);
        assert!(Kept::from_bytes(&forms, &bytes[1..]).is_err());
    }

    #[test]
    fn places_that_are_not_there_are_refused() {
        assert!(kept().select(&[0, 3]).unwrap_err().to_string().contains("place 3 of a batch of 3"));
        assert!(kept().select(&[1, 1]).unwrap_err().to_string().contains("do not rise"));
        let forms = kept().forms();
        assert!(kept().into_inputs(&forms[..1], &[0]).unwrap_err().to_string().contains("2 values were kept"));
        assert!(kept().into_inputs(&forms, &[0]).unwrap_err().to_string().contains("continues with"));
    }
}

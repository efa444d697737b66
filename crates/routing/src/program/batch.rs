//! Between prompts and a batch of them.

use blindroute_protocol::{Error, Output, Shape, Tensor};

/// The inputs of several prompts as those of one program with this [batch](super::RouteProgram::with_batch), in their
/// order.
///
/// # Errors
/// If there is no prompt, or the prompts' inputs differ in number or shape: all must be of one task and bucket.
pub fn stack_inputs<P: AsRef<[Tensor<f32>]>>(prompts: &[P]) -> Result<Vec<Tensor<f32>>, Error> {
    let prompts: Vec<&[Tensor<f32>]> = prompts.iter().map(AsRef::as_ref).collect();
    let Some(&first) = prompts.first() else {
        return Err(Error::Program("a batch of no prompts".into()));
    };
    if let Some(other) = prompts.iter().find(|prompt| prompt.len() != first.len()) {
        let (found, expected) = (other.len(), first.len());
        return Err(Error::Program(format!("a batch of prompts with {expected} and with {found} inputs")));
    }
    let stack = |index: usize| {
        let one = Shape { batch: 1, ..first[index].shape() };
        let mut data = Vec::with_capacity(one.len() * prompts.len());
        for prompt in &prompts {
            let found = prompt[index].shape();
            if found != one {
                return Err(Error::Shape { what: "input of a batch's prompt", expected: one, found });
            }
            data.extend_from_slice(prompt[index].data());
        }
        Ok(Tensor::new(Shape { batch: prompts.len(), ..one }, data))
    };
    (0..first.len()).map(stack).collect()
}

/// Each prompt's part of what a program of this batch revealed, in the order of its inputs.
///
/// # Errors
/// If there is no prompt, or a revealed value is not of as many equal parts.
pub fn split_output(output: &Output, batch: usize) -> Result<Vec<Output>, Error> {
    if batch == 0 {
        return Err(Error::Program("a batch of no prompts".into()));
    }
    let mut prompts = vec![Output::default(); batch];
    for values in &output.values {
        for (prompt, part) in prompts.iter_mut().zip(parts(values, batch)?) {
            prompt.values.push(part.to_vec());
        }
    }
    for bits in &output.bits {
        for (prompt, part) in prompts.iter_mut().zip(parts(bits, batch)?) {
            prompt.bits.push(part.to_vec());
        }
    }
    Ok(prompts)
}

/// A revealed value's part for each prompt.
fn parts<T>(revealed: &[T], batch: usize) -> Result<std::slice::ChunksExact<'_, T>, Error> {
    let found = revealed.len();
    if found == 0 || !found.is_multiple_of(batch) {
        return Err(Error::Program(format!("{found} revealed numbers are not those of {batch} prompts")));
    }
    Ok(revealed.chunks_exact(found / batch))
}

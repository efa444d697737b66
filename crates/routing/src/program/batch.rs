//! Converting between single prompts and a batch.

use blindroute_protocol::{Error, Output, Shape, Tensor};

/// The inputs of several prompts as the inputs of one program with this [batch](super::RouteProgram::with_batch). The
/// order is kept.
///
/// # Errors
/// If there is no prompt, or the prompts' inputs differ in number or shape: all must be of the same task and bucket.
pub fn stack_inputs<P: AsRef<[Tensor<f32>]>>(prompts: &[P]) -> Result<Vec<Tensor<f32>>, Error> {
    let prompts: Vec<&[Tensor<f32>]> = prompts.iter().map(AsRef::as_ref).collect();
    let Some(&first) = prompts.first() else {
        return Err(Error::Program("the batch has no prompts, expected at least one".into()));
    };
    if let Some(other) = prompts.iter().find(|prompt| prompt.len() != first.len()) {
        let (found, expected) = (other.len(), first.len());
        return Err(Error::Program(format!("a prompt of the batch has {found} inputs, expected {expected}")));
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

/// Each prompt's part of the output of a program with this batch, in the order of the inputs.
///
/// # Errors
/// If there is no prompt, or a revealed value cannot be divided into as many equal parts.
pub fn split_output(output: &Output, batch: usize) -> Result<Vec<Output>, Error> {
    if batch == 0 {
        return Err(Error::Program("the batch has no prompts, expected at least one".into()));
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
        return Err(Error::Program(format!(
            "{found} revealed numbers, expected a multiple of {batch}, the number of prompts"
        )));
    }
    Ok(revealed.chunks_exact(found / batch))
}

//! What the output of one prompt's program says.

use blindroute_protocol::Output;

/// The embedding that the measurement [`Embed`](super::Measurement::Embed) reveals; empty for other outputs.
pub fn embedding(output: &Output) -> &[f64] {
    output.values.first().map(Vec::as_slice).filter(|values| values.len() > 1).unwrap_or_default()
}

/// Whether values of the prompt were outside the ranges that the program computes in, so that its answer means nothing. Programs of
/// encoders with linear attention reveal that, as one number beside the answer.
pub fn outside_range(output: &Output) -> bool {
    output.values.last().is_some_and(|values| matches!(values.as_slice(), [mark] if *mark != 0.0))
}

/// The labels' scores, or the one-hot label, that a [`Classify`](super::Task::Classify) task reveals; empty for other outputs.
pub fn scores(output: &Output) -> &[f64] {
    embedding(output)
}

/// The label that a [`Classify`](super::Task::Classify) task reveals, by its place; `None` if it names no single one.
pub fn label(output: &Output) -> Option<usize> {
    let one_hot = scores(output);
    let mut named = one_hot.iter().enumerate().filter(|(_, bit)| **bit != 0.0);
    named.next().map(|(place, _)| place).filter(|_| named.next().is_none())
}

/// Whether a text goes on past the exit of a [`Classify`](super::Task::Classify) task that asks for that; `None` for other outputs.
pub fn onward(output: &Output) -> Option<bool> {
    match output.values.as_slice() {
        [_, onward, _] => onward.first().map(|bit| *bit != 0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_told_from_the_embedding() {
        let of = |values: &[&[f64]]| Output { values: values.iter().map(|v| v.to_vec()).collect(), bits: Vec::new() };
        let marked = [of(&[&[1.0]]), of(&[&[0.5, 2.0], &[1.0]])];
        assert!(marked.iter().all(outside_range));
        let unmarked = [of(&[]), of(&[&[0.0]]), of(&[&[0.5, 2.0]]), of(&[&[0.5, 2.0], &[0.0]])];
        assert!(!unmarked.iter().any(outside_range));
        assert_eq!((embedding(&marked[1]), embedding(&marked[0])), ([0.5, 2.0].as_slice(), [].as_slice()));
    }
}

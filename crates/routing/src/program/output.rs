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

/// The models that a route names, the best first, as their places among so many; `None` if a row of the answer names no single
/// model, or two rows name the same.
pub fn ranking(output: &Output, models: usize) -> Option<Vec<usize>> {
    let bits = output.bits.first()?;
    if models == 0 || bits.is_empty() || !bits.len().is_multiple_of(models) {
        return None;
    }
    let mut ranking = Vec::with_capacity(bits.len() / models);
    for row in bits.chunks_exact(models) {
        let mut named = row.iter().enumerate().filter(|(_, bit)| **bit).map(|(model, _)| model);
        let (model, other) = (named.next()?, named.next());
        if other.is_some() || ranking.contains(&model) {
            return None;
        }
        ranking.push(model);
    }
    Some(ranking)
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
    fn each_row_of_a_ranking_names_one_model_and_no_model_is_named_twice() {
        let of = |rows: &[&[usize]]| {
            let row = |named: &&[usize]| (0..3).map(|model| named.contains(&model)).collect::<Vec<_>>();
            ranking(&Output { values: Vec::new(), bits: vec![rows.iter().flat_map(row).collect()] }, 3)
        };
        assert_eq!(of(&[&[1]]), Some(vec![1]));
        assert_eq!(of(&[&[2], &[0], &[1]]), Some(vec![2, 0, 1]));
        for wrong in [&[[].as_slice()][..], &[&[0, 1]], &[&[1], &[]], &[&[1], &[0, 2]], &[&[1], &[0], &[1]], &[]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
        let short = Output { values: Vec::new(), bits: vec![vec![true, false, false, true]] };
        assert_eq!((ranking(&short, 3), ranking(&short, 0), ranking(&Output::default(), 3)), (None, None, None));
    }

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

//! Rules by the nearest of stored prompts or centroids.

use super::ForeignRule;
use super::error::ForeignError;
use super::standard::Standard;
use super::table::{Table, dot, row};
use blindroute_routing::bundle::{LARGEST_KEY, MOST_STORED, Matrix, Neighbours, Rule};

/// What nearest means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The least Euclidean distance.
    Euclidean,
    /// The largest cosine.
    Cosine,
}

/// How much longer than the longest stored prompt a prompt may be before what is compared leaves its range.
const HEADROOM: f64 = 2.0;
/// The most that what is compared is scaled up, for the precision of the order.
const MOST_SCALE: f64 = 8.0;

/// K nearest neighbours with uniform weights: the score of a model is the mean of its outcomes for the k stored prompts that are nearest.
/// `stored` is `[N, inputs]` as fitted (behind `standard`, if there is one), `outcomes` `[N, M]`. Of equally near prompts those with
/// the lowest index are taken; scikit-learn does not say which it takes.
///
/// What is compared is `s·(x_n·e − |x_n|²/2)`, less what is the same for all n: the order is that of the distances for every e.
///
/// # Errors
/// If the tables do not fit each other, or k or N is out of range.
pub fn from_neighbours(
    stored: Table,
    outcomes: &Table,
    keep: usize,
    metric: Metric,
    standard: Option<&Standard>,
) -> Result<ForeignRule, ForeignError> {
    let count = stored.rows();
    if outcomes.rows() != count {
        let expected = format!("{count} rows, one for each stored prompt");
        return Err(ForeignError::Shape { what: "table of outcomes", found: outcomes.shape(), expected });
    }
    if !(2..=MOST_STORED).contains(&count) {
        let expected =
            format!("from 2 to {MOST_STORED}: keep a random sample of them, or centroids of clusters (`from_kmeans`)");
        return Err(ForeignError::Setting { what: "number of stored prompts", found: count, expected });
    }
    if !(1..=count).contains(&keep) {
        return Err(ForeignError::Setting {
            what: "number of neighbours",
            found: keep,
            expected: format!("from 1 to {count}"),
        });
    }
    let longest = stored.iter_rows().map(|row| dot(row, row)).fold(0.0, f64::max).sqrt();
    let (mut rows, mut offsets) = compared(stored, metric);
    // Before the standardisation is folded in, so that the lengths are those of what the rule was fitted on.
    let reach = |(row, offset): (&[f64], &f64)| HEADROOM * longest * dot(row, row).sqrt() + offset.abs();
    let most = rows.iter_rows().zip(&offsets).map(reach).fold(0.0, f64::max);
    if let Some(standard) = standard {
        standard.fold(&mut rows, &mut offsets)?;
    }
    // A power of two is exact. With the offsets' mean removed they are small, like the products.
    let room = (f64::from(LARGEST_KEY) - 1.0) / most.max(f64::MIN_POSITIVE);
    let scale = room.min(MOST_SCALE).log2().floor().exp2();
    let mean = offsets.iter().sum::<f64>() / count as f64;
    let offsets: Vec<f64> = offsets.iter().map(|offset| scale * (offset - mean)).collect();
    ForeignRule::new(Rule::Neighbours(Neighbours {
        stored: rows.map(|x| scale * x).matrix(),
        offset: row(&offsets),
        outcomes: outcomes.matrix(),
        cost: Matrix::from_fn(1, outcomes.columns(), |_, _| 0.0),
        keep,
    }))
}

/// K-means with an outcome table: the scores are those of the nearest centroid's cluster. `centroids` is `[K, inputs]` and `outcomes` `[K,
/// M]`, the mean outcome of each model in each cluster. Exact for centroids of any length, which UniRoute's rule is not.
///
/// # Errors
/// As [`from_neighbours`].
pub fn from_kmeans(
    centroids: Table,
    outcomes: &Table,
    standard: Option<&Standard>,
) -> Result<ForeignRule, ForeignError> {
    from_neighbours(centroids, outcomes, 1, Metric::Euclidean, standard)
}

/// Rows and offsets whose `row·x + offset` has the order of nearness; what all have in common is left out.
fn compared(mut stored: Table, metric: Metric) -> (Table, Vec<f64>) {
    let square = |row: &[f64]| dot(row, row);
    let mut offsets: Vec<f64> = match metric {
        Metric::Euclidean => stored.iter_rows().map(|row| -square(row) / 2.0).collect(),
        Metric::Cosine => vec![0.0; stored.rows()],
    };
    if metric == Metric::Cosine {
        for row in stored.iter_rows_mut() {
            let length = square(row).sqrt();
            row.iter_mut().for_each(|x| *x /= if length > 0.0 { length } else { 1.0 });
        }
    }
    let count = stored.rows() as f64;
    let mut mean = vec![0.0; stored.columns()];
    for row in stored.iter_rows() {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / count);
    }
    for row in stored.iter_rows_mut() {
        row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
    }
    let middle = offsets.iter().sum::<f64>() / count;
    offsets.iter_mut().for_each(|offset| *offset -= middle);
    (stored, offsets)
}

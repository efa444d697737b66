//! BERT in plain f64, written from the published tensors alone.

use blindroute_testkit::PublishedEncoder;

/// The embedding of these token ids: the mean of the last states.
pub(crate) fn reference(encoder: &PublishedEncoder, ids: &[u32]) -> Vec<f64> {
    let get = |name: &str| -> Vec<f64> { encoder.tensors[name].1.iter().map(|x| f64::from(*x)).collect() };
    let hidden = encoder.hidden;
    let norm = |rows: Vec<Vec<f64>>, name: &str| -> Vec<Vec<f64>> {
        let (gain, bias) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let one = |row: Vec<f64>| {
            let mean = row.iter().sum::<f64>() / hidden as f64;
            let deviation = (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / hidden as f64 + 1e-12).sqrt();
            row.iter()
                .zip(gain.iter().zip(&bias))
                .map(|(x, (gain, bias))| (x - mean) / deviation * gain + bias)
                .collect()
        };
        rows.into_iter().map(one).collect()
    };
    let linear = |rows: &[Vec<f64>], name: &str| -> Vec<Vec<f64>> {
        let (weight, bias) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let dot = |row: &[f64], weights: &[f64]| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
        let one = |row: &Vec<f64>| weight.chunks(row.len()).zip(&bias).map(|(w, b)| dot(row, w) + b).collect();
        rows.iter().map(one).collect()
    };
    let sum = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
    };
    let tables = ["word", "position", "token_type"].map(|name| get(&format!("embeddings.{name}_embeddings.weight")));
    let embedded = ids.iter().enumerate().map(|(place, id)| {
        let at = |table: usize, row: usize| &tables[table][row * hidden..(row + 1) * hidden];
        let (token, position, segment) = (at(0, *id as usize), at(1, place), at(2, 0));
        (0..hidden).map(|i| token[i] + position[i] + segment[i]).collect()
    });
    let mut x = norm(embedded.collect(), "embeddings.LayerNorm");
    let width = hidden / encoder.heads;
    for layer in 0..encoder.layers {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let [q, k, v] = ["query", "key", "value"].map(|part| linear(&x, &name(&format!("attention.self.{part}"))));
        let mut context = vec![vec![0.0; hidden]; x.len()];
        for head in 0..encoder.heads {
            let part = head * width..(head + 1) * width;
            for (row, context) in context.iter_mut().enumerate() {
                let score = |key: &Vec<f64>| {
                    q[row][part.clone()].iter().zip(&key[part.clone()]).map(|(a, b)| a * b).sum::<f64>()
                };
                let powers: Vec<f64> = k.iter().map(|key| (score(key) / (width as f64).sqrt()).exp()).collect();
                let total: f64 = powers.iter().sum();
                for (power, value) in powers.iter().zip(&v) {
                    part.clone().for_each(|i| context[i] += power / total * value[i]);
                }
            }
        }
        let attended =
            norm(sum(&linear(&context, &name("attention.output.dense")), &x), &name("attention.output.LayerNorm"));
        let mut inner = linear(&attended, &name("intermediate.dense"));
        // tanh's approximation of GELU is within 0.0005, far below what is tested.
        let gelu = |x: f64| 0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x.powi(3))).tanh());
        inner.iter_mut().flatten().for_each(|x| *x = gelu(*x));
        x = norm(sum(&linear(&inner, &name("output.dense")), &attended), &name("output.LayerNorm"));
    }
    (0..hidden).map(|i| x.iter().map(|row| row[i]).sum::<f64>() / x.len() as f64).collect()
}

//! Random draws that several trainings use: orders and initial weights.

use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// Shuffles items into a random order.
pub(crate) fn shuffle<T>(items: &mut [T], draws: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, (draws.next_u64() % (last as u64 + 1)) as usize);
    }
}

/// An initial weight `[rows, columns]` of a layer with this number of inputs, as in PyTorch's linear layers: uniform within
/// ±1/√inputs.
pub(crate) fn weight(rows: usize, columns: usize, inputs: usize, draws: &mut ChaCha8Rng) -> Result<Var> {
    let most = 1.0 / (inputs as f32).sqrt();
    let data = (0..rows * columns).map(|_| most * (draws.next_u32() as f32 / (u32::MAX as f32) * 2.0 - 1.0));
    Var::from_tensor(&Tensor::from_vec(data.collect::<Vec<_>>(), (rows, columns), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn a_shuffle_keeps_all_items_and_weights_stay_within_their_bound() {
        let mut draws = ChaCha8Rng::seed_from_u64(1);
        let mut items: Vec<usize> = (0..100).collect();
        shuffle(&mut items, &mut draws);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        let weight = weight(20, 30, 16, &mut draws).unwrap().to_vec2::<f32>().unwrap();
        let largest = weight.iter().flatten().fold(0.0f32, |largest, x| largest.max(x.abs()));
        assert!((0.24..=0.25).contains(&largest), "{largest}");
    }
}

//! Draws that trainings share: an order, and weights to start from.

use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// Puts items into an order by lot.
pub(crate) fn shuffle<T>(items: &mut [T], draws: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, (draws.next_u64() % (last as u64 + 1)) as usize);
    }
}

/// A weight `[rows, columns]` of a layer with so many inputs, as PyTorch's linear layers start: uniform within one over the
/// root of the inputs.
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
    fn an_order_keeps_all_and_a_weight_its_bound() {
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

//! Where masks, shares and roots are drawn from.

use blindroute_ring::{Prg, Seed};

/// What words of a stream become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The mask of one opening.
    Mask,
    /// A share of something that the dealer knows.
    Share,
    /// Roots of keys.
    Root,
    /// Party zero's share of a product with a weight. Drawn from a stream of its own, which an audit does not reveal.
    Product,
}

/// The stream of one seed, which dealer and server draw from in the same order. Each draw goes on where the last one
/// ended, whatever its purpose: so no word is drawn twice. Only tests have another stream, one that does it wrong, to
/// see that they notice.
pub(crate) trait Stream {
    /// The stream of `seed`, from its beginning.
    fn new(seed: &Seed) -> Self;
    /// The generator whose next words are for `purpose`.
    fn draw(&mut self, purpose: Purpose) -> &mut Prg;
}

impl Stream for Prg {
    fn new(seed: &Seed) -> Self {
        Self::new(seed)
    }

    fn draw(&mut self, _purpose: Purpose) -> &mut Prg {
        self
    }
}

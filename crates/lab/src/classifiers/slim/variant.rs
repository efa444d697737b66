//! Pools on the way to a cheaper one.

use crate::classifiers::ClassifierError;
use crate::classifiers::LabelledTexts;
use crate::classifiers::router::{place, pool_of, wrong};
use crate::classifiers::train::assemble;
use blindroute_routing::bundle::{Bundle, ClassifierPool, EncoderConfig, Layer, PoolShape};
use blindroute_routing::program::BundlePlan;

/// A pool with its encoder, whose embeddings are those of the bundle from which all started.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) encoder: EncoderConfig,
    pub(super) layers: Vec<Layer>,
    pub(super) pool: ClassifierPool,
}

impl Variant {
    /// A bundle's encoder, with the pool of these tasks only: heads of others would not fit another encoder.
    pub(super) fn of(bundle: &Bundle, tasks: &[LabelledTexts]) -> Result<Self, ClassifierError> {
        let parts = bundle.parts();
        let pool = pool_of(bundle)?;
        let mut chosen = Vec::with_capacity(tasks.len());
        for task in tasks {
            let place = place(bundle, &task.name)?;
            if chosen.contains(&place) {
                return Err(wrong(format!("the task {:?} twice", task.name), "each task once"));
            }
            chosen.push(place);
        }
        let pool = ClassifierPool {
            exits: pool.exits.clone(),
            tasks: chosen.into_iter().map(|place| pool.tasks[place].clone()).collect(),
        };
        Ok(Self { encoder: parts.encoder.clone(), layers: parts.layers.clone(), pool })
    }

    /// The bundle with this encoder and pool, and the rest of another one.
    pub(super) fn bundle(&self, start: &Bundle) -> Result<Bundle, ClassifierError> {
        let mut parts = start.parts().clone();
        parts.encoder = self.encoder.clone();
        parts.layers = self.layers.clone();
        parts.pool = None;
        parts.routers.clear();
        parts.models.clear();
        assemble(&Bundle::new(parts)?, self.layers.clone(), self.pool.clone())
    }

    /// What is public about it.
    pub(super) fn plan(&self, start: &Bundle) -> BundlePlan {
        let mut plan = BundlePlan::of(start);
        (plan.encoder.widths, plan.encoder.ffn) = (self.encoder.widths, self.encoder.ffn);
        plan.pool = Some(PoolShape::of(&self.pool));
        plan
    }
}

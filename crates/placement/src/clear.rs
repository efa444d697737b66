//! A bundle that is here in the clear.

use crate::error::PlacementError;
use blindroute_protocol::Tensor;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, weight_tensors};
use std::sync::Arc;

/// Its plan and folded weights.
#[derive(Debug)]
pub(crate) struct ClearBundle {
    pub(crate) plan: Arc<BundlePlan>,
    pub(crate) weights: Vec<Tensor<f32>>,
}

impl ClearBundle {
    pub(crate) fn of(bundle: &Bundle) -> Result<Self, PlacementError> {
        let plan = BundlePlan::of(bundle);
        let weights = weight_tensors(bundle, &plan)?;
        Ok(Self { plan: Arc::new(plan), weights })
    }
}

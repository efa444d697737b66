//! A model's programs, as sessions ask for them.

use blindroute_protocol::WeightSpec;
use blindroute_routing::bundle::{BundleDigest, PublicPart};
use blindroute_routing::program::{BundlePlan, RouteProgram, Task, TunedTask};
use blindroute_runtime::Catalogue;
use blindroute_runtime::messages::Digest;
use std::sync::Arc;

/// The programs of one split bundle. A request is the JSON of a [`TunedTask`].
#[derive(Clone, Debug)]
pub struct BundleCatalogue {
    plan: Arc<BundlePlan>,
    digest: BundleDigest,
    measurements: bool,
}

impl BundleCatalogue {
    /// The programs of a public part.
    pub fn of(public: &PublicPart) -> Self {
        Self { plan: Arc::new(public.plan.clone()), digest: public.digest, measurements: true }
    }

    /// Whether the measurements `embed` and `select` are served. An operator's server refuses them by default: who may
    /// ask for embeddings can copy a secret encoder.
    #[must_use]
    pub fn with_measurements(self, measurements: bool) -> Self {
        Self { measurements, ..self }
    }

    /// The request for a task.
    pub fn request(request: impl Into<TunedTask>) -> Vec<u8> {
        // A request is numbers and fixed names: it always has a JSON form.
        serde_json::to_vec(&request.into()).unwrap_or_default()
    }
}

impl Catalogue for BundleCatalogue {
    type Program = RouteProgram;

    fn digest(&self) -> Digest {
        Digest(*self.digest.as_bytes())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        self.plan.weights()
    }

    fn program(&self, request: &[u8]) -> Result<RouteProgram, String> {
        let request: Result<TunedTask, _> = serde_json::from_slice(request);
        let request = request.map_err(|error| format!("not a task ({error})"))?;
        if !self.measurements && matches!(request.task, Task::Embed { .. } | Task::Select { .. }) {
            return Err("this server serves routes only; set `measurements = true` in its configuration".to_owned());
        }
        request.program(&self.plan).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_protocol::Tuning;
    use blindroute_routing::program::SelectMethod;

    #[test]
    fn a_task_has_one_form_on_the_wire() {
        let task = Task::Route { router: 1, bucket: 64 };
        assert_eq!(BundleCatalogue::request(task), br#"{"task":"route","router":1,"bucket":64}"#);
        let select = |method| BundleCatalogue::request(Task::Select { candidates: 112, keep: 4, method });
        for method in SelectMethod::ALL {
            let form = format!(r#"{{"task":"select","candidates":112,"keep":4,"method":"{method}"}}"#);
            assert_eq!(select(method), form.as_bytes());
            assert_eq!(
                serde_json::from_slice::<Task>(&select(method)).ok(),
                Some(Task::Select { candidates: 112, keep: 4, method })
            );
        }
        // Without a method it is ours.
        let short = serde_json::from_slice(br#"{"task":"select","candidates":112,"keep":4}"#).ok();
        assert_eq!(short, Some(Task::Select { candidates: 112, keep: 4, method: SelectMethod::Unsorted }));
        assert!(
            serde_json::from_slice::<Task>(br#"{"task":"select","candidates":9,"keep":4,"method":"magic"}"#).is_err()
        );
        for (tuning, name) in [(Tuning::Lean, "lean"), (Tuning::Middle, "middle"), (Tuning::Far, "far")] {
            let tuned = TunedTask { tuning, ..task.into() };
            let form = format!(r#"{{"task":"route","router":1,"bucket":64,"tuning":"{name}"}}"#);
            assert_eq!(BundleCatalogue::request(tuned), form.as_bytes());
            assert_eq!(serde_json::from_str::<TunedTask>(&form).unwrap(), tuned);
        }
        let plain: TunedTask = serde_json::from_slice(&BundleCatalogue::request(task)).unwrap();
        assert_eq!(plain, TunedTask::from(task));
        assert!(serde_json::from_str::<TunedTask>(r#"{"task":"head","router":1,"tuning":"magic"}"#).is_err());
    }
}

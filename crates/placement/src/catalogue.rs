//! A bundle's programs, as sessions ask for them.

use blindroute_protocol::WeightSpec;
use blindroute_routing::bundle::{BundleDigest, PublicPart};
use blindroute_routing::program::{BundlePlan, RouteProgram, SessionRequest, Work};
use blindroute_runtime::Catalogue;
use blindroute_runtime::messages::Digest;
use std::sync::Arc;

/// The programs of one split bundle. Requests are [`SessionRequest`]s in JSON.
///
/// It has the tasks of the bundle's routers. It refuses measurements, unless it was told
/// [otherwise](Self::dangerously_serve_measurements).
#[derive(Clone, Debug)]
pub struct BundleCatalogue {
    plan: Arc<BundlePlan>,
    digest: BundleDigest,
    measurements: bool,
}

impl BundleCatalogue {
    /// The programs of the routers of a public part, without measurements.
    pub fn of(public: &PublicPart) -> Self {
        Self { plan: Arc::new(public.plan.clone()), digest: public.digest, measurements: false }
    }

    /// The same with the measurements `embed` and `select`.
    ///
    /// **Do not use this in a server whose encoder is secret.** Any client may then ask for the embeddings of texts of its
    /// own, and enough of them are a copy of the encoder. It is for benchmarks, and for servers whose weights are public.
    /// In a client or a dealer it opens nothing: the servers decide what they run.
    #[must_use]
    pub fn dangerously_serve_measurements(self) -> Self {
        Self { measurements: true, ..self }
    }

    /// A request as it is sent to the servers.
    pub fn encode(request: SessionRequest) -> Vec<u8> {
        // A request is numbers and fixed names: it always has a JSON form.
        serde_json::to_vec(&request).unwrap_or_default()
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
        let request: Result<SessionRequest, _> = serde_json::from_slice(request);
        let request = request.map_err(|error| format!("not a task ({error})"))?;
        if !self.measurements && matches!(request.task, Work::Measurement(_)) {
            return Err(
                "this server serves routes and no measurements (embed, select); its operator can allow them by \
                 `measurements = true` in its configuration"
                    .to_owned(),
            );
        }
        request.program(&self.plan).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_protocol::Tuning;
    use blindroute_routing::bundle::Bundle;
    use blindroute_routing::program::{Measurement, SelectMethod, Task};

    fn request(task: impl Into<Work>) -> Vec<u8> {
        BundleCatalogue::encode(SessionRequest::new(task))
    }

    fn read(form: &[u8]) -> Option<SessionRequest> {
        serde_json::from_slice(form).ok()
    }

    #[test]
    fn a_task_has_one_form_on_the_wire() {
        let task = Task::Route { router: 1, bucket: 64 };
        assert_eq!(request(task), br#"{"task":"route","router":1,"bucket":64}"#);
        assert_eq!(request(Task::Head { router: 2 }), br#"{"task":"head","router":2}"#);
        assert_eq!(request(Measurement::Embed { bucket: 32 }), br#"{"task":"embed","bucket":32}"#);
        let select = |method| Measurement::Select { candidates: 112, keep: 4, method };
        for method in SelectMethod::ALL {
            let form = format!(r#"{{"task":"select","candidates":112,"keep":4,"method":"{method}"}}"#);
            assert_eq!(request(select(method)), form.as_bytes());
            assert_eq!(read(form.as_bytes()), Some(SessionRequest::new(select(method))));
        }
        // Without a method it is ours.
        let short = read(br#"{"task":"select","candidates":112,"keep":4}"#);
        assert_eq!(short, Some(SessionRequest::new(select(SelectMethod::Unsorted))));
        assert_eq!(read(br#"{"task":"select","candidates":9,"keep":4,"method":"magic"}"#), None);
        for (tuning, name) in [(Tuning::Lean, "lean"), (Tuning::Middle, "middle"), (Tuning::Far, "far")] {
            let tuned = SessionRequest::new(task).with_tuning(tuning);
            let form = format!(r#"{{"task":"route","router":1,"bucket":64,"tuning":"{name}"}}"#);
            assert_eq!(BundleCatalogue::encode(tuned), form.as_bytes());
            assert_eq!(read(form.as_bytes()), Some(tuned));
        }
        let both = SessionRequest::new(task).with_tuning(Tuning::Far).with_batch(8);
        let form = br#"{"task":"route","router":1,"bucket":64,"tuning":"far","batch":8}"#;
        assert_eq!((BundleCatalogue::encode(both).as_slice(), read(form)), (form.as_slice(), Some(both)));
        assert_eq!(read(&request(task)), Some(SessionRequest::new(task)));
        assert_eq!(read(br#"{"task":"head","router":1,"tuning":"magic"}"#), None);
    }

    #[test]
    fn measurements_are_refused_unless_they_are_asked_for() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
        let catalogue = BundleCatalogue::of(&PublicPart::unsplit(&Bundle::open(&path).unwrap().bundle));
        let select = Measurement::Select { candidates: 9, keep: 2, method: SelectMethod::default() };
        let measurements = [request(Measurement::Embed { bucket: 32 }), request(select)];
        for request in &measurements {
            let refusal = catalogue.program(request).unwrap_err();
            assert!(refusal.contains("measurements = true"), "{refusal}");
        }
        for task in [Task::Head { router: 0 }, Task::Route { router: 1, bucket: 32 }] {
            assert!(catalogue.program(&request(task)).is_ok());
        }
        let open = catalogue.dangerously_serve_measurements();
        assert!(measurements.iter().all(|request| open.program(request).is_ok()));
        // What is neither has a reason that says what there is.
        let refusal = open.program(br#"{"task":"oracle"}"#).unwrap_err();
        assert!(refusal.starts_with("not a task") && refusal.contains("`embed`"), "{refusal}");
    }
}

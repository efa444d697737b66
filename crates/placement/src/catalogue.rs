//! A bundle's programs, as sessions ask for them.

use crate::asked::asked;
use blindroute_protocol::{Tuning, WeightSpec};
use blindroute_routing::bundle::{BundleDigest, PublicPart};
use blindroute_routing::program::{BundlePlan, NetworkEstimate, RouteProgram, SessionRequest, Task, Work};
use blindroute_runtime::Catalogue;
use blindroute_runtime::clients::Asked;
use blindroute_runtime::messages::Digest;
use std::sync::{Arc, Mutex, PoisonError};

/// The most requests whose tuning is remembered. A client may ask for more, but not for more memory.
const REMEMBERED: usize = 1024;

/// The programs of one split bundle. Requests are [`SessionRequest`]s in JSON.
///
/// It has the tasks of the bundle's routers and classifiers. It refuses measurements, unless it was told
/// [otherwise](Self::dangerously_serve_measurements), and scores of labels, unless it [serves them](Self::serve_scores).
#[derive(Clone, Debug)]
pub struct BundleCatalogue {
    plan: Arc<BundlePlan>,
    digest: BundleDigest,
    /// The names of the models.
    models: Arc<[String]>,
    measurements: bool,
    scores: bool,
    /// Between the servers; without it they are near each other.
    network: Option<NetworkEstimate>,
    /// Requests with the tunings that were chosen for this network.
    tuned: Arc<Mutex<Vec<SessionRequest>>>,
}

impl BundleCatalogue {
    /// The programs of the routers of a public part, without measurements.
    pub fn of(public: &PublicPart) -> Self {
        Self {
            plan: Arc::new(public.plan.clone()),
            digest: public.digest,
            models: public.models.iter().map(|model| model.name.clone()).collect(),
            measurements: false,
            scores: false,
            network: None,
            tuned: Arc::default(),
        }
    }

    /// The programs that a client may ask for: the servers refuse what they do not serve.
    pub(crate) fn of_client(public: &PublicPart) -> Arc<Self> {
        Arc::new(Self::of(public).dangerously_serve_measurements().serve_scores())
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

    /// The same with the labels' scores of classifiers, for clients that ask for them. Enough scores of texts of one's own are a
    /// copy of a classifier; labels alone say less. In a client or a dealer it opens nothing: the servers decide.
    #[must_use]
    pub fn serve_scores(self) -> Self {
        Self { scores: true, ..self }
    }

    /// The same in a server that is so far from the other one: servers far from each other take fewer openings and more
    /// material. With `None` they are near. Both servers need the same value; in a client or a dealer it changes nothing.
    #[must_use]
    pub fn between_servers(self, network: Option<NetworkEstimate>) -> Self {
        Self { network, tuned: Arc::default(), ..self }
    }

    /// A request as it is sent to the servers.
    pub fn encode(request: SessionRequest) -> Vec<u8> {
        // A request is numbers and fixed names: it always has a JSON form.
        serde_json::to_vec(&request).unwrap_or_default()
    }

    /// The index of the router of this name, or of the default one.
    pub(crate) fn router(&self, name: Option<&str>) -> Result<usize, String> {
        self.plan.router(name).ok_or_else(|| {
            let names: Vec<&str> = self.plan.routers.iter().map(|router| router.name.as_str()).collect();
            format!("the bundle has no router `{}`; expected one of: {}", name.unwrap_or_default(), names.join(", "))
        })
    }

    /// Reads a request that this party serves.
    fn read(&self, request: &[u8]) -> Result<SessionRequest, String> {
        let request: Result<SessionRequest, _> = serde_json::from_slice(request);
        let request = request.map_err(|error| format!("not a task ({error})"))?;
        if !self.measurements && matches!(request.task, Work::Measurement(_)) {
            return Err(
                "this server serves routes and no measurements (embed, select); its operator can allow them by \
                 `measurements = true` in its configuration"
                    .to_owned(),
            );
        }
        if !self.scores && matches!(request.task, Work::Task(Task::Classify { scores: true, .. })) {
            return Err(
                "this server serves labels and no scores of them: ask without scores (--scores), or its operator can \
                 allow them by `scores = true` in its configuration"
                    .to_owned(),
            );
        }
        Ok(request)
    }

    /// The request with the tuning for this network, which is chosen when the request first comes.
    fn tuned(&self, network: &NetworkEstimate, request: SessionRequest) -> Result<SessionRequest, String> {
        // Held while the tuning is chosen, so that it is chosen once.
        let mut known = self.tuned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tuned) = known.iter().find(|tuned| SessionRequest { tuning: None, ..**tuned } == request) {
            return Ok(*tuned);
        }
        let tuned = network.tune(&self.plan, request).map_err(|error| error.to_string())?;
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.push(tuned);
        tracing::debug!(request = ?tuned, "chose a tuning for the distance between the servers");
        Ok(tuned)
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
        self.read(request)?.program(&self.plan).map_err(|error| error.to_string())
    }

    /// The request with a tuning: its own, or the one for the distance between the servers.
    fn resolve(&self, request: &[u8]) -> Result<Vec<u8>, String> {
        let request = self.read(request)?;
        Ok(Self::encode(match (request.tuning, &self.network) {
            (Some(_), _) => request,
            (None, Some(network)) => self.tuned(network, request)?,
            (None, None) => request.with_tuning(Tuning::default()),
        }))
    }

    fn asked(&self, request: &[u8]) -> Asked {
        self.read(request).map_or(Asked { routes: 1, bits: 0.0 }, |request| asked(&self.plan, request))
    }

    fn choices(&self) -> Vec<String> {
        self.models.to_vec()
    }

    fn continues(&self, request: &[u8]) -> bool {
        self.read(request).is_ok_and(|request| begin(request.task).is_some())
    }

    /// A session that begins at the exit where the one before left its texts, with the same task and bucket: texts cannot be taken
    /// through other layers than those that come next, nor be given to another task than the one that their gains were asked for.
    fn follows(&self, before: &[u8], request: &[u8]) -> bool {
        let [Ok(before), Ok(request)] = [before, request].map(|request| self.read(request)) else { return false };
        let (Work::Task(before), Work::Task(next)) = (before.task, request.task) else { return false };
        match (before, next) {
            (
                Task::Classify { classifier, bucket, exit, scores, onward: true, .. },
                Task::Classify { classifier: task, bucket: tokens, begin: Some(begin), scores: scored, .. },
            ) => (classifier, bucket, exit, scores) == (task, tokens, begin, scored),
            _ => false,
        }
    }
}

/// The exit at which a session begins, if servers kept its texts.
fn begin(work: Work) -> Option<usize> {
    match work {
        Work::Task(Task::Classify { begin, .. }) => begin,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::{Activation, Attention, Bundle};
    use blindroute_routing::program::{Measurement, SelectMethod};
    use std::time::Duration;

    fn request(task: impl Into<Work>) -> Vec<u8> {
        BundleCatalogue::encode(SessionRequest::new(task))
    }

    fn read(form: &[u8]) -> Option<SessionRequest> {
        serde_json::from_slice(form).ok()
    }

    #[test]
    fn a_task_has_one_form_on_the_wire() {
        let task = Task::route(1, 64);
        assert_eq!(request(task), br#"{"task":"route","router":1,"bucket":64}"#);
        assert_eq!(request(Task::head(2)), br#"{"task":"head","router":2}"#);
        let ranked = [task.with_ranked(3), Task::head(2).with_ranked(4)];
        assert_eq!(request(ranked[0]), br#"{"task":"route","router":1,"bucket":64,"ranked":3}"#);
        assert_eq!(request(ranked[1]), br#"{"task":"head","router":2,"ranked":4}"#);
        assert_eq!(ranked.map(|task| read(&request(task))), ranked.map(|task| Some(SessionRequest::new(task))));
        assert_eq!(request(task.with_ranked(1)), request(task));
        for wrong in ["null", "-1", "2.5"] {
            assert_eq!(read(format!(r#"{{"task":"head","router":1,"ranked":{wrong}}}"#).as_bytes()), None, "{wrong}");
        }
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
        for (tuning, name) in
            [(Tuning::Near, "near"), (Tuning::Lean, "lean"), (Tuning::Middle, "middle"), (Tuning::Far, "far")]
        {
            let tuned = SessionRequest::new(task).with_tuning(tuning);
            let form = format!(r#"{{"task":"route","router":1,"bucket":64,"tuning":"{name}"}}"#);
            assert_eq!(BundleCatalogue::encode(tuned), form.as_bytes());
            assert_eq!(read(form.as_bytes()), Some(tuned));
        }
        let both = SessionRequest::new(task).with_tuning(Tuning::Far).with_batch(8);
        let form = br#"{"task":"route","router":1,"bucket":64,"tuning":"far","batch":8}"#;
        assert_eq!((BundleCatalogue::encode(both).as_slice(), read(form)), (form.as_slice(), Some(both)));
        assert_eq!(read(&request(task)), Some(SessionRequest::new(task)));
        for wrong in ["\"magic\"", "null", "1"] {
            assert_eq!(read(format!(r#"{{"task":"head","router":1,"tuning":{wrong}}}"#).as_bytes()), None, "{wrong}");
        }
    }

    /// The published weights with 2ReLU and ReLU, whose programs depend on the distance.
    fn published_catalogue() -> BundleCatalogue {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/minilm.blindroute");
        let mut parts = Bundle::open(&path).unwrap().bundle.into_parts();
        (parts.encoder.attention, parts.encoder.activation) = (Attention::TwoRelu, Activation::Relu);
        BundleCatalogue::of(&PublicPart::unsplit(&Bundle::new(parts).unwrap()))
    }

    #[test]
    fn a_server_chooses_the_tuning_for_its_distance_unless_the_request_names_one() {
        let network = |milliseconds| NetworkEstimate { delay: Duration::from_millis(milliseconds), megabits: 400.0 };
        let near = published_catalogue();
        let far = near.clone().between_servers(Some(network(20)));
        let task = Task::route(0, 32);
        let resolved =
            |catalogue: &BundleCatalogue, request: &[u8]| read(&catalogue.resolve(request).unwrap()).unwrap();
        for batch in [1, 2] {
            let asked = SessionRequest::new(task).with_batch(batch);
            let form = BundleCatalogue::encode(asked);
            assert_eq!(resolved(&near, &form), asked.with_tuning(Tuning::Near));
            let chosen = network(20).tune(&far.plan, asked).unwrap();
            assert!(chosen.tuning.is_some_and(|tuning| tuning != Tuning::Near));
            for _ in 0..2 {
                assert_eq!(resolved(&far, &form), chosen);
            }
            for tuning in Tuning::ALL {
                let forced = asked.with_tuning(tuning);
                for catalogue in [&near, &far] {
                    assert_eq!(resolved(catalogue, &BundleCatalogue::encode(forced)), forced);
                }
            }
        }
        assert_eq!(far.tuned.lock().unwrap().len(), 2, "a tuning is chosen once");
        // At another distance it is chosen anew.
        let next_door = far.clone().between_servers(Some(network(0)));
        assert_eq!(resolved(&next_door, &request(task)).tuning, Some(Tuning::Near));
        // Forms that mean the same are the same to the dealer.
        let spaced = br#" { "bucket": 32, "task": "route", "router": 0, "batch": 1 } "#;
        assert_eq!(far.resolve(spaced), far.resolve(&request(task)));
        for wrong in [request(Task::route(99, 32)), request(Measurement::Embed { bucket: 32 })] {
            assert!(far.resolve(&wrong).is_err() && far.tuned.lock().unwrap().len() == 2);
        }
    }

    #[test]
    fn case_09_measurements_are_refused_unless_they_are_asked_for() {
        let catalogue = published_catalogue();
        let select = Measurement::Select { candidates: 9, keep: 2, method: SelectMethod::default() };
        let measurements = [request(Measurement::Embed { bucket: 32 }), request(select)];
        for request in &measurements {
            let refusal = catalogue.program(request).unwrap_err();
            assert!(refusal.contains("measurements = true"), "{refusal}");
        }
        for task in [Task::head(0), Task::route(1, 32), Task::head(0).with_ranked(4)] {
            assert!(catalogue.program(&request(task)).is_ok());
        }
        for ranked in [0, 5, usize::MAX] {
            let refusal = catalogue.program(&request(Task::route(0, 32).with_ranked(ranked))).unwrap_err();
            assert!(refusal.contains("expected 1 to 4"), "{refusal}");
        }
        let open = catalogue.dangerously_serve_measurements();
        assert!(measurements.iter().all(|request| open.program(request).is_ok()));
        // Scores of labels likewise; here the bundle has no pool, which is the next reason.
        let classify = |scores| {
            let capacities = [1, 0, 0];
            request(Task::Classify {
                classifier: 0,
                bucket: 32,
                exit: 1,
                capacities,
                scores,
                begin: None,
                onward: false,
            })
        };
        let refusal = open.program(&classify(true)).unwrap_err();
        assert!(refusal.contains("`scores = true`"), "{refusal}");
        for (catalogue, scores) in [(&open, false), (&open.clone().serve_scores(), true)] {
            let refusal = catalogue.program(&classify(scores)).unwrap_err();
            assert!(refusal.contains("no pool"), "{refusal}");
        }
        // What is neither has a reason that says what there is.
        let refusal = open.program(br#"{"task":"oracle"}"#).unwrap_err();
        assert!(refusal.starts_with("not a task") && refusal.contains("`embed`"), "{refusal}");
    }

    #[test]
    fn a_session_continues_only_where_the_one_before_it_left_its_texts() {
        let catalogue = published_catalogue().serve_scores();
        let of = |classifier, bucket, exit, scores, begin, onward| {
            request(Task::Classify { classifier, bucket, exit, capacities: [0; 3], scores, begin, onward })
        };
        let before = of(1, 64, 1, false, Some(0), true);
        assert!(catalogue.follows(&before, &of(1, 64, 2, false, Some(1), true)));
        for other in [
            of(0, 64, 2, false, Some(1), true),
            of(1, 32, 2, false, Some(1), true),
            of(1, 64, 3, false, Some(2), true),
            of(1, 64, 2, true, Some(1), true),
            of(1, 64, 2, false, None, true),
            request(Task::route(1, 64)),
        ] {
            assert!(!catalogue.follows(&before, &other), "{}", String::from_utf8_lossy(&other));
        }
        let closed = of(1, 64, 1, false, None, false);
        assert!(!catalogue.follows(&closed, &of(1, 64, 2, false, Some(1), true)), "it left nothing");
        assert!(catalogue.continues(&before) && !catalogue.continues(&closed));
    }
}

//! The router: a prompt in, a model out, whatever the placement.

use crate::children::{ChildOptions, Children};
use crate::clear::ClearBundle;
use crate::error::PlacementError;
use crate::loopback::{Loopback, Settings};
use crate::next::Next;
use crate::pairs::{Pairs, Trial};
use crate::patience::Patience;
use crate::report::{BundleUsed, PeakMemory};
use crate::reporter::Reporter;
use crate::threads::PartyThread;
use blindroute_protocol::{Clear, Output, Tensor};
use blindroute_routing::bundle::{Bundle, Matrix, PublicPart};
use blindroute_routing::program::{BundlePlan, Measurement, RouteInputs, SessionRequest, Work, head_inputs};
use blindroute_routing::tokenizer::{Tokenizer, Tokens};
use blindroute_runtime::{Cancel, Held, SessionOutcome, Waiting, peak_rss_mib, peak_rss_mib_of};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A process that dies closes its links up to this long before the system reports its end.
const GRACE: Duration = Duration::from_millis(300);

/// Routes prompts to models; the [crate's documentation](crate) has an example. Several threads can use it at once.
#[derive(Debug)]
pub struct PrivateRouter {
    pub(crate) public: PublicPart,
    pub(crate) plan: Arc<BundlePlan>,
    pub(crate) tokenizer: Tokenizer,
    /// The bundle that is here in the clear: the whole of it, or its encoder alone.
    pub(crate) clear: Option<ClearBundle>,
    // Before the parties: their links are closed before the parties end.
    /// The servers that are asked; none if there are none.
    pub(crate) pairs: Pairs,
    /// The version of the bundle that takes the place of this one.
    pub(crate) next: Option<Next>,
    /// Reports what is chosen, if the configuration says so.
    pub(crate) reporter: Option<Reporter>,
    parties: Parties,
    /// Last, so that the parties have ended before their files go.
    _loopback: Option<Loopback>,
    patience: Patience,
    bundle: BundleUsed,
}

/// Who runs the servers.
#[derive(Debug)]
enum Parties {
    /// Others, or nobody.
    Elsewhere,
    /// This process. They end when this is dropped.
    Threads { _parties: [PartyThread; 3] },
    /// Children of this process.
    Children(Children),
}

impl PrivateRouter {
    /// A router without servers, for a bundle that is public: only the placement `local` works, in the clear.
    ///
    /// # Errors
    /// If the parts of the bundle do not fit together.
    pub fn local(bundle: &Bundle) -> Result<Self, PlacementError> {
        Self::assemble(PublicPart::unsplit(bundle), Pairs::default())?.with_bundle(bundle)
    }

    /// A router whose dealer and servers are threads of this process, which talk mutual TLS over loopback with fresh
    /// certificates and fresh shares. Every placement works; the servers refuse measurements. The threads end when the
    /// router is dropped.
    ///
    /// It shows the protocol and its costs, and suits tests. It protects nothing from whoever controls this process.
    ///
    /// # Errors
    /// If the bundle has no sound parts, or the parties cannot be started.
    pub fn in_process(bundle: &Bundle) -> Result<Self, PlacementError> {
        Self::with_threads(bundle, Settings::default())
    }

    /// The same as [`in_process`](Self::in_process), with servers that serve the scores of a classifier's labels.
    ///
    /// # Errors
    /// If the bundle has no sound parts, or the parties cannot be started.
    pub fn in_process_with_scores(bundle: &Bundle) -> Result<Self, PlacementError> {
        Self::with_threads(bundle, Settings { scores: true, ..Settings::default() })
    }

    fn with_threads(bundle: &Bundle, settings: Settings) -> Result<Self, PlacementError> {
        let (loopback, parties) = Loopback::start(bundle, settings, &|_| {}, &PartyThread::start)?;
        Self::with_parties(bundle, loopback, Parties::Threads { _parties: parties })
    }

    /// A router whose dealer and servers are child processes. Every placement works. The children end when the router is
    /// dropped, or with this process. `progress` hears each step of the start.
    ///
    /// # Errors
    /// If the bundle has no sound parts, or the children cannot be started.
    pub fn with_children(
        bundle: &Bundle,
        options: &ChildOptions,
        progress: &dyn Fn(&str),
    ) -> Result<Self, PlacementError> {
        let spawn = |role, config: &std::path::Path| options.spawn(role, config);
        let (loopback, children) = Loopback::start(bundle, options.settings, progress, &spawn)?;
        Self::with_parties(bundle, loopback, Parties::Children(children.into()))
    }

    /// How many pairs of servers it asks; 0 if it has none.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Keeps this bundle in the clear, for the placements `head`, which needs a bundle with the servers' encoder, and `local`,
    /// which needs the whole.
    ///
    /// # Errors
    /// If the parts of the bundle do not fit together, or it has another encoder than the servers.
    pub fn with_bundle(self, bundle: &Bundle) -> Result<Self, PlacementError> {
        let clear = ClearBundle::of(bundle)?;
        let parts = bundle.parts();
        // Encoders of one shape may differ in every weight: what of the encoder is public has to be the same too.
        let fits = clear.plan.encoder == self.plan.encoder
            && parts.tokenizer == self.public.tokenizer
            && parts.encoder.window == self.public.encoder.window
            && parts.embedding == self.public.embedding;
        if fits { Ok(Self { clear: Some(clear), ..self }) } else { Err(PlacementError::OtherBundle) }
    }

    /// Sets what to do while no session can be prepared; the default is to try again for 60 s.
    #[must_use]
    pub fn with_patience(self, patience: impl Into<Patience>) -> Self {
        let patience = patience.into();
        let next = self.next.map(|next| next.with_patience(patience.clone()));
        Self { patience, next, ..self }
    }

    /// Sets the name of the bundle in reports.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        let bundle = BundleUsed { name, ..self.bundle };
        Self { bundle, ..self }
    }

    /// A router of parties that were started for it.
    fn with_parties(bundle: &Bundle, loopback: Loopback, parties: Parties) -> Result<Self, PlacementError> {
        let router = Self::assemble(loopback.public.clone(), vec![loopback.pair()].into())?.with_bundle(bundle)?;
        // The digest of the bundle itself: that of the split differs from start to start.
        let used = BundleUsed { digest: bundle.digest().to_string(), ..router.bundle };
        Ok(Self { parties, _loopback: Some(loopback), bundle: used, ..router })
    }

    pub(crate) fn assemble(public: PublicPart, pairs: Pairs) -> Result<Self, PlacementError> {
        let tokenizer = Tokenizer::from_json(&public.tokenizer, public.encoder.window)?;
        let bundle = BundleUsed { name: "bundle".to_owned(), digest: public.digest.to_string() };
        Ok(Self {
            plan: Arc::new(public.plan.clone()),
            public,
            tokenizer,
            clear: None,
            pairs,
            next: None,
            reporter: None,
            parties: Parties::Elsewhere,
            _loopback: None,
            patience: Patience::default(),
            bundle,
        })
    }

    /// The public part of the bundle; with several pairs that of the first, from which those of the others differ in their digest
    /// only.
    pub fn public(&self) -> &PublicPart {
        &self.public
    }

    /// Which bundle it routes with; with servers elsewhere, which public part, and with several pairs that of the first.
    pub fn bundle(&self) -> &BundleUsed {
        &self.bundle
    }

    /// Peak memory of every process that this router started, and of this one.
    pub fn peak_memory(&self) -> PeakMemory {
        let client = peak_rss_mib();
        let Some(processes) = self.processes() else { return PeakMemory { client, ..PeakMemory::default() } };
        let [server0, server1, dealer] = processes.map(peak_rss_mib_of);
        PeakMemory { server0, server1, dealer, client }
    }

    /// Process numbers of the child processes, if it has some: server 0, server 1 and dealer.
    pub fn processes(&self) -> Option<[u32; 3]> {
        if let Parties::Children(children) = &self.parties { Some(children.processes()) } else { None }
    }

    /// Fails with a child's last words if one has ended, or does within `grace`.
    fn check_parties(&self, grace: Duration) -> Result<(), PlacementError> {
        if let Parties::Children(children) = &self.parties { children.check(grace) } else { Ok(()) }
    }

    /// Whether the parties that this router started still run.
    ///
    /// # Errors
    /// With the last words of one that ended.
    pub fn check_running(&self) -> Result<(), PlacementError> {
        self.check_parties(Duration::ZERO)
    }

    /// The servers' addresses, by pair: server 0 and server 1.
    pub fn servers(&self) -> Vec<[String; 2]> {
        self.pairs.servers()
    }

    /// The index of the router of this name in the bundle; of the first if it is `None`.
    ///
    /// # Errors
    /// If there is no router of that name.
    pub fn router_index(&self, name: Option<&str>) -> Result<usize, PlacementError> {
        self.plan.router(name).ok_or_else(|| PlacementError::UnknownRouter {
            name: name.unwrap_or("(default)").to_owned(),
            known: self.plan.routers.iter().map(|router| router.name.clone()).collect(),
        })
    }

    /// The output of a task or measurement in the clear, and the time it took: what private runs are compared with.
    ///
    /// # Errors
    /// If the bundle, or the part of it that this needs, is not here in the clear.
    pub fn clear(&self, task: impl Into<Work>, inputs: Vec<Tensor<f32>>) -> Result<(Output, Duration), PlacementError> {
        self.clear_request(SessionRequest::new(task), inputs)
    }

    /// The same of a whole request: for several prompts, inputs as [`stack_inputs`](blindroute_routing::program::stack_inputs) puts
    /// them together.
    ///
    /// # Errors
    /// If the bundle, or the part of it that this needs, is not here in the clear.
    pub fn clear_request(
        &self,
        request: SessionRequest,
        inputs: Vec<Tensor<f32>>,
    ) -> Result<(Output, Duration), PlacementError> {
        let started = Instant::now();
        let (output, _) = self.clear_keeping(request, inputs)?;
        Ok((output, started.elapsed()))
    }

    /// The same with what servers would keep for a request that continues this one.
    pub(crate) fn clear_keeping(
        &self,
        request: SessionRequest,
        inputs: Vec<Tensor<f32>>,
    ) -> Result<(Output, Vec<Tensor<f32>>), PlacementError> {
        let clear = self.clear.as_ref().ok_or(PlacementError::NeedsBundle { placement: "local" })?;
        if *clear.plan != *self.plan && !matches!(request.task, Work::Measurement(Measurement::Embed { .. })) {
            return Err(PlacementError::OtherBundle);
        }
        let program = request.program(&clear.plan)?;
        Ok(Clear::run_keeping(&program, &clear.weights, inputs)?)
    }

    /// Runs a request under MPC on given inputs (those of several prompts as [`stack_inputs`](blindroute_routing::program::stack_inputs)
    /// puts them together), in a ready session if some are kept. While no session can be prepared it waits and tries again, as its
    /// [`Patience`] says.
    ///
    /// # Errors
    /// If there are no servers, the request makes no sense, or a party fails.
    pub fn private(&self, request: SessionRequest, inputs: &[Tensor<f32>]) -> Result<SessionOutcome, PlacementError> {
        self.private_until(request, inputs, (&Cancel::default(), Trial::default())).map(|(outcome, _)| outcome)
    }

    /// The same, until it is cancelled, and which pair of servers answered.
    pub(crate) fn private_until(
        &self,
        request: SessionRequest,
        inputs: &[Tensor<f32>],
        bounds: (&Cancel, Trial),
    ) -> Result<(SessionOutcome, usize), PlacementError> {
        let go_on = |waiting: &Waiting<'_>| {
            // A child that died does not come back.
            let alive = self.check_parties(GRACE).is_ok();
            if let (true, Some(notice)) = (alive, &self.patience.notice) {
                notice(waiting);
            }
            alive
        };
        self.or_last_words(self.pairs.run(request, inputs, &self.patience, &go_on, bounds))
    }

    /// Continues a session with these elements of its batch, on the pair of servers that holds what it left or another one.
    pub(crate) fn private_continuing(
        &self,
        request: SessionRequest,
        held: (Held, usize),
        other: Option<usize>,
        places: &[u16],
    ) -> Result<SessionOutcome, PlacementError> {
        self.or_last_words(self.pairs.run_continuing(request, held, other, places))
    }

    fn or_last_words<T>(&self, result: Result<T, PlacementError>) -> Result<T, PlacementError> {
        if result.as_ref().is_err_and(|error| !error.is_cancelled()) {
            // A child that died says more than a broken link.
            self.check_parties(GRACE)?;
        }
        result
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn tokens(&self, prompt: &str) -> Result<Tokens, PlacementError> {
        Ok(self.tokenizer.encode(prompt)?)
    }

    /// The inputs of a router's task in `full` for token ids, padded to a bucket.
    ///
    /// # Errors
    /// If the ids do not fit the bucket or the tables.
    pub fn route_inputs(
        &self,
        router: usize,
        ids: &[u32],
        bucket: usize,
        lambda: f32,
    ) -> Result<Vec<Tensor<f32>>, PlacementError> {
        let inputs = self.encoder_inputs(ids, bucket)?;
        Ok(inputs.with_lexical(self.lexical(router, ids)).with_lambda(lambda))
    }

    /// The inputs of a router's task in `head` for the embedding of token ids.
    pub fn head_inputs(&self, router: usize, ids: &[u32], embedding: &[f32], lambda: f32) -> Vec<Tensor<f32>> {
        let features = self.lexical(router, ids).unwrap_or_default();
        let row: Vec<f32> = embedding.iter().copied().chain(features).collect();
        head_inputs(&Matrix::from_fn(1, row.len(), |_, column| row[column]), lambda)
    }

    /// The lexical features of token ids that this router reads beside the embedding, if it does.
    fn lexical(&self, router: usize, ids: &[u32]) -> Option<Vec<f32>> {
        let settings = self.plan.routers.get(router).and_then(|router| router.lexical);
        settings.map(|settings| self.tokenizer.lexical(ids, settings))
    }

    /// The encoder's inputs for token ids, padded to a bucket.
    ///
    /// # Errors
    /// If the ids do not fit the bucket or the tables.
    pub fn encoder_inputs(&self, ids: &[u32], bucket: usize) -> Result<RouteInputs, PlacementError> {
        Ok(RouteInputs::embed(&self.public.embedding, &self.public.encoder, ids, bucket)?)
    }
}

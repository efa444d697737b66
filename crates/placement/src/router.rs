//! The router: a prompt in, a model out, whatever the placement.

use crate::catalogue::BundleCatalogue;
use crate::deployment::{ChildDeployment, Programs, peak_memory};
use crate::error::PlacementError;
use crate::patience::Patience;
use crate::report::{BundleUsed, PeakMemory};
use crate::route::TaskBatch;
use crate::unknown::{Fallback, UnknownText};
use blindroute_protocol::{Clear, Output, Tensor};
use blindroute_routing::bundle::{Bundle, PublicPart};
use blindroute_routing::program::{
    BundlePlan, NetworkEstimate, Placement, RouteInputs, RouteProgram, Task, TunedTask, weight_tensors,
};
use blindroute_routing::tokenizer::{Tokenizer, Tokens};
use blindroute_runtime::session::Route;
use blindroute_runtime::{Client, ClientConfig, Endpoint, Role, Scene, SessionPool, Waiting};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A process that dies closes its links this long before it can be seen to have ended.
const GRACE: Duration = Duration::from_millis(300);

/// How to route.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where.
    pub placement: Placement,
    /// With which router of the bundle; the first if none is named.
    pub router: Option<String>,
    /// The weight of cost; the router's own if none is given.
    pub lambda: Option<f32>,
}

/// Routes prompts to models, several at once if several threads ask.
#[derive(Debug)]
pub struct PrivateRouter {
    pub(crate) public: PublicPart,
    pub(crate) plan: Arc<BundlePlan>,
    pub(crate) tokenizer: Tokenizer,
    /// The bundle that is here in the clear: of the whole model, or of its encoder alone.
    pub(crate) clear: Option<ClearModel>,
    // SessionPool and client before the deployment: their links are closed before its processes end.
    /// Made when sessions are first asked to be kept ready.
    pub(crate) pool: Mutex<Option<Arc<SessionPool<BundleCatalogue>>>>,
    pub(crate) client: Option<Client<BundleCatalogue>>,
    deployment: Option<ChildDeployment>,
    patience: Patience,
    bundle: BundleUsed,
    /// Between the servers; without it they count as near.
    pub(crate) network: Option<NetworkEstimate>,
    /// Tasks and what was chosen for them.
    pub(crate) tuned: Mutex<Vec<TunedTask>>,
    /// The model of prompts that the router can hardly read.
    pub(crate) fallback: Option<Fallback>,
}

impl PrivateRouter {
    /// Everything in this process: only placement `local` works.
    ///
    /// # Errors
    /// If the bundle's parts do not fit.
    pub fn local(bundle: &Bundle) -> Result<Self, PlacementError> {
        Self::assemble(PublicPart::unsplit(bundle), Some(bundle), None, None)
    }

    /// With dealer and servers as child processes: every placement works.
    ///
    /// # Errors
    /// If the children cannot be started.
    pub fn with_children(
        bundle: &Bundle,
        programs: &Programs,
        progress: &dyn Fn(&str),
    ) -> Result<Self, PlacementError> {
        let deployment = ChildDeployment::start(bundle, programs, progress)?;
        let client = deployment.client();
        let router = Self::assemble(deployment.public().clone(), Some(bundle), Some(client), Some(deployment))?;
        Ok(router.between_servers(programs.scene.map(network)))
    }

    /// With servers elsewhere; `head` and `local` need the bundle too.
    ///
    /// # Errors
    /// If the public part or the certificates cannot be used.
    pub fn remote(config: &ClientConfig, bundle: Option<&Bundle>) -> Result<Self, PlacementError> {
        let public = PublicPart::open(&config.bundle)
            .map_err(|source| PlacementError::PublicPart { path: config.bundle.clone(), source })?;
        let scene = config.network.map(|network| network.scene());
        let endpoint = Endpoint::load(Role::Client, &config.identity.files())?.in_scene(scene);
        let addresses = [config.server0.clone(), config.server1.clone()];
        let catalogue = Arc::new(BundleCatalogue::of(&public));
        let client = Client::new(catalogue, addresses, endpoint, config.timeouts.timeouts());
        let router = Self::assemble(public, bundle, Some(client), None)?.between_servers(scene.map(network));
        Ok(router.named(config.bundle.display().to_string()))
    }

    /// Tunes programs to the network between the servers: far servers take fewer openings and more material. Without
    /// one they count as near.
    #[must_use]
    pub fn between_servers(self, network: Option<NetworkEstimate>) -> Self {
        Self { network, tuned: Mutex::default(), ..self }
    }

    /// Answers prompts with much unknown text by this model, whatever the router chooses. Their sessions run all the same, so
    /// that servers and dealer see no difference.
    ///
    /// # Errors
    /// If the share is none, or the pool has no such model.
    pub fn with_unknown_text(self, unknown: &UnknownText) -> Result<Self, PlacementError> {
        let fallback = Some(Fallback { share: unknown.share, model: unknown.place(&self.public.models)? });
        Ok(Self { fallback, ..self })
    }

    /// What was asked for with [`with_unknown_text`](Self::with_unknown_text).
    #[must_use]
    pub fn unknown_text(&self) -> Option<UnknownText> {
        self.fallback
            .map(|Fallback { share, model }| UnknownText { share, model: self.public.models[model].name.clone() })
    }

    /// What to do while no session can be prepared, instead of trying again for 60 s.
    #[must_use]
    pub fn with_patience(self, patience: impl Into<Patience>) -> Self {
        Self { patience: patience.into(), ..self }
    }

    /// What people call the bundle, for reports.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        let bundle = BundleUsed { name, ..self.bundle };
        Self { bundle, ..self }
    }

    fn assemble(
        public: PublicPart,
        bundle: Option<&Bundle>,
        client: Option<Client<BundleCatalogue>>,
        deployment: Option<ChildDeployment>,
    ) -> Result<Self, PlacementError> {
        let plan = Arc::new(public.plan.clone());
        let clear = bundle.map(ClearModel::of).transpose()?;
        // Encoders of one shape may differ in every weight: what of the encoder is public has to be the same too.
        let fits = |bundle: &Bundle| {
            let parts = bundle.parts();
            BundlePlan::of(bundle).encoder == plan.encoder
                && parts.tokenizer == public.tokenizer
                && parts.embedding == public.embedding
        };
        if !bundle.is_none_or(fits) {
            return Err(PlacementError::OtherBundle);
        }
        let tokenizer = Tokenizer::from_json(&public.tokenizer)?;
        let (pool, tuned) = (Mutex::default(), Mutex::default());
        // Of the bundle itself where the router has made the split, which is another each time.
        let digest = bundle.filter(|_| client.is_none() || deployment.is_some()).map_or(public.digest, Bundle::digest);
        let bundle = BundleUsed { name: "bundle".to_owned(), digest: digest.to_string() };
        let (patience, network) = (Patience::default(), None);
        Ok(Self {
            public,
            plan,
            tokenizer,
            clear,
            pool,
            client,
            deployment,
            patience,
            bundle,
            network,
            tuned,
            fallback: None,
        })
    }

    /// The public part of the model.
    pub fn public(&self) -> &PublicPart {
        &self.public
    }

    /// Which bundle it routes with: with servers elsewhere, which public part.
    pub fn bundle(&self) -> &BundleUsed {
        &self.bundle
    }

    /// Peak memory of every process that this router started, and its own.
    pub fn peak_memory(&self) -> PeakMemory {
        self.deployment.as_ref().map_or_else(peak_memory, ChildDeployment::peak_memory)
    }

    /// The child processes, if there are any.
    pub fn deployment(&self) -> Option<&ChildDeployment> {
        self.deployment.as_ref()
    }

    /// The index of the router asked for.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn router_index(&self, name: Option<&str>) -> Result<usize, PlacementError> {
        self.plan.router(name).ok_or_else(|| PlacementError::UnknownRouter {
            name: name.unwrap_or("(default)").to_owned(),
            known: self.plan.routers.iter().map(|router| router.name.clone()).collect(),
        })
    }

    /// The clear interpreter's output of a task on these tokens, and its time: the reference of benches and tests.
    ///
    /// # Errors
    /// If the whole bundle is not here.
    pub fn clear(&self, task: Task, inputs: Vec<Tensor<f32>>) -> Result<(Output, Duration), PlacementError> {
        let clear = self.clear.as_ref().ok_or(PlacementError::NeedsBundle { placement: "local" })?;
        if clear.plan != self.plan && !matches!(task, Task::Embed { .. }) {
            return Err(PlacementError::OtherBundle);
        }
        let program = RouteProgram::new(Arc::clone(&clear.plan), task)?;
        let started = Instant::now();
        let output = Clear::run(&program, &clear.weights, inputs)?;
        Ok((output, started.elapsed()))
    }

    /// Runs a task under MPC on given inputs; those of a batch as [`stack_inputs`] puts them together.
    ///
    /// # Errors
    /// If there are no servers, the task takes no such batch, or a party fails.
    ///
    /// [`stack_inputs`]: blindroute_routing::program::stack_inputs
    pub fn private(&self, task: impl Into<TaskBatch>, inputs: &[Tensor<f32>]) -> Result<Route, PlacementError> {
        let tuned = self.tune(task.into())?;
        self.private_tuned(tuned, inputs)
    }

    /// A task of a batch of prompts with the tuning that suits the network between the servers.
    pub(crate) fn tune(&self, TaskBatch { task, batch }: TaskBatch) -> Result<TunedTask, PlacementError> {
        let Some(network) = self.network else { return Ok(TunedTask { batch, ..task.into() }) };
        // Held while the tuning is chosen, so that it is chosen once.
        let mut known = self.tuned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tuned) = known.iter().find(|tuned| tuned.task == task && tuned.batch == batch) {
            return Ok(*tuned);
        }
        let tuned = TunedTask { task, tuning: network.choose(&self.plan, task, batch)?, batch };
        known.push(tuned);
        Ok(tuned)
    }

    /// Runs a task with a given tuning under MPC, in a ready session if such are kept. While no session can be prepared it
    /// waits and tries again, as its [`Patience`] says.
    ///
    /// # Errors
    /// If there are no servers, or a party fails.
    pub fn private_tuned(&self, task: TunedTask, inputs: &[Tensor<f32>]) -> Result<Route, PlacementError> {
        let client = self.client.as_ref().ok_or(PlacementError::NeedsServers { placement: "full" })?;
        let request = BundleCatalogue::request(task);
        let go_on = |waiting: &Waiting<'_>| {
            // A child that died does not come back.
            let alive = self.deployment.as_ref().is_none_or(|deployment| deployment.check(GRACE).is_ok());
            if let (true, Some(notice)) = (alive, &self.patience.notice) {
                notice(waiting);
            }
            alive
        };
        let result = match self.pool() {
            Some(pool) => pool.run_retrying(&request, inputs, &self.patience.retry, &go_on),
            None => client.run_retrying(&request, inputs, &self.patience.retry, &go_on),
        };
        if result.is_err()
            && let Some(deployment) = &self.deployment
        {
            // A child that died says more than a broken link.
            deployment.check(GRACE)?;
        }
        Ok(result?)
    }

    /// Tokens of a prompt.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn tokens(&self, prompt: &str) -> Result<Tokens, PlacementError> {
        Ok(self.tokenizer.encode(prompt)?)
    }

    /// The encoder's inputs for token ids, filled up to a bucket.
    ///
    /// # Errors
    /// If the ids do not fit the bucket or the tables.
    pub fn encoder_inputs(&self, ids: &[u32], bucket: usize) -> Result<RouteInputs, PlacementError> {
        Ok(RouteInputs::embed(&self.public.embedding, &self.public.encoder, ids, bucket)?)
    }
}

/// What the choice of a tuning needs of a scene.
fn network(scene: Scene) -> NetworkEstimate {
    NetworkEstimate { delay: scene.delay, megabits: scene.megabits }
}

/// Is this a weight of cost that a router takes?
///
/// # Errors
/// If it is no number from 0 to 15.
pub fn check_lambda(lambda: f32) -> Result<(), PlacementError> {
    if (0.0..=15.0).contains(&lambda) { Ok(()) } else { Err(PlacementError::Lambda(lambda)) }
}

/// A model in the clear: its plan and folded weights.
#[derive(Debug)]
pub(crate) struct ClearModel {
    plan: Arc<BundlePlan>,
    weights: Vec<Tensor<f32>>,
}

impl ClearModel {
    fn of(bundle: &Bundle) -> Result<Self, PlacementError> {
        let plan = BundlePlan::of(bundle);
        let weights = weight_tensors(bundle, &plan)?;
        Ok(Self { plan: Arc::new(plan), weights })
    }
}

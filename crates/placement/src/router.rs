//! The router: a prompt in, a model out, whatever the placement.

use crate::catalogue::ModelCatalogue;
use crate::deployment::{Deployment, Programs, peak_memory};
use crate::error::PlacementError;
use crate::report::{Bytes, Milliseconds, PeakMemory, RouteReport, seen};
use blindroute_protocol::{Clear, Output, Tensor};
use blindroute_routing::bundle::{Bundle, Matrix, PublicPart};
use blindroute_routing::program::{
    ModelPlan, Network, Placement, RouteInputs, RouteProgram, Task, TunedTask, head_inputs, weight_tensors,
};
use blindroute_routing::tokenizer::{Tokenizer, Tokens};
use blindroute_runtime::session::Route;
use blindroute_runtime::{Client, ClientConfig, Endpoint, Pool, Role, Scene};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    public: PublicPart,
    pub(crate) plan: Arc<ModelPlan>,
    tokenizer: Tokenizer,
    /// The bundle that is here in the clear: of the whole model, or of its encoder alone.
    clear: Option<ClearModel>,
    // Pool and client before the deployment: their links are closed before its processes end.
    /// Made when sessions are first asked to be kept ready.
    pub(crate) pool: Mutex<Option<Arc<Pool<ModelCatalogue>>>>,
    pub(crate) client: Option<Client<ModelCatalogue>>,
    deployment: Option<Deployment>,
    /// Between the servers; without it they count as near.
    pub(crate) network: Option<Network>,
    /// Tasks and what was chosen for them.
    pub(crate) tuned: Mutex<Vec<TunedTask>>,
}

impl PrivateRouter {
    /// Everything in this process: only placement `local` works.
    ///
    /// # Errors
    /// If the bundle's parts do not fit.
    pub fn local(bundle: &Bundle) -> Result<Self, PlacementError> {
        let parts = bundle.parts();
        let public = PublicPart {
            plan: ModelPlan::of(bundle),
            encoder: parts.encoder.clone(),
            tokenizer: parts.tokenizer.clone(),
            embedding: parts.embedding.clone(),
            models: parts.models.clone(),
            lambdas: parts.routers.iter().map(|router| router.lambda).collect(),
            digest: bundle.digest(),
        };
        Self::assemble(public, Some(bundle), None, None)
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
        let deployment = Deployment::start(bundle, programs, progress)?;
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
        let catalogue = Arc::new(ModelCatalogue::of(&public));
        let client = Client::new(catalogue, addresses, endpoint, config.timeouts.timeouts());
        Ok(Self::assemble(public, bundle, Some(client), None)?.between_servers(scene.map(network)))
    }

    /// Tunes programs to the network between the servers: far servers take fewer openings and more material. Without
    /// one they count as near.
    #[must_use]
    pub fn between_servers(self, network: Option<Network>) -> Self {
        Self { network, tuned: Mutex::default(), ..self }
    }

    fn assemble(
        public: PublicPart,
        bundle: Option<&Bundle>,
        client: Option<Client<ModelCatalogue>>,
        deployment: Option<Deployment>,
    ) -> Result<Self, PlacementError> {
        let plan = Arc::new(public.plan.clone());
        let clear = bundle.map(ClearModel::of).transpose()?;
        if clear.as_ref().is_some_and(|clear| clear.plan.encoder != plan.encoder) {
            return Err(PlacementError::OtherBundle);
        }
        let tokenizer = Tokenizer::from_json(&public.tokenizer)?;
        let (pool, tuned) = (Mutex::default(), Mutex::default());
        Ok(Self { public, plan, tokenizer, clear, pool, client, deployment, network: None, tuned })
    }

    /// The public part of the model.
    pub fn public(&self) -> &PublicPart {
        &self.public
    }

    /// Peak memory of every process that this router started, and its own.
    pub fn peak_memory(&self) -> PeakMemory {
        self.deployment.as_ref().map_or_else(peak_memory, Deployment::peak_memory)
    }

    /// The child processes, if there are any.
    pub fn deployment(&self) -> Option<&Deployment> {
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

    /// Routes one prompt.
    ///
    /// # Errors
    /// If the prompt is empty, the request names what is not there, or a party fails.
    pub fn route(&self, prompt: &str, request: &Request) -> Result<RouteReport, PlacementError> {
        let started = Instant::now();
        let router = self.router_index(request.router.as_deref())?;
        let lambda = request.lambda.unwrap_or(self.public.lambdas[router]);
        check_lambda(lambda)?;
        let tokens = self.tokenizer.encode(prompt)?;
        let ran = match request.placement {
            Placement::Local => self.run_local(&tokens, router, lambda)?,
            Placement::Head => self.run_head(&tokens, router, lambda)?,
            Placement::Full => self.run_full(&tokens, router, lambda)?,
        };
        let choice = choice(&ran.output)?;
        let model = self.public.models.get(choice).ok_or(PlacementError::NoChoice(0))?;
        let total = started.elapsed();
        let private = ran.waited + ran.online;
        Ok(RouteReport {
            model: model.name.clone(),
            price: model.price,
            price_unit: model.unit.clone(),
            placement: request.placement,
            router: self.plan.routers[router].name.clone(),
            lambda,
            tokens: tokens.ids.len(),
            cut_from: tokens.truncated.as_ref().map(ToString::to_string),
            bucket: (request.placement == Placement::Full).then(|| tokens.bucket()),
            ms: Milliseconds {
                client: ms(total.saturating_sub(private)),
                wait: ms(ran.waited),
                offline: ms(ran.offline),
                online: ms(ran.online),
                total: ms(total),
            },
            openings: ran.openings,
            bytes: ran.bytes,
            seen: seen(request.placement),
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

    /// Runs a task under MPC on given inputs.
    ///
    /// # Errors
    /// If there are no servers, or a party fails.
    pub fn private(&self, task: Task, inputs: &[Tensor<f32>]) -> Result<Route, PlacementError> {
        let tuned = self.tune(task, 1)?;
        self.private_tuned(tuned, inputs)
    }

    /// A task of a batch of prompts with the tuning that suits the network between the servers.
    pub(crate) fn tune(&self, task: Task, batch: usize) -> Result<TunedTask, PlacementError> {
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

    /// Runs a task with a given tuning under MPC, in a ready session if such are kept.
    ///
    /// # Errors
    /// If there are no servers, or a party fails.
    pub fn private_tuned(&self, task: TunedTask, inputs: &[Tensor<f32>]) -> Result<Route, PlacementError> {
        let client = self.client.as_ref().ok_or(PlacementError::NeedsServers { placement: "full" })?;
        let request = ModelCatalogue::request(task);
        let result = match self.pool() {
            Some(pool) => pool.run(&request, inputs),
            None => client.run(&request, inputs),
        };
        if result.is_err()
            && let Some(deployment) = &self.deployment
        {
            // A child that died says more than a broken link.
            deployment.check(Duration::from_millis(300))?;
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

    fn run_local(&self, tokens: &Tokens, router: usize, lambda: f32) -> Result<Ran, PlacementError> {
        let bucket = tokens.bucket();
        let inputs = self.encoder_inputs(&tokens.ids, bucket)?.with_lambda(lambda);
        let (output, _) = self.clear(Task::Route { router, bucket }, inputs)?;
        Ok(Ran { output, ..Ran::default() })
    }

    fn run_head(&self, tokens: &Tokens, router: usize, lambda: f32) -> Result<Ran, PlacementError> {
        if self.clear.is_none() {
            return Err(PlacementError::NeedsBundle { placement: "head" });
        }
        let bucket = tokens.bucket();
        let inputs = self.encoder_inputs(&tokens.ids, bucket)?;
        let (embedding, _) = self.clear(Task::Embed { bucket }, inputs.tensors)?;
        let values: Vec<f32> = embedding.values.concat().into_iter().map(|x| x as f32).collect();
        let embedding = Matrix::from_fn(1, values.len(), |_, column| values[column]);
        Ok(self.private(Task::Head { router }, &head_inputs(&embedding, lambda))?.into())
    }

    fn run_full(&self, tokens: &Tokens, router: usize, lambda: f32) -> Result<Ran, PlacementError> {
        let bucket = tokens.bucket();
        let inputs = self.encoder_inputs(&tokens.ids, bucket)?.with_lambda(lambda);
        Ok(self.private(Task::Route { router, bucket }, &inputs)?.into())
    }
}

/// What the choice of a tuning needs of a scene.
fn network(scene: Scene) -> Network {
    Network { delay: scene.delay, megabits: scene.megabits }
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
struct ClearModel {
    plan: Arc<ModelPlan>,
    weights: Vec<Tensor<f32>>,
}

impl ClearModel {
    fn of(bundle: &Bundle) -> Result<Self, PlacementError> {
        let plan = ModelPlan::of(bundle);
        let weights = weight_tensors(bundle, &plan)?;
        Ok(Self { plan: Arc::new(plan), weights })
    }
}

#[derive(Default)]
struct Ran {
    output: Output,
    waited: Duration,
    offline: Duration,
    online: Duration,
    openings: u32,
    bytes: Bytes,
}

impl From<Route> for Ran {
    fn from(route: Route) -> Self {
        let [zero, one] = route.servers;
        let bytes = Bytes {
            server0_sent: zero.bytes_sent,
            server1_sent: one.bytes_sent,
            client_sent: route.bytes_sent,
            material: zero.material_bytes + one.material_bytes,
        };
        let Route { output, waited, offline, online, .. } = route;
        Self { output, waited, offline, online, openings: zero.openings, bytes }
    }
}

/// The one model of a one-hot answer.
fn choice(output: &Output) -> Result<usize, PlacementError> {
    let bits = output.bits.first().map(Vec::as_slice).unwrap_or_default();
    let chosen: Vec<usize> = bits.iter().enumerate().filter(|(_, bit)| **bit).map(|(index, _)| index).collect();
    match chosen.as_slice() {
        [one] => Ok(*one),
        _ => Err(PlacementError::NoChoice(chosen.len())),
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

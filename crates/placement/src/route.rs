//! From prompts to reports: one prompt, or several that share sessions.

use crate::error::PlacementError;
use crate::report::{Bytes, Milliseconds, RouteReport, seen};
use crate::router::{PrivateRouter, Request, check_lambda};
use crate::unknown;
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::bundle::Matrix;
use blindroute_routing::program::{Placement, Task, head_inputs, split_output, stack_inputs};
use blindroute_routing::tokenizer::Tokens;
use blindroute_runtime::session::Route;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A task for so many prompts at once: what one session is prepared for. Public, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskBatch {
    /// What to run.
    pub task: Task,
    /// For how many prompts; at most the task's [`Task::most_prompts`].
    pub batch: usize,
}

impl From<Task> for TaskBatch {
    fn from(task: Task) -> Self {
        Self { task, batch: 1 }
    }
}

/// An answer, or why there is none.
type Answer = Result<RouteReport, PlacementError>;

impl PrivateRouter {
    /// Routes one prompt.
    ///
    /// # Errors
    /// If the prompt is empty, the request names what is not there, or a party fails.
    pub fn route(&self, prompt: &str, request: &Request) -> Result<RouteReport, PlacementError> {
        let asked = self.asked(request)?;
        let mut answers = Vec::new();
        self.session(&asked, &[self.read(0, prompt)?], &mut |_, answer| answers.push(answer));
        answers.pop().unwrap_or(Err(PlacementError::NoChoice(0)))
    }

    /// Routes several prompts, those of one bucket in one session: its openings are those of one prompt, and so is what
    /// there is to wait for the network. The answers are in the order of the prompts.
    ///
    /// Prompts of different buckets go in a session for each bucket, one after the other, so that none is padded further,
    /// or shown to be longer, than if it came alone. Those of `head` have no bucket and all go together. More than a session
    /// takes ([`Task::most_prompts`]) are split. Who wants smaller batches gives fewer prompts at a time. `local` asks no
    /// server, and routes one after the other.
    ///
    /// Servers and dealer see how many prompts share a session, besides what they see of one.
    ///
    /// A prompt that cannot be routed does not disturb the others: it is left out of the session if it cannot be read, and
    /// an answer that names no single model is that prompt's alone. Only if a session fails do all of its prompts.
    ///
    /// Each report's figures are those of the whole session, with the number of prompts that shared it; what earlier
    /// sessions of this call took is not in them.
    ///
    /// # Errors
    /// If the request names what is not there.
    pub fn route_batch(&self, prompts: &[&str], request: &Request) -> Result<Vec<Answer>, PlacementError> {
        let asked = self.asked(request)?;
        let mut answers = BTreeMap::new();
        let mut buckets: BTreeMap<usize, Vec<Read>> = BTreeMap::new();
        for (place, prompt) in prompts.iter().enumerate() {
            match self.read(place, prompt) {
                Ok(read) => {
                    let bucket = if asked.placement == Placement::Full { read.tokens.bucket() } else { 0 };
                    buckets.entry(bucket).or_default().push(read);
                }
                Err(error) => drop(answers.insert(place, Err(error))),
            }
        }
        for (bucket, group) in buckets {
            let most = asked.task(bucket).map_or(1, Task::most_prompts);
            for batch in group.chunks(most) {
                self.session(&asked, batch, &mut |place, answer| drop(answers.insert(place, answer)));
            }
        }
        Ok(answers.into_values().collect())
    }

    fn asked(&self, request: &Request) -> Result<Asked, PlacementError> {
        let router = self.router_index(request.router.as_deref())?;
        let lambda = request.lambda.unwrap_or(self.public.lambdas[router]);
        check_lambda(lambda)?;
        Ok(Asked { placement: request.placement, router, lambda })
    }

    fn read(&self, place: usize, prompt: &str) -> Result<Read, PlacementError> {
        let started = Instant::now();
        let tokens = self.tokenizer.encode(prompt)?;
        Ok(Read { place, tokens, took: started.elapsed() })
    }

    /// Routes prompts of one bucket in one session, and tells each one's answer by its place.
    fn session(&self, asked: &Asked, prompts: &[Read], tell: &mut dyn FnMut(usize, Answer)) {
        let started = Instant::now();
        let (mut batch, mut inputs) = (Vec::with_capacity(prompts.len()), Vec::with_capacity(prompts.len()));
        for prompt in prompts {
            match self.inputs(asked, &prompt.tokens) {
                Ok(of_one) => {
                    batch.push(prompt);
                    inputs.push(of_one);
                }
                Err(error) => tell(prompt.place, Err(error)),
            }
        }
        let Some(first) = batch.first() else { return };
        let ran = self.run(asked, first.tokens.bucket(), inputs);
        let took = started.elapsed() + batch.iter().map(|prompt| prompt.took).sum::<Duration>();
        match ran {
            Ok((outputs, ran)) => {
                for (prompt, output) in batch.iter().zip(&outputs) {
                    tell(prompt.place, self.report(asked, prompt, output, &ran, (batch.len(), took)));
                }
            }
            Err(error) if batch.len() == 1 => tell(first.place, Err(error)),
            Err(error) => {
                let shared = Arc::new(error);
                batch.iter().for_each(|prompt| tell(prompt.place, Err(PlacementError::Batch(Arc::clone(&shared)))));
            }
        }
    }

    /// What a prompt gives to its task.
    fn inputs(&self, asked: &Asked, tokens: &Tokens) -> Result<Vec<Tensor<f32>>, PlacementError> {
        let bucket = tokens.bucket();
        if asked.placement == Placement::Head && self.clear.is_none() {
            return Err(PlacementError::NeedsBundle { placement: "head" });
        }
        let inputs = self.encoder_inputs(&tokens.ids, bucket)?;
        if asked.placement != Placement::Head {
            return Ok(inputs.with_lambda(asked.lambda));
        }
        let (embedding, _) = self.clear(Task::Embed { bucket }, inputs.tensors)?;
        let values: Vec<f32> = embedding.values.concat().into_iter().map(|x| x as f32).collect();
        let embedding = Matrix::from_fn(1, values.len(), |_, column| values[column]);
        Ok(head_inputs(&embedding, asked.lambda))
    }

    /// Runs a batch: each prompt's output, in the order of the inputs.
    fn run(
        &self,
        asked: &Asked,
        bucket: usize,
        mut inputs: Vec<Vec<Tensor<f32>>>,
    ) -> Result<(Vec<Output>, Ran), PlacementError> {
        let batch = inputs.len();
        let Some(task) = asked.task(bucket) else {
            let task = Task::Route { router: asked.router, bucket };
            let run = |inputs| self.clear(task, inputs).map(|(output, _)| output);
            return Ok((inputs.into_iter().map(run).collect::<Result<_, _>>()?, Ran::default()));
        };
        let inputs = if batch == 1 { inputs.remove(0) } else { stack_inputs(&inputs)? };
        let route = self.private(TaskBatch { task, batch }, &inputs)?;
        Ok((split_output(&route.output, batch)?, route.into()))
    }

    fn report(&self, asked: &Asked, prompt: &Read, output: &Output, ran: &Ran, of: (usize, Duration)) -> Answer {
        let (batch, total) = of;
        let tokens = &prompt.tokens;
        let fallback = self.fallback.and_then(|fallback| fallback.model(&tokens.unknown));
        // An answer that names no model is an error whatever the text: something is wrong with the session.
        let chosen = choice(output)?;
        let model = self.public.models.get(fallback.unwrap_or(chosen)).ok_or(PlacementError::NoChoice(0))?;
        Ok(RouteReport {
            model: model.name.clone(),
            price: model.price,
            price_unit: model.unit.clone(),
            placement: asked.placement,
            bundle: self.bundle().clone(),
            router: self.plan.routers[asked.router].name.clone(),
            lambda: asked.lambda,
            tokens: tokens.ids.len(),
            unknown: tokens.unknown.tokens,
            cut_from: tokens.truncated.as_ref().map(ToString::to_string),
            unknown_note: unknown::note(&tokens.unknown, fallback.is_some()),
            by_unknown_text: fallback.is_some(),
            bucket: (asked.placement == Placement::Full).then(|| tokens.bucket()),
            batch,
            ms: Milliseconds {
                client: ms(total.saturating_sub(ran.waited + ran.online)),
                wait: ms(ran.waited),
                offline: ms(ran.offline),
                online: ms(ran.online),
                total: ms(total),
            },
            openings: ran.openings,
            bytes: ran.bytes,
            seen: seen(asked.placement, batch),
        })
    }
}

/// A request whose parts are there.
struct Asked {
    placement: Placement,
    router: usize,
    lambda: f32,
}

impl Asked {
    /// What the servers are asked to run; nothing in `local`.
    fn task(&self, bucket: usize) -> Option<Task> {
        let router = self.router;
        match self.placement {
            Placement::Local => None,
            Placement::Head => Some(Task::Head { router }),
            Placement::Full => Some(Task::Route { router, bucket }),
        }
    }
}

/// A prompt that has tokens.
struct Read {
    /// Among the caller's prompts.
    place: usize,
    tokens: Tokens,
    took: Duration,
}

/// What a session took.
#[derive(Default)]
struct Ran {
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
        let Route { waited, offline, online, .. } = route;
        Self { waited, offline, online, openings: zero.openings, bytes }
    }
}

/// The place in the pool of the one model that an answer to one prompt names.
///
/// # Errors
/// If it names none, or several.
pub fn choice(output: &Output) -> Result<usize, PlacementError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_names_no_single_model_is_one_prompts_alone() {
        // Three prompts, three models: the second's answer names none, the third's two.
        let bits = vec![vec![false, true, false, false, false, false, true, false, true]];
        let outputs = split_output(&Output { values: Vec::new(), bits }, 3).unwrap();
        let chosen: Vec<_> = outputs.iter().map(choice).collect();
        assert!(matches!(
            chosen.as_slice(),
            [Ok(1), Err(PlacementError::NoChoice(0)), Err(PlacementError::NoChoice(2))]
        ));
    }

    #[test]
    fn a_session_is_of_its_placements_task() {
        let asked = |placement| Asked { placement, router: 2, lambda: 0.0 };
        assert_eq!(asked(Placement::Local).task(32), None);
        assert_eq!(asked(Placement::Head).task(32), Some(Task::Head { router: 2 }));
        let full = asked(Placement::Full).task(256).unwrap();
        assert_eq!((full, full.most_prompts()), (Task::Route { router: 2, bucket: 256 }, 16));
        assert_eq!(TaskBatch::from(full), TaskBatch { task: full, batch: 1 });
    }
}

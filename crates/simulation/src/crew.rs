//! The clients: threads that route texts, and what came of each call.

use crate::bundle::{Reference, options};
use crate::gateway::{self, Address};
use crate::roll;
use anyhow::Context;
use blindroute_placement::{Cancel, ClientConfig, PlacementError, PrivateRouter, Retry, RouteReport, SessionRequest};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A call has an answer or an error by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);
/// Calls that may wait for a client.
const WAITING: usize = 2;

/// How long who watches a lane waits between two calls.
const BETWEEN: Duration = Duration::from_millis(250);

/// What one text of a call came to.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// By which of the lanes that the client knows, and by which version of the bundle. A gateway does not say by which lane.
    Answer {
        model: String,
        lane: Option<usize>,
        version: usize,
    },
    Error {
        code: &'static str,
        message: String,
    },
}

/// A call that is over.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: usize,
    /// The lanes that the client knows.
    pub(crate) lanes: Vec<usize>,
    /// Whether a gateway was asked, which knows these.
    pub(crate) by_gateway: bool,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Of each text, by its place among the texts.
    pub(crate) outcomes: Vec<(usize, Outcome)>,
}

/// A client's lanes, and its configuration for each.
pub(crate) type Knows = (Vec<usize>, Vec<ClientConfig>);

enum Job {
    Texts(Vec<usize>),
    Ready(usize),
    /// Go on with other configurations.
    As(Knows),
}

/// All clients.
pub(crate) struct Crew {
    jobs: Vec<SyncSender<Job>>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    over: Arc<AtomicBool>,
}

impl Crew {
    /// A thread for each of these clients.
    pub(crate) fn start(clients: Vec<Knows>, reference: &Arc<Reference>) -> anyhow::Result<Self> {
        let mut crew = Self { jobs: Vec::new(), threads: Vec::new(), calls: Arc::default(), over: Arc::default() };
        for (client, (lanes, configurations)) in clients.into_iter().enumerate() {
            let (jobs, todo) = sync_channel(WAITING);
            let (reference, calls) = (Arc::clone(reference), Arc::clone(&crew.calls));
            let work = move || Worker { client, lanes, reference, calls }.work(&configurations, &todo);
            crew.threads.push(std::thread::Builder::new().name(format!("client-{client}")).spawn(work)?);
            crew.jobs.push(jobs);
        }
        Ok(crew)
    }

    /// Two more threads for a client that routes one text after the other until the end, so that it shows when its lane answers again.
    pub(crate) fn watch(&mut self, client: usize, knows: &Knows, reference: &Arc<Reference>) -> anyhow::Result<()> {
        for first in 0..2 {
            let ((lanes, configurations), over) = (knows.clone(), Arc::clone(&self.over));
            let worker = Worker { client, lanes, reference: Arc::clone(reference), calls: Arc::clone(&self.calls) };
            let work = move || worker.watch(&configurations, first, &over);
            self.threads.push(std::thread::Builder::new().name("watch".into()).spawn(work)?);
        }
        Ok(())
    }

    /// Two more threads that have one text after the other answered by a gateway of these lanes.
    pub(crate) fn watch_gateway(
        &mut self,
        client: usize,
        (address, lanes): (&Address, usize),
        reference: &Arc<Reference>,
    ) -> anyhow::Result<()> {
        for first in 0..2 {
            let (address, over) = (Arc::clone(address), Arc::clone(&self.over));
            let (lanes, calls) = ((0..lanes).collect::<Vec<_>>(), Arc::clone(&self.calls));
            let worker = Worker { client, lanes: lanes.clone(), reference: Arc::clone(reference), calls };
            let work = move || {
                for place in first.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let (began, text) = (Instant::now(), worker.reference.text(place));
                    let outcome = gateway::ask(&address, text, &format!("{first}-{place}"));
                    let (ended, outcomes) = (Instant::now(), vec![(place, outcome)]);
                    worker.note(Call { client, lanes: lanes.clone(), by_gateway: true, began, ended, outcomes });
                    std::thread::sleep(BETWEEN);
                }
                Ok(())
            };
            self.threads.push(std::thread::Builder::new().name("gateway".into()).spawn(work)?);
        }
        Ok(())
    }

    fn send(&self, client: usize, job: Job) -> anyhow::Result<()> {
        let jobs = self.jobs.get(client).with_context(|| format!("there is no client {client}"))?;
        jobs.send(job).ok().with_context(|| format!("client {client} ended early"))
    }

    /// Gives a client texts to route, as soon as fewer than two calls wait for it.
    pub(crate) fn route(&self, client: usize, texts: &[usize]) -> anyhow::Result<()> {
        self.send(client, Job::Texts(texts.to_vec()))
    }

    pub(crate) fn prepare(&self, client: usize, count: usize) -> anyhow::Result<()> {
        self.send(client, Job::Ready(count))
    }

    pub(crate) fn become_another(&self, client: usize, knows: Knows) -> anyhow::Result<()> {
        self.send(client, Job::As(knows))
    }

    /// Waits until all calls are over, and gives them.
    pub(crate) fn end(self) -> anyhow::Result<Vec<Call>> {
        drop(self.jobs);
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

struct Worker {
    client: usize,
    lanes: Vec<usize>,
    reference: Arc<Reference>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Worker {
    fn work(mut self, configurations: &[ClientConfig], todo: &Receiver<Job>) -> anyhow::Result<()> {
        let mut router = connect(configurations)?;
        for job in todo {
            match job {
                Job::Texts(texts) => self.note(self.call(&router, &texts)),
                Job::Ready(count) => {
                    let text = self.text(0);
                    let task = router.task(text, &options())?.context("a route has a task")?;
                    router.keep_ready(SessionRequest::new(task), count)?;
                }
                Job::As((lanes, configurations)) => {
                    router = connect(&configurations)?;
                    self.lanes = lanes;
                }
            }
        }
        Ok(())
    }

    fn watch(self, configurations: &[ClientConfig], first: usize, over: &AtomicBool) -> anyhow::Result<()> {
        let router = connect(configurations)?;
        for text in first.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            self.note(self.call(&router, &[text]));
            std::thread::sleep(BETWEEN);
        }
        Ok(())
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    fn text(&self, place: usize) -> &str {
        &self.reference.text(place).text
    }

    fn call(&self, router: &PrivateRouter, places: &[usize]) -> Call {
        let texts: Vec<&str> = places.iter().map(|place| self.text(*place)).collect();
        let (began, cancel) = (Instant::now(), Cancel::after(DEADLINE));
        let answers = match texts.as_slice() {
            [text] => vec![router.route_cancellable(text, &options(), &cancel)],
            texts => match router.route_batch_cancellable(texts, &options(), &cancel) {
                Ok(answers) => answers,
                Err(error) => vec![Err(error)],
            },
        };
        let told = |answer| match outcome(answer) {
            Outcome::Answer { model, lane, version } => {
                Outcome::Answer { model, lane: lane.map(|lane| self.lanes[lane]), version }
            }
            error => error,
        };
        let outcomes = places.iter().zip(answers).map(|(place, answer)| (*place, told(answer))).collect();
        let (client, lanes) = (self.client, self.lanes.clone());
        Call { client, lanes, by_gateway: false, began, ended: Instant::now(), outcomes }
    }
}

/// A client of these lanes, which waits for them for a while.
pub(crate) fn connect(configurations: &[ClientConfig]) -> anyhow::Result<PrivateRouter> {
    Ok(PrivateRouter::connect_all(configurations)?.with_patience(Retry::within(Duration::from_secs(30))))
}

pub(crate) fn outcome(answer: Result<RouteReport, PlacementError>) -> Outcome {
    match answer {
        Ok(report) => {
            let version = roll::version_of(&report.bundle.name);
            Outcome::Answer { model: report.model, lane: report.pair.map(|pair| pair.index), version }
        }
        Err(error) => Outcome::Error { code: error.code(), message: error.to_string() },
    }
}

//! Whether all is well with a deployment: its answers, and what its processes hold.

use crate::bundle::options;
use crate::check;
use crate::crew::{Outcome, connect, outcome};
use crate::driver::Driver;
use crate::lane::PARTIES;
use crate::process::Resources;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a lane may take to give a good answer once everything is mended.
const RECOVERY: Duration = Duration::from_secs(90);

impl Driver {
    /// Waits until each lane gives a good answer to each text.
    pub(crate) fn good_answers(&mut self, first: bool) -> anyhow::Result<()> {
        let client = self.times.len() - 1;
        let texts = if first { 3 } else { self.reference.texts.len() };
        for (number, lane) in self.deployment.lanes.iter().enumerate() {
            let (router, until) = (connect(&[lane.client(client, 0)])?, Instant::now() + RECOVERY);
            for text in self.reference.texts.iter().take(texts) {
                loop {
                    match outcome(router.route(&text.text, &options())) {
                        Outcome::Answer { model, version, .. } if model == text.models[version] => break,
                        Outcome::Answer { model, version, .. } => {
                            anyhow::bail!("lane {number} answers {model}, expected {}", text.models[version]);
                        }
                        Outcome::Error { message, .. } if Instant::now() > until => {
                            let logs: Vec<String> =
                                PARTIES.map(|role| lane.party(role).process.log().last_lines(4)).into_iter().collect();
                            anyhow::bail!(
                                "lane {number} does not answer when all is mended: {message}\n{}",
                                logs.concat()
                            );
                        }
                        Outcome::Error { .. } => std::thread::sleep(Duration::from_millis(200)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Routes in each lane as many texts at a time as clients ever do: an allocator keeps what sessions side by side took, which is no
    /// growth.
    pub(crate) fn all_at_once(&self, clients: usize) -> anyhow::Result<()> {
        let client = self.times.len() - 1;
        for lane in &self.deployment.lanes {
            let router = connect(&[lane.client(client, 0)])?;
            std::thread::scope(|scope| {
                // A call of each client and the sessions that it keeps ready, those of the two that ask until the end, the same of a
                // gateway, and one that is stored.
                for _ in 0..3 * clients + 8 {
                    // Whatever comes of it: good answers are asked for elsewhere.
                    scope.spawn(|| {
                        self.reference
                            .texts
                            .iter()
                            .take(3)
                            .for_each(|text| drop(outcome(router.route(&text.text, &options()))));
                    });
                }
            });
        }
        Ok(())
    }

    pub(crate) fn resources(&mut self) -> anyhow::Result<BTreeMap<String, Resources>> {
        let mut all = BTreeMap::new();
        for (number, lane) in self.deployment.lanes.iter_mut().enumerate() {
            for role in PARTIES {
                all.insert(format!("lane {number}: {role}"), lane.party_mut(role).process.resources()?);
            }
        }
        if let Some(gateway) = &mut self.deployment.gateway {
            all.insert("the gateway".to_owned(), gateway.process.resources()?);
        }
        Ok(all)
    }

    /// What the processes hold when the connections and the sessions of clients that left are gone.
    pub(crate) fn settled_resources(&mut self) -> anyhow::Result<BTreeMap<String, Resources>> {
        let until = Instant::now() + RECOVERY;
        loop {
            let now = self.resources()?;
            let settled = now.iter().all(|(of, now)| check::is_flat(&self.first[of], now) == [true; 2]);
            if settled || Instant::now() > until {
                return Ok(now);
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

//! The gateway as a process of this program, with a configuration for the mock provider.

use super::connection::{Connection, Request};
use anyhow::{Context, bail};
use blindroute_console::{bundles, program};
use blindroute_placement::Placement;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The sessions that are kept ready for each length of prompts.
pub(crate) const READY: usize = 32;

/// The longest time until the sessions are ready again.
const FILL: Duration = Duration::from_secs(600);

/// The gateways that run, which a signal has to end.
static RUNNING: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Ends all gateways that this process started.
pub(crate) fn stop_children() {
    for mut child in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // It may have ended by itself. Its own children end with it.
        child.kill().and_then(|()| child.wait()).ok();
    }
}

/// A gateway that runs until it is dropped.
pub(crate) struct GatewayProcess {
    pub(crate) address: SocketAddr,
    placement: Placement,
    page: Connection,
    _home: tempfile::TempDir,
    /// Closed last, so that the gateway can write what it has to say.
    _stdout: BufReader<ChildStdout>,
}

/// What the gateway's configuration says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) placement: Placement,
    pub(crate) provider: SocketAddr,
    pub(crate) bundle: Option<&'a Path>,
    /// Whether a budget is set, so that each call is reserved on the disk before it is made.
    pub(crate) budget: bool,
}

impl Setting<'_> {
    fn text(&self) -> anyhow::Result<String> {
        let Self { placement, provider, budget, .. } = self;
        let opened = bundles::open(self.bundle)?;
        let pool: Vec<_> = opened.parts().models.iter().map(|model| serde_json::json!(model.name)).collect();
        let bundle = match self.bundle {
            Some(path) => {
                let path = std::path::absolute(path)?;
                format!("bundle = {}\n", serde_json::json!(path))
            }
            None => String::new(),
        };
        let budget = if *budget { "[budget]\ndaily = 1000000\n" } else { "" };
        Ok(format!(
            "data = \"data\"\n[route]\nplacement = \"{}\"\nready = {READY}\ndeadline = \"60s\"\non_failure = \"error\"\n{bundle}\
             [[provider]]\nname = \"mock\"\ndialects = [\"chat\"]\nbase_url = \"http://{provider}/v1\"\n\
             [[model]]\nname = \"mock\"\nprovider = \"mock\"\npool = {}\ninput = 0.15\noutput = 0.6\nmax_output = 1000\n{budget}",
            placement.name(),
            serde_json::Value::from(pool)
        ))
    }
}

impl GatewayProcess {
    /// Starts a gateway, and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn start(setting: &Setting<'_>) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("blindroute-bench-").tempdir()?;
        let file = home.path().join("gateway.toml");
        std::fs::write(&file, setting.text()?)?;
        let mut child = program::command()?
            .args(["gateway", "--listen", "127.0.0.1:0", "--json", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the gateway")?;
        let stdout = child.stdout.take().context("the gateway's output")?;
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let address = ready["listening"].as_str().and_then(|address| address.parse().ok());
        let Some(address) = address else {
            stop_children();
            bail!("the gateway did not start ({read:?}); what it says is above");
        };
        let page = Connection::new(address);
        Ok(Self { address, placement: setting.placement, page, _home: home, _stdout: stdout })
    }

    /// Waits until as many sessions are ready as are wanted.
    ///
    /// # Errors
    /// If that takes too long.
    pub(crate) fn wait_ready(&mut self) -> anyhow::Result<()> {
        if self.placement == Placement::Local {
            return Ok(());
        }
        let (request, until) = (Request::get(self.address, "/readyz"), Instant::now() + FILL);
        loop {
            let (answer, _) = self.page.send(&request)?;
            let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let [ready, wanted] = ["ready", "wanted"].map(|name| said["sessions"][name].as_u64());
            if ready.is_some() && ready >= wanted {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "no sessions are ready after {} s: {said}", FILL.as_secs());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        stop_children();
    }
}

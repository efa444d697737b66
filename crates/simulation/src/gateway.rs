//! A gateway of all lanes, and calls through it: a process of the program `blindroute`, whose built-in model answers.

use crate::bundle::Text;
use crate::crew::Outcome;
use crate::lane::Lane;
use crate::process::Process;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the gateway looks for an answer. It is less than its callers wait.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a caller waits for it.
const PATIENCE: Duration = Duration::from_secs(50);

/// The code here of an answer 503 that says when to come again.
pub(crate) const UNROUTED: &str = "unrouted";

/// The gateway, running or not.
#[derive(Debug)]
pub(crate) struct Gateway {
    program: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) process: Process,
    /// Where it listens now, or did.
    address: Address,
}

/// Where a gateway is called, which changes when it starts again.
pub(crate) type Address = Arc<Mutex<String>>;

impl Gateway {
    /// A gateway of these lanes as a registered client, in a folder of its own. It looks for so many routes at once.
    pub(crate) fn make(
        program: &Path,
        home: &Path,
        lanes: &[Lane],
        (client, routes): (usize, usize),
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let mut servers = Vec::new();
        for lane in lanes {
            servers.push(lane.write_client(client)?);
        }
        let deadline = DEADLINE.as_secs();
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndata = \"data\"\n[route]\nservers = {servers:?}\nlambda = 0\ndeadline = \"{deadline}s\"\nready = 1\n\
             max_routes = {routes}\non_failure = \"error\"\n"
        );
        std::fs::write(home.join("gateway.toml"), text)?;
        let (process, address) = (Process::new("the gateway"), Arc::default());
        Ok(Self { program: program.to_owned(), home: home.to_owned(), process, address })
    }

    pub(crate) fn address(&self) -> Address {
        Arc::clone(&self.address)
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["gateway", "--json", "--config"]).arg(self.home.join("gateway.toml"));
        command.env("BLINDROUTE_LOG", "debug").env_remove("RUST_BACKTRACE");
        let address = self.process.start(command)?;
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
        Ok(())
    }
}

/// Has a text answered by the gateway, in a conversation of its own.
pub(crate) fn ask(address: &Address, text: &Text, conversation: &str) -> Outcome {
    let address = address.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let error = |code, message: String| Outcome::Error { code, message };
    let (head, body) = match exchange(&address, &text.text, conversation) {
        Ok(answer) => answer,
        Err(failed) => return error("unreachable", failed.to_string()),
    };
    let header = |name: &str| {
        head.lines().find_map(|line| {
            line.split_once(": ").filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    };
    match head.split(' ').nth(1) {
        Some("200") => {
            let (model, why) = (header("x-blindroute-model").unwrap_or_default(), header("x-blindroute-why"));
            if why != Some("routed") {
                // Its body repeats the text.
                return error("not_routed", head);
            }
            // Its answers do not say by which version they are: either may be right then.
            let version = usize::from(text.models[0] != model);
            Outcome::Answer { model: model.to_owned(), lane: None, version }
        }
        Some("503") if header("retry-after").is_some() => error(UNROUTED, body),
        _ => error("another_status", head + &body),
    }
}

/// The head and the body of the answer to a request for one.
fn exchange(address: &str, text: &str, conversation: &str) -> std::io::Result<(String, String)> {
    let body = serde_json::json!({ "model": "auto", "messages": [{ "role": "user", "content": text }] }).to_string();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-session-id: {conversation}\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((head.replace("\r\n", "\n"), body.to_owned()))
}

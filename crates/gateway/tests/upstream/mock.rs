//! A provider on a port of this machine that does what its scripts say, byte for byte.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What the provider does with a request.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Waits until the test says [`Mock::go_on`].
    AwaitGoOn,
    /// Waits until the other side closes the connection.
    AwaitClose,
    Close,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

#[derive(Clone)]
pub(crate) struct Mock {
    pub(crate) base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    go_on: Arc<Semaphore>,
    connections: Arc<AtomicUsize>,
}

impl Mock {
    /// Answers each request by the next script, the last one again and again.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let none = || Arc::new(Semaphore::new(0));
        let (closed, waiting, go_on, connections) = (none(), none(), none(), Arc::default());
        let mock = Self { base_url, seen: Arc::default(), closed, waiting, go_on, connections };
        let (serving, scripts) = (mock.clone(), Arc::new(Mutex::new(VecDeque::from(scripts))));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let (mock, scripts) = (serving.clone(), scripts.clone());
                tokio::spawn(async move { mock.serve(stream, &scripts).await });
            }
        });
        mock
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until the other side closed a connection in [`Step::AwaitClose`] or [`Step::Send`].
    pub(crate) async fn closed(&self) {
        taken(&self.closed, "the connection stayed open").await;
    }

    /// Waits until the script has come to [`Step::AwaitClose`].
    pub(crate) async fn waiting(&self) {
        taken(&self.waiting, "nothing was asked").await;
    }

    /// Lets a script go on after [`Step::AwaitGoOn`].
    pub(crate) fn go_on(&self) {
        self.go_on.add_permits(1);
    }

    async fn serve(&self, mut stream: TcpStream, scripts: &Mutex<VecDeque<Vec<Step>>>) {
        stream.set_nodelay(true).unwrap();
        while let Some(seen) = request(&mut stream).await {
            self.seen.lock().unwrap().push(seen);
            let script = {
                let mut scripts = scripts.lock().unwrap();
                if scripts.len() > 1 { scripts.pop_front().unwrap() } else { scripts[0].clone() }
            };
            for step in script {
                match step {
                    Step::Send(bytes) => {
                        if stream.write_all(&bytes).await.is_err() {
                            self.closed.add_permits(1);
                            return;
                        }
                    }
                    Step::Wait(duration) => tokio::time::sleep(duration).await,
                    Step::AwaitGoOn => self.go_on.acquire().await.unwrap().forget(),
                    Step::AwaitClose => {
                        self.waiting.add_permits(1);
                        while stream.read(&mut [0; 1024]).await.is_ok_and(|size| size > 0) {}
                        self.closed.add_permits(1);
                        return;
                    }
                    Step::Close => return,
                }
            }
        }
    }
}

async fn taken(permits: &Semaphore, otherwise: &str) {
    let permit = tokio::time::timeout(Duration::from_secs(20), permits.acquire()).await;
    permit.expect(otherwise).unwrap().forget();
}

async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let mut seen = Seen { head: String::from_utf8(read[..end].to_vec()).unwrap(), body: String::new() };
            let size: usize = seen.header("content-length").map_or(0, |size| size.parse().unwrap());
            if read.len() >= end + 4 + size {
                seen.body = String::from_utf8(read[end + 4..end + 4 + size].to_vec()).unwrap();
                return Some(seen);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(size) if size > 0 => read.extend_from_slice(&buffer[..size]),
            _ => return None,
        }
    }
}

/// A whole answer.
pub(crate) fn whole(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    vec![Step::Send((head + body).into_bytes())]
}

/// The head of a stream.
pub(crate) fn head() -> Step {
    Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\nx-request-id: r1\r\n\r\n"
            .to_vec(),
    )
}

/// A part of a stream.
pub(crate) fn part(text: &str) -> Step {
    Step::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// The proper end of a body.
pub(crate) fn end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

/// A whole stream, which ends cleanly as HTTP sees it.
pub(crate) fn stream(text: &str) -> Vec<Step> {
    vec![head(), part(text), end()]
}

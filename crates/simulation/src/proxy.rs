//! A connection's proxy, which counts TLS records and does something to the one that it was told.
//!
//! Everything that parties send each other is in TLS records, so a record that is lost, sent twice or altered is what a network, or
//! somebody in it, can do to a message. TLS notices each of them, and the connection ends.

use crate::operation::RecordFault;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first bytes of a record: its type, a version, and its length.
const HEADER: usize = 5;

/// Where callers call instead of a party. It listens as long as the process lives, or until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    target: Mutex<Option<String>>,
    armed: Mutex<Vec<Armed>>,
    /// When faults happened, by their numbers.
    happened: Mutex<Vec<(usize, Instant)>>,
    /// Rises when connections that stall are to be closed.
    healed: AtomicU64,
    stop: AtomicBool,
}

/// A fault that will happen.
#[derive(Debug)]
pub(crate) struct Armed {
    /// By which its maker knows it.
    pub(crate) number: usize,
    /// Whether it is of what callers send.
    pub(crate) forward: bool,
    /// How many records pass before.
    pub(crate) left: u64,
    pub(crate) fault: RecordFault,
}

impl Proxy {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let proxy = Self { address: listener.local_addr()?.to_string(), shared: Arc::default() };
        let shared = Arc::clone(&proxy.shared);
        std::thread::Builder::new().name("proxy".into()).spawn(move || {
            for caller in listener.incoming().flatten() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                // Without an answer of the party, the caller's connection is closed, as by a machine where nobody listens.
                let target = lock(&shared.target).clone();
                if let Some(answerer) = target.and_then(|target| TcpStream::connect(target).ok()) {
                    pass_on(caller, answerer, &shared).ok();
                }
            }
        })?;
        Ok(proxy)
    }

    /// Where to call.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where the party listens now; nowhere while it is down.
    pub(crate) fn lead_to(&self, target: Option<String>) {
        *lock(&self.shared.target) = target;
    }

    pub(crate) fn arm(&self, armed: Armed) {
        lock(&self.shared.armed).push(armed);
    }

    /// Forgets what has not happened, and closes what stalls.
    pub(crate) fn heal(&self) {
        lock(&self.shared.armed).clear();
        self.shared.healed.fetch_add(1, Ordering::SeqCst);
    }

    /// The faults that happened since this was asked last.
    pub(crate) fn happened(&self) -> Vec<(usize, Instant)> {
        std::mem::take(&mut *lock(&self.shared.happened))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        TcpStream::connect(&self.address).ok();
    }
}

impl Shared {
    /// Counts a record, and says what happens to it.
    fn count(&self, forward: bool) -> Option<RecordFault> {
        let mut armed = lock(&self.armed);
        let mut now = None;
        armed.retain_mut(|one| {
            if one.forward != forward || now.is_some() {
                return true;
            }
            if one.left == 0 {
                now = Some((one.number, one.fault));
                return false;
            }
            one.left -= 1;
            true
        });
        let (number, fault) = now?;
        lock(&self.happened).push((number, Instant::now()));
        Some(fault)
    }

    fn wait_until_healed(&self) {
        let before = self.healed.load(Ordering::SeqCst);
        while self.healed.load(Ordering::SeqCst) == before && !self.stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn pass_on(caller: TcpStream, answerer: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    for (forward, from, to) in [(true, caller.try_clone()?, answerer.try_clone()?), (false, answerer, caller)] {
        from.set_nodelay(true)?;
        let shared = Arc::clone(shared);
        std::thread::Builder::new().name("proxy-pipe".into()).spawn(move || {
            let how = match records(&from, &to, forward, &shared) {
                // The other direction may go on.
                Ok(()) => Shutdown::Write,
                Err(_) => Shutdown::Both,
            };
            to.shutdown(how).ok();
            if how == Shutdown::Both {
                from.shutdown(how).ok();
            }
        })?;
    }
    Ok(())
}

/// Passes records on until the stream ends. An error closes both directions.
fn records(mut from: &TcpStream, mut to: &TcpStream, forward: bool, shared: &Shared) -> io::Result<()> {
    let mut record = vec![0; HEADER];
    loop {
        record.resize(HEADER, 0);
        if from.read(&mut record[..1])? == 0 {
            return Ok(());
        }
        from.read_exact(&mut record[1..])?;
        let length = u16::from_be_bytes([record[3], record[4]]);
        record.resize(HEADER + usize::from(length), 0);
        from.read_exact(&mut record[HEADER..])?;
        match shared.count(forward) {
            None => {}
            Some(RecordFault::Drop) => continue,
            Some(RecordFault::Delay(milliseconds)) => std::thread::sleep(Duration::from_millis(milliseconds)),
            Some(RecordFault::Duplicate) => to.write_all(&record)?,
            Some(RecordFault::Corrupt) => {
                if let Some(last) = record.last_mut() {
                    *last ^= 1;
                }
            }
            Some(RecordFault::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(RecordFault::Stall) => {
                shared.wait_until_healed();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        to.write_all(&record)?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

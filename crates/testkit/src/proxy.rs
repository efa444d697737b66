//! A TCP proxy that closes, stalls, delays or damages a stream.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Which way a proxied stream flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the caller to the answerer.
    Forward,
    /// From the answerer to the caller.
    Backward,
}

/// What happens to a proxied stream after some bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// Both connections are closed.
    Cut,
    /// Nothing more is passed on; the connections stay open.
    Stall,
    /// The next byte has one bit flipped.
    Corrupt,
    /// The next bytes wait this long.
    Delay(Duration),
}

/// A TCP proxy on loopback with an optional fault. Stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// Where a fault happens and which: the direction, the number of bytes that pass before it, and the fault.
pub type StreamPlan = Option<(Direction, u64, StreamFault)>;

impl Proxy {
    /// Listens on a free loopback port and passes every connection on to `target`, with the fault in each.
    ///
    /// # Errors
    /// No port, no thread.
    pub fn start(target: SocketAddr, plan: StreamPlan) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        std::thread::Builder::new().name("proxy".into()).spawn(move || {
            while let Ok((caller, _)) = listener.accept() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                // Without a connection to the target, the caller's closes.
                connect(caller, target, plan, &stopping).ok();
            }
        })?;
        Ok(Proxy { address, stop })
    }

    /// Where to call.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).ok();
    }
}

fn connect(caller: TcpStream, target: SocketAddr, plan: StreamPlan, stop: &Arc<AtomicBool>) -> io::Result<()> {
    let answerer = TcpStream::connect_timeout(&target, Duration::from_secs(2))?;
    for (direction, from, to) in
        [(Direction::Forward, caller.try_clone()?, answerer.try_clone()?), (Direction::Backward, answerer, caller)]
    {
        let fault = plan.filter(|(place, ..)| *place == direction).map(|(_, after, fault)| (after, fault));
        let stop = stop.clone();
        from.set_nodelay(true)?;
        from.set_read_timeout(Some(Duration::from_millis(50)))?;
        std::thread::Builder::new().name("proxy-pipe".into()).spawn(move || {
            pass(&from, &to, fault, &stop).ok();
            from.shutdown(Shutdown::Both).ok();
            to.shutdown(Shutdown::Both).ok();
        })?;
    }
    Ok(())
}

fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    mut fault: Option<(u64, StreamFault)>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let (mut buffer, mut passed) = (vec![0; 64 << 10], 0_u64);
    let mut stalled = false;
    while !stop.load(Ordering::SeqCst) {
        if stalled {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(e) => return Err(e),
        };
        let mut rest = &mut buffer[..count];
        if let Some((after, kind)) = fault
            && passed + count as u64 > after
        {
            fault = None;
            let (before, at) = rest.split_at_mut(usize::try_from(after - passed).unwrap_or(0));
            to.write_all(before)?;
            match kind {
                StreamFault::Cut => return Ok(()),
                StreamFault::Stall => {
                    stalled = true;
                    continue;
                }
                StreamFault::Corrupt => at[0] ^= 1,
                StreamFault::Delay(time) => std::thread::sleep(time),
            }
            rest = at;
        }
        to.write_all(rest)?;
        passed += count as u64;
    }
    Ok(())
}

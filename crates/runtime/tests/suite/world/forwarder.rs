//! Connections that a test can hold up, cut, or send from another address.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

fn connect(address: &str, source: Option<std::net::Ipv4Addr>) -> std::io::Result<TcpStream> {
    #[cfg(target_os = "linux")]
    if let Some(source) = source {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let (from, to) = (std::net::SocketAddrV4::new(source, 0), address.parse::<std::net::SocketAddr>().unwrap());
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &from)?;
        connect(&socket, &to)?;
        return Ok(socket.into());
    }
    assert!(source.is_none(), "other addresses of this machine are used on Linux only");
    TcpStream::connect(address)
}

/// Passes connections on, and cuts those that it has when told to.
pub struct Forwarder {
    pub(super) address: String,
    pub(super) target: Arc<Mutex<String>>,
    held: Arc<Mutex<Vec<TcpStream>>>,
    /// Nothing is passed on while a test holds it.
    pub gate: Arc<Mutex<()>>,
}

/// Writes when the gate is open.
struct Gated(TcpStream, Arc<Mutex<()>>);

impl std::io::Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        drop(self.1.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Forwarder {
    pub(super) fn start() -> Self {
        Self::from_source(None)
    }

    /// One whose calls come from another address of this machine.
    pub(super) fn from_source(source: Option<std::net::Ipv4Addr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let forwarder = Self {
            address: listener.local_addr().unwrap().to_string(),
            target: Arc::default(),
            held: Arc::default(),
            gate: Arc::default(),
        };
        let (target, held) = (Arc::clone(&forwarder.target), Arc::clone(&forwarder.held));
        let gate = Arc::clone(&forwarder.gate);
        // It lives as long as the test's process.
        std::thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let address = target.lock().unwrap().clone();
                let Ok(to) = connect(&address, source) else { continue };
                for (mut read, write) in [(&from, &to), (&to, &from)].map(|(a, b)| (clone(a), clone(b))) {
                    let mut write = Gated(write, Arc::clone(&gate));
                    std::thread::spawn(move || {
                        std::io::copy(&mut read, &mut write).ok();
                        write.0.shutdown(std::net::Shutdown::Write).ok();
                    });
                }
                held.lock().unwrap().extend([from, to]);
            }
        });
        forwarder
    }

    /// Passes new connections on to another address, and says to which before.
    pub fn redirect(&self, address: &str) -> String {
        std::mem::replace(&mut self.target.lock().unwrap(), address.to_owned())
    }

    /// Cuts all connections there are; new ones are passed on.
    pub fn cut(&self) {
        for socket in self.held.lock().unwrap().drain(..) {
            socket.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

fn clone(socket: &TcpStream) -> TcpStream {
    socket.set_nodelay(true).unwrap();
    socket.try_clone().unwrap()
}

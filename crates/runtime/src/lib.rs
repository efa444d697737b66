//! Everything between the protocol and the network: identities, links, channels, sessions' messages, the
//! single-use ledger, services, child processes and configuration.
//!
//! Blocking threads over `std::net`, TLS 1.3 only, no async runtime. Every wait is bounded by [`Timeouts`]; every
//! allocation follows a checked length; no error, log line or `Debug` output holds a payload, a seed or a key.
//!
//! ```
//! use blindroute_runtime::{CertificateFolder, Endpoint, Kind, Link, Role, Timeouts};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let home = tempfile::tempdir()?;
//! let deployment = CertificateFolder::generate(home.path())?;
//! let server = Endpoint::load(Role::Server0, &deployment.identity(Role::Server0))?;
//! let client = Endpoint::load(Role::Client, &deployment.identity(Role::Client))?;
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?.to_string();
//! let serving = std::thread::spawn(move || {
//!     let (socket, _) = listener.accept().expect("a connection");
//!     let mut link = Link::accept(socket, &server, &[Role::Client], &Timeouts::default())?;
//!     let hello = link.receive(Kind::ClientHello)?;
//!     link.send(Kind::ServerReady, &hello)
//! });
//! let mut link = Link::connect(&address, &client, Role::Server0, &Timeouts::default())?;
//! link.send(Kind::ClientHello, b"four")?;
//! assert_eq!(link.receive(Kind::ServerReady)?, b"four");
//! serving.join().expect("no panic")?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod channel;
pub mod children;
pub mod config;
pub mod faults;
pub mod file_set;
pub mod identity;
pub mod ledger;
pub mod link;
pub mod material;
pub mod memory;
pub mod messages;

pub mod rendezvous;
pub mod role;
pub mod scene;
pub mod service;
pub mod session;
pub mod session_pool;
pub mod shutdown;

pub use channel::{Channel, ChannelError, MemoryChannel, PeerChannel};
pub use children::{ChildError, ChildProcess, ChildSpec};
pub use config::{ClientConfig, ConfigError, DealerConfig, ServerConfig};
pub use file_set::{Existing, FileSetError, NewFile, write_together};
pub use identity::{CertificateFolder, Endpoint, IdentityError, IdentityFiles, choose_cryptography};
pub use ledger::{Ledger, LedgerError};
pub use link::{Fault, Kind, Link, LinkError, Timeouts, Traffic};
pub use material::{MaterialReader, MaterialWriter};
pub use memory::{peak_rss_mib, peak_rss_mib_of, rss_kib_of};
pub use messages::{DecodeError, Message, SessionId};
pub use rendezvous::{Rendezvous, RendezvousError};
pub use role::Role;
pub use scene::{Scene, SceneName};
pub use service::{Connection, Interrupted, Rest, Resting, Service, ServiceError, ServiceOptions};
pub use session::{
    Catalogue, Client, DealerService, ReadySession, Retry, ServerOptions, ServerReport, ServerService, SessionError,
    SessionOutcome, SharedInputs, SharesError, Waiting,
};
pub use session_pool::{SessionPool, SessionPoolOptions, SessionPoolStatus};
pub use shutdown::Shutdown;

#[cfg(test)]
mod testing;

//! Everything between the protocol and the network: certificates, TLS links, channels, the messages of a session, the
//! ledger of consumed sessions, services, child processes and configuration files.
//!
//! The crate uses blocking threads over `std::net` and TLS 1.3; there is no async runtime. Every wait is bounded by
//! [`Timeouts`], every allocation follows a checked length, and no error, log line or `Debug` output holds a payload, a
//! seed or a key.
//!
//! A server accepts a client over mutual TLS and answers one message:
//!
//! ```
//! use blindroute_runtime::{CertificateFolder, Endpoint, FrameKind, Link, Role, Timeouts};
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
//!     let hello = link.receive(FrameKind::ClientHello)?;
//!     link.send(FrameKind::ServerReady, &hello)
//! });
//! let mut link = Link::connect(&address, &client, Role::Server0, &Timeouts::default())?;
//! link.send(FrameKind::ClientHello, b"four")?;
//! assert_eq!(link.receive(FrameKind::ServerReady)?, b"four");
//! serving.join().expect("no panic")?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod changes;
pub mod channel;
pub mod children;
pub mod choices;
pub mod clients;
pub mod config;
pub mod exposition;
pub mod file_set;
pub mod frame;
mod hexadecimal;
pub mod identity;
pub mod ledger;
pub mod link;
pub mod material;
pub mod memory;
pub mod messages;
pub mod rendezvous;
pub mod role;
pub mod scene;
pub mod sealing;
pub mod service;
pub mod session;
pub mod session_pool;
pub mod shutdown;
pub mod store;
pub mod tally;

pub use channel::{Channel, ChannelError, PeerChannel};
pub use children::{ChildError, ChildProcess, ChildSpec};
pub use config::{ClientConfig, ConfigError, DealerConfig, ServerConfig};
pub use file_set::{Existing, FileSetError, NewFile, write_together};
pub use frame::FrameKind;
pub use identity::{
    Authority, AuthorityCertificate, CertificateFolder, Dated, Endpoint, IdentityError, IdentityFiles, Validity,
    choose_cryptography,
};
pub use ledger::{Claim, FileLedger, Ledger, LedgerError, Standing};
pub use link::{Fault, Link, LinkError, Timeouts, Traffic};
pub use material::{MaterialReader, MaterialWriter};
pub use memory::{peak_rss_mib, peak_rss_mib_of, rss_kib_of};
pub use messages::{DecodeError, Message, SessionId};
pub use rendezvous::{Rendezvous, RendezvousError};
pub use role::Role;
pub use scene::{Scene, SceneName};
pub use service::{Connection, Interrupted, Rest, Resting, Service, ServiceError, ServiceOptions};
pub use session::{
    AuditCounts, AuditShare, Cancel, Catalogue, Client, DealerService, HandOverError, HandOverOptions, HandOverTo,
    HandedOver, Held, Pauses, ReadySession, Retry, ServerOptions, ServerReport, ServerService, ServerVersion,
    SessionError, SessionOutcome, SharedInputs, SharesError, Waiting,
};
pub use session_pool::{SessionPool, SessionPoolOptions, SessionPoolStatus};
pub use shutdown::Shutdown;
pub use tally::{Figures, Tally};

#[cfg(test)]
mod testing;

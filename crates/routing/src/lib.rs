//! The programs that run under MPC, the bundle file that holds an encoder and its routers, and the client's first
//! steps: the tokenizer and the embedding.
//!
//! The crate knows nothing of sockets: it says what is computed, and the runtime says where. Here a client reads a
//! bundle and turns a prompt into the encoder's input:
//!
//! ```
//! use blindroute_routing::bundle::Bundle;
//! use blindroute_routing::embedding::embed;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
//! let bundle = Bundle::open(&path)?.bundle;
//! assert_eq!(bundle.router(None)?.kind(), "uniroute");
//! let parts = bundle.parts();
//!
//! let tokens = bundle.tokenizer()?.encode("What is the capital of France?")?;
//! assert_eq!((tokens.ids.len(), tokens.bucket()), (9, 32));
//!
//! let input = embed(&parts.embedding, &parts.encoder, &tokens.ids)?;
//! assert_eq!(input.shape(), (9, parts.encoder.hidden));
//! # Ok(())
//! # }
//! ```

pub mod bundle;
pub mod embedding;
pub mod lexical;
pub mod program;
pub mod tokenizer;

//! What the command-line programs share: the allocator, logging, progress and the terminal, exit status, result files, and the bundles that
//! come with the programs.
//!
//! Results go to stdout; everything else goes to stderr. Text from files is printed without control characters, so that a
//! name cannot command the terminal:
//!
//! ```
//! use blindroute_console::terminal::plain_line;
//!
//! assert_eq!(plain_line("a model\u{1b}[2J"), "a model\\u001b[2J");
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod allocator;
pub mod bundles;
pub mod contents;
pub mod date;
pub mod exit;
pub mod files;
pub mod logging;
pub mod panics;
pub mod placement;
pub mod program;
pub mod progress;
pub mod signals;
pub mod terminal;

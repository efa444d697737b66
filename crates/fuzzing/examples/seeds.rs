//! Writes right inputs for each fuzz target, and those that fuzzers found and the repository keeps, for fuzzers to begin with:
//!
//! ```sh
//! cargo run -p blindroute-fuzzing --example seeds -- fuzz/corpus
//! ```

#[path = "../tests/seeds/mod.rs"]
#[allow(dead_code)]
mod seeds;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned()));
    for (kind, inputs) in [("right", seeds::seeds()), ("kept", seeds::kept::kept()?)] {
        for (number, (target, bytes)) in inputs.into_iter().enumerate() {
            let folder = folder.join(target);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("{kind}-{number}")), bytes)?;
        }
    }
    Ok(())
}

//! Writes right inputs for each fuzz target, for fuzzers to begin with:
//!
//! ```sh
//! cargo run -p blindroute-fuzzing --example seeds -- fuzz/corpus
//! ```

#[path = "../tests/seeds/mod.rs"]
mod seeds;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned()));
    for (number, (target, bytes)) in seeds::seeds().into_iter().enumerate() {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("right-{number}")), bytes)?;
    }
    Ok(())
}

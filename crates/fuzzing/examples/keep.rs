//! Keeps inputs that fuzzers found in the repository, from a folder with one for each target:
//!
//! ```sh
//! cargo run -p blindroute-fuzzing --example keep -- FOLDER
//! ```

#[path = "../tests/seeds/kept.rs"]
#[allow(dead_code, unreachable_pub)]
mod kept;

use blindroute_fuzzing::ALL;
use std::io::{Error, Write};
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| {
        Error::other("name the folder with a folder of inputs for each target, as fuzz/README.md says")
    })?;
    for (target, _) in ALL {
        let own = folder.join(target);
        if !own.is_dir() {
            writeln!(std::io::stderr(), "{target}: there is no {}, so what was kept stays", own.display())?;
            continue;
        }
        let inputs =
            std::fs::read_dir(own)?.map(|entry| std::fs::read(entry?.path())).collect::<Result<Vec<_>, _>>()?;
        writeln!(std::io::stdout(), "{target}: {} inputs", kept::keep(target, inputs)?)?;
    }
    Ok(())
}

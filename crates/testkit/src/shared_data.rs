//! Where the tests find the real data that the repository does not hold.

use std::path::{Path, PathBuf};

/// The folder of real data sets, or nothing, after one line on stderr that says so.
///
/// `BLINDROUTE_DATA` names it; without that, the nearest `shared/data` on the way up from this crate's manifest is used.
/// A test that gets `None` returns: the line tells the reader of the log that it checked nothing.
pub fn shared_data() -> Option<PathBuf> {
    let found = match std::env::var_os("BLINDROUTE_DATA") {
        Some(named) => Some(PathBuf::from(named)).filter(|folder| folder.is_dir()),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared").join("data"))
            .find(|folder| folder.is_dir()),
    };
    if found.is_none() {
        eprintln!(
            "skipped: the real data sets are not here. Point BLINDROUTE_DATA at the folder that holds \
             routing/, classification/ and reference/ to run this test."
        );
    }
    found
}

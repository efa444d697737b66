//! The bundle that comes with blindroute.

use blindroute_routing::bundle::{Bundle, BundleError};

/// Mapped with the program, and read where somebody asks for it.
static DEFAULT: &[u8] = include_bytes!("../../../bundles/default.blindroute");

/// The default bundle, which is part of this crate: an encoder that is cheap under MPC, and the routers `uniroute`, `direct` and
/// `cscr`. It is public, so with it only prompts are private, not the router.
///
/// # Errors
/// If the program file is damaged.
pub fn default_bundle() -> Result<Bundle, BundleError> {
    Ok(Bundle::read(DEFAULT)?.bundle)
}

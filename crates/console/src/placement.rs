//! The option `--placement` of commands.

use blindroute_placement::Placement;
use clap::ValueEnum;

/// Where the encoder and the router's rule run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlacementArg {
    /// Everything on this machine, in the clear: for a public router
    Local,
    /// The encoder on this machine; the secret rule, the prices and the choice under MPC
    Head,
    /// Everything under MPC
    Full,
}

impl From<PlacementArg> for Placement {
    fn from(placement: PlacementArg) -> Self {
        match placement {
            PlacementArg::Local => Self::Local,
            PlacementArg::Head => Self::Head,
            PlacementArg::Full => Self::Full,
        }
    }
}

//! From the libraries' errors to Python's exceptions: the same text, and a stable code.

use blindroute_placement::PlacementError;
use pyo3::intern;
use pyo3::prelude::*;
use std::fmt::Display;

/// The exceptions of `blindroute._errors`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// What the caller gave.
    Input,
    /// A bundle.
    Bundle,
    /// Servers and the dealer.
    Servers,
    /// The caller ended it.
    Cancelled,
    /// The process is a fork.
    Forked,
    /// The rest.
    Other,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Input => "InputError",
            Self::Bundle => "BundleError",
            Self::Servers => "ServersError",
            Self::Cancelled => "CancelledError",
            Self::Forked => "ForkedError",
            Self::Other => "BlindrouteError",
        }
    }
}

/// The exception of this kind.
pub(crate) fn exception(py: Python<'_>, kind: Kind, code: &str, message: &dyn Display) -> PyErr {
    let class = py.import(intern!(py, "blindroute._errors")).and_then(|errors| errors.getattr(kind.class()));
    match class.and_then(|class| class.call1((message.to_string(), code))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// What was given cannot be used.
pub(crate) fn input(py: Python<'_>, code: &str, message: &dyn Display) -> PyErr {
    exception(py, Kind::Input, code, message)
}

/// A route or classification failed.
pub(crate) fn placement(py: Python<'_>, error: &PlacementError) -> PyErr {
    exception(py, kind_of(error), error.code(), error)
}

/// A bundle cannot be used.
pub(crate) fn bundle(py: Python<'_>, error: &dyn Display) -> PyErr {
    exception(py, Kind::Bundle, "bundle", error)
}

/// What only an error in this library would cause.
pub(crate) fn ended(py: Python<'_>) -> PyErr {
    exception(py, Kind::Other, "internal", &"the work ended without a result; please report this")
}

/// The process is a fork of one in which the engine had begun.
pub(crate) fn forked(py: Python<'_>, began: u32, here: u32) -> PyErr {
    let message = format!(
        "process {here} is a fork of process {began}, in which blindroute was used already: its threads are not in a fork, and randomness \
         must not be drawn twice from copied state. Start processes with multiprocessing.get_context(\"spawn\") or \"forkserver\", or use \
         blindroute for the first time after the fork"
    );
    exception(py, Kind::Forked, "forked", &message)
}

fn kind_of(error: &PlacementError) -> Kind {
    if error.is_cancelled() {
        return Kind::Cancelled;
    }
    match error {
        PlacementError::Bundle(_) | PlacementError::PublicPart { .. } | PlacementError::OtherBundle => Kind::Bundle,
        PlacementError::Batch(error) => kind_of(error),
        PlacementError::Session(_)
        | PlacementError::Child(_)
        | PlacementError::Host(_)
        | PlacementError::NoPair { .. }
        | PlacementError::Lost(_)
        | PlacementError::NoChoice(_)
        | PlacementError::NoRanking(_) => Kind::Servers,
        PlacementError::Protocol(_)
        | PlacementError::Thread(_)
        | PlacementError::Write { .. }
        | PlacementError::Randomness(_) => Kind::Other,
        _ => Kind::Input,
    }
}

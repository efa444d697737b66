//! blindroute testkit.

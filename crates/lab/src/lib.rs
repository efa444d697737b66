//! blindroute lab.

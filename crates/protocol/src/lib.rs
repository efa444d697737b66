//! blindroute protocol.

//! blindroute runtime.

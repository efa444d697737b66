//! blindroute routing.

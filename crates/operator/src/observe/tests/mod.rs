//! Without processes; those are in `operator/tests/observe.rs`.

mod answers;
mod connections;
mod shown;

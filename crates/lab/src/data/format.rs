//! What all readers of the native format share.

/// The maximum number of models.
pub(super) const MAX_MODELS: usize = 4096;
pub(super) const HINT: &str = "a routing data set is a folder with prompts.jsonl, models.json and outcomes.csv \
                               (`blindroute data import` makes one of a public set's files)";

/// What a data set is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For training: it must have two models, a prompt in every split, and every score.
    Training,
    /// For a check: everything well-formed is read, so that the check can report what training would reject.
    Check,
}

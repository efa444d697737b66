//! Routers that are compared with the others in an evaluation, and that no bundle holds.
//!
//! Each predicts the scores of all models from the embedding. Its settings are chosen in a cross-validation on the prompts that it
//! is given, and it is then fitted on all of them: give the train and the valid split together, as in `eval`.

pub mod boosting;
pub mod knn;
pub mod mlp;

mod folds;

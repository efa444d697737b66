//! How a training shows what happens: how prompts are embedded, then the folds of the cross-validation.

use blindroute_console::terminal;
use blindroute_lab::encoders::EmbedEvent;
use blindroute_lab::routers::TrainEvent;
use indicatif::ProgressBar;

/// What is shown now. Everything vanishes when this is dropped.
pub(super) struct TrainProgress {
    kind: &'static str,
    embedding: Option<Box<dyn FnMut(EmbedEvent)>>,
    training: Option<ProgressBar>,
}

impl TrainProgress {
    /// Of a router of this kind.
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, embedding: None, training: None }
    }

    pub(super) fn show(&mut self, event: TrainEvent) {
        let kind = self.kind;
        match event {
            TrainEvent::Embedding(event) => {
                self.clear();
                self.embedding.get_or_insert_with(|| Box::new(super::embedding::watch()))(event);
            }
            TrainEvent::Folds { done, all } => {
                self.embedding = None;
                let message = match all {
                    0 => format!("training {kind}"),
                    _ => format!("training {kind}, {done} of {all} folds"),
                };
                self.training.get_or_insert_with(terminal::spinner).set_message(message);
            }
        }
    }

    fn clear(&mut self) {
        if let Some(training) = self.training.take() {
            training.finish_and_clear();
        }
    }
}

impl Drop for TrainProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

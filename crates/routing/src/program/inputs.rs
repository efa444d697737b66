//! The inputs of the programs, which the client shares with the servers.

use super::plan::{
    ACTIVATION, BundlePlan, INPUT, NARROW, POOLING, POOLING_RING, PRODUCT, RULE_FRACTION, RouterPlan, SCORES,
};
use super::select::SelectProgram;
use super::task::{Measurement, Task, Work};
use crate::bundle::{Attention, EmbeddingTables, EncoderConfig, Matrix, Pooling};
use crate::embedding::{self, EmbeddingError};
use crate::lexical;
use blindroute_protocol::{Form, Program as _, Shape, Tensor};

/// Added to the attention scores of padding: less than every real score, and within their range.
const PADDING: f32 = -128.0;
/// Ring of the embedding that the client sends (`head`) or receives (`embed`).
pub(super) const EMBEDDING_RING: u32 = 40;

/// Ring of lexical features as the client shares them in `full`: room for the largest, and two bits for extension. Whatever a
/// client shares in it is a number from −64 to 64.
const LEXICAL_RING: u32 = lexical::FRACTION + 7;

/// Bits of one digit of λ; the digit fills its ring.
pub(super) const LAMBDA_DIGIT: u32 = 5;
/// Digits of λ, lowest first. Whatever a client shares, they are a λ from 0 to 16: twenty bits of which [`RULE_FRACTION`]
/// are fraction. With a λ in a wide ring, a client could multiply secret costs by any ring value.
pub(super) const LAMBDA_DIGITS: usize = 4;

/// The digits of λ; values out of range become the nearest value from 0 to 16.
fn lambda_digits(lambda: f32) -> Tensor<f32> {
    let most = (1u32 << (LAMBDA_DIGIT * LAMBDA_DIGITS as u32)) - 1;
    // A conversion to an integer saturates, and NaN becomes 0.
    let units = ((f64::from(lambda) * f64::from(1u32 << RULE_FRACTION)).round() as u32).min(most);
    let digit = |index: usize| (units >> (LAMBDA_DIGIT as usize * index)) & ((1 << LAMBDA_DIGIT) - 1);
    Tensor::new(Shape::row(LAMBDA_DIGITS), (0..LAMBDA_DIGITS).map(|index| digit(index) as f32).collect())
}

/// The forms of the inputs for `batch` prompts: each prompt has its own matrix in every input.
pub(super) fn input_forms(plan: &BundlePlan, work: Work, batch: usize) -> Vec<Form> {
    let rows = |columns: usize| Shape::new(batch, 1, columns);
    let lambda = Form::new(rows(LAMBDA_DIGITS), LAMBDA_DIGIT, 0);
    let hidden = plan.encoder.hidden;
    let encoder = |bucket: usize| {
        if plan.encoder.carries_biases() {
            let tokens = |columns: usize| Shape::new(batch, bucket, columns);
            let widths = &plan.encoder.widths;
            let ring = widths.layer_ring(bucket);
            return vec![
                Form::new(tokens(hidden), ring, widths.layer),
                Form::new(tokens(1), widths.after_attention_ring(), widths.layer + widths.weights),
                Form::new(tokens(1), ring, 0),
                Form::new(rows(1), POOLING_RING, POOLING),
            ];
        }
        let mut forms = vec![
            Form::new(Shape::new(batch, bucket, hidden), INPUT, ACTIVATION),
            Form::new(Shape::new(batch, bucket, 1), NARROW, PRODUCT),
            Form::new(rows(bucket), SCORES, 2 * ACTIVATION),
        ];
        if plan.encoder.pooling == Pooling::Mean {
            forms.push(Form::new(rows(bucket), POOLING_RING, POOLING));
        }
        forms
    };
    let features = |router: usize| plan.routers.get(router).map_or(0, RouterPlan::features);
    match work {
        Work::Task(Task::Route { bucket, router, .. }) => {
            let features = features(router);
            let lexical = (features > 0).then(|| Form::new(rows(features), LEXICAL_RING, lexical::FRACTION));
            encoder(bucket).into_iter().chain(lexical).chain([lambda]).collect()
        }
        Work::Task(Task::Head { router, .. }) => {
            vec![Form::new(rows(hidden + features(router)), EMBEDDING_RING, RULE_FRACTION), lambda]
        }
        Work::Task(Task::Classify { bucket, begin: Some(_), .. }) => {
            let mut forms = encoder(bucket);
            // Means are of the first layer's input only.
            forms.remove(1);
            forms
        }
        Work::Task(Task::Classify { bucket, begin: None, .. }) | Work::Measurement(Measurement::Embed { bucket }) => {
            encoder(bucket)
        }
        Work::Measurement(Measurement::Select { candidates, keep, method }) => {
            SelectProgram { candidates, keep, method }.inputs()
        }
    }
}

/// The encoder's inputs for the tokens of a prompt.
#[derive(Debug)]
pub struct RouteInputs {
    /// In the order of the program's inputs, without λ.
    pub tensors: Vec<Tensor<f32>>,
}

/// Token ids, padded to the bucket with the padding token 0.
pub fn padded(ids: &[u32], bucket: usize) -> Vec<u32> {
    let mut ids = ids.to_vec();
    ids.resize(bucket, 0);
    ids
}

impl RouteInputs {
    /// Embeds tokens on the client. With linear attention padding is zero. Else it is embedded like any token, so that its
    /// rows stay in range; attention and pooling leave it out.
    ///
    /// # Errors
    /// If there are no tokens, more than the bucket holds, or unknown ones.
    pub fn embed(
        tables: &EmbeddingTables,
        config: &EncoderConfig,
        ids: &[u32],
        bucket: usize,
    ) -> Result<Self, EmbeddingError> {
        if ids.is_empty() || ids.len() > bucket {
            return Err(EmbeddingError::Length { found: ids.len(), most: bucket });
        }
        let linear = config.attention == Attention::Linear;
        let ids_of_rows = if linear { ids.to_vec() } else { padded(ids, bucket) };
        let rows = embedding::embed(tables, config, &ids_of_rows)?;
        let hidden = rows.columns();
        let mut means: Vec<f32> = rows.iter_rows().map(|row| row.iter().sum::<f32>() / hidden as f32).collect();
        if linear {
            let mut tokens = rows.into_data();
            tokens.resize(bucket * hidden, 0.0);
            means.resize(bucket, 0.0);
            let presence = (0..bucket).map(|index| if index < ids.len() { 1.0 } else { 0.0 }).collect();
            let column = Shape::matrix(bucket, 1);
            let tensors = vec![
                Tensor::new(Shape::matrix(bucket, hidden), tokens),
                Tensor::new(column, means),
                Tensor::new(column, presence),
                Tensor::new(Shape::row(1), vec![1.0 / ids.len() as f32]),
            ];
            return Ok(Self { tensors });
        }
        let real = |index: usize| index < ids.len();
        let mut tensors = vec![
            Tensor::new(Shape::matrix(bucket, hidden), rows.into_data()),
            Tensor::new(Shape::matrix(bucket, 1), means),
            Tensor::new(Shape::row(bucket), (0..bucket).map(|i| if real(i) { 0.0 } else { PADDING }).collect()),
        ];
        if config.pooling == Pooling::Mean {
            let share = 1.0 / ids.len() as f32;
            let weights = (0..bucket).map(|i| if real(i) { share } else { 0.0 }).collect();
            tensors.push(Tensor::new(Shape::row(bucket), weights));
        }
        Ok(Self { tensors })
    }

    /// With the lexical features that the router reads, if it does. They come before λ.
    #[must_use]
    pub fn with_lexical(mut self, features: Option<Vec<f32>>) -> Self {
        self.tensors.extend(features.map(|features| Tensor::new(Shape::row(features.len()), features)));
        self
    }

    /// The inputs of a route: these and λ.
    pub fn with_lambda(mut self, lambda: f32) -> Vec<Tensor<f32>> {
        self.tensors.push(lambda_digits(lambda));
        self.tensors
    }
}

/// The inputs of the `head` placement. `embedding` is all that the rule reads: lexical features are its last columns.
pub fn head_inputs(embedding: &Matrix, lambda: f32) -> Vec<Tensor<f32>> {
    vec![Tensor::new(Shape::row(embedding.columns()), embedding.data().to_vec()), lambda_digits(lambda)]
}

//! The names that BERT's tensors have in published files.

/// The published name of a tensor of a bundle, without the prefix that some files put before all names.
pub(super) fn published(name: &str) -> String {
    let table = match name {
        "embedding.token" => Some(TOKEN_TABLE),
        "embedding.position" => Some("embeddings.position_embeddings.weight"),
        "embedding.segment" => Some("embeddings.token_type_embeddings.weight"),
        "embedding.norm.gain" => Some("embeddings.LayerNorm.weight"),
        "embedding.norm.bias" => Some("embeddings.LayerNorm.bias"),
        _ => None,
    };
    if let Some(table) = table {
        return table.to_owned();
    }
    let mut words = name.split('.').skip(1);
    let (index, part, field) = (words.next(), words.next(), words.next());
    let part = match part.unwrap_or_default() {
        "query" => "attention.self.query",
        "key" => "attention.self.key",
        "value" => "attention.self.value",
        "output" => "attention.output.dense",
        "attention_norm" => "attention.output.LayerNorm",
        "up" => "intermediate.dense",
        "down" => "output.dense",
        "output_norm" => "output.LayerNorm",
        other => other,
    };
    let field = if field == Some("bias") { "bias" } else { "weight" };
    format!("{LAYERS}{}.{part}.{field}", index.unwrap_or_default())
}

/// A tensor that every BERT has. The prefix of a file is found by it.
pub(super) const TOKEN_TABLE: &str = "embeddings.word_embeddings.weight";
/// The text before a layer's number.
pub(super) const LAYERS: &str = "encoder.layer.";

/// The name of a LayerNorm's tensor in files that were converted from TensorFlow.
pub(super) fn older(published: &str) -> Option<String> {
    let part = published.strip_suffix("LayerNorm.weight").map(|part| (part, "gamma"));
    let part = part.or_else(|| published.strip_suffix("LayerNorm.bias").map(|part| (part, "beta")));
    part.map(|(part, field)| format!("{part}LayerNorm.{field}"))
}

/// Whether a tensor, by its name without the prefix, is known not to belong to the encoder: buffers with the numbers 0,
/// 1, 2, …, and output layers of the pre-training, which use the encoder's output.
pub(super) fn is_leftover(name: &str) -> bool {
    let buffer = matches!(name, "embeddings.position_ids" | "embeddings.token_type_ids");
    buffer || ["pooler.", "cls.", "lm_head."].iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_published_file() {
        assert_eq!(published("layer.3.down.weight"), "encoder.layer.3.output.dense.weight");
        assert_eq!(published("layer.0.attention_norm.gain"), "encoder.layer.0.attention.output.LayerNorm.weight");
        assert_eq!(published("layer.5.output_norm.bias"), "encoder.layer.5.output.LayerNorm.bias");
        assert_eq!(published("embedding.token"), "embeddings.word_embeddings.weight");
        assert_eq!(older("embeddings.LayerNorm.bias").unwrap(), "embeddings.LayerNorm.beta");
        assert_eq!(older("encoder.layer.0.output.LayerNorm.weight").unwrap(), "encoder.layer.0.output.LayerNorm.gamma");
        assert_eq!(older("encoder.layer.0.output.dense.weight"), None);
    }
}

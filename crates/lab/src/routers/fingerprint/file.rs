//! The file of fingerprints, which `train cscr --descriptors` and `bundle add` read.

use super::{Kind, MOST_TOP_LOGPROBS, Options, Probes, rows};
use crate::data::DataError;
use crate::data::text::Text;
use blindroute_routing::bundle::{Matrix, Model};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: &str = "blindroute-fingerprints";
const VERSION: u32 = 1;
/// More than thousands of models need.
const MAX_BYTES: u64 = 256 << 20;
const HINT: &str = "make fingerprints with `blindroute fingerprint`";

/// Descriptors of models, and how they were measured. It has no text of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprints {
    format: String,
    version: u32,
    kind: Kind,
    /// The digest of the probes' texts.
    probes: String,
    /// The maximum number of tokens per answer.
    tokens: usize,
    /// How many of the most likely tokens at each position a footprint uses. Older files lack it; then it is OpenAI's number.
    #[serde(default = "most_top_logprobs")]
    top_logprobs: u32,
    /// The scorer of perplexity; without one each model rated itself.
    scorer: Option<String>,
    models: Vec<Fingerprint>,
}

/// The descriptor of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fingerprint {
    name: String,
    descriptor: Vec<f32>,
}

/// What can be wrong with a file of fingerprints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintsError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] DataError),
    /// The file is not a file of fingerprints.
    #[error("{} is not a file of fingerprints ({problem}); make one with `blindroute fingerprint`", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A model is missing.
    #[error("there is no fingerprint of {model:?}; add it with `blindroute fingerprint --model {model}`")]
    Missing {
        /// Which model.
        model: String,
    },
}

impl Fingerprints {
    /// An empty set of fingerprints, to be measured in this way.
    pub fn new(options: &Options, probes: &Probes, scorer: Option<&str>) -> Self {
        let scorer = scorer.filter(|_| options.kind == Kind::Perplexity).map(str::to_owned);
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            kind: options.kind,
            probes: probes.digest(),
            tokens: options.tokens,
            // Perplexity does not use them.
            top_logprobs: if options.kind == Kind::Footprint { options.top_logprobs } else { MOST_TOP_LOGPROBS },
            scorer,
            models: Vec::new(),
        }
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, FingerprintsError> {
        let content = |problem: &str| FingerprintsError::Content { path: path.to_owned(), problem: problem.to_owned() };
        let bytes = Text::read(path, MAX_BYTES, HINT)?;
        let read: Self = serde_json::from_slice(&bytes).map_err(|_| content("it is not JSON of the expected shape"))?;
        if read.format != FORMAT || read.version != VERSION {
            return Err(content("its format or version is another one"));
        }
        for model in &read.models {
            Model::check_name(&model.name).map_err(|problem| content(&format!("a model's name {problem}")))?;
        }
        let good = |model: &Fingerprint| {
            !model.descriptor.is_empty() && model.descriptor.iter().all(|entry| entry.is_finite())
        };
        if !(read.is_one_width() && read.models.iter().all(good)) {
            return Err(content("the descriptors are not all of one width, or have numbers that are not finite"));
        }
        Ok(read)
    }

    /// Whether both were measured in the same way, so that descriptors of equal width can be compared.
    pub fn compares_with(&self, other: &Self) -> bool {
        let plain = |of: &Self| Self { models: Vec::new(), ..of.clone() };
        plain(self) == plain(other)
    }

    /// Whether this model was measured.
    pub fn has(&self, model: &str) -> bool {
        self.models.iter().any(|known| known.name == model)
    }

    /// Adds the descriptor of a model, or replaces it.
    pub fn insert(&mut self, model: &str, descriptor: Vec<f32>) {
        self.models.retain(|known| known.name != model);
        self.models.push(Fingerprint { name: model.to_owned(), descriptor });
    }

    /// Whether all descriptors are of one width.
    pub fn is_one_width(&self) -> bool {
        self.models.windows(2).all(|pair| pair[0].descriptor.len() == pair[1].descriptor.len())
    }

    /// How many of the most likely tokens were requested at each position.
    pub fn top_logprobs(&self) -> u32 {
        self.top_logprobs
    }

    /// The number of models.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether no model was measured.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The descriptors of these models, `[M, D]`, in their order.
    pub fn descriptors(&self, models: &[Model]) -> Result<Matrix, FingerprintsError> {
        let missing = |model: &Model| FingerprintsError::Missing { model: model.name.clone() };
        let found = models.iter().map(|model| {
            let known = self.models.iter().find(|known| known.name == model.name);
            known.map(|known| known.descriptor.as_slice()).ok_or_else(|| missing(model))
        });
        let found = found.collect::<Result<Vec<_>, _>>()?;
        // `read` checks that the widths are equal, and one measurement gives equal widths.
        rows(&found).ok_or_else(|| FingerprintsError::Missing { model: String::new() })
    }

    /// The content of the file.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn most_top_logprobs() -> u32 {
    MOST_TOP_LOGPROBS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(tokens: usize) -> Options {
        Options { kind: Kind::Footprint, tokens, width: 2, top_logprobs: 20 }
    }

    #[test]
    fn what_is_written_is_read_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let texts = folder.path().join("probes.jsonl");
        std::fs::write(&texts, "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n").unwrap();
        let probes = Probes::read(&texts, 2).unwrap();
        assert_eq!(probes.len(), 2);
        let mut all = Fingerprints::new(&options(8), &probes, None);
        all.insert("one", vec![1.0, 0.0]);
        all.insert("two", vec![0.0, 1.0]);
        all.insert("one", vec![0.6, 0.8]);
        assert_eq!((all.len(), all.has("one"), all.has("three")), (2, true, false));
        let path = folder.path().join("fingerprints.json");
        std::fs::write(&path, all.to_json().unwrap()).unwrap();
        assert_eq!(Fingerprints::read(&path).unwrap(), all);
        assert!(all.compares_with(&Fingerprints::new(&options(8), &probes, None)));
        assert!(!all.compares_with(&Fingerprints::new(&options(9), &probes, None)));
        let other = Probes::read(&texts, 3).unwrap();
        assert!(!all.compares_with(&Fingerprints::new(&options(8), &other, None)));

        // A file without the number was measured with OpenAI's number.
        let told = all.to_json().unwrap();
        std::fs::write(&path, format!("\u{feff}{}", told.replace("\"top_logprobs\":20,", ""))).unwrap();
        assert_eq!(Fingerprints::read(&path).unwrap(), all);
        let fewer = Options { top_logprobs: 5, ..options(8) };
        assert!(!all.compares_with(&Fingerprints::new(&fewer, &probes, None)));
        std::fs::write(&path, told.replace("\"one\"", "\"o\\u001bne\"")).unwrap();
        assert!(Fingerprints::read(&path).unwrap_err().to_string().contains("control character U+001B; remove it"));

        let model = |name: &str| Model { name: name.to_owned(), price: 1.0, unit: String::new() };
        let found = all.descriptors(&[model("two"), model("one")]).unwrap();
        assert_eq!(found.data(), [0.0, 1.0, 0.6, 0.8]);
        let error = all.descriptors(&[model("three")]).unwrap_err().to_string();
        assert!(error.contains("no fingerprint of \"three\""), "{error}");

        all.insert("three", vec![1.0]);
        std::fs::write(&path, all.to_json().unwrap()).unwrap();
        assert!(Fingerprints::read(&path).unwrap_err().to_string().contains("not all of one width"));
        std::fs::write(&path, "{}").unwrap();
        assert!(Fingerprints::read(&path).is_err());
    }
}

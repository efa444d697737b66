//! Converting the parts of a bundle to sections, and back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    BundleParts,
    config::{EncoderConfig, Model, check_models, setting},
    container::{self, Section},
    digest::{BundleDigest, Digest},
    encoder::{EmbeddingTables, Layer, Named, Take},
    error::BundleError,
    limits,
    matrix::Matrix,
    pool::{ClassifierPool, PoolShape},
    router::{Router, RouterHeader},
    tensor,
};

/// The container's kind.
const KIND: &str = "router-bundle";
const TOKENIZER: &str = "tokenizer.json";

#[derive(Serialize, Deserialize)]
struct BundleHeader {
    encoder: EncoderConfig,
    models: Vec<Model>,
    routers: Vec<RouterHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<PoolShape>,
    origin: String,
}

struct Tensors {
    embedding: EmbeddingTables,
    layers: Vec<Layer>,
    routers: Vec<Router>,
    pool: Option<ClassifierPool>,
}

impl BundleHeader {
    fn of(parts: &BundleParts) -> Self {
        Self {
            encoder: parts.encoder.clone(),
            models: parts.models.clone(),
            routers: parts.routers.iter().map(Router::header).collect(),
            pool: parts.pool.as_ref().map(PoolShape::of),
            origin: parts.origin.clone(),
        }
    }

    fn check(&self) -> Result<(), BundleError> {
        self.encoder.check()?;
        check_models(&self.models)?;
        if self.routers.len() > 64 {
            return Err(setting("number of routers", self.routers.len(), "at most 64"));
        }
        for (index, router) in self.routers.iter().enumerate() {
            router.check(self.models.len())?;
            if self.routers[..index].iter().any(|earlier| earlier.name == router.name) {
                return Err(setting(
                    "list of routers",
                    format!("one with {:?} twice", router.name),
                    "one with different names",
                ));
            }
        }
        self.pool.iter().try_for_each(|pool| pool.check(&self.encoder))
    }

    /// Requests every tensor of a bundle with this header.
    fn build(&self, take: &mut Take<'_>) -> Result<Tensors, BundleError> {
        let config = &self.encoder;
        Ok(Tensors {
            embedding: EmbeddingTables::build(take, config)?,
            layers: (0..config.layers).map(|index| Layer::build(take, config, index)).collect::<Result<_, _>>()?,
            routers: (self.routers.iter())
                .map(|router| router.build(take, config.hidden, self.models.len()))
                .collect::<Result<_, _>>()?,
            pool: self.pool.as_ref().map(|pool| pool.build(take, config.hidden)).transpose()?,
        })
    }
}

/// The settings that a public part shares with a bundle.
pub(super) fn check_shapes(encoder: &EncoderConfig, models: &[Model]) -> Result<(), BundleError> {
    encoder.check()?;
    check_models(models)
}

fn tensors(parts: &BundleParts) -> Named<'_> {
    let mut list = Vec::new();
    parts.embedding.list(&mut list);
    parts.layers.iter().enumerate().for_each(|(index, layer)| layer.list(index, &mut list));
    parts.routers.iter().for_each(|router| router.list(&mut list));
    parts.pool.iter().for_each(|pool| pool.list(&mut list));
    list
}

/// Whether the parts fit together: what reading checks in a file, for parts made in memory.
pub(super) fn check(parts: &BundleParts) -> Result<(), BundleError> {
    let header = BundleHeader::of(parts);
    header.check()?;
    if parts.layers.len() != parts.encoder.layers {
        return Err(setting(
            "number of layers",
            parts.layers.len(),
            format!("encoder.layers = {}", parts.encoder.layers),
        ));
    }
    let list = tensors(parts);
    let mut list = list.iter();
    header.build(&mut |name, expected| {
        // Both orders are the canonical one, so the next tensor is the one asked for.
        let found = list.next().map_or((0, 0), |(_, matrix)| matrix.shape());
        if found != expected {
            return Err(BundleError::Shape { name: name.to_owned(), found, expected });
        }
        Ok(Matrix::from_fn(0, 0, |_, _| 0.0))
    })?;
    for (name, matrix) in tensors(parts) {
        if matrix.data().iter().any(|value| !value.is_finite()) {
            return Err(BundleError::Tensor { name, problem: "holds a number that is not finite" });
        }
    }
    parts.routers.iter().try_for_each(limits::check)
}

pub(super) fn write(parts: &BundleParts) -> Result<Vec<u8>, BundleError> {
    let header =
        serde_json::to_vec(&BundleHeader::of(parts)).map_err(|error| BundleError::Header(error.to_string()))?;
    let list = tensors(parts);
    let payloads: Vec<Vec<u8>> = list.iter().map(|(_, matrix)| tensor::encode(matrix)).collect();
    let mut sections = vec![Section { name: TOKENIZER, payload: &parts.tokenizer }];
    sections.extend(list.iter().zip(&payloads).map(|((name, _), payload)| Section { name, payload }));
    Ok(container::write(KIND, &header, &sections)?)
}

pub(super) fn digest(parts: &BundleParts) -> Result<BundleDigest, BundleError> {
    Ok(container::read(&write(parts)?, KIND)?.digest().into())
}

pub(super) fn read(bytes: &[u8]) -> Result<(BundleParts, Digest, Vec<String>), BundleError> {
    let container = container::read(bytes, KIND)?;
    let json: Value =
        serde_json::from_slice(container.header()).map_err(|error| BundleError::Header(error.to_string()))?;
    let header = BundleHeader::deserialize(&json).map_err(|error| BundleError::Header(error.to_string()))?;
    header.check()?;
    let mut known = vec![TOKENIZER.to_owned()];
    let tokenizer = container.section(TOKENIZER)?.to_vec();
    let tensors = header.build(&mut |name, shape| {
        known.push(name.to_owned());
        tensor::decode(container.section(name)?, name, shape)
    })?;
    tensors.routers.iter().try_for_each(limits::check)?;

    let mut unknown = Vec::new();
    let understood = serde_json::to_value(&header).map_err(|error| BundleError::Header(error.to_string()))?;
    unknown_fields("header", &json, &understood, &mut unknown);
    let sections = container.sections().iter().filter(|section| !known.iter().any(|name| name == section.name));
    unknown.extend(sections.map(|section| format!("section {}", section.name)));
    let BundleHeader { encoder, models, origin, .. } = header;
    let Tensors { embedding, layers, routers, pool } = tensors;
    let parts = BundleParts { encoder, tokenizer, embedding, layers, models, routers, pool, origin };
    Ok((parts, container.digest(), unknown))
}

/// The paths of fields in `found` that this program does not know.
fn unknown_fields(path: &str, found: &Value, understood: &Value, unknown: &mut Vec<String>) {
    match (found, understood) {
        (Value::Object(found), Value::Object(understood)) => {
            for (name, value) in found {
                let path = format!("{path}.{name}");
                match understood.get(name) {
                    Some(understood) => unknown_fields(&path, value, understood, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(found), Value::Array(understood)) => {
            for (index, (found, understood)) in found.iter().zip(understood).enumerate() {
                unknown_fields(&format!("{path}[{index}]"), found, understood, unknown);
            }
        }
        _ => {}
    }
}

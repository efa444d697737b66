//! Errors of bundles.

use super::container::ContainerError;
use super::digest::{BundleDigest, Digest};

/// Why a bundle, or a part of a split one, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The container is damaged, not a blindroute file, or of another version or kind.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The header is not the expected JSON.
    #[error("the bundle's header cannot be read: {0}; make the bundle again with this program")]
    Header(String),
    /// A setting of the header is not allowed.
    #[error("the bundle's {setting} is {found}, expected {expected}; correct it and make the bundle again")]
    Setting {
        /// The name of the setting.
        setting: String,
        /// The value found.
        found: String,
        /// The values allowed.
        expected: String,
    },
    /// A tensor has a shape that the configuration does not allow.
    #[error(
        "the tensor {name:?} is {} × {}, expected {} × {} by the bundle's configuration; make the bundle again from weights and \
         configuration that belong together",
        .found.0, .found.1, .expected.0, .expected.1
    )]
    Shape {
        /// The name of the tensor.
        name: String,
        /// Its rows and columns.
        found: (usize, usize),
        /// The rows and columns expected.
        expected: (usize, usize),
    },
    /// A tensor's payload is damaged or not allowed.
    #[error("the tensor {name:?} {problem}; make the bundle again")]
    Tensor {
        /// The name of the tensor.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The tokenizer cannot be used.
    #[error("the tokenizer cannot be read: {0}; give the tokenizer.json that was published with the encoder")]
    Tokenizer(String),
    /// The weights do not fit the program.
    #[error("the weights cannot be used: {0}; make the bundle again")]
    Weights(String),
    /// The file of a split has another format.
    #[error(
        "the file is of a split in format {found}, expected format {expected}; run `blindroute bundle split` \
         again with this version, and give every party its new files"
    )]
    SplitFormat {
        /// The format in the file.
        found: u32,
        /// The format this program reads.
        expected: u32,
    },
    /// The share is that of the other position.
    #[error("it is the share of party {found}, expected that of party {expected}; give each server its own share file")]
    OtherParty {
        /// The position of the share.
        found: usize,
        /// The position of this server.
        expected: usize,
    },
    /// The share is of another split than the public part.
    #[error(
        "the share and the public part are of different splits (digests {found} and {expected}); copy both from the output of \
         the same `blindroute bundle split`"
    )]
    OtherSplit {
        /// The deployment digest in the share.
        found: BundleDigest,
        /// The digest of the public part.
        expected: BundleDigest,
    },
    /// The share states the right split, but it is not the share that the split made.
    #[error(
        "the share is not the one that the split made (its digest is {found}, expected {expected}); copy it \
         again from the `blindroute bundle split` that made the public part"
    )]
    OtherShare {
        /// The commitment computed from the file's bytes.
        found: Digest,
        /// The commitment in the public part.
        expected: Digest,
    },
    /// There is no router of this name.
    #[error(
        "the bundle has no router {name:?}; {}",
        if .known.is_empty() {
            "it has no routers: add one with `blindroute train`, or choose another bundle with --bundle".to_owned()
        } else {
            format!("it has: {}", .known.join(", "))
        }
    )]
    UnknownRouter {
        /// The name that was requested.
        name: String,
        /// The names of its routers.
        known: Vec<String>,
    },
}

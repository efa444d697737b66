//! What can be wrong with a bundle.

use super::container::ContainerError;
use super::digest::{BundleDigest, Digest};

/// What can be wrong with a bundle, beyond its container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The container is not whole, not ours, or of another version or kind.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The header is not the JSON it should be.
    #[error("the bundle's header cannot be read: {0}; make the bundle again with this program")]
    Header(String),
    /// A setting of the header makes no sense.
    #[error("the bundle's {setting} is {found}, it must be {expected}; correct it and make the bundle again")]
    Setting {
        /// Which.
        setting: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// A tensor has a shape that the configuration does not allow.
    #[error(
        "the tensor {name:?} is {} × {}, the bundle's configuration needs {} × {}; make the bundle again from weights and \
         configuration that belong together",
        .found.0, .found.1, .expected.0, .expected.1
    )]
    Shape {
        /// Which tensor.
        name: String,
        /// Its rows and columns.
        found: (usize, usize),
        /// What they must be.
        expected: (usize, usize),
    },
    /// A tensor's payload is not what it should be.
    #[error("the tensor {name:?} {problem}; make the bundle again")]
    Tensor {
        /// Which tensor.
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
    /// The file of a split is of another format.
    #[error(
        "the file is of a split in format {found}, this program reads format {expected}; run `blindroute bundle split` \
         again with this version, and give every party its new files"
    )]
    SplitFormat {
        /// The format in the file.
        found: u32,
        /// The format this program reads.
        expected: u32,
    },
    /// The share is of the other party.
    #[error("it is the share of party {found}, this server is party {expected}; give each server its own share file")]
    OtherParty {
        /// Whose share it is.
        found: usize,
        /// Whose it must be.
        expected: usize,
    },
    /// The share is of another split than the public part.
    #[error(
        "the share and the public part are of different splits (digests {found} and {expected}); copy both from the same \
         `blindroute bundle split`"
    )]
    OtherSplit {
        /// The deployment digest in the share.
        found: BundleDigest,
        /// The digest of the public part.
        expected: BundleDigest,
    },
    /// The share says that it is of this split, and is not what the split made.
    #[error(
        "the share is not the one that the split made (its digest is {found}, the public part says {expected}); copy it \
         again from the `blindroute bundle split` that made the public part"
    )]
    OtherShare {
        /// The commitment that the file's bytes make.
        found: Digest,
        /// The commitment in the public part.
        expected: Digest,
    },
    /// There is no router of this name.
    #[error(
        "the bundle has no router {name:?}; {}",
        if .known.is_empty() {
            "it has none at all: put one into it with `blindroute train`, or name another bundle with --bundle".to_owned()
        } else {
            format!("it has: {}", .known.join(", "))
        }
    )]
    UnknownRouter {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

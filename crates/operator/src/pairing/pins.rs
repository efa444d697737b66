//! Pinning: the authorities that were compared once stay the ones that are trusted.

use super::manifest::Manifest;
use anyhow::{Context, bail};
use blindroute_runtime::AuthorityCertificate;
use std::path::Path;

/// The file with a peer's authorities.
pub(super) fn name(manifest: &Manifest) -> String {
    format!("pinned-{}.pem", manifest.role)
}

/// Refuses manifests of other authorities than those pinned in the folder, and fingerprints that do not match.
pub(super) fn check(folder: &Path, manifests: &[&Manifest], fingerprints: &[String]) -> anyhow::Result<()> {
    for manifest in manifests {
        let path = folder.join(name(manifest));
        if path.exists() {
            let pinned = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let pinned = AuthorityCertificate::read(&pinned)?;
            // A new authority comes beside the old one, whose key has signed the manifest too.
            if !manifest.authorities.iter().any(|new| pinned.iter().any(|old| old.has_key_of(new))) {
                bail!(
                    "the key changed: {} was paired with the fingerprint {}, and this manifest has {}. Somebody may be \
                     standing in for that operator: ask by telephone. If the operator lost its key and says so, remove {} and \
                     pair again",
                    manifest.titled(),
                    pinned.iter().map(AuthorityCertificate::fingerprint).collect::<Vec<_>>().join(" or "),
                    manifest.fingerprints().join(" or "),
                    path.display()
                );
            }
        }
    }
    compare(manifests, fingerprints)
}

fn compare(manifests: &[&Manifest], fingerprints: &[String]) -> anyhow::Result<()> {
    let plain = |text: &str| {
        text.chars().filter(|digit| !digit.is_whitespace() && *digit != ':').collect::<String>().to_lowercase()
    };
    let given: Vec<String> = fingerprints.iter().map(|text| plain(text)).collect();
    if given.is_empty() {
        for manifest in manifests {
            eprintln!("{}: {}", manifest.titled(), manifest.fingerprints().join(" and "));
        }
        eprintln!(
            "Compare these fingerprints with the operators by telephone before you start, or give them with --fingerprint."
        );
        return Ok(());
    }
    let found: Vec<String> =
        manifests.iter().flat_map(|manifest| manifest.fingerprints()).map(|text| plain(&text)).collect();
    if let Some(wrong) = fingerprints.iter().zip(&given).find(|(_, plain)| !found.contains(plain)) {
        bail!(
            "no manifest has the fingerprint {}; somebody may be standing in for that operator, or it was misheard",
            wrong.0
        );
    }
    for manifest in manifests {
        if let Some(missing) = manifest.fingerprints().iter().find(|text| !given.contains(&plain(text))) {
            bail!("the fingerprint {missing} of {} was not given; give that of each manifest", manifest.titled());
        }
    }
    Ok(())
}

//! Decoders of files: configurations, certificates, registers, the ledger, counts of choices, and the public part of a split.

use crate::digests::as_it_is_and_with_digests;
use blindroute_reports::{CountedShare, Histogram, KeyHalf, Side, SumShare, VerifyKey};
use blindroute_routing::bundle::PublicPart;
use blindroute_runtime::choices::{Choices, ChoicesOptions};
use blindroute_runtime::clients::{ClientSecret, Register, Registration, Usage};
use blindroute_runtime::config::Configuration;
use blindroute_runtime::identity::{Validity, key_digest};
use blindroute_runtime::{
    ClientConfig, DealerConfig, Endpoint, FileLedger, IdentityFiles, Ledger, Role, ServerConfig, SessionId,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Runs `read` on a folder with one file of these bytes.
fn as_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path, &Path)) {
    let folder = TempDir::new().expect("a folder for the file");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file of the bytes");
    read(folder.path(), &path);
}

/// The configurations of client, servers and dealer.
pub fn configuration(bytes: &[u8]) {
    as_file("party.toml", bytes, |_, path| {
        let _ = (ClientConfig::load(path), ServerConfig::load(path), DealerConfig::load(path));
    });
}

/// A certificate as bytes, and a file of certificates or of a key.
pub fn certificate(bytes: &[u8]) {
    let _ = (Validity::of(bytes), key_digest(bytes));
    as_file("identity.pem", bytes, |_, path| {
        let [authority, certificate, key] = [(); 3].map(|()| path.to_owned());
        let files = IdentityFiles { authority, authorities: BTreeMap::new(), certificate, key };
        let _ = Endpoint::load(Role::Client, &files);
    });
}

/// The ledger's file: what is read from it is refused a second time, and it takes one session more.
pub fn ledger(bytes: &[u8]) {
    as_file("sessions.ledger", bytes, |folder, _| {
        let _ = FileLedger::look(folder);
        if let Ok(ledger) = FileLedger::open(folder) {
            let session = SessionId([0x5A; 16]);
            if ledger.claim(session, None).is_ok() {
                assert!(ledger.claim(session, None).is_err(), "a session is claimed once");
            }
        }
    });
}

/// The files of registered clients: register, registration, secret and counts.
pub fn clients(bytes: &[u8]) {
    as_file("clients.usage", bytes, |folder, path| {
        let _ = (Register::load(path), Registration::load(path), ClientSecret::load(path));
        let _ = Usage::read(folder);
    });
}

/// A report of a choice as a server reads it, a sum, and the file of a batch. The first byte says how many models there are.
pub fn choices(bytes: &[u8]) {
    let Some((&models, rest)) = bytes.split_first() else { return };
    let histogram = Histogram::new(2 + usize::from(models % 16)).expect("so many models are counted");
    let (lengths, name) = (histogram.lengths(), [3; 16]);
    let half = KeyHalf::received([7; 32]);
    let (public, share) = rest.split_at(rest.len().min(lengths.public));
    for side in [Side::Zero, Side::One] {
        let key = VerifyKey::of(&name, [&half, &half]);
        if let Ok((verifying, proof)) = histogram.begin(side, &key, (b"", &name), public, share) {
            assert!(share.len() == lengths.shares[side as usize] && proof.len() == lengths.verifier);
            let _ = verifying.finish(&proof);
        }
    }
    let read = SumShare::from_bytes(&histogram, rest);
    assert!(read.is_err() || rest.len() == lengths.sum);
    let _ = CountedShare::from_bytes(&histogram, rest);
    as_file("0.batch", bytes, |folder, _| drop(Choices::open(folder, ChoicesOptions::default(), Duration::ZERO)));
    as_file("revealed.toml", bytes, |folder, _| drop(Choices::read_revealed(folder)));
}

/// The public part of a split, also for digests that fit.
pub fn public_part(bytes: &[u8]) {
    as_it_is_and_with_digests(bytes, |bytes| drop(PublicPart::read(bytes)));
}

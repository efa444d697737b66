//! The form in which a batch is on disk. A share of a sum is uniformly random by itself, so the file tells nothing of a choice; with
//! the other server's it is the sum, and while reports are doubted also those.

use super::ChoicesError;
use super::batch::{Batch, MOST_REPORTS};
use crate::file_set::replace;
use crate::messages::{BatchId, DecodeError, Decoder, Digest, MOST_DOUBTED, ReportId, put_bytes};
use blindroute_reports::{CountedShare, MOST_MODELS, SumShare};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"blindroute sums\x01";
/// The end of a batch's file.
pub(super) const ENDING: &str = "batch";
/// The most bytes of all models' names.
const NAMES_MAX: usize = 1 << 20;

/// By which a batch is known in files.
pub(super) fn name(batch: &BatchId) -> String {
    base16ct::lower::encode_string(&batch.0)
}

/// Where a batch is.
pub(super) fn path(folder: &Path, batch: &BatchId) -> PathBuf {
    folder.join(format!("{}.{ENDING}", name(batch)))
}

/// Writes a batch, durably before this returns.
///
/// # Errors
/// If the disk fails.
pub(super) fn write(folder: &Path, batch: &Batch) -> Result<(), ChoicesError> {
    let path = path(folder, &batch.id);
    replace(&path, &encode(batch)).map_err(|source| ChoicesError::Io { path, source })
}

/// Reads a batch.
///
/// # Errors
/// If it is damaged, or the disk fails.
pub(super) fn read(path: &Path) -> Result<Batch, ChoicesError> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    let bytes = bytes.map_err(|source| ChoicesError::Io { path: path.to_owned(), source })?;
    let damaged = |reason| ChoicesError::Damaged { path: path.to_owned(), reason };
    let (content, checksum) = bytes.split_last_chunk::<32>().ok_or_else(|| damaged("it is too short"))?;
    if <[u8; 32]>::from(Sha256::digest(content)) != *checksum {
        return Err(damaged("it has a wrong checksum"));
    }
    let content = content.strip_prefix(MAGIC).ok_or_else(|| damaged("it is no batch of reports"))?;
    match decode(content) {
        Ok(Ok(batch)) => Ok(batch),
        Ok(Err(_)) | Err(_) => Err(damaged("a field has a value that it cannot have")),
    }
}

fn encode(batch: &Batch) -> Zeroizing<Vec<u8>> {
    let names = batch.models.join("\0");
    let each = batch.histogram.lengths().sum + 16;
    let length = 256 + names.len() + 16 * batch.reports.len() + each * (batch.doubted.len() + 1);
    // At once as large as it gets, so that no part of a share is left where it grew from.
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&batch.id.0);
    out.extend_from_slice(&batch.deployment.0);
    out.extend_from_slice(&batch.began.to_le_bytes());
    out.push(u8::from(batch.closed));
    put_bytes(&mut out, names.as_bytes());
    put_bytes(&mut out, &batch.reports.iter().flat_map(|report| report.0).collect::<Vec<u8>>());
    out.extend_from_slice(&batch.sum.to_bytes());
    out.push(u8::try_from(batch.doubted.len()).unwrap_or(u8::MAX));
    for (report, share) in &batch.doubted {
        out.extend_from_slice(&report.0);
        out.extend_from_slice(&share.to_bytes());
    }
    let checksum: [u8; 32] = Sha256::digest(&out[..]).into();
    out.extend_from_slice(&checksum);
    out
}

/// The fields, or what is wrong with their form or their values.
fn decode(content: &[u8]) -> Result<Result<Batch, ChoicesError>, DecodeError> {
    let mut decoder = Decoder::new(content);
    let (id, deployment) = (BatchId(decoder.array("batch")?), Digest(decoder.array("deployment")?));
    let (began, closed) = (decoder.u64("began")?, decoder.flag("closed")?);
    let names = decoder.bytes("models", NAMES_MAX)?;
    let names = std::str::from_utf8(names).map_err(|_| DecodeError::BadText { field: "models" })?;
    let models: Vec<String> = names.split('\0').take(MOST_MODELS + 1).map(str::to_owned).collect();
    let mut batch = match Batch::new(id, deployment, models, began) {
        Ok(batch) => Batch { closed, ..batch },
        Err(error) => return Ok(Err(error)),
    };
    let length = batch.histogram.lengths().sum;
    let (reports, _) = decoder.bytes("reports", 16 * (MOST_REPORTS as usize))?.as_chunks::<16>();
    batch.reports = reports.iter().map(|report| ReportId(*report)).collect();
    let sum = SumShare::from_bytes(&batch.histogram, decoder.take("sum", length)?);
    let mut doubted = Vec::new();
    for _ in 0..usize::from(decoder.u8("doubted")?).min(MOST_DOUBTED + 1) {
        let report = ReportId(decoder.array("report")?);
        doubted.push((report, CountedShare::from_bytes(&batch.histogram, decoder.take("share", length)?)));
    }
    decoder.finish()?;
    let doubted: Result<Vec<_>, _> = doubted.into_iter().map(|(report, share)| Ok((report, share?))).collect();
    Ok(sum.and_then(|sum| Ok(Batch { sum, doubted: doubted?, ..batch })).map_err(ChoicesError::Report))
}

//! Reports of chosen models: from clients, and between the servers.

use super::codec::{DecodeError, Decoder, put_bytes};
use super::{BatchId, Digest, Message, ReportId};
use crate::clients::ClientToken;
use crate::frame::FrameKind;
use blindroute_reports::{KeyHalf, MOST_MODELS};
use std::fmt;
use zeroize::Zeroizing;

/// The most bytes of a share of a report, of 256 models.
const SHARE_MAX: usize = 7 << 10;
/// The most bytes of a share of a sum.
const SUM_MAX: usize = 16 * MOST_MODELS;
/// The most bytes of a message of a proof.
const PROOF_MAX: usize = 4 << 10;
/// The most reports of a batch of which server 1 may not know whether server 0 counted them.
pub const MOST_DOUBTED: usize = 64;

/// A client reports which model was chosen: each server gets a share of it. How long it is depends on the number of models alone.
pub struct ChoiceReport {
    /// The version of the messages.
    pub version: u16,
    /// The report, the same at both servers.
    pub report: ReportId,
    /// The digest of the deployment whose models are counted.
    pub deployment: Digest,
    /// The part that both servers get.
    pub public: Vec<u8>,
    /// The share of this server.
    pub share: Zeroizing<Vec<u8>>,
    /// Who the client is, for servers with a register of clients; another one for each server.
    pub token: Option<ClientToken>,
}

impl fmt::Debug for ChoiceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChoiceReport {}", self.report)
    }
}

impl Message for ChoiceReport {
    const KIND: FrameKind = FrameKind::ChoiceReport;

    fn encode(&self) -> Vec<u8> {
        // At once as large as it gets, so that no part of the share is left where it grew from.
        let mut out = Vec::with_capacity(128 + self.public.len() + self.share.len());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.report.0);
        out.extend_from_slice(&self.deployment.0);
        put_bytes(&mut out, &self.public);
        put_bytes(&mut out, &self.share);
        out.push(u8::from(self.token.is_some()));
        self.token.iter().for_each(|token| out.extend_from_slice(token.expose()));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let report = ChoiceReport {
            version: decoder.u16("version")?,
            report: ReportId(decoder.array("report")?),
            deployment: Digest(decoder.array("deployment")?),
            public: decoder.bytes("public part", 64)?.to_vec(),
            share: Zeroizing::new(decoder.bytes("share", SHARE_MAX)?.to_vec()),
            token: decoder.flag("token")?.then(|| decoder.array("token").map(ClientToken::new)).transpose()?,
        };
        decoder.finish()?;
        Ok(report)
    }
}

/// A server has taken a client's share of a report. It says the same whether the report was counted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChoiceReportTaken {
    /// Which.
    pub report: ReportId,
}

impl Message for ChoiceReportTaken {
    const KIND: FrameKind = FrameKind::ChoiceReportTaken;

    fn encode(&self) -> Vec<u8> {
        self.report.0.to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let report = ReportId(decoder.array("report")?);
        decoder.finish()?;
        Ok(ChoiceReportTaken { report })
    }
}

/// What server 1 says to server 0 about reports.
pub enum ChoicesCall {
    /// Both check this report, and count it in this batch. Server 1 is bound to its half of the key.
    Check {
        /// The version of the messages.
        version: u16,
        /// The report.
        report: ReportId,
        /// Whose models are counted.
        deployment: Digest,
        /// The batch.
        batch: BatchId,
        /// Of server 1's half of the report's key.
        commitment: [u8; 32],
    },
    /// Server 1's half of the key, and its message of the proof.
    Proof {
        /// The half.
        half: KeyHalf,
        /// The message.
        proof: Vec<u8>,
    },
    /// Server 1 found the report right, and keeps its share until it knows that server 0 counted it.
    Count,
    /// The batch may be revealed, if both have the same reports in it.
    Close {
        /// The version of the messages.
        version: u16,
        /// The batch.
        batch: BatchId,
        /// How many reports server 1 knows to be in it.
        count: u64,
        /// The digest of their names.
        reports: Digest,
        /// Reports of which it does not know whether server 0 counted them.
        doubted: Vec<ReportId>,
    },
    /// Server 1's share of the sum.
    Sum {
        /// The share.
        sum: Zeroizing<Vec<u8>>,
    },
}

impl fmt::Debug for ChoicesCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check { .. } => "Check(..)",
            Self::Proof { .. } => "Proof(..)",
            Self::Count => "Count",
            Self::Close { .. } => "Close(..)",
            Self::Sum { .. } => "Sum(..)",
        })
    }
}

impl Message for ChoicesCall {
    const KIND: FrameKind = FrameKind::ChoicesCall;

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUM_MAX + 128);
        match self {
            Self::Check { version, report, deployment, batch, commitment } => {
                out.push(0);
                out.extend_from_slice(&version.to_le_bytes());
                [&report.0[..], &deployment.0, &batch.0, commitment]
                    .iter()
                    .for_each(|part| out.extend_from_slice(part));
            }
            Self::Proof { half, proof } => {
                out.push(1);
                out.extend_from_slice(half.expose());
                put_bytes(&mut out, proof);
            }
            Self::Count => out.push(2),
            Self::Close { version, batch, count, reports, doubted } => {
                out.push(3);
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&batch.0);
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(&reports.0);
                put_bytes(&mut out, &doubted.iter().flat_map(|report| report.0).collect::<Vec<u8>>());
            }
            Self::Sum { sum } => {
                out.push(4);
                put_bytes(&mut out, sum);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let call = match decoder.u8("call")? {
            0 => Self::Check {
                version: decoder.u16("version")?,
                report: ReportId(decoder.array("report")?),
                deployment: Digest(decoder.array("deployment")?),
                batch: BatchId(decoder.array("batch")?),
                commitment: decoder.array("commitment")?,
            },
            1 => Self::Proof {
                half: KeyHalf::received(decoder.array("half")?),
                proof: decoder.bytes("proof", PROOF_MAX)?.to_vec(),
            },
            2 => Self::Count,
            3 => Self::Close {
                version: decoder.u16("version")?,
                batch: BatchId(decoder.array("batch")?),
                count: decoder.u64("count")?,
                reports: Digest(decoder.array("reports")?),
                doubted: take_doubted(&mut decoder)?,
            },
            4 => Self::Sum { sum: Zeroizing::new(decoder.bytes("sum", SUM_MAX)?.to_vec()) },
            other => return Err(DecodeError::BadValue { field: "call", found: other.into() }),
        };
        decoder.finish()?;
        Ok(call)
    }
}

fn take_doubted(decoder: &mut Decoder<'_>) -> Result<Vec<ReportId>, DecodeError> {
    let bytes = decoder.bytes("doubted", 16 * MOST_DOUBTED)?;
    let (names, rest) = bytes.as_chunks::<16>();
    match rest.len() {
        0 => Ok(names.iter().map(|name| ReportId(*name)).collect()),
        left => Err(DecodeError::Short { field: "doubted", needed: 16, left }),
    }
}

/// What server 0 answers about reports.
pub enum ChoicesAnswer {
    /// Its half of the report's key.
    Half {
        /// The half.
        half: KeyHalf,
    },
    /// It found the report right: its message of the proof.
    Proof {
        /// The message.
        proof: Vec<u8>,
    },
    /// The report is counted.
    Counted,
    /// The report is not there, or not right, or its batch is closed.
    Refused,
    /// The batch is closed: which of the doubted reports are in it, and server 0's share of the sum.
    Sum {
        /// For each doubted report, in their order.
        known: Vec<bool>,
        /// The share.
        sum: Zeroizing<Vec<u8>>,
    },
    /// There are too few reports for server 0; the batch goes on.
    Few,
    /// Other reports are in it at server 0. It has dropped the batch.
    Differs,
    /// The sum is known to both; here are the counts, if the first answer was lost.
    Revealed {
        /// Of the models, in their order.
        counts: Vec<u64>,
    },
}

impl fmt::Debug for ChoicesAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Half { .. } => "Half(..)",
            Self::Proof { .. } => "Proof(..)",
            Self::Counted => "Counted",
            Self::Refused => "Refused",
            Self::Sum { .. } => "Sum(..)",
            Self::Few => "Few",
            Self::Differs => "Differs",
            Self::Revealed { .. } => "Revealed(..)",
        })
    }
}

impl Message for ChoicesAnswer {
    const KIND: FrameKind = FrameKind::ChoicesAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUM_MAX + 128);
        match self {
            Self::Half { half } => {
                out.push(0);
                out.extend_from_slice(half.expose());
            }
            Self::Proof { proof } => {
                out.push(1);
                put_bytes(&mut out, proof);
            }
            Self::Counted => out.push(2),
            Self::Refused => out.push(3),
            Self::Sum { known, sum } => {
                out.push(4);
                put_bytes(&mut out, &known.iter().map(|known| u8::from(*known)).collect::<Vec<u8>>());
                put_bytes(&mut out, sum);
            }
            Self::Few => out.push(5),
            Self::Differs => out.push(6),
            Self::Revealed { counts } => {
                out.push(7);
                put_bytes(&mut out, &counts.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<u8>>());
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let answer = match decoder.u8("answer")? {
            0 => Self::Half { half: KeyHalf::received(decoder.array("half")?) },
            1 => Self::Proof { proof: decoder.bytes("proof", PROOF_MAX)?.to_vec() },
            2 => Self::Counted,
            3 => Self::Refused,
            4 => Self::Sum {
                known: take_known(&mut decoder)?,
                sum: Zeroizing::new(decoder.bytes("sum", SUM_MAX)?.to_vec()),
            },
            5 => Self::Few,
            6 => Self::Differs,
            7 => Self::Revealed { counts: take_counts(&mut decoder)? },
            other => return Err(DecodeError::BadValue { field: "answer", found: other.into() }),
        };
        decoder.finish()?;
        Ok(answer)
    }
}

fn take_known(decoder: &mut Decoder<'_>) -> Result<Vec<bool>, DecodeError> {
    let flags = decoder.bytes("known", MOST_DOUBTED)?;
    match flags.iter().find(|flag| **flag > 1) {
        Some(found) => Err(DecodeError::BadValue { field: "known", found: (*found).into() }),
        None => Ok(flags.iter().map(|flag| *flag == 1).collect()),
    }
}

fn take_counts(decoder: &mut Decoder<'_>) -> Result<Vec<u64>, DecodeError> {
    let (counts, rest) = decoder.bytes("counts", 8 * MOST_MODELS)?.as_chunks::<8>();
    match rest.len() {
        0 => Ok(counts.iter().map(|count| u64::from_le_bytes(*count)).collect()),
        left => Err(DecodeError::Short { field: "counts", needed: 8, left }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::VERSION;
    use super::*;

    fn frozen<M: Message>(message: &M, expected: &[u8]) {
        let bytes = message.encode();
        assert_eq!(bytes, expected);
        assert_eq!(M::decode(&bytes).unwrap().encode(), bytes);
        for length in 0..bytes.len() {
            assert!(M::decode(&bytes[..length]).is_err(), "{length} of {} bytes decoded", bytes.len());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(M::decode(&longer).err(), Some(DecodeError::Leftover { count: 1 }));
    }

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    const REPORT: ReportId = ReportId([1; 16]);
    const DEPLOYMENT: Digest = Digest([2; 32]);
    const BATCH: BatchId = BatchId([3; 16]);
    const V: [u8; 2] = VERSION.to_le_bytes();

    #[test]
    fn case_12_encodings_of_reports_are_frozen_and_strict() {
        let report = |token: Option<ClientToken>| ChoiceReport {
            version: VERSION,
            report: REPORT,
            deployment: DEPLOYMENT,
            public: vec![8; 2],
            share: Zeroizing::new(vec![9; 3]),
            token,
        };
        let head = joined(&[&V, &[1; 16], &[2; 32], &[2, 0, 0, 0, 8, 8, 3, 0, 0, 0, 9, 9, 9]]);
        frozen(&report(None), &joined(&[&head, &[0]]));
        frozen(&report(Some(ClientToken::new([5; 32]))), &joined(&[&head, &[1], &[5; 32]]));
        frozen(&ChoiceReportTaken { report: REPORT }, &[1; 16]);
        let (version, half) = (VERSION, || KeyHalf::received([6; 32]));
        let commitment = [4; 32];
        frozen(
            &ChoicesCall::Check { version, report: REPORT, deployment: DEPLOYMENT, batch: BATCH, commitment },
            &joined(&[&[0], &V, &[1; 16], &[2; 32], &[3; 16], &[4; 32]]),
        );
        frozen(&ChoicesCall::Proof { half: half(), proof: vec![7] }, &joined(&[&[1], &[6; 32], &[1, 0, 0, 0, 7]]));
        frozen(&ChoicesCall::Count, &[2]);
        frozen(
            &ChoicesCall::Close { version, batch: BATCH, count: 258, reports: DEPLOYMENT, doubted: vec![REPORT] },
            &joined(&[&[3], &V, &[3; 16], &[2, 1, 0, 0, 0, 0, 0, 0], &[2; 32], &[16, 0, 0, 0], &[1; 16]]),
        );
        frozen(&ChoicesCall::Sum { sum: Zeroizing::new(vec![7]) }, &[4, 1, 0, 0, 0, 7]);
        frozen(&ChoicesAnswer::Half { half: half() }, &joined(&[&[0], &[6; 32]]));
        frozen(&ChoicesAnswer::Proof { proof: vec![7] }, &[1, 1, 0, 0, 0, 7]);
        frozen(&ChoicesAnswer::Counted, &[2]);
        frozen(&ChoicesAnswer::Refused, &[3]);
        let sum = Zeroizing::new(vec![7]);
        frozen(&ChoicesAnswer::Sum { known: vec![true, false], sum }, &[4, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 7]);
        frozen(&ChoicesAnswer::Few, &[5]);
        frozen(&ChoicesAnswer::Differs, &[6]);
        frozen(&ChoicesAnswer::Revealed { counts: vec![1] }, &[7, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn other_kinds_flags_and_lengths_are_refused() {
        assert!(ChoicesCall::decode(&[5]).is_err() && ChoicesAnswer::decode(&[8]).is_err());
        assert!(ChoicesAnswer::decode(&[4, 1, 0, 0, 0, 2, 0, 0, 0, 0]).is_err(), "a flag of 2");
        assert!(ChoicesAnswer::decode(&[7, 1, 0, 0, 0, 1]).is_err(), "a part of a count");
        let close = |doubted| ChoicesCall::Close { version: 1, batch: BATCH, count: 0, reports: DEPLOYMENT, doubted };
        assert!(ChoicesCall::decode(&close(vec![REPORT; MOST_DOUBTED]).encode()).is_ok());
        assert!(ChoicesCall::decode(&close(vec![REPORT; MOST_DOUBTED + 1]).encode()).is_err());
    }

    #[test]
    fn reports_of_the_most_models_fit_their_frames() {
        let histogram = blindroute_reports::Histogram::new(MOST_MODELS).unwrap();
        let lengths = histogram.lengths();
        assert!(lengths.shares[0] <= SHARE_MAX && lengths.verifier <= PROOF_MAX && lengths.sum == SUM_MAX);
        let made = histogram.report(&DEPLOYMENT.0, &REPORT.0, 255).unwrap();
        let [share, _] = made.shares;
        let (version, token) = (VERSION, Some(ClientToken::new([5; 32])));
        let report =
            ChoiceReport { version, report: REPORT, deployment: DEPLOYMENT, public: made.public, share, token };
        assert!(report.encode().len() <= FrameKind::ChoiceReport.limit());
        let known = vec![true; MOST_DOUBTED];
        let answer = ChoicesAnswer::Sum { known, sum: Zeroizing::new(vec![0; SUM_MAX]) };
        assert!(answer.encode().len() <= FrameKind::ChoicesAnswer.limit());
    }
}

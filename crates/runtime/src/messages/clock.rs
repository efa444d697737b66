//! What clocks say, so that operators learn early of one that is wrong.

use super::Message;
use super::codec::{DecodeError, Decoder};
use crate::frame::FrameKind;
use std::time::{SystemTime, UNIX_EPOCH};

/// A server that calls another party, and asks for no session, may say what its clock says. The other party answers with what its own
/// says, and the call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970, UTC.
    pub seconds: u64,
}

impl Clock {
    /// What the clock of this machine says.
    #[must_use]
    pub fn now() -> Self {
        // A clock before 1970 is wrong, and 0 says so.
        Self { seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()) }
    }

    /// By how many seconds it is ahead of another one; fewer than none if it is behind.
    #[must_use]
    pub fn ahead_of(self, other: Self) -> i64 {
        let difference = i128::from(self.seconds) - i128::from(other.seconds);
        i64::try_from(difference).unwrap_or(if difference > 0 { i64::MAX } else { i64::MIN })
    }
}

impl Message for Clock {
    const KIND: FrameKind = FrameKind::Clock;

    fn encode(&self) -> Vec<u8> {
        self.seconds.to_le_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let seconds = decoder.u64("clock")?;
        decoder.finish()?;
        Ok(Self { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign_and_no_overflow() {
        let at = |seconds| Clock { seconds };
        assert_eq!((at(90).ahead_of(at(30)), at(30).ahead_of(at(90)), at(5).ahead_of(at(5))), (60, -60, 0));
        assert_eq!((at(u64::MAX).ahead_of(at(0)), at(0).ahead_of(at(u64::MAX))), (i64::MAX, i64::MIN));
    }

    #[test]
    fn case_12_a_clock_has_eight_bytes() {
        let clock = Clock { seconds: 0x0102_0304 };
        assert_eq!(clock.encode(), [4, 3, 2, 1, 0, 0, 0, 0]);
        assert_eq!(Clock::decode(&clock.encode()).unwrap(), clock);
        for length in [0, 7, 9] {
            assert!(Clock::decode(&vec![0; length]).is_err(), "{length}");
        }
    }
}

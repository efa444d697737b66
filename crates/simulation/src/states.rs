//! States that are copied and restored, and what operators do about it.

use crate::driver::Driver;
use crate::operation::Operation;
use blindroute_runtime::Role;

/// Sessions that a server had served when an old state took the place of its own: it must serve no more until operators act.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    pub(crate) lane: usize,
    pub(crate) role: Role,
    served: usize,
    /// Whether the other server knows that the state is old.
    known: bool,
}

impl Driver {
    pub(crate) fn state(&mut self, operation: &Operation) -> anyhow::Result<()> {
        match operation {
            Operation::Copy(lane, role) => {
                self.begin("copy", *lane, *role);
                self.lane(*lane)?.copy(*role)?;
                let both = self.served_by_both(*lane)?;
                self.copied.insert((*lane, *role), both);
                self.end(*lane, *role, &["copy"]);
            }
            Operation::Restore(lane, role) => {
                let Some(copied) = self.copied.get(&(*lane, *role)).copied() else { return Ok(()) };
                self.begin("restore", *lane, *role);
                self.lane(*lane)?.kill(*role);
                let (both, served) =
                    (self.served_by_both(*lane)?, self.lane(*lane)?.party(*role).process.log().finished.len());
                if *role == Role::Dealer {
                    self.lane(*lane)?.restore(*role)?;
                    self.end(*lane, *role, &["restore"]);
                    return Ok(());
                }
                // The last one that the other server saw may not be in its ledger yet.
                let known = both >= copied + 3;
                self.restored.push(Restored { lane: *lane, role: *role, served, known });
                self.lane(*lane)?.restore(*role)?;
            }
            Operation::Anew(lane, role) => self.anew(*lane, *role)?,
            _ => {}
        }
        Ok(())
    }

    /// What operators do about a server that was restored.
    pub(crate) fn anew(&mut self, lane: usize, role: Role) -> anyhow::Result<()> {
        let Some(place) = self.restored.iter().position(|restored| (restored.lane, restored.role) == (lane, role))
        else {
            return Ok(());
        };
        self.lane(lane)?.anew(role)?;
        let Restored { served, known, .. } = self.restored.swap_remove(place);
        // Of the state that was restored: the log of the one after it is empty so far, because nobody has called it.
        let now = self.lane(lane)?.party(role).process.log().finished.len();
        self.told.refused += usize::from(known && now == served);
        if known && now > served {
            self.told
                .violations
                .push(format!("lane {lane}: {role} served {} sessions with an old ledger", now - served));
        }
        self.end(lane, role, &["restore", "kill", "stop", "disk", "sync"]);
        Ok(())
    }

    fn served_by_both(&mut self, lane: usize) -> anyhow::Result<usize> {
        let lane = self.lane(lane)?;
        let one: Vec<String> = lane.party(Role::Server1).process.log().finished.clone();
        let zero = lane.party(Role::Server0).process.log();
        Ok(zero.finished.iter().filter(|session| one.contains(session)).count())
    }
}

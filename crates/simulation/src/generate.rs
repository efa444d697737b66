//! Lists of operations from seeds.

use crate::draw::Draw;
use crate::operation::{Operation, RecordFault, Way};
use blindroute_runtime::Role;

/// How large a deployment is, and where faults may happen.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Lanes: pairs of servers with their dealer.
    pub lanes: usize,
    /// Clients, each with a thread of its own.
    pub clients: usize,
    /// Texts.
    pub texts: usize,
    /// The lane in which all faults happen. Every call has to be answered by the others then.
    pub only: Option<usize>,
}

/// The lane whose server 0 keeps its ledger in Postgres.
pub const POSTGRES_LANE: usize = 1;

const PARTIES: [Role; 3] = [Role::Server0, Role::Server1, Role::Dealer];
const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

/// A few operations that belong together, with calls between them.
type Scene = Vec<Operation>;

/// Makes scenes.
struct Maker {
    draw: Draw,
    size: Size,
    /// In which at most one scene of a list restores a state: with two, nobody is left who knows better.
    restored: Vec<bool>,
    /// In which client 0 is revoked. It keeps no sessions ready, which would still be answered.
    lane: usize,
}

/// A list of a seed with `scenes` scenes, and one of each kind before any kind comes again.
#[must_use]
pub fn list(seed: u64, size: Size, scenes: usize) -> Vec<Operation> {
    let mut maker = Maker { draw: Draw::seeded(seed), size, restored: vec![false; size.lanes], lane: 0 };
    let lanes: Vec<usize> = size.only.map_or_else(|| (0..size.lanes).collect(), |only| vec![only]);
    let mut queues: Vec<Vec<Scene>> = vec![Vec::new(); lanes.len()];
    let mut order = Vec::new();
    for number in 0..scenes {
        if order.is_empty() {
            order = (0..SCENES).collect();
            maker.draw.shuffle(&mut order);
        }
        let queue = number % lanes.len();
        maker.lane = lanes[queue];
        let scene = order.pop().unwrap_or_default();
        queues[queue].push(maker.scene(scene));
    }
    let mut queues: Vec<Scene> = queues.into_iter().map(|scenes| scenes.concat()).collect();
    queues.iter_mut().for_each(|queue| queue.reverse());
    let mut list = Vec::new();
    // The lanes' operations come in each other's midst.
    while queues.iter().any(|queue| !queue.is_empty()) {
        let queue = maker.draw.below(queues.len());
        list.extend(queues[queue].pop());
    }
    list
}

/// How many kinds of scenes there are.
const SCENES: usize = 22;

impl Maker {
    fn scene(&mut self, number: usize) -> Scene {
        let (lane, party, server) = (self.lane, self.draw.one_of(PARTIES), self.draw.one_of(SERVERS));
        match number {
            0 => self.between(Operation::Kill(lane, party), Some(Operation::Restart(lane, party))),
            1 => self.between(Operation::Stop(lane, party), Some(Operation::Restart(lane, party))),
            2 => {
                let milliseconds = self.draw.between(2, 25) as u64 * 100;
                self.between(Operation::Pause(lane, party, milliseconds), None)
            }
            3 => self.restore(party),
            4 => self.between(Operation::Disk(lane, party), Some(Operation::Restart(lane, party))),
            5 => self.between(Operation::Sync(lane, party), Some(Operation::Restart(lane, party))),
            6 => {
                let seconds = self.draw.one_of([-540, 540]);
                self.between(Operation::Skew(lane, party, seconds), Some(Operation::Skew(lane, party, 0)))
            }
            7 if lane == POSTGRES_LANE => self.between(Operation::KillDatabase, Some(Operation::StartDatabase)),
            8 => self.between(Operation::Renew(lane, party), Some(Operation::Wait(2500))),
            9 => {
                let call = Operation::Route(0, vec![self.draw.below(self.size.texts)]);
                vec![Operation::Revoke(0, server), call.clone(), Operation::Admit(0), call]
            }
            10 => {
                let client = self.draw.between(1, self.size.clients - 1);
                let ready = Operation::Prepare(client, self.draw.below(3));
                vec![ready, Operation::Wait(300), self.route()]
            }
            11 => self.between(Operation::NextBundle, Some(Operation::OnlyBundle)),
            12 => {
                let end = if self.draw.below(2) == 0 { Operation::KillGateway } else { Operation::StopGateway };
                self.between(end, Some(Operation::StartGateway))
            }
            _ => self.record(number),
        }
    }

    /// A fault, calls, and its end.
    fn between(&mut self, begin: Operation, end: Option<Operation>) -> Scene {
        let mut scene: Scene = (0..self.draw.between(1, 3)).map(|_| self.route()).collect();
        // Another moment of their sessions each time.
        scene.push(Operation::Wait(self.draw.below(16) as u64 * 10));
        scene.push(begin);
        for _ in 0..self.draw.between(1, 2) {
            scene.push(self.route());
        }
        scene.push(Operation::Wait(self.draw.between(1, 8) as u64 * 100));
        scene.extend(end);
        scene.push(self.route());
        scene
    }

    fn restore(&mut self, role: Role) -> Scene {
        let lane = self.lane;
        if std::mem::replace(&mut self.restored[lane], true) {
            return self.record(11);
        }
        // The party whose state is in a folder in every lane, or a dealer.
        let role = if role == Role::Dealer { role } else { Role::Server1 };
        let mut scene = vec![Operation::Copy(lane, role)];
        (0..self.size.clients + 2).for_each(|_| scene.push(self.route()));
        scene.push(Operation::Wait(1500));
        scene.push(Operation::Restore(lane, role));
        (0..2).for_each(|_| scene.push(self.route()));
        scene.push(Operation::Wait(500));
        if role != Role::Dealer {
            // An operator may try first whether that helps.
            if self.draw.below(2) == 0 {
                scene.extend([Operation::Kill(lane, role), Operation::Restart(lane, role), self.route()]);
                scene.push(Operation::Wait(500));
            }
            scene.push(Operation::Anew(lane, role));
        }
        scene.push(self.route());
        scene
    }

    /// Three faults of records: one of the kind of this number, and two of any.
    fn record(&mut self, number: usize) -> Scene {
        let others = [self.draw.below(6), self.draw.below(6)];
        let mut scene: Scene = [number, others[0], others[1]].into_iter().map(|kind| self.record_fault(kind)).collect();
        (0..3).for_each(|_| scene.push(self.route()));
        scene
    }

    fn record_fault(&mut self, number: usize) -> Operation {
        let milliseconds = self.draw.between(1, 20) as u64 * 100;
        let fault = match number % 6 {
            0 => RecordFault::Drop,
            1 => RecordFault::Delay(milliseconds),
            2 => RecordFault::Duplicate,
            3 => RecordFault::Corrupt,
            4 => RecordFault::Cut,
            _ => RecordFault::Stall,
        };
        let (way, forward) = (self.draw.one_of(Way::ALL), self.draw.below(2) == 0);
        // Later ones are of the material and of exchanges, earlier ones of handshakes and hellos.
        let record = self.draw.below(24) as u64;
        Operation::Record(self.lane, way, forward, record, fault)
    }

    /// A call of one text, or of a few.
    fn route(&mut self) -> Operation {
        let client = self.draw.below(self.size.clients);
        let count = if self.draw.below(4) == 0 { self.draw.between(2, 4) } else { 1 };
        Operation::Route(client, (0..count).map(|_| self.draw.below(self.size.texts)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::operation::{KINDS, read, write};
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_gives_one_list_which_can_be_written_and_read_and_has_every_kind() {
        let size = Size { lanes: 2, clients: 4, texts: 8, only: Some(POSTGRES_LANE) };
        let first = list(1, size, SCENES);
        assert_eq!(first, list(1, size, SCENES));
        assert_ne!(first, list(2, size, SCENES));
        assert_eq!(read(&write(&first)).unwrap(), first);
        let kinds: BTreeSet<&str> = first.iter().filter_map(Operation::kind).collect();
        assert_eq!(kinds, KINDS.into_iter().collect());
        assert!(read("kill 0 server2").is_err() && read("route").is_err() && read("wait 1 2").is_err());
        let both = list(1, Size { only: None, ..size }, 2 * SCENES);
        let lanes: BTreeSet<usize> = both
            .iter()
            .filter_map(|operation| match operation {
                Operation::Kill(lane, _) | Operation::Record(lane, ..) | Operation::Disk(lane, _) => Some(*lane),
                _ => None,
            })
            .collect();
        assert_eq!(lanes.len(), 2);
    }
}

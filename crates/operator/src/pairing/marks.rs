//! Marks: digests by which operators see that two roles share a machine or a cloud account, without learning which.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Where Linux has the machine's id.
const MACHINE: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// Containers of one machine have machine ids of their own, and this one in common until it restarts.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The marks of a role. Two roles with an equal mark share what it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marks {
    machine: Option<String>,
    boot: Option<String>,
    cloud_account: Option<String>,
}

impl Marks {
    /// Those of this machine, or of the one whose id is in a file.
    pub(super) fn of(machine_id: Option<&Path>, cloud_account: Option<&str>) -> anyhow::Result<Self> {
        let cloud_account = cloud_account.map(|account| mark("cloud account", account));
        if let Some(path) = machine_id {
            let id = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the machine id {}; check the path", path.display()))?;
            let machine = Some(id.trim()).filter(|id| !id.is_empty()).context("the machine id is empty")?;
            return Ok(Self { machine: Some(mark("machine", machine)), boot: None, cloud_account });
        }
        let read = |path: &&str| std::fs::read_to_string(path).ok().filter(|id| !id.trim().is_empty());
        let machine = MACHINE.iter().find_map(read);
        let boot = [BOOT].iter().find_map(read);
        if machine.is_none() && boot.is_none() {
            eprintln!(
                "warning: this machine has no id (looked at {}), so nobody can see that two roles run on it; name a file with \
                 --machine-id",
                MACHINE.join(", ")
            );
        }
        Ok(Self {
            machine: machine.map(|id| mark("machine", id.trim())),
            boot: boot.map(|id| mark("boot", id.trim())),
            cloud_account,
        })
    }

    /// What two roles share.
    pub(super) fn shared(&self, other: &Self) -> Vec<&'static str> {
        let same = |one: &Option<String>, two: &Option<String>| one.is_some() && one == two;
        let mut shared = Vec::new();
        if same(&self.machine, &other.machine) || same(&self.boot, &other.boot) {
            shared.push("a machine");
        }
        if same(&self.cloud_account, &other.cloud_account) {
            shared.push("a cloud account");
        }
        shared
    }
}

fn mark(label: &str, value: &str) -> String {
    let digest = Sha256::digest(format!("blindroute mark\0{label}\0{value}"));
    base16ct::lower::encode_string(&digest)
}

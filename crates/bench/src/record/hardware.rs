//! What a record says of the hardware and the program: the processor and the commit, never a host, user or path.

use std::process::Command;

/// Processor features that our kernels, TLS and generator use or could use, as Linux names them.
const FEATURES: [&str; 8] = ["aes", "vaes", "avx2", "avx512f", "avx512ifma", "avx_vnni", "avx512_vnni", "amx_int8"];

/// The hardware of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Hardware {
    pub(crate) model: String,
    pub(crate) features: String,
    pub(crate) kernel: &'static str,
    pub(crate) cores: usize,
}

impl Hardware {
    /// The hardware of this machine.
    pub(crate) fn here() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let (model, features) = parse(&text);
        Self {
            model: model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            features,
            kernel: blindroute_ring::matmul::kernel().name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The processor's name, and those of its features that matter.
fn parse(text: &str) -> (Option<String>, String) {
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let has = |feature: &&&str| flags.split_whitespace().any(|flag| flag == **feature);
    (field("model name"), FEATURES.iter().filter(has).copied().collect::<Vec<_>>().join(" "))
}

/// The commit that the program was built from, as far as the working folder tells; `+` if files differ from it.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let ran = Command::new("git").args(arguments).output().ok().filter(|ran| ran.status.success())?;
        Some(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".to_owned() };
    // The record itself grows while it is made.
    match git(&["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)benchmarks"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "+",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_read_from_linux() {
        let text = "processor\t: 0\nmodel name\t: A Processor: 2\nflags\t\t: fpu avx2 avx512f aesx\n\nprocessor\t: 1\n";
        assert_eq!(parse(text), (Some("A Processor: 2".to_owned()), "avx2 avx512f".to_owned()));
        assert_eq!(parse(""), (None, String::new()));
    }
}

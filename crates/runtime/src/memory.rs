//! The memory that a process uses, and that weights will take.

use blindroute_protocol::WeightSpec;

/// Peak resident memory of this process in MiB; nothing if the system does not tell.
#[must_use]
pub fn peak_rss_mib() -> Option<u64> {
    read("/proc/self/status", "VmHWM:").map(|kib| kib.div_ceil(1024))
}

/// Peak resident memory of another process of the same user in MiB.
#[must_use]
pub fn peak_rss_mib_of(process: u32) -> Option<u64> {
    read(&format!("/proc/{process}/status"), "VmHWM:").map(|kib| kib.div_ceil(1024))
}

/// Current resident memory of another process of the same user in KiB.
#[must_use]
pub fn rss_kib_of(process: u32) -> Option<u64> {
    read(&format!("/proc/{process}/status"), "VmRSS:")
}

fn read(path: &str, field: &str) -> Option<u64> {
    parse(&std::fs::read_to_string(path).ok()?, field)
}

/// Bytes of a server's memory for weights. Each is held as a share and as the masked weight, in words of 4 or 8 bytes, and while they
/// are set up as a share of 8 bytes.
#[must_use]
pub fn weights_bytes(weights: &[WeightSpec]) -> usize {
    weights.iter().map(|spec| spec.shape().len() * (8 + 2 * if spec.bits <= 32 { 4 } else { 8 })).sum()
}

/// `VmHWM:   12345 kB`, in KiB.
fn parse(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_parse() {
        let status = "Name:\tx\nVmHWM:\t    2049 kB\nVmRSS:\t 1 kB\n";
        assert_eq!((parse(status, "VmHWM:"), parse(status, "VmRSS:")), (Some(2049), Some(1)));
        assert_eq!(parse("Name:\tx\n", "VmHWM:"), None);
        assert_eq!(parse("VmHWM:\t-1 kB\n", "VmHWM:"), None);
        #[cfg(target_os = "linux")]
        assert!(rss_kib_of(std::process::id()).is_some_and(|kib| kib > 1000));
        #[cfg(target_os = "linux")]
        assert!(peak_rss_mib().is_some_and(|mib| mib > 0) && peak_rss_mib_of(std::process::id()).is_some());
    }
}

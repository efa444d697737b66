//! Peak memory of a process.

/// Peak resident memory of this process in MiB; nothing where the system does not tell.
#[must_use]
pub fn peak_rss_mib() -> Option<u64> {
    read("/proc/self/status")
}

/// Peak resident memory of another process of the same user in MiB.
#[must_use]
pub fn peak_rss_mib_of(process: u32) -> Option<u64> {
    read(&format!("/proc/{process}/status"))
}

fn read(path: &str) -> Option<u64> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// `VmHWM:   12345 kB`, rounded up.
fn parse(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_parse() {
        assert_eq!(parse("Name:\tx\nVmHWM:\t    2049 kB\nVmRSS:\t 1 kB\n"), Some(3));
        assert_eq!(parse("Name:\tx\n"), None);
        assert_eq!(parse("VmHWM:\t-1 kB\n"), None);
        #[cfg(target_os = "linux")]
        assert!(peak_rss_mib().is_some_and(|mib| mib > 0) && peak_rss_mib_of(std::process::id()).is_some());
    }
}

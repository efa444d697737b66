//! The date, for reports and records.

/// Today, in UTC, as 2026-01-31.
pub fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_sort() {
        let today = today();
        assert!(today.len() == 10 && today.as_bytes()[4] == b'-', "{today}");
    }
}

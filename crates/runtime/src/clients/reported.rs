//! How many choices each client has reported today.

use std::collections::HashMap;

/// Counts of this process, by the clients' names. A restart forgets them, so a client may then report as many once more.
#[derive(Debug, Default)]
pub(super) struct Reported(HashMap<String, (u32, u64)>);

impl Reported {
    /// Counts a report of this day, if the client reported fewer than `most` before.
    pub(super) fn take(&mut self, client: &str, day: u32, most: u64) -> bool {
        let (of, count) = self.0.get(client).copied().unwrap_or((day, 0));
        let before = if of == day { count } else { 0 };
        if before >= most {
            return false;
        }
        self.0.insert(client.to_owned(), (day, before + 1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reports_no_more_than_its_routes_of_a_day() {
        let mut reported = Reported::default();
        assert!(!reported.take("a", 1, 0));
        assert!(reported.take("a", 1, 2) && reported.take("a", 1, 2) && !reported.take("a", 1, 2));
        assert!(reported.take("b", 1, 1) && !reported.take("b", 1, 1));
        assert!(reported.take("a", 2, 1) && !reported.take("a", 2, 1), "another day");
        assert!(reported.take("a", 2, 2), "one more route, one more report");
    }
}

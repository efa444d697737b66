//! A fresh measurement beside the record's last of the same, by ratios to the clear interpreter.

use super::file::Record;
use serde::Serialize;

/// Whether a measurement got better or worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Same,
    Better,
    Worse,
    /// Nothing to compare with.
    New,
}

/// One measurement beside the record's last of the same.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    subject: String,
    pub(crate) verdict: Verdict,
    /// What got worse, or better.
    reasons: Vec<String>,
    /// How the ratio to the clear interpreter changed: the present one divided by the recorded one.
    online: Option<f64>,
    offline: Option<f64>,
    /// Whether both are of the same processor, features, kernel and number of cores.
    same_machine: bool,
    then: Option<Record>,
    now: Record,
}

/// Milliseconds by which a time may exceed its tolerance: placement head takes 1 ms, and a thread may wait that long for a core.
const NOISE: f64 = 1.0;

/// The record's last line of the same subject.
pub(crate) fn last<'a>(record: &'a [Record], of: &Record) -> Option<&'a Record> {
    record.iter().rev().find(|record| record.same_subject(of))
}

impl Change {
    /// Without a tolerance, times are not compared.
    pub(crate) fn of(then: Option<&Record>, now: &Record, tolerance: Option<f64>) -> Self {
        let (mut worse, mut better) = (Vec::new(), Vec::new());
        let mut times = [None; 2];
        let mut same_machine = false;
        if let Some(then) = then {
            let pairs = [
                ("online", [then.online_ratio, then.online_ms], [now.online_ratio, now.online_ms]),
                ("offline", [then.offline_ratio, then.offline_ms], [now.offline_ratio, now.offline_ms]),
            ];
            for (index, (what, [then_ratio, then_ms], [now_ratio, now_ms])) in pairs.into_iter().enumerate() {
                let factor = now_ratio / then_ratio;
                times[index] = Some((factor * 1000.0).round() / 1000.0);
                // A network's delay is the same on a faster machine, where its ratio to the clear interpreter grows. So in a
                // scene, a time is worse only if its milliseconds are too.
                let other = if now.scene == "loopback" { factor } else { now_ms / then_ms };
                let Some(tolerance) = tolerance else { continue };
                let over = now_ms - tolerance * then_ratio * now.clear_ms;
                if factor.min(other) > tolerance && over > NOISE {
                    worse.push(format!("{what} {factor:.2} times its ratio"));
                } else if factor.max(other) < 1.0 / tolerance {
                    better.push(format!("{what} {factor:.2} times its ratio"));
                }
            }
            // These do not depend on the machine: any difference is the program's.
            let counts = [
                ("openings", u64::from(then.openings), u64::from(now.openings)),
                ("bytes of server 0", then.server0_sent, now.server0_sent),
                ("bytes of server 1", then.server1_sent, now.server1_sent),
                ("bytes of the client", then.client_sent, now.client_sent),
                ("bytes of material", then.material, now.material),
            ];
            for (what, then, now) in counts {
                if now != then {
                    let list = if now > then { &mut worse } else { &mut better };
                    list.push(format!("{what}: {then}, now {now}"));
                }
            }
            let machine = |r: &Record| (r.machine.clone(), r.features.clone(), r.kernel.clone(), r.cores);
            same_machine = machine(then) == machine(now);
        }
        let verdict = match then {
            None => Verdict::New,
            Some(_) if !worse.is_empty() => Verdict::Worse,
            Some(_) if !better.is_empty() => Verdict::Better,
            Some(_) => Verdict::Same,
        };
        let [online, offline] = times;
        let reasons = if worse.is_empty() { better } else { worse };
        Self {
            subject: now.name(),
            verdict,
            reasons,
            online,
            offline,
            same_machine,
            then: then.cloned(),
            now: now.clone(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let ratio = |of: fn(&Record) -> f64| {
            let then = self.then.as_ref().map_or_else(|| "-".to_owned(), |then| format!("{:.2}", of(then)));
            (then, format!("{:.2}", of(&self.now)))
        };
        let (online, offline) = (ratio(|r| r.online_ratio), ratio(|r| r.offline_ratio));
        let verdict = format!("{:?}", self.verdict).to_lowercase();
        let mut line = row([&self.subject, &online.0, &online.1, &offline.0, &offline.1, &verdict]);
        for reason in &self.reasons {
            line.push_str(&format!("\n    {reason}"));
        }
        if let (Some(then), false) = (&self.then, self.same_machine) {
            line.push_str(&format!(
                "\n    the record is of another machine: {} ({}, {} cores)",
                then.machine, then.kernel, then.cores
            ));
        }
        line
    }
}

/// The heading of the lines.
pub(crate) fn heading() -> String {
    row(["ratio to the clear interpreter:", "online then", "now", "offline then", "now", ""])
}

fn row([subject, a, b, c, d, verdict]: [&str; 6]) -> String {
    format!("{subject:<44}{a:>13}{b:>10}{c:>14}{d:>10}  {verdict}").trim_end().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::file::tests::sample;
    use super::*;

    fn verdict(change: impl Fn(&mut Record)) -> (Verdict, Vec<String>) {
        let mut now = sample();
        change(&mut now);
        let change = Change::of(Some(&sample()), &now, Some(1.3));
        assert!(!change.line().contains("  \n"));
        (change.verdict, change.reasons)
    }

    #[test]
    fn times_are_compared_by_ratio_and_within_the_tolerance() {
        assert_eq!(verdict(|_| {}).0, Verdict::Same);
        // A machine that is slower in everything.
        assert_eq!(verdict(|r| (r.online_ms, r.clear_ms) = (r.online_ms * 3.0, r.clear_ms * 3.0)).0, Verdict::Same);
        assert_eq!(verdict(|r| r.online_ratio *= 1.29).0, Verdict::Same);
        let (worse, reasons) = verdict(|r| {
            (r.online_ratio, r.online_ms, r.offline_ratio) = (r.online_ratio * 1.5, r.online_ms * 1.5, 1.0);
        });
        assert_eq!((worse, reasons), (Verdict::Worse, vec!["online 1.50 times its ratio".to_owned()]));
        assert_eq!(verdict(|r| r.offline_ratio /= 2.0).0, Verdict::Better);
    }

    #[test]
    fn fractions_of_a_millisecond_and_faster_machines_in_a_scene_are_no_regressions() {
        let with = |online_ms: f64, clear_ms: f64, scene: &str| {
            let (online_ratio, scene) = (online_ms / clear_ms, scene.to_owned());
            let offline_ms = sample().offline_ratio * clear_ms;
            Record { online_ms, clear_ms, online_ratio, offline_ms, scene, ..sample() }
        };
        let verdict = |then: Record, now: Record| Change::of(Some(&then), &now, Some(1.3)).verdict;
        assert_eq!(verdict(with(1.0, 0.03, "loopback"), with(2.0, 0.03, "loopback")), Verdict::Same);
        assert_eq!(verdict(with(1.0, 0.03, "loopback"), with(3.0, 0.03, "loopback")), Verdict::Worse);
        // The machine is twice as fast, the network is not.
        assert_eq!(verdict(with(3400.0, 16.0, "wan"), with(3300.0, 8.0, "wan")), Verdict::Same);
        assert_eq!(verdict(with(3400.0, 16.0, "wan"), with(6800.0, 16.0, "wan")), Verdict::Worse);
    }

    #[test]
    fn counts_are_compared_exactly() {
        let (worse, reasons) = verdict(|r| r.openings += 1);
        assert_eq!((worse, reasons), (Verdict::Worse, vec!["openings: 144, now 145".to_owned()]));
        assert_eq!(verdict(|r| r.material += 1).0, Verdict::Worse);
        assert_eq!(verdict(|r| r.server1_sent -= 1).0, Verdict::Better);
        // Fewer openings do not compensate for more bytes.
        assert_eq!(verdict(|r| (r.openings, r.client_sent) = (1, r.client_sent + 1)).0, Verdict::Worse);
    }

    #[test]
    fn without_a_tolerance_only_counts_are_compared() {
        let compare = |now: Record| Change::of(Some(&sample()), &now, None);
        let slow = compare(Record { online_ratio: 99.0, online_ms: 9999.0, ..sample() });
        assert_eq!((slow.verdict, slow.reasons), (Verdict::Same, Vec::new()));
        assert_eq!(compare(Record { openings: 145, ..sample() }).verdict, Verdict::Worse);
        assert_eq!(compare(Record { openings: 143, ..sample() }).verdict, Verdict::Better);
    }

    #[test]
    fn the_last_of_the_same_subject_counts() {
        let other = Record { scene: "wan".to_owned(), ..sample() };
        let old = Record { openings: 1, ..sample() };
        let record = [old, sample(), other.clone()];
        assert_eq!(last(&record, &sample()).unwrap().openings, 144);
        assert_eq!(last(&record, &Record { tokens: Some(64), ..sample() }), None);
        let new = Change::of(None, &other, Some(1.3));
        assert!(new.verdict == Verdict::New && new.line().contains("new"));
        let elsewhere = Record { machine: "Another".to_owned(), ..sample() };
        assert!(Change::of(Some(&elsewhere), &sample(), Some(1.3)).line().contains("another machine: Another"));
    }
}

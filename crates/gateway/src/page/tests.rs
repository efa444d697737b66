//! The page, compared with the files in `tests/page`.
//!
//! `BLINDROUTE_WRITE_GOLDEN=1 cargo test -p blindroute-gateway page` writes the files anew. They are pages: a browser shows them.

use super::*;
use crate::clock::Moment;
use crate::guard::Forms;
use crate::money::Amount;
use crate::store::{Decision, HourSpending, Recorded, Savings, Spending, Why};
use axum::body::to_bytes;
use std::path::Path;

/// 2026-03-14 15:09:26 UTC.
const NOW: i64 = 1_773_500_966_000;

const HOSTILE: &str = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>";

const CENT: u64 = 10_000_000_000;

fn decision(model: &str, why: Why, ms: [u32; 4]) -> Decision {
    let [waited_ms, online_ms, upstream_ms, total_ms] = ms;
    Decision {
        model: model.to_owned(),
        previous: None,
        why,
        placement: "full".to_owned(),
        router: "uniroute".to_owned(),
        waited_ms,
        online_ms,
        upstream_ms,
        total_ms,
        openings: 144,
        bytes: 70_000,
        pair: None,
        status: 200,
    }
}

fn decisions() -> Vec<Recorded> {
    let list = [
        decision("claude-sonnet", Why::Switched, [2, 410, 1900, 2330]),
        Decision {
            previous: Some("gpt-4o-mini".to_owned()),
            ..decision("gpt-4o-mini", Why::Kept, [1, 395, 720, 1120])
        },
        Decision {
            previous: Some("gpt-4o-mini".to_owned()),
            ..decision("claude-sonnet", Why::Switched, [0, 402, 1600, 2010])
        },
        decision("gpt-4o-mini", Why::Pinned, [0, 0, 640, 643]),
        Decision { status: 529, ..decision("claude-sonnet", Why::Fallback, [3, 388, 90, 485]) },
        decision("gpt-4o-mini", Why::Default, [2000, 0, 510, 2514]),
        decision("gpt-4o-mini", Why::Routed, [1, 380, 820, 1207]),
        decision("text-embedding-3-small", Why::Named, [0, 0, 55, 56]),
    ];
    let at = |index: usize| Moment::from_millis(NOW - 95_000 * (index as i64 + 1));
    list.into_iter().enumerate().map(|(index, decision)| Recorded { at: at(index), session: None, decision }).collect()
}

fn sums(period: &'static str, calls: u64, spent: u64, saved: i64) -> Sums {
    let amount = Amount::from_pico(spent * CENT);
    let spending = Spending { amount, calls };
    let reference = Amount::from_pico((spent as i64 + saved) as u64 * CENT);
    let not_compared = Spending { amount: Amount::ZERO, calls: 1 };
    Sums {
        period,
        spent: spending,
        saved: Savings { compared: calls, spent: amount, reference, saved_pico: saved * CENT as i64, not_compared },
    }
}

fn sample() -> PageData {
    let spent = [0, 0, 0, 0, 0, 0, 0, 3, 8, 21, 34, 18, 9, 27, 44, 12];
    let hours = (0..24_u8).map(|hour| {
        let cents = spent.get(usize::from(hour)).copied().unwrap_or(0);
        HourSpending { hour, amount: Amount::from_pico(cents * CENT), calls: cents * 3 }
    });
    let budget = |period, limit, spent| Budget {
        period,
        limit: Amount::from_pico(limit * CENT),
        spent: Amount::from_pico(spent * CENT),
    };
    let party = |name: &str, port, health, days: i64| Party {
        name: name.to_owned(),
        address: format!("127.0.0.1:{port}"),
        health,
        certificate: Some(Moment::from_millis(NOW + days * 86_400_000)),
    };
    let silent = Health::Silent { reason: "the connection was refused; start it, or check its port".to_owned() };
    let ready = |name: &str, ready| Ready { name: name.to_owned(), ready, wanted: 2 };
    PageData {
        now: Moment::from_millis(NOW),
        started: Moment::from_millis(NOW - 30_000_000),
        sums: vec![
            sums("Since the start", 31, 88, 112),
            sums("Today", 528, 176, -9),
            sums("All time", 20_417, 8_330, 10_420),
        ],
        reference: Some("claude-sonnet".to_owned()),
        budgets: vec![budget("Today", 500, 176), budget("This month", 5000, 5000)],
        session_budget: Some(Amount::from_pico(1_000_000_000_000)),
        hours: hours.collect(),
        decisions: decisions(),
        placement: "full".to_owned(),
        ready: vec![ready("up to 32 tokens", 2), ready("up to 128 tokens", 0)],
        parties: vec![
            party("server 0", 9100, Health::Answers { ms: 1 }, 300),
            party("server 1", 9101, silent, 9),
            party("dealer", 9102, Health::NotAsked, -1),
        ],
        certificates: vec![
            Certificate { name: "client, for pair 0".to_owned(), ends: Moment::from_millis(NOW + 40 * 86_400_000) },
            Certificate { name: "authority, for pair 0".to_owned(), ends: Moment::from_millis(NOW + 29 * 86_400_000) },
        ],
        bundle: Some(BundleInUse { name: "default".to_owned(), digest: "9f2c41d07a".repeat(6) + "beef" }),
        seen: Some("you: prompt, choice; servers and dealer: the length's bucket only".to_owned()),
    }
}

fn empty() -> PageData {
    PageData {
        sums: Vec::new(),
        reference: None,
        budgets: Vec::new(),
        session_budget: None,
        hours: Vec::new(),
        decisions: Vec::new(),
        placement: "local".to_owned(),
        ready: Vec::new(),
        parties: Vec::new(),
        certificates: Vec::new(),
        bundle: None,
        seen: None,
        ..sample()
    }
}

fn golden(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page").join(name);
    let shown = page.replace("><", ">\n<") + "\n";
    if std::env::var_os("BLINDROUTE_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let differs = expected.lines().zip(shown.lines()).find(|(expected, shown)| expected != shown);
    assert!(expected == shown, "{name} differs, first where it has (expected, found): {differs:?}");
}

#[test]
fn the_pages_are_those_in_the_files() {
    golden("full.html", &render(&sample()).into_string());
    golden("empty.html", &render(&empty()).into_string());
    golden("forget.html", &forget(&Forms::from_bytes(&[0xab; 32])).into_string());
}

/// The sample, with a text of one's own everywhere.
fn page_with(text: &str) -> String {
    let name = || text.to_owned();
    let mut data = sample();
    data.reference = Some(name());
    data.placement = name();
    data.seen = Some(name());
    data.bundle = Some(BundleInUse { name: name(), digest: name() });
    data.ready[0].name = name();
    data.parties[0] =
        Party { name: name(), address: name(), health: Health::Silent { reason: name() }, certificate: None };
    let decision = &mut data.decisions[1].decision;
    (decision.model, decision.router, decision.placement) = (name(), name(), name());
    data.decisions[2].decision.previous = Some(name());
    render(&data).into_string()
}

/// What stands between `<` and `>`, without the values of attributes.
fn tags(page: &str) -> Vec<String> {
    let tags = page.split('<').skip(1).map(|part| part.split('>').next().unwrap_or(""));
    tags.map(|tag| tag.split('"').step_by(2).collect()).collect()
}

#[test]
fn every_text_is_escaped() {
    let page = page_with(HOSTILE);
    assert_eq!(page.matches("&lt;script&gt;").count(), 13);
    assert_eq!(tags(&page), tags(&page_with("harmless")), "a text added an element or an attribute");
    assert!(!page.contains("\"'&") && !page.contains(HOSTILE), "a text stayed as it was");
}

#[test]
fn the_pages_need_no_script_and_nothing_from_elsewhere() {
    let pages = [render(&sample()), render(&empty()), forget(&Forms::from_bytes(&[0; 32]))];
    for page in pages.map(maud::PreEscaped::into_string) {
        for forbidden in ["javascript:", "http:", "https:", "//", "@import", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for tag in tags(&page) {
            let mut parts = tag.split([' ', '=']);
            let element = parts.next().unwrap_or("");
            assert!(!["script", "link", "img", "iframe", "object", "embed", "base"].contains(&element), "{tag}");
            for attribute in parts {
                assert!(!attribute.starts_with("on") && !["src", "style", "http-equiv"].contains(&attribute), "{tag}");
            }
        }
    }
}

#[test]
fn the_headers_forbid_all_but_the_style_and_the_form() {
    let answer = response(render(&empty()));
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    let parts: Vec<&str> = policy.split("; ").collect();
    assert_eq!((parts[0], parts.len()), ("default-src 'none'", 5));
    for part in ["form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(parts.contains(&part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("script"));
    let fixed = [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
    ];
    for (name, value) in fixed {
        assert_eq!(header(name), value);
    }
    // The hash is that of the style in the page.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(to_bytes(answer.into_body(), 1 << 20)).unwrap();
    let page = String::from_utf8(body.to_vec()).unwrap();
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    use base64::Engine as _;
    use sha2::Digest as _;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{policy}");
}

#[test]
fn people_without_sight_or_colours_get_the_same() {
    let page = render(&sample()).into_string();
    let count = |text: &str| page.matches(text).count();
    assert!(
        page.contains("<html lang=\"en\">") && count("<main>") == 1 && count("<h1>") == 1 && count("<header>") == 1
    );
    // Every column has a header, and every graph a text.
    assert_eq!(count("<th>") + count("<th class=\"number\">"), 0);
    assert_eq!(count("<svg"), count("role=\"img\"") + count("aria-hidden=\"true\""));
    let identifiers: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for labelled in page.split("aria-labelledby=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert_eq!(identifiers.iter().filter(|identifier| **identifier == labelled).count(), 1, "{labelled}");
    }
    assert!(page.contains("aria-label=\"waiting 2 ms, MPC online 410 ms, provider 1900 ms, other 18 ms\""));
}

#[test]
fn colours_have_the_contrast_that_is_asked_for() {
    for (sheet, back, card) in [(0, "#ffffff", "#f6f8fa"), (1, "#0d1117", "#161b22")] {
        let part = style::STYLE.split(":root {").nth(sheet + 1).unwrap();
        for (name, least) in [
            ("text", 4.5),
            ("soft", 4.5),
            ("link", 4.5),
            ("bad", 4.5),
            ("good", 4.5),
            ("waiting", 3.0),
            ("online", 3.0),
            ("upstream", 3.0),
            ("other", 3.0),
        ] {
            let colour = part.split(&format!("--{name}: ")).nth(1).unwrap().split(';').next().unwrap();
            for background in [back, card] {
                assert!(part.contains(background));
                let ratio = contrast(colour, background);
                assert!(ratio >= least, "{name} {colour} on {background}: {ratio:.2}");
            }
        }
    }
}

/// The contrast of two colours as WCAG 2 defines it.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5) + 0.05
    };
    let (one, other) = (luminance(one), luminance(other));
    one.max(other) / one.min(other)
}

#[test]
fn amounts_are_rounded_for_people_and_never_to_nothing() {
    use super::amounts::{difference, per_cent, usd};
    let shown = |pico| usd(Amount::from_pico(pico));
    assert_eq!(
        [0, 1, 99_999_999, 100_000_000, 1_234_560_000_000].map(shown),
        ["0.0000 USD", "under 0.0001 USD", "under 0.0001 USD", "0.0001 USD", "1.2346 USD"]
    );
    assert_eq!(difference(-1_000_000_000_000), "1.0000 USD lost");
    assert_eq!(difference(i64::MIN), "9223372.0369 USD lost");
    assert_eq!(difference(0), "0.0000 USD saved");
    let share = |part, whole| per_cent(Amount::from_pico(part), Amount::from_pico(whole));
    assert_eq!([share(0, 5), share(4, 5), share(9, 5), share(0, 0)], [0, 80, 100, 100]);
}

#[test]
fn certificates_are_marked_before_they_end() {
    let marked = |millis: i64| {
        let mut data = empty();
        data.parties =
            vec![Party { certificate: Some(Moment::from_millis(NOW + millis)), ..sample().parties[0].clone() }];
        let page = render(&data).into_string();
        (page.contains("Ends soon"), page.contains("Has ended"))
    };
    let day = 86_400_000;
    assert_eq!(
        [30 * day + 1, 30 * day, 1, 0, -day].map(marked),
        [(false, false), (true, false), (true, false), (false, true), (false, true)]
    );
}

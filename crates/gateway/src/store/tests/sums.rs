//! Sums are exact.

use super::super::schema;
use super::super::settlement::{self, Asked, Outcome, Settlement};
use super::*;
use crate::money::limits::Span;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 11) % below
    }
}

/// What is expected, in numbers that cannot overflow.
#[derive(Default)]
struct Expected {
    spent: u128,
    compared: u128,
    reference: u128,
    by_model: [u128; 4],
    by_hour: [u128; 24],
    calls: u64,
    estimated: u64,
}

#[test]
fn ten_thousand_random_calls_sum_to_the_picodollar() {
    const THREADS: u64 = 50;
    let world = World::new();
    let store = world.open();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut all = Expected::default();
    for hour in 0..4 {
        world.at(NOON + hour * HOUR);
        let tasks: Vec<_> =
            (0..THREADS).map(|task| runtime.spawn(some_calls(store.clone(), task + 100 * hour as u64))).collect();
        for task in tasks {
            let one = runtime.block_on(task).unwrap();
            all.by_hour[12 + hour as usize] += one.spent;
            all.spent += one.spent;
            all.compared += one.compared;
            all.reference += one.reference;
            all.calls += one.calls;
            all.estimated += one.estimated;
            all.by_model.iter_mut().zip(one.by_model).for_each(|(sum, one)| *sum += one);
        }
    }
    runtime.block_on(async {
        written(&store).await;
        for period in [Period::Today, Period::Month, Period::All] {
            let spending = store.spent(period, None).await.unwrap();
            assert_eq!((u128::from(spending.amount.pico()), spending.calls), (all.spent, all.calls));
        }
        let savings = store.savings(Period::Month, None).await.unwrap();
        assert_eq!(u128::from(savings.reference.pico()), all.reference);
        assert_eq!(u128::from(savings.spent.pico()), all.compared);
        assert_eq!(i128::from(savings.saved_pico), all.reference as i128 - all.compared as i128);
        assert_eq!(u128::from(savings.not_compared.amount.pico()), all.spent - all.compared);
        let models = store.by_model(Period::All).await.unwrap();
        assert_eq!(models.iter().map(|model| model.estimated).sum::<u64>(), all.estimated);
        for model in models {
            let number: usize = model.model.parse().unwrap();
            assert_eq!(u128::from(model.amount.pico()), all.by_model[number]);
        }
        let hours = store.by_hour(Moment::from_millis(NOON)).await.unwrap();
        assert_eq!(hours.len(), 24);
        for hour in hours {
            assert_eq!(u128::from(hour.amount.pico()), all.by_hour[usize::from(hour.hour)], "hour {}", hour.hour);
        }
    });
}

/// Fifty calls that end in all ways, and what they cost by another computation.
async fn some_calls(store: Store, seed: u64) -> Expected {
    let (mut numbers, mut expected) = (Numbers(seed), Expected::default());
    let budget = Budget::new(store, Limits::default());
    for _ in 0..50 {
        let [input, cached, cache_write, output] = std::array::from_fn(|_| numbers.next(80_000_000));
        let amounts = [input, cached, cache_write, output].map(Amount::from_pico);
        let prices = Prices { input: amounts[0], cached: amounts[1], cache_write: amounts[2], output: amounts[3] };
        let tokens = {
            let cached = numbers.next(50_000);
            let written = numbers.next(50_000);
            Tokens {
                input: cached + written + numbers.next(50_000),
                cached,
                cache_write: written,
                output: numbers.next(9000),
            }
        };
        let (model, max_output) = (numbers.next(4) as usize, numbers.next(9000));
        let name = model.to_string();
        let session = numbers.next(3).to_string();
        let call = Call {
            session: Some(&session).filter(|_| model > 1).map(String::as_str),
            model: &name,
            provider: "p",
            prices: Some(prices),
            input: tokens.input,
            max_output,
        };
        let held = budget.reserve(call).await.unwrap();
        let reserved =
            u128::from(input.max(cache_write)) * u128::from(tokens.input) + u128::from(output) * u128::from(max_output);
        let fresh = tokens.input - tokens.cached - tokens.cache_write;
        let real: u128 =
            [(input, fresh), (cached, tokens.cached), (cache_write, tokens.cache_write), (output, tokens.output)]
                .into_iter()
                .map(|(price, count)| u128::from(price) * u128::from(count))
                .sum();
        let reference = numbers.next(1 << 40);
        let cost = match numbers.next(8) {
            0 => {
                held.release().await.unwrap();
                continue;
            }
            1 => {
                expected.estimated += 1;
                drop(held);
                reserved
            }
            2 => {
                held.settle_soon(tokens, None);
                real
            }
            _ => {
                let settled = held.settle(tokens, Some(Amount::from_pico(reference))).await.unwrap();
                assert_eq!(u128::from(settled.pico()), real);
                expected.compared += real;
                expected.reference += u128::from(reference);
                real
            }
        };
        expected.spent += cost;
        expected.by_model[model] += cost;
        expected.calls += 1;
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn savings_are_negative_where_the_reference_is_cheaper() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), Limits::default());
    let of = |reference: Option<u64>| (input(100), reference.map(Amount::from_pico));
    for reference in [Some(40), Some(150), Some(0), None] {
        let (tokens, reference) = of(reference);
        budget.reserve(call(1000)).await.unwrap().settle(tokens, reference).await.unwrap();
    }
    let savings = store.savings(Period::Today, None).await.unwrap();
    assert_eq!((savings.compared, savings.spent.pico(), savings.reference.pico()), (3, 300, 190));
    assert_eq!(savings.saved_pico, -110);
    assert_eq!((savings.not_compared.calls, savings.not_compared.amount.pico()), (1, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_begins_when_the_record_is_opened() {
    let world = World::new();
    for (calls, reference) in [(3, None), (2, Some(Amount::from_pico(150)))] {
        let store = world.open();
        assert_eq!(spent(&store, Period::Run).await, (0, 0));
        let budget = Budget::new(store.clone(), Limits::default());
        for session in ["one", "other"].into_iter().cycle().take(calls) {
            let asked = Call { session: Some(session), ..call(1000) };
            budget.reserve(asked).await.unwrap().settle(input(100), reference).await.unwrap();
        }
        assert_eq!(spent(&store, Period::Run).await, (100 * calls as u64, calls as u64));
        assert_eq!(store.spent(Period::Run, Some("other")).await.unwrap().calls, 1);
        let [run, all] = [Period::Run, Period::All].map(|period| store.savings(period, None));
        // Only calls of the second run are compared.
        let (run, all) = (run.await.unwrap(), all.await.unwrap());
        assert_eq!((run.compared, run.saved_pico), (all.compared, all.saved_pico));
        assert_eq!(store.by_model(Period::Run).await.unwrap()[0].calls, calls as u64);
        store.close().await;
    }
    assert_eq!(spent(&world.open(), Period::All).await, (500, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_at_the_end_of_the_range_stay_there() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(Amount::MAX.pico()));
    for _ in 0..3 {
        let held = Budget::new(store.clone(), Limits::default()).reserve(call(1)).await.unwrap();
        held.settle(input(u64::MAX), Some(Amount::MAX)).await.unwrap();
    }
    assert_eq!(spent(&store, Period::All).await, (Amount::MAX.pico(), 3));
    assert_eq!(exceeded(budget.reserve(call(0)).await).spent, Amount::MAX);
    assert_eq!(store.savings(Period::All, None).await.unwrap().reference, Amount::MAX);
}

#[test]
fn a_reservation_is_settled_once() {
    let world = World::new();
    let connection = schema::open(&world.path(), &schema::STEPS).unwrap();
    let asked = Asked {
        id: 5,
        at: Moment::from_millis(NOON),
        session: None,
        model: "m".to_owned(),
        provider: "p".to_owned(),
        amount: Amount::from_pico(100),
        limits: Limits::default(),
    };
    settlement::reserve(&connection, &asked).unwrap().unwrap();
    let spent =
        || settlement::spent_since(&connection, Span::Day, Moment::from_millis(NOON).day(), None).unwrap().pico();
    let settle = |outcome| settlement::settle(&connection, &Settlement { id: 5, outcome, durable: true }).unwrap();
    let real = Outcome::Spent { tokens: input(30), amount: Amount::from_pico(30), reference: None };
    assert_eq!((spent(), settle(real), spent()), (100, Some(Amount::from_pico(30)), 30));
    for again in [Outcome::NotMade, Outcome::Unknown, real] {
        assert_eq!((settle(again), spent()), (None, 30));
    }
    assert_eq!(settlement::settle_abandoned(&connection).unwrap(), 0);
}

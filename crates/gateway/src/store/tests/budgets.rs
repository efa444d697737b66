//! Budgets: never exceeded, never stuck, and what is not known counts as spent.

use super::*;
use crate::money::limits::{Scope, Span};
use futures_util::FutureExt as _;
use std::sync::atomic::AtomicU64;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_counts_until_the_real_usage_does() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(1000));
    let first = budget.reserve(call(700)).await.unwrap();
    assert_eq!(first.amount().pico(), 700);
    let refused = exceeded(budget.reserve(call(301)).await);
    assert_eq!((refused.spent.pico(), refused.limit.pico(), refused.asked.pico()), (700, 1000, 301));
    assert_eq!((refused.scope, refused.span), (Scope::All, Span::Day));
    // The last picodollar can be had.
    let second = budget.reserve(call(300)).await.unwrap();
    exceeded(budget.reserve(call(1)).await);
    assert_eq!(first.settle(input(200), None).await.unwrap().pico(), 200);
    assert_eq!(spent(&store, Period::Today).await, (500, 2));
    second.release().await.unwrap();
    assert_eq!(spent(&store, Period::Today).await, (200, 1));
    budget.reserve(call(800)).await.unwrap().settle_unknown().await.unwrap();
    assert_eq!(spent(&store, Period::All).await, (1000, 2));
    let models = store.by_model(Period::Today).await.unwrap();
    assert_eq!((models[0].calls, models[0].estimated, models[0].tokens.input), (2, 1, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_beyond_the_reservation_counts_and_closes_the_budget() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(1000));
    budget.reserve(call(10)).await.unwrap().settle(input(1500), None).await.unwrap();
    assert_eq!(exceeded(budget.reserve(call(0)).await).spent.pico(), 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_reservations_count_as_spent_and_are_estimated() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(1000));
    drop(budget.reserve(call(600)).await.unwrap());
    written(&store).await;
    assert_eq!(spent(&store, Period::Today).await, (600, 1));
    assert_eq!(store.by_model(Period::Today).await.unwrap()[0].estimated, 1);
    exceeded(budget.reserve(call(401)).await);
    // A settlement that nobody waits for is one all the same.
    budget.reserve(call(400)).await.unwrap().settle_soon(input(100), None);
    written(&store).await;
    assert_eq!(spent(&store, Period::Today).await, (700, 2));
    store.close().await;
    assert_eq!(world.open().abandoned(), 0, "all were settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_given_up_while_it_reserves_leaves_nothing() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(1_000_000));
    let mut given_up = 0;
    for round in 0..300 {
        let mut reserve = Box::pin(budget.reserve(call(1000)));
        let early = reserve.as_mut().now_or_never();
        if round % 3 == 0 {
            std::thread::yield_now();
        }
        drop(reserve);
        match early {
            Some(reserved) => reserved.unwrap().release().await.unwrap(),
            None => given_up += 1,
        }
    }
    written(&store).await;
    written(&store).await;
    assert!(given_up > 0);
    assert_eq!(spent(&store, Period::Today).await, (0, 0));
    store.close().await;
    assert_eq!(world.open().abandoned(), 0);
}

#[test]
fn many_threads_never_exceed_a_budget_and_never_wait_for_ever() {
    const LIMIT: u64 = 100_000;
    const MOST: u64 = 700;
    let world = World::new();
    let store = world.open();
    let (granted, refusals) = (AtomicU64::new(0), AtomicU64::new(0));
    let one = |thread: u64| {
        let budget = Budget::new(store.clone(), daily(LIMIT));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for round in 0.. {
                let asked = 1 + (thread * 31 + round * 97) % MOST;
                let Ok(held) = budget.reserve(call(asked)).await else { break };
                let now = granted.fetch_add(asked, Ordering::SeqCst) + asked;
                assert!(now <= LIMIT, "{now} were granted");
                // Less is counted from before it is given back.
                match round % 4 {
                    0 => {
                        granted.fetch_sub(asked - asked / 2, Ordering::SeqCst);
                        held.settle(input(asked / 2), None).await.unwrap();
                    }
                    1 if round < 20 => {
                        granted.fetch_sub(asked, Ordering::SeqCst);
                        held.release().await.unwrap();
                    }
                    2 => drop(held),
                    _ => assert_eq!(held.settle_unknown().await.unwrap().pico(), asked),
                }
            }
        });
        refusals.fetch_add(1, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        for thread in 0..32 {
            scope.spawn(move || one(thread));
        }
    });
    assert_eq!(refusals.load(Ordering::SeqCst), 32);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        written(&store).await;
        let (all, _) = spent(&store, Period::Today).await;
        assert_eq!(all, granted.load(Ordering::SeqCst));
        assert!(all <= LIMIT && all > LIMIT - 32 * MOST, "{all}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn days_and_months_begin_anew_at_their_borders_in_utc() {
    let world = World::new();
    let store = world.open();
    let (day, month) = (Some(Amount::from_pico(100)), Some(Amount::from_pico(250)));
    let budget = Budget::new(store.clone(), Limits { all: SpanLimits { day, month }, ..Limits::default() });
    let february = 1_769_904_000_000;
    // The last millisecond of January 30.
    world.at(february - 24 * HOUR - 1);
    let slow = budget.reserve(call(100)).await.unwrap();
    assert_eq!(exceeded(budget.reserve(call(1)).await).resets.millis(), february - 24 * HOUR);
    world.at(february - 24 * HOUR);
    budget.reserve(call(100)).await.unwrap().settle_unknown().await.unwrap();
    // It ends a day later, and belongs to the day in which it began.
    slow.settle(input(60), None).await.unwrap();
    assert_eq!(spent(&store, Period::Today).await, (100, 1));
    assert_eq!(spent(&store, Period::Month).await, (160, 2));
    world.at(february - 1);
    let refused = exceeded(budget.reserve(call(91)).await);
    assert_eq!((refused.span, refused.resets.millis()), (Span::Day, february));
    world.at(february);
    assert_eq!(spent(&store, Period::Month).await, (0, 0));
    budget.reserve(call(100)).await.unwrap().settle_unknown().await.unwrap();
    assert_eq!(spent(&store, Period::All).await, (260, 3));
    world.at(february + 24 * HOUR);
    budget.reserve(call(100)).await.unwrap().settle_unknown().await.unwrap();
    world.at(february + 48 * HOUR);
    let refused = exceeded(budget.reserve(call(51)).await);
    assert_eq!((refused.span, refused.spent.pico()), (Span::Month, 200));
    assert_eq!(refused.resets.to_string(), "2026-03-01 00:00:00 UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_gives_no_money_again() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(100));
    budget.reserve(call(100)).await.unwrap().settle_unknown().await.unwrap();
    world.at(NOON - 24 * HOUR);
    assert_eq!(exceeded(budget.reserve(call(1)).await).spent.pico(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_has_its_own_budget() {
    let world = World::new();
    let store = world.open();
    let session = SpanLimits { day: None, month: Some(Amount::from_pico(100)) };
    let budget = Budget::new(store.clone(), Limits { session, ..daily(1000) });
    let of = |session, pico| Call { session, ..call(pico) };
    budget.reserve(of(Some("a"), 100)).await.unwrap().settle_unknown().await.unwrap();
    let refused = exceeded(budget.reserve(of(Some("a"), 1)).await);
    assert_eq!((refused.scope, refused.span, refused.spent.pico()), (Scope::Session, Span::Month, 100));
    budget.reserve(of(Some("b"), 99)).await.unwrap().settle_unknown().await.unwrap();
    budget.reserve(of(None, 500)).await.unwrap().settle_unknown().await.unwrap();
    assert_eq!(store.spent(Period::Month, Some("a")).await.unwrap().amount.pico(), 100);
    assert_eq!(store.spent(Period::Today, Some("b")).await.unwrap().amount.pico(), 99);
    assert_eq!(store.spent(Period::All, Some("c")).await.unwrap().calls, 0);
    assert_eq!(spent(&store, Period::Today).await, (699, 3));
    let message = BudgetError::Exceeded(refused).to_string();
    let expected = "the monthly budget of this session is 0.0000000001 USD, of which 0.0000000001 USD are spent or reserved, and this \
                    call may cost up to 0.000000000001 USD; it resets at 2026-02-01 00:00:00 UTC; raise budget.session in the \
                    configuration, or ask for fewer output tokens";
    assert_eq!(message, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_prices_and_costs_beyond_reason_are_refused_without_any_limit() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), Limits::default());
    let unknown = budget.reserve(Call { prices: None, ..call(1) }).await;
    assert!(matches!(unknown, Err(BudgetError::UnknownPrices { model }) if model == "model"));
    let beyond = budget.reserve(Call { max_output: u64::MAX, ..call(1) }).await;
    assert!(matches!(beyond, Err(BudgetError::BeyondReason { .. })));
    assert_eq!(spent(&store, Period::All).await, (0, 0));
}

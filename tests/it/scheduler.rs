//! The scheduler around a scripted runner: order of failure, and its end.

use std::time::{Duration, Instant};

use tandem::batching::{Failure, SubmitOptions};

use crate::support::stage::{RUN, Script, Stage, later, options, sizes};

#[tokio::test]
async fn the_bound_on_rows_in_flight_is_exact_and_says_when_to_come_back() {
    let stage = Stage::new(3);
    let held = stage.scheduler.reserve(options(), sizes(2)).expect("room");
    assert!(matches!(
        stage.scheduler.reserve(options(), sizes(2)),
        Err(Failure::QueueFull { retry_after }) if !retry_after.is_zero()
    ));
    let last = stage.scheduler.reserve(options(), sizes(1)).expect("room for one");
    assert!(matches!(
        stage.scheduler.reserve(options(), sizes(1)),
        Err(Failure::QueueFull { .. })
    ));
    drop(held);
    stage
        .scheduler
        .reserve(options(), sizes(2))
        .map(drop)
        .expect("room again");
    drop(last);
}

#[tokio::test]
async fn room_comes_back_with_the_answer() {
    let mut stage = Stage::new(1);
    let first = stage.occupy().await;
    assert!(matches!(
        stage.scheduler.reserve(options(), sizes(1)),
        Err(Failure::QueueFull { .. })
    ));
    stage.go(Script::Answer);
    assert_eq!(first.await.expect("no panic"), Ok(vec![0.0]));
    stage
        .scheduler
        .reserve(options(), sizes(1))
        .map(drop)
        .expect("room again");
}

#[tokio::test]
async fn rows_that_wait_together_run_together_and_come_back_in_order() {
    let mut stage = Stage::new(10);
    let first = stage.occupy().await;
    let second = stage.submit(&[1, 2], later()).await;
    let third = stage.submit(&[3], later()).await;
    assert_eq!(stage.scheduler.queued_rows(), 3);
    stage.go(Script::Answer);
    assert_eq!(stage.started().await, [1, 2, 3]);
    stage.go(Script::Answer);
    assert_eq!(first.await.expect("no panic"), Ok(vec![0.0]));
    assert_eq!(second.await.expect("no panic"), Ok(vec![1.0, 2.0]));
    assert_eq!(third.await.expect("no panic"), Ok(vec![3.0]));
}

#[tokio::test]
async fn a_request_that_was_cancelled_never_runs() {
    let mut stage = Stage::new(10);
    let _first = stage.occupy().await;
    let cancelled = stage.submit(&[1], later()).await;
    let kept = stage.submit(&[2], later()).await;
    cancelled.abort();
    assert!(cancelled.await.expect_err("cancelled").is_cancelled());
    assert_eq!(stage.scheduler.queued_rows(), 1);
    stage.go(Script::Answer);
    assert_eq!(stage.started().await, [2]);
    stage.go(Script::Answer);
    assert_eq!(kept.await.expect("no panic"), Ok(vec![2.0]));
}

#[tokio::test]
async fn a_request_that_expired_is_answered_and_never_runs() {
    let mut stage = Stage::new(10);
    let _first = stage.occupy().await;
    let expired = stage.submit(&[1], Instant::now()).await;
    let kept = stage.submit(&[2], later()).await;
    assert_eq!(expired.await.expect("no panic"), Err(Failure::DeadlineExceeded));
    stage.go(Script::Answer);
    assert_eq!(stage.started().await, [2]);
    stage.go(Script::Answer);
    assert_eq!(kept.await.expect("no panic"), Ok(vec![2.0]));
}

#[tokio::test]
async fn a_batch_that_fails_is_run_row_by_row_so_that_neighbours_are_answered() {
    for failure in [Script::Fail, Script::Panic, Script::OneRowShort] {
        let mut stage = Stage::new(10);
        let first = stage.occupy().await;
        let bad = stage.submit(&[1], later()).await;
        let good = stage.submit(&[2], later()).await;
        stage.go(Script::Answer);
        assert_eq!(stage.started().await, [1, 2]);
        stage.go(failure);
        assert_eq!(stage.started().await, [1]);
        stage.go(Script::Fail);
        assert_eq!(stage.started().await, [2]);
        stage.go(Script::Answer);
        assert!(first.await.expect("no panic").is_ok());
        assert!(matches!(bad.await.expect("no panic"), Err(Failure::Inference(_))));
        assert_eq!(good.await.expect("no panic"), Ok(vec![2.0]));
    }
}

#[tokio::test]
async fn a_runner_that_panics_fails_its_row_and_goes_on() {
    let mut stage = Stage::new(10);
    let first = stage.occupy().await;
    stage.go(Script::Panic);
    assert!(matches!(first.await.expect("answered"), Err(Failure::Inference(_))));
    assert_eq!(
        stage.opened.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "a new runner takes its place"
    );
    let second = stage.submit(&[7], later()).await;
    stage.go(Script::Answer);
    assert_eq!(second.await.expect("no panic"), Ok(vec![7.0]));
}

#[tokio::test]
async fn close_finishes_what_waits_and_takes_nothing_new() {
    let mut stage = Stage::new(10);
    let running = stage.occupy().await;
    let waiting = stage.submit(&[1], later()).await;
    stage.scheduler.close();
    let refused = stage.submit(&[2], later()).await;
    assert_eq!(refused.await.expect("no panic"), Err(Failure::Closed));
    stage.go(Script::Answer);
    stage.go(Script::Answer);
    assert_eq!(running.await.expect("no panic"), Ok(vec![0.0]));
    assert_eq!(waiting.await.expect("no panic"), Ok(vec![1.0]));
    let scheduler = stage.scheduler.clone();
    tokio::task::spawn_blocking(move || assert!(scheduler.join(std::time::Duration::from_mins(1))))
        .await
        .expect("the threads ended");
}

#[tokio::test]
async fn work_that_cannot_be_done_in_time_is_refused_on_arrival_and_says_how_long_it_would_take() {
    let mut stage = Stage::new(100);
    let _running = stage.occupy().await;
    let _waiting = stage.submit(&[1, 2], later()).await;
    let soon = |deadline| SubmitOptions { deadline, ..options() };
    let refused = stage.scheduler.reserve(soon(Instant::now() + RUN), sizes(1)).map(drop);
    let Err(Failure::DeadlineTooShort { expected }) = refused else {
        panic!("{refused:?}");
    };
    assert!(expected > Duration::ZERO);
    let patient = soon(Instant::now() + 10 * RUN);
    stage.scheduler.reserve(patient, sizes(1)).map(drop).expect("in time");
    assert_eq!(stage.scheduler.admissible(soon(Instant::now() + RUN), 10, 10), 0);
    assert_eq!(stage.scheduler.admissible(patient, 10, 10), 10);
}

#[tokio::test]
async fn an_idle_server_tries_even_a_short_deadline() {
    let stage = Stage::new(10);
    let short = SubmitOptions {
        deadline: Instant::now() + RUN / 2,
        ..options()
    };
    let answer = stage.submit_as(&[5], short).await;
    stage.go(Script::Answer);
    assert_eq!(answer.await.expect("no panic"), Ok(vec![5.0]));
}

#[tokio::test]
async fn a_large_request_is_split_over_batches_and_instances_and_comes_back_in_order() {
    let mut stage = Stage::with_instances(100, 2);
    let ids: Vec<u32> = (1..=20).collect();
    let answer = stage.submit(&ids, later()).await;
    let mut seen = 0;
    let mut batches = 0;
    while seen < ids.len() {
        let batch = stage.started().await;
        assert!(batch.len() <= 8, "max_rows");
        seen += batch.len();
        batches += 1;
        stage.go(Script::Answer);
    }
    assert!(batches >= 3);
    let expected: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
    assert_eq!(answer.await.expect("no panic"), Ok(expected));
    assert_eq!(stage.scheduler.held().rows, 0);
}

#[tokio::test]
async fn a_poison_row_among_others_leaves_all_of_them_their_right_answers() {
    const POISON: u32 = 13;
    let mut stage = Stage::new(100);
    let running = stage.occupy().await;
    let mut answers = Vec::new();
    for id in 1..=32 {
        answers.push((id, stage.submit(&[id], later()).await));
    }
    stage.go(Script::Answer);
    running.await.expect("no panic").expect("an answer");
    // Four batches of eight; the one with the poison fails, and is run row by row.
    for _ in 0..4 + 8 {
        let poisoned = stage.started().await.contains(&POISON);
        stage.go(if poisoned { Script::Fail } else { Script::Answer });
    }
    for (id, answer) in answers {
        match answer.await.expect("no panic") {
            Err(Failure::Inference(_)) => assert_eq!(id, POISON),
            other => assert_eq!(other, Ok(vec![id as f32])),
        }
    }
}

#[tokio::test]
async fn fewer_instances_run_at_once_while_there_are_fewer_cores_and_nothing_is_lost() {
    let mut stage = Stage::with_instances(100, 3);
    let mut answers = Vec::new();
    for id in 1..=2 {
        answers.push((id, stage.submit(&[id], later()).await));
        assert_eq!(stage.started().await, [id]);
    }
    // Two run, the third is free. Both go on, but only one run may begin once both have ended.
    stage.scheduler.set_at_once(1, false);
    for id in 3..=4 {
        answers.push((id, stage.submit(&[id], later()).await));
    }
    // One ends: the other one still runs, so nothing begins.
    stage.go(Script::Answer);
    while stage.scheduler.held().rows > 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.scheduler.queued_rows(), 2);
    assert!(stage.started_by_now().is_none(), "as many run as may");
    stage.go(Script::Answer);
    let together = stage.started().await;
    assert_eq!(together, [3, 4], "both wait for the only one that may run");
    answers.push((5, stage.submit(&[5], later()).await));
    assert!(stage.started_by_now().is_none());
    // More cores: one that rested takes what waits at once.
    stage.scheduler.set_at_once(9, true);
    assert_eq!(stage.started().await, [5]);
    stage.go(Script::Answer);
    stage.go(Script::Answer);
    for (id, answer) in answers {
        assert_eq!(answer.await.expect("no panic"), Ok(vec![id as f32]));
    }
    assert_eq!(stage.scheduler.held().rows, 0);
}

#[tokio::test]
async fn work_is_expected_to_take_longer_while_fewer_instances_run_at_once() {
    let stage = Stage::with_instances(100, 4);
    let expected = |rows| stage.scheduler.expected(options(), sizes(rows));
    let before = expected(4);
    stage.scheduler.set_at_once(2, false);
    assert_eq!(expected(4), before * 2);
    stage.scheduler.set_at_once(0, false);
    assert_eq!(expected(4), before * 4, "at least one runs");
    stage.scheduler.set_at_once(4, true);
    assert_eq!(expected(4), before);
}

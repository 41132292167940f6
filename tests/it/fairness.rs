//! Who goes first, and who may have how much: priorities, fair shares, room in bytes.

use tandem::batching::{ClientKey, Failure, Priority, SubmitOptions};

use crate::support::stage::{Script, Stage, options, sizes};

fn by(client: u64) -> SubmitOptions {
    SubmitOptions {
        client: ClientKey(client),
        ..options()
    }
}

fn with(priority: Priority) -> SubmitOptions {
    SubmitOptions { priority, ..options() }
}

#[tokio::test]
async fn a_higher_priority_goes_first_and_batches_do_not_mix() {
    let mut stage = Stage::new(100);
    let _running = stage.occupy().await;
    let _bulk = stage.submit_as(&[30, 31], with(Priority::Bulk)).await;
    let _normal = stage.submit_as(&[20, 21], with(Priority::Normal)).await;
    let _interactive = stage.submit_as(&[10], with(Priority::Interactive)).await;
    for expected in [vec![10], vec![20, 21], vec![30], vec![31]] {
        stage.go(Script::Answer);
        let started = stage.started().await;
        assert_eq!(started, expected, "bulk runs in batches of bounded cost: here one row");
    }
    stage.go(Script::Answer);
}

#[tokio::test]
async fn bulk_work_that_was_passed_over_has_its_turn() {
    let mut stage = Stage::new(100);
    let _running = stage.occupy().await;
    let _bulk = stage.submit_as(&[99], with(Priority::Bulk)).await;
    let mut passed_over = 0;
    let mut answers = Vec::new();
    loop {
        answers.push(stage.submit_as(&[1], with(Priority::Interactive)).await);
        stage.go(Script::Answer);
        match stage.started().await[..] {
            [1] => passed_over += 1,
            [99] => break,
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!(passed_over, 15);
    stage.go(Script::Answer);
    stage.go(Script::Answer);
}

#[tokio::test]
async fn clients_take_turns_however_much_one_of_them_brings() {
    let mut stage = Stage::new(1000);
    let _running = stage.occupy().await;
    let many: Vec<u32> = (100..180).collect();
    let _hog = stage.submit_as(&many, by(1)).await;
    let small = stage.submit_as(&[7], by(2)).await;
    stage.go(Script::Answer);
    let first = stage.started().await;
    stage.go(Script::Answer);
    let second = stage.started().await;
    assert!(
        first.contains(&7) || second.contains(&7),
        "{first:?} {second:?}: the newcomer is among the first two batches of eleven"
    );
    for _ in 0..9 {
        stage.go(Script::Answer);
        stage.started().await;
    }
    stage.go(Script::Answer);
    assert_eq!(small.await.expect("no panic"), Ok(vec![7.0]));
}

#[tokio::test]
async fn a_client_that_fills_the_room_leaves_some_to_newcomers() {
    let stage = Stage::new(80);
    let _hog = stage.scheduler.reserve(by(1), sizes(60)).expect("room");
    let full = stage.scheduler.reserve(by(1), sizes(11)).map(drop);
    assert!(matches!(full, Err(Failure::QueueFull { .. })), "{full:?}");
    let newcomer = stage.scheduler.reserve(by(2), sizes(10)).expect("room for a newcomer");
    drop(newcomer);
    stage
        .scheduler
        .reserve(by(1), sizes(10))
        .map(drop)
        .expect("up to seven eighths");
}

#[tokio::test]
async fn room_is_bounded_in_bytes_too() {
    let stage = Stage::new(8);
    let bytes = |size: usize| std::iter::once(size);
    let held = stage.scheduler.reserve(by(1), bytes(8000)).expect("all of it");
    let full = stage.scheduler.reserve(by(2), bytes(1)).map(drop);
    assert!(matches!(full, Err(Failure::QueueFull { .. })), "{full:?}");
    drop(held);
    assert!(stage.scheduler.reserve(by(2), bytes(8001)).is_err());
    stage
        .scheduler
        .reserve(by(2), bytes(8000))
        .map(drop)
        .expect("exactly all of it");
}

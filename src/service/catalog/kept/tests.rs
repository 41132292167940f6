//! Each reason has its room, equal texts are kept once, and pages follow each other.

use super::line::line;
use super::page::KeptQuery;
use super::text::says;
use super::*;
use crate::model::Tier;
use crate::model::postprocess::{Classification, Selection};
use crate::telemetry::metrics::Metrics;

fn store(texts: usize, bytes: usize) -> KeptTexts {
    let settings = Settings {
        keep_texts: texts,
        keep_bytes: bytes,
        ..Settings::default()
    };
    KeptTexts::new(&settings, Metrics::new("").kept().clone(), None).expect("it is on")
}

fn answer(withheld: bool) -> KeptAnswer {
    KeptAnswer {
        label: if withheld { String::new() } else { "good".to_owned() },
        predicted: vec!["good".to_owned()],
        withheld,
        multi_label: false,
        confidence: 0.5,
        tier: Tier::Fast,
        model: "a@1".to_owned(),
    }
}

fn seen(text: &str) -> SeenText<'_> {
    SeenText {
        task: "a",
        text,
        pair: None,
    }
}

fn keep(store: &KeptTexts, text: &str, reason: KeepReason) {
    let deep = (reason == KeepReason::Differed).then(|| vec!["bad".to_owned()]);
    store.keep(seen(text), reason.into(), || {
        (answer(reason == KeepReason::Abstained), deep)
    });
}

/// The texts that a page holds.
fn texts(store: &KeptTexts, reasons: &[KeepReason]) -> Vec<String> {
    let query = KeptQuery {
        reasons: reasons.iter().copied().collect(),
        ..KeptQuery::default()
    };
    let page = store.page(query).expect("a page");
    page.texts.iter().map(|(kept, _)| kept.text.clone()).collect()
}

/// What the rings say that they hold, and what is held.
fn check(store: &KeptTexts) {
    let rings = store.rings.lock();
    for reason in KeepReason::ALL {
        let held = rings.texts.values().filter(|entry| entry.reasons.has(reason));
        let (count, bytes) = held.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.kept.bytes()));
        let ring = &rings.rings[reason as usize];
        assert_eq!((ring.numbers.len(), ring.bytes), (count, bytes), "{reason:?}");
        assert!(count <= store.room.texts[reason as usize] && bytes <= store.room.bytes);
    }
    assert_eq!(rings.numbers.len(), rings.texts.len());
    assert!(rings.texts.values().all(|entry| !entry.reasons.is_empty()));
}

#[test]
fn each_reason_has_a_third_of_the_room_and_its_oldest_go() {
    let store = store(8, 1 << 20);
    assert_eq!(store.room.texts, [3, 3, 2]);
    keep(&store, "first", KeepReason::Differed);
    for number in 0..100 {
        keep(&store, &number.to_string(), KeepReason::Abstained);
        keep(&store, &format!("r{number}"), KeepReason::Random);
    }
    check(&store);
    assert_eq!(texts(&store, &[]), ["first", "97", "98", "r98", "99", "r99"]);
    assert_eq!(texts(&store, &[KeepReason::Random]), ["r98", "r99"]);
    assert_eq!(texts(&store, &[KeepReason::Differed]), ["first"]);
}

#[test]
fn bytes_are_bounded_and_what_never_fits_is_dropped() {
    let store = store(300, 64 << 10);
    let large = "x".repeat((64 << 10) / 3);
    keep(&store, &large, KeepReason::Random);
    assert!(texts(&store, &[]).is_empty());
    let some: Vec<String> = (0..10).map(|number| number.to_string().repeat(9_000)).collect();
    for text in &some {
        keep(&store, text, KeepReason::Random);
        check(&store);
    }
    assert_eq!(texts(&store, &[]), some[8..]);
}

#[test]
fn equal_texts_are_kept_once_with_all_their_reasons_and_answers() {
    let store = store(6, 1 << 20);
    keep(&store, "same", KeepReason::Random);
    keep(&store, "same", KeepReason::Random);
    keep(&store, "same", KeepReason::Differed);
    keep(&store, "same", KeepReason::Abstained);
    check(&store);
    let page = store.page(KeptQuery::default()).expect("a page");
    let [(kept, reasons)] = &page.texts[..] else {
        panic!("one text: {page:?}")
    };
    assert_eq!(reasons.iter().count(), 3);
    assert!(kept.answer.withheld && kept.answer.label.is_empty());
    assert_eq!(kept.deep, Some(vec!["bad".to_owned()]));
    // A pair and another task are other texts.
    let pair = SeenText {
        pair: Some("b"),
        ..seen("same")
    };
    store.keep(pair, KeepReason::Random.into(), || (answer(false), None));
    let other = SeenText {
        task: "b",
        ..seen("same")
    };
    store.keep(other, KeepReason::Random.into(), || (answer(false), None));
    check(&store);
    // It left the ring of random texts, and stays for its other reasons.
    let page = store.page(KeptQuery::default()).expect("a page");
    assert_eq!(page.texts.len(), 3);
    assert!(!page.texts[0].1.has(KeepReason::Random));
    // When it has left the last, it may come again.
    for text in ["1", "2"] {
        keep(&store, text, KeepReason::Differed);
        keep(&store, text, KeepReason::Abstained);
    }
    check(&store);
    keep(&store, "same", KeepReason::Abstained);
    assert_eq!(texts(&store, &[KeepReason::Abstained]), ["2", "same"]);
}

#[test]
fn pages_follow_each_other_while_texts_come_and_go() {
    let store = store(3000, 1 << 28);
    for number in 0..700 {
        keep(&store, &number.to_string(), KeepReason::Random);
    }
    let ask = |page_size, page_token: &str| {
        let query = KeptQuery {
            page_size,
            page_token,
            ..KeptQuery::default()
        };
        store.page(query)
    };
    let first = ask(300, "").expect("a page");
    assert_eq!(first.texts.len(), 300);
    // The rest of the ring, and some that push out the oldest.
    for number in 700..1100 {
        keep(&store, &number.to_string(), KeepReason::Random);
    }
    let second = ask(2000, &first.next_page_token).expect("a page");
    assert_eq!(second.texts.len(), 800, "at most a thousand, and no more are left");
    assert_eq!(
        (second.texts[0].0.text.as_str(), second.next_page_token.as_str()),
        ("300", "")
    );
    assert_eq!(ask(0, "").expect("a page").texts.len(), 100);
    for wrong in [
        "1",
        "x-1",
        "-",
        &format!("{}0", store.run),
        &format!("{:x}-+5", store.run),
        &format!("{:x}-05", store.run),
    ] {
        let error = ask(0, wrong).expect_err(wrong);
        assert!(error.message.starts_with("page_token"), "{}", error.message);
    }
    assert!(ask(-1, "").is_err());
}

#[test]
fn a_page_ends_by_its_bytes_too() {
    let store = store(300, 1 << 28);
    for number in 0..5 {
        keep(
            &store,
            &format!("{number}{}", "x".repeat(600 << 10)),
            KeepReason::Random,
        );
    }
    let (mut token, mut counts) = (String::new(), Vec::new());
    loop {
        let query = KeptQuery {
            page_token: &token,
            ..KeptQuery::default()
        };
        let page = store.page(query).expect("a page");
        counts.push(page.texts.len());
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    assert_eq!(counts, [2, 2, 1]);
}

#[test]
fn a_line_has_a_list_where_several_labels_may_be_right_and_null_for_the_label() {
    let labels = ["a", "b", "c"].map(str::to_owned);
    let answer_of = |selection| Classification {
        winner: 1,
        probabilities: vec![0.6, 0.9, 0.1],
        logits: vec![0.4, 2.2, -2.2],
        selection,
    };
    let winner = says(&labels, &answer_of(Selection::Winner));
    let several = says(&labels, &answer_of(Selection::Each(vec![true, true, false])));
    let none = says(&labels, &answer_of(Selection::Each(vec![false; 3])));
    let written = |predicted: Vec<String>, multi_label, deep: Option<Vec<String>>| {
        let answer = KeptAnswer {
            predicted,
            multi_label,
            ..answer(true)
        };
        let kept = KeptText::new(seen("좋다"), answer, deep);
        let bytes = line(&kept, KeepReason::Abstained.into());
        assert!(bytes.ends_with(b"}\n"));
        serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON")
    };
    let one = written(winner, false, None);
    assert_eq!(
        (&one["text"], &one["label"]),
        (&"좋다".into(), &serde_json::Value::Null)
    );
    assert_eq!((&one["predicted"], one.get("deep")), (&"b".into(), None));
    assert!(one.get("text_pair").is_none() && one.get("label").is_some());
    let two = written(several, true, Some(none.clone()));
    assert_eq!(
        (&two["predicted"], &two["deep"]),
        (&serde_json::json!(["a", "b"]), &serde_json::json!([]))
    );
    assert_eq!(written(none, true, None)["predicted"], serde_json::json!([]));
}

#[test]
fn an_answer_and_what_the_deep_model_says_otherwise_belong_together() {
    let kept = |store: &KeptTexts| {
        let page = store.page(KeptQuery::default()).expect("a page");
        page.texts[0].0.as_ref().clone()
    };
    let says = |label: &str, withheld| KeptAnswer {
        predicted: vec![label.to_owned()],
        ..answer(withheld)
    };
    let keep = |store: &KeptTexts, reason: KeepReason, answer: KeptAnswer, deep: Option<&str>| {
        let deep = deep.map(|label| vec![label.to_owned()]);
        store.keep(seen("a text"), reason.into(), || (answer, deep));
    };
    // The deep route answered it first, then the audit saw the fast model's answer.
    let store = self::store(30, 1 << 20);
    keep(&store, KeepReason::Random, says("bad", false), None);
    keep(&store, KeepReason::Differed, says("good", false), Some("bad"));
    let found = kept(&store);
    assert_eq!(found.answer.predicted, ["good"]);
    assert_eq!(found.deep.as_deref(), Some(&["bad".to_owned()][..]));
    // Later it is withheld, as what the deep model says.
    keep(&store, KeepReason::Abstained, says("bad", true), None);
    let found = kept(&store);
    assert_eq!((found.answer.predicted, found.deep), (vec!["bad".to_owned()], None));
    // What was withheld stays so where the audit saw the same answer.
    let store = self::store(30, 1 << 20);
    keep(&store, KeepReason::Abstained, says("good", true), None);
    keep(&store, KeepReason::Differed, says("good", false), Some("bad"));
    let found = kept(&store);
    assert!(found.answer.withheld && found.deep.is_some(), "{found:?}");
}

//! The table: messages that can be decoded and must be refused, with the reason, the fields and a part of the sentence.

use serde_json::{Value, json};
use tandem::api::json;
use tandem::api::pb::{ExplainRequest, PredictRequest};

/// What is asked.
#[derive(Clone)]
pub enum Ask {
    /// For labels.
    Predict(PredictRequest),
    /// For an explanation.
    Explain(ExplainRequest),
}

/// A message and how it is refused, over every door alike.
pub struct Row {
    /// What is wrong.
    pub case: &'static str,
    /// The message.
    pub ask: Ask,
    /// `ErrorInfo.reason`, whose codes docs/errors.md has.
    pub reason: &'static str,
    /// The fields at fault.
    pub fields: Vec<String>,
    /// What the sentence must tell.
    pub tells: &'static str,
}

/// A message in proto3 JSON, in which one text is there unless it says otherwise, and how it is refused.
type Line = (&'static str, Value, &'static str, &'static str);

/// All rows. A row is a line in the functions below, which is why they are not formatted by rule.
pub fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    for (case, message, fields, tells) in [texts(), numbers(), options(), names()].concat() {
        rows.push(row(case, Ask::Predict(decode(message)), "INVALID_FIELD", fields, tells));
    }
    for (case, message, fields, tells) in explanations() {
        rows.push(row(case, Ask::Explain(decode(message)), "INVALID_FIELD", fields, tells));
    }
    for (case, message, reason, tells) in unknown() {
        rows.push(row(case, Ask::Predict(decode(message)), reason, "", tells));
    }
    for (case, message, reason, tells) in not_explained() {
        rows.push(row(case, Ask::Explain(decode(message)), reason, "", tells));
    }
    rows
}

fn row(case: &'static str, ask: Ask, reason: &'static str, fields: &str, tells: &'static str) -> Row {
    Row {
        case,
        ask,
        reason,
        fields: fields.split_whitespace().map(str::to_owned).collect(),
        tells,
    }
}

fn decode<T: prost::Message + prost::Name + Default>(mut message: Value) -> T {
    let fields = message.as_object_mut().expect("a message");
    fields.entry("texts").or_insert_with(|| json!(["좋다"]));
    json::decode(message.to_string().as_bytes()).expect("a message that can be decoded")
}

fn many(count: usize, bytes: usize) -> Value {
    vec!["a".repeat(bytes); count].into()
}

/// The longest text that is allowed.
const LONGEST: usize = 16 * 1024;
const SIXTEEN: &str = "texts[0] texts[1] texts[2] texts[3] texts[4] texts[5] texts[6] texts[7] \
    texts[8] texts[9] texts[10] texts[11] texts[12] texts[13] texts[14] texts[15]";

#[rustfmt::skip]
fn texts() -> Vec<Line> {
    let mut one_long = many(129, 1);
    one_long[128] = "a".repeat(LONGEST + 1).into();
    let korean = json!(["한".repeat(LONGEST / 3 + 1)]);
    let for_fast = json!({"texts": ["가".repeat(257)], "route": "ROUTE_FAST", "truncation": "TRUNCATION_REJECT"});
    let for_deep = json!({"texts": ["가 ".repeat(300)], "route": "ROUTE_DEEP", "truncation": "TRUNCATION_REJECT"});
    vec![
        ("no texts", json!({"texts": []}), "texts", "holds no text, it must hold from 1 to 128"),
        ("129 texts", json!({"texts": many(129, 1)}), "texts", "holds more than 128 texts, the limit is 128"),
        ("1,000 texts", json!({"texts": many(1000, 0)}), "texts", "holds more than 128 texts"),
        ("a text over 16 KiB", json!({"texts": many(1, LONGEST + 1)}), "texts[0]", "has 16385 bytes of UTF-8"),
        ("a text of Korean over 16 KiB", json!({"texts": korean}), "texts[0]", "has 16386 bytes of UTF-8"),
        ("17 texts over 16 KiB", json!({"texts": many(17, LONGEST + 1)}), SIXTEEN, "the limit is 16384"),
        ("too many, and one too long", json!({"texts": one_long}), "texts", "holds more than 128 texts"),
        ("a pair of texts", json!({"textPairs": ["b"]}), "text_pairs", "takes single texts, not pairs"),
        ("more pairs than texts", json!({"textPairs": ["b", "c"]}), "text_pairs", "holds 2 texts, it must hold none or one for each"),
        ("no text to be cut, for the fast model", for_fast, "texts[0]", "the limit is 256 code points"),
        ("no text to be cut, for the deep model", for_deep, "texts[0]", "the limit is 128 tokens"),
    ]
}

#[rustfmt::skip]
fn numbers() -> Vec<Line> {
    vec![
        ("a negative top_k", json!({"topK": -1}), "top_k", "is -1, it must be at least 0"),
        ("the least top_k", json!({"topK": i32::MIN}), "top_k", "-2147483648"),
        ("an unknown route", json!({"route": 99}), "route", "99 is not one of its values"),
        ("the route after the last", json!({"route": 4}), "route", "4 is not one of its values"),
        ("a negative route", json!({"route": -1}), "route", "-1 is not one of its values"),
        ("an unknown kind of score", json!({"scoreKind": 3}), "score_kind", "3 is not"),
        ("a negative kind of score", json!({"scoreKind": -7}), "score_kind", "-7 is not"),
        ("an unknown truncation", json!({"truncation": 5}), "truncation", "5 is not"),
        ("the greatest truncation", json!({"truncation": i32::MAX}), "truncation", "2147483647 is not"),
        ("an unknown priority", json!({"priority": 4}), "priority", "4 is not"),
        ("a negative priority", json!({"priority": -1}), "priority", "-1 is not"),
        ("an unknown number before all else", json!({"texts": [], "route": 50}), "route", "50 is not"),
    ]
}

#[rustfmt::skip]
fn options() -> Vec<Line> {
    let cascade = |confidence: Value| json!({"route": "ROUTE_CASCADE", "minConfidence": confidence});
    let all = json!({
        "texts": [], "topK": -2, "task": "No Task", "textPairs": ["a", "b"], "minConfidence": 2,
        "allowFallback": true, "model": "No Model", "route": "ROUTE_FAST",
    });
    let fast = json!({"route": "ROUTE_FAST", "minConfidence": 0.5});
    let deep = json!({"route": "ROUTE_DEEP", "minConfidence": 0.5});
    let named = json!({"model": "sentiment-fast", "minConfidence": 1});
    let fallback = json!({"model": "sentiment-deep", "allowFallback": true});
    let both = json!({"model": "sentiment-fast", "route": "ROUTE_FAST"});
    let both_cascade = json!({"model": "sentiment-fast", "route": "ROUTE_CASCADE"});
    let everything = "texts top_k task text_pairs min_confidence allow_fallback model model";
    vec![
        ("a confidence on the fast route", fast, "min_confidence", "applies to ROUTE_CASCADE only"),
        ("a confidence on the deep route", deep, "min_confidence", "applies to ROUTE_CASCADE only"),
        ("a confidence on the default route", json!({"minConfidence": 0.5}), "min_confidence", "ROUTE_CASCADE"),
        ("a confidence for a model by name", named, "min_confidence", "applies to ROUTE_CASCADE only"),
        ("a precision on the fast route", json!({"route": "ROUTE_FAST", "minPrecision": 0.9}), "min_precision", "ROUTE_CASCADE only"),
        ("a precision of all", json!({"route": "ROUTE_CASCADE", "minPrecision": 1.0}), "min_precision", "above 0 and below 1"),
        ("a precision of none", json!({"route": "ROUTE_CASCADE", "minPrecision": 0.0}), "min_precision", "above 0 and below 1"),
        ("a precision that is no number", json!({"route": "ROUTE_CASCADE", "minPrecision": "NaN"}), "min_precision", "above 0 and below 1"),
        ("a precision on the default route", json!({"minPrecision": 0.9}), "min_precision", "ROUTE_CASCADE"),
        ("a precision and a confidence", json!({"route": "ROUTE_CASCADE", "minPrecision": 0.9, "minConfidence": 0.5}), "min_precision", "does not go with min_confidence"),
        ("a confidence above one", cascade(json!(1.01)), "min_confidence", "from 0 to 1"),
        ("a confidence below zero", cascade(json!(-0.01)), "min_confidence", "from 0 to 1"),
        ("a confidence that is no number", cascade(json!("NaN")), "min_confidence", "from 0 to 1"),
        ("an endless confidence", cascade(json!("Infinity")), "min_confidence", "from 0 to 1"),
        ("a confidence below all", cascade(json!("-Infinity")), "min_confidence", "from 0 to 1"),
        ("fallback from a model by name", fallback, "allow_fallback", "one model was asked for"),
        ("a model and the fast route", both, "model", "excludes route"),
        ("a model and the cascade", both_cascade, "model", "excludes route"),
        ("two at once", json!({"texts": [], "topK": -2}), "texts top_k", "; "),
        ("everything at once", all, everything, "excludes route"),
    ]
}

#[rustfmt::skip]
fn names() -> Vec<Line> {
    let model = |name: &str| json!({"model": name});
    let task = |name: &str| json!({"task": name});
    vec![
        ("a model's name with spaces", model("Not A Name"), "model", "must be a name or name@version"),
        ("a model's name with a capital", model("Sentiment-fast"), "model", "must be a name"),
        ("a model's name after a dash", model("-fast"), "model", "must be a name"),
        ("a model's name that is a path", model("../sentiment-fast"), "model", "must be a name"),
        ("a model's name of Korean", model("감성"), "model", "must be a name"),
        ("a model's name with NUL", model("fast\0"), "model", "must be a name"),
        ("a version without a name", model("@1"), "model", "must be a name"),
        ("an empty version", model("sentiment-fast@"), "model", "must be a name"),
        ("two versions", model("sentiment-fast@1@1"), "model", "must be a name"),
        ("a model's name of 64 letters", model(&"a".repeat(64)), "model", "must be a name"),
        ("a task's name that is a path", task("../etc/passwd"), "task", "must match [a-z0-9]"),
        ("a task's name after a space", task(" sentiment"), "task", "must match [a-z0-9]"),
        ("a task's name with a capital", task("Sentiment"), "task", "must match [a-z0-9]"),
        ("a task's name of emoji", task("👍"), "task", "must match [a-z0-9]"),
        ("a task's name with a line's end", task("sentiment\n"), "task", "must match [a-z0-9]"),
        ("a task's name of 64 letters", task(&"b".repeat(64)), "task", "must match [a-z0-9]"),
    ]
}

#[rustfmt::skip]
fn explanations() -> Vec<Line> {
    let fewer = json!({"maxContributionCount": -1});
    vec![
        ("explain no texts", json!({"texts": []}), "texts", "from 1 to 8"),
        ("explain nine texts", json!({"texts": many(9, 1)}), "texts", "holds more than 8 texts, the limit is 8"),
        ("explain 16 KiB and a byte", json!({"texts": many(1, LONGEST + 1)}), "texts[0]", "the limit is 16384"),
        ("101 n-grams", json!({"maxContributionCount": 101}), "max_contribution_count", "is 101, it must be from 0 to 100"),
        ("fewer than no n-grams", fewer, "max_contribution_count", "is -1, it must be from 0 to 100"),
        ("explain the cascade", json!({"route": "ROUTE_CASCADE"}), "route", "names two models"),
        ("explain by an unknown route", json!({"route": 9}), "route", "9 is not one of its values"),
        ("explain with an unknown truncation", json!({"truncation": -3}), "truncation", "-3 is not one of its values"),
    ]
}

/// With the reason in the place of the fields.
#[rustfmt::skip]
fn unknown() -> Vec<Line> {
    let model = |name: &str| json!({"model": name});
    let both = json!({"task": "topic", "model": "sentiment-fast"});
    vec![
        ("an unknown task", json!({"task": "topic"}), "TASK_NOT_FOUND", "there is no task `topic`"),
        ("an unknown model", model("no-such"), "MODEL_NOT_FOUND", "there is no model `no-such`"),
        ("an unknown version", model("sentiment-fast@99"), "MODEL_NOT_FOUND", "has no version `99` here"),
        ("an unknown model in a version", model("no-such@1"), "MODEL_NOT_FOUND", "there is no model `no-such`"),
        ("a model for an unknown task", both, "TASK_NOT_FOUND", "there is no task `topic`"),
    ]
}

/// With the reason in the place of the fields.
#[rustfmt::skip]
fn not_explained() -> Vec<Line> {
    vec![
        ("explain for an unknown task", json!({"task": "topic"}), "TASK_NOT_FOUND", "there is no task `topic`"),
        ("explain by an unknown model", json!({"model": "no-such"}), "MODEL_NOT_FOUND", "no-such"),
        ("explain the deep model", json!({"route": "ROUTE_DEEP"}), "NOT_EXPLAINABLE", "sentiment-deep"),
    ]
}

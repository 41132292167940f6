//! The page as HTML. `maud` escapes every string that goes in.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use maud::{DOCTYPE, Markup, html};

use super::asset::guarded;
use super::form::Form;
use crate::api::call::Call;
use crate::error::{Error, Reason};
use crate::model::Tier;
use crate::service::messages::{Decision, ModelRef, PredictOutput, Prediction, Timing};

/// The parts of the page, and their names in its navigation.
const PARTS: [(&str, &str); 5] = [
    ("try", "Try"),
    ("cascade", "Cascade"),
    ("models", "Models"),
    ("call", "Call it"),
    ("reference", "API"),
];

/// The page before anything was asked.
pub fn index() -> String {
    let main = html! {
        (try_section(&Form { lines: true, ..Form::default() }, None))
        (filled("cascade", "The cascade", "What a threshold of confidence costs, and what it gives."))
        (filled("models", "Models", "What this server has loaded."))
        (call_section())
        (filled("reference", "HTTP API", "From this server's OpenAPI document."))
        (key_dialog())
    };
    document("Tandem", main, true)
}

/// The page after the form was posted.
pub fn answered(form: &Form, texts: &[String], output: &PredictOutput) -> String {
    document(
        "Answers · Tandem",
        try_section(form, Some(answers(texts, output))),
        false,
    )
}

/// A failure, for people.
pub fn failure(error: &Error, call: &Call) -> Response {
    let needs_key = error.reason == Reason::Unauthenticated;
    let main = html! {
        section aria-labelledby="failed" {
            h2 #failed { "No answer" }
            div.note role="alert" {
                p { b { (error.reason.name()) ": " } (error.message) }
                @if error.violations.len() > 1 {
                    ul { @for violation in &error.violations {
                        li { code { (violation.field) } " " (violation.description) }
                    } }
                }
                p.soft { "Request " code { (call.request_id.as_str()) } }
            }
            @if needs_key {
                p {
                    "This server wants a key, which a form can't send without JavaScript. With JavaScript the page \
                     asks for one; other programs send it as " code { "authorization: Bearer …" } "."
                }
            }
            p { a href="./" { "The form" } ". Going back in the browser keeps what was written." }
        }
    };
    let page = document("No answer · Tandem", main, false);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    guarded((headers, page).into_response())
}

fn document(title: &str, main: Markup, scripted: bool) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="page/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="page/style.css";
                @if scripted { script type="module" src="page/main.js" {} }
            }
            body {
                a.skip href="#main" { "To the form" }
                header {
                    div.name {
                        img src="page/icon.svg" alt="" width="32" height="32";
                        h1 { a href="./" { "Tandem" } }
                        p.soft { "text classification by a fast and a deep model" }
                    }
                    @if scripted {
                        p.facts { span #version.soft {} " " span #state.chip {} }
                        nav aria-label="Parts of the page" {
                            @for (id, name) in PARTS { a href={ "#" (id) } { (name) } }
                        }
                        div #key-bar hidden {
                            span #key-state {} " "
                            button #key-change.plain type="button" { "Give a key" } " "
                            button #key-forget.plain type="button" hidden { "Forget it" }
                        }
                    }
                }
                main #main { (main) }
            }
        }
    };
    markup.into_string()
}

fn try_section(form: &Form, answers: Option<Markup>) -> Markup {
    html! {
        section #try aria-labelledby="try-title" {
            h2 #try-title { "Try it" }
            div.two {
                (try_form(form))
                div {
                    p #status role="status" aria-live="polite" {}
                    div #problem role="alert" {}
                    @match answers {
                        Some(answers) => (answers),
                        None => {
                            div #results hidden {
                                ol #answers aria-label="Answers" {}
                                div #times {}
                            }
                            p.empty {
                                "Answers appear here: the label, how sure the model is, which tier answered and why."
                            }
                        }
                    }
                }
            }
        }
    }
}

fn try_form(form: &Form) -> Markup {
    let routes = [
        ("", "Default", "as the task is configured"),
        ("fast", "Fast", "the small model"),
        ("deep", "Deep", "the large model"),
        ("cascade", "Cascade", "fast first, deep where it is unsure"),
    ];
    html! {
        form #try-form method="post" action="page" accept-charset="utf-8" {
            label for="text" { "Text" }
            textarea #text name="text" rows="6" required spellcheck="false" dir="auto"
                placeholder="A text, or a list: one a line" { "\n" (form.text) }
            label.inline {
                input type="checkbox" name="lines" value="on" checked[form.lines]; " Each line is a text of its own"
            }
            fieldset {
                legend { "Route" }
                @for (value, name, about) in routes {
                    label.choice title=(about) {
                        input type="radio" name="route" value=(value) checked[form.route == value];
                        span { (name) }
                    }
                }
            }
            div.pair {
                div {
                    label for="task" { "Task" }
                    input #task type="text" name="task" value=(form.task) placeholder="the default" autocomplete="off"
                        maxlength="63";
                }
                div {
                    label for="min_confidence" { "Cascade threshold" }
                    input #min_confidence type="number" name="min_confidence" value=(form.min_confidence)
                        min="0" max="1" step="any" inputmode="decimal";
                }
            }
            p { button.main type="submit" { "Classify" } " " span.soft.keys { "Ctrl + Enter" } }
        }
    }
}

/// A part that a script fills.
fn filled(id: &str, title: &str, about: &str) -> Markup {
    html! {
        section #(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            p.soft { (about) }
            div id={ (id) "-body" } { noscript { p.note { "This part needs JavaScript." } } }
        }
    }
}

fn call_section() -> Markup {
    let languages = [
        ("grpcurl", "grpcurl"),
        ("curl", "curl"),
        ("python", "Python"),
        ("typescript", "TypeScript"),
    ];
    html! {
        section #call aria-labelledby="call-title" {
            h2 #call-title { "Call it from a program" }
            p.soft { "The call that the form above makes." }
            noscript { p.note { "This part needs JavaScript." } }
            div.scripted-only {
                div #call-tabs role="tablist" aria-label="Languages" {
                    @for (id, name) in languages {
                        button type="button" role="tab" id={ "tab-" (id) } aria-controls={ "panel-" (id) }
                            aria-selected="false" { (name) }
                    }
                }
                @for (id, name) in languages {
                    div.code role="tabpanel" id={ "panel-" (id) } aria-labelledby={ "tab-" (id) } hidden {
                        pre tabindex="0" aria-label={ "The call in " (name) } { code id={ "code-" (id) } {} }
                        button.plain type="button" data-copies={ "code-" (id) } { "Copy" }
                    }
                }
                p #call-cut.soft hidden { "With the first 20 texts of the form." }
                p #copied.hidden role="status" {}
            }
        }
    }
}

fn key_dialog() -> Markup {
    html! {
        dialog #key-dialog aria-labelledby="key-title" {
            form #key-form autocomplete="off" {
                h2 #key-title { "This server wants a key" }
                p #key-wrong.note role="alert" hidden { "The server does not know that key." }
                label for="key-input" { "Key" }
                input #key-input type="password" required autocomplete="off" spellcheck="false";
                p.soft { "It is kept for this tab only, and sent to this server only." }
                p { button.main type="submit" { "Use it" } " " button #key-cancel.plain type="button" { "Not now" } }
            }
        }
    }
}

fn answers(texts: &[String], output: &PredictOutput) -> Markup {
    html! {
        div #results {
            ol #answers aria-label="Answers" {
                @for (text, prediction) in texts.iter().zip(&output.predictions) { (answer(text, prediction)) }
            }
            (times(&output.timing, &output.models))
        }
    }
}

fn answer(text: &str, prediction: &Prediction) -> Markup {
    let tier = prediction.tier.name();
    let what = match prediction.tier {
        Tier::Fast => "features",
        Tier::Deep => "tokens",
    };
    html! {
        li {
            p.text dir="auto" { (text) }
            p.verdict {
                strong dir="auto" { @if prediction.label.is_empty() { "no label" } @else { (prediction.label) } }
                @match prediction.value {
                    Some(value) => span.figure { (value) },
                    None => {
                        meter min="0" max="1" value=(prediction.confidence) { (percent(prediction.confidence)) }
                        span.figure { (percent(prediction.confidence)) }
                    }
                }
                span.chip.(tier) { (tier) }
            }
            p.because {
                (why(prediction.decision)) " "
                span.soft { (prediction.token_count) " " (what) @if prediction.truncated { ", the text was cut" } }
            }
        }
    }
}

fn why(decision: Decision) -> &'static str {
    match decision {
        Decision::Requested => "The form asked for this model, or it is the task's default.",
        Decision::Confident => "The fast model was sure enough.",
        Decision::Escalated => "The fast model was not sure enough, so the deep one answered.",
        Decision::FallbackDeadline => "The deep model had no time left, so the fast one answered.",
        Decision::FallbackOverload => "The deep model had no room, so the fast one answered.",
        Decision::Abstained => "No model was sure enough, so no answer is given.",
    }
}

fn times(timing: &Timing, models: &[ModelRef]) -> Markup {
    html! {
        h3 { "Where the time went" }
        dl.times {
            div { dt { "preprocess" } dd { (millis(timing.preprocess)) } }
            @for (tier, spent) in &timing.tiers {
                div { dt { (tier.name()) " queue" } dd { (millis(spent.queue)) } }
                div { dt { (tier.name()) " inference" } dd { (millis(spent.inference)) } }
            }
            div { dt { "in all" } dd { (millis(timing.total)) } }
        }
        p.soft {
            "Answered by "
            @for (at, model) in models.iter().enumerate() {
                @if at > 0 { " and " }
                code { (model.name) "@" (model.version) }
            }
            "."
        }
    }
}

fn percent(share: f32) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", 1000.0 * time.as_secs_f64())
}

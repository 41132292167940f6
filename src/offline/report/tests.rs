//! Whole reports: of few classes and of a thousand, with names that would break a page if they were not escaped.

use std::collections::BTreeSet;

use html5gum::{Token, Tokenizer};

use super::cost::Way;
use super::data_card::DataCard;
use super::disagreements::Disagreement;
use super::learning_curve::Learned;
use super::ngrams::ClassNgrams;
use super::origin::Origin;
use super::page::{Block, Page, Section};
use super::quality_curve::{At, QualityCurve};
use super::{
    classes, confusion, cost, data_card, disagreements, draw, html, learning_curve, markdown, ngrams, origin,
    quality_curve, reliability,
};
use crate::offline::dataset::Facts;
use crate::offline::evaluation::classes::{Class, Confused};
use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::Reliability;

/// Elements that have no end.
const VOID: [&str; 4] = ["meta", "br", "hr", "link"];
/// Names that are markup, never end, or turn the writing round.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"' onmouseover=\"alert(1)",
    "\u{202e}gnp.exe",
    "]]><svg onload=alert(1)>&lt;",
    "| a | b\n# c\0\u{1b}[31m",
    "שלום עולם",
];

/// This many names, as long as they may be.
fn labels(number: usize) -> Vec<String> {
    let name = |at: usize| {
        let mut name = format!("{at} {}", HOSTILE[at % HOSTILE.len()]);
        while name.len() + 5 < 256 {
            name.push_str("<\u{1f600}");
        }
        name
    };
    (0..number).map(name).collect()
}

/// What a cascade is at each threshold.
fn curve(task: &str) -> QualityCurve<'_> {
    let point = |at: usize| {
        let share = at as f64 / 10.0;
        At {
            threshold: Some(share as f32),
            escalated: share,
            cost: 0.05 + share,
            quality: Interval {
                value: 0.88 + share * 0.02,
                low: 0.87 + share * 0.02,
                high: 0.89 + share * 0.02,
            },
        }
    };
    QualityCurve {
        task,
        quality: "accuracy",
        curve: (0..=10).map(point).collect(),
        deep: Some(At {
            threshold: None,
            cost: 1.0,
            ..point(10)
        }),
        chosen: Some(point(3)),
        target: Some(("deep − 0.2 points".to_owned(), 0.898)),
        certificates: vec!["at least 99% of all texts, with probability 95%".to_owned()],
    }
}

/// What is known of the texts.
fn facts(labels: &[String]) -> Facts {
    Facts {
        file: labels[0].clone(),
        rows: 10_000,
        used: 9_000,
        left_out: [(HOSTILE[1].to_owned(), 1000)].into(),
        scripts: vec![("Hangul".to_owned(), 9_000)],
        classes: (1..=labels.len() as u64).collect(),
        ..Facts::default()
    }
}

fn card<'a>(facts: &'a Facts, labels: &'a [String]) -> DataCard<'a> {
    let (parts, notes) = (&[("measured on", 5)], &[]);
    DataCard {
        facts,
        labels,
        parts,
        notes,
    }
}

/// The sections about each class and its texts.
fn sections_of_classes(labels: &[String]) -> Vec<Section> {
    let class = |at: usize| Class {
        texts: at,
        given: 5,
        precision: Interval::of_share(at as f64, at as f64, at as f64),
        recall: Interval::of_share(1.0, 4.0, 4.0),
        f1: (at > 0).then(|| 0.3 + at as f64 / 1e4),
    };
    let classes: Vec<Class> = (0..labels.len()).map(class).collect();
    let confused: Vec<Confused> = (1..labels.len() as u32)
        .map(|truth| Confused {
            truth,
            given: truth - 1,
            texts: 1,
        })
        .collect();
    let ngrams_of = |label: &String| ClassNgrams {
        label: label.clone(),
        ngrams: (0..20)
            .map(|at| (format!(" {}", HOSTILE[at % HOSTILE.len()]), 1.5))
            .collect(),
    };
    let disagreement = |at: usize| Disagreement {
        line: at as u64,
        text: Some(HOSTILE[at % HOSTILE.len()].repeat(100)),
        labelled: labels[at % labels.len()].clone(),
        said: labels[(at + 1) % labels.len()].clone(),
        confidence: 1.0 - at as f64 / 1e3,
    };
    vec![
        classes::section(labels, &classes),
        confusion::section(labels, &classes, &confused),
        ngrams::section(&labels.iter().map(ngrams_of).collect::<Vec<_>>()),
        disagreements::section(
            (0..200).map(disagreement).collect(),
            disagreements::LabelledBy::DeepModel,
        ),
    ]
}

/// A page as a command would make it, with this many classes.
fn page(number: usize) -> Page {
    let labels = labels(number);
    let mut answers = Reliability::default();
    for at in 0..5000 {
        answers.add(0.5 + f64::from(at % 50) / 100.0, at % 7 != 0, 1.0);
    }
    let learned = [1000, 2000, 4000, 8000].map(|rows: u64| Learned {
        rows,
        quality: 1.0 - (rows as f64).powf(-0.3),
    });
    let way = Way {
        name: HOSTILE[0].to_owned(),
        core_seconds: Some(0.001),
        p99: Some(0.003),
        chosen: true,
        ..Way::default()
    };
    let made = Origin {
        command: origin::command(HOSTILE.iter().map(|word| (*word).to_owned())),
        seed: Some(1),
        facts: vec![(HOSTILE[2].to_owned(), HOSTILE[3].to_owned())],
    };
    let mut sections = vec![
        quality_curve::section(&curve(&labels[0])),
        reliability::section(HOSTILE[2], &answers),
        data_card::section(card(&facts(&labels), &labels)),
        learning_curve::section("accuracy", &learned),
        cost::section(HOSTILE[4], &[way]),
        origin::next(&[(HOSTILE[0].to_owned(), HOSTILE[4].to_owned())]),
        origin::section(&made),
    ];
    sections.extend(sections_of_classes(&labels));
    Page {
        title: format!("calibrate: {}", labels[0]),
        summary: vec![HOSTILE[0].to_owned(), HOSTILE[5].to_owned()],
        sections,
    }
}

/// Reads markup as a browser does and fails where it is not sound: what the standard calls an error, an element that is
/// not closed, an identifier that stands twice. Returns the names of its elements, and of their attributes.
fn check(markup: &str) -> BTreeSet<String> {
    let (mut open, mut names, mut identifiers) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for token in Tokenizer::new(markup).flatten() {
        match token {
            Token::StartTag(tag) => {
                let name = text(&tag.name);
                for (attribute, value) in &tag.attributes {
                    names.insert(text(attribute));
                    if attribute.as_slice() == b"href" {
                        let link = text(value);
                        assert!(link.starts_with("#s") || link.starts_with("./"), "{link} leads away");
                    }
                    if attribute.as_slice() == b"id" {
                        assert!(identifiers.insert(text(value)), "{} twice", text(value));
                    }
                }
                names.insert(name.clone());
                if !tag.self_closing && !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(text(&tag.name))),
            // A solidus in a void element of SVG is no error of the page.
            Token::Error(error) => panic!("{error:?}"),
            _ => {}
        }
    }
    assert_eq!(open, Vec::<String>::new(), "all is closed");
    names
}

#[test]
fn a_report_of_hostile_names_is_sound_and_holds_no_script() {
    for number in [2, 12, 1000] {
        let page = page(number);
        let rendered = html::render(&page, "a report");
        let names = check(&rendered);
        for foreign in ["script", "img", "onload", "onmouseover", "iframe", "src"] {
            assert!(!names.contains(foreign), "{foreign}");
        }
        assert!(
            rendered.len() < 2_000_000,
            "{} bytes of {number} classes",
            rendered.len()
        );
        for hidden in ['\0', '\u{1b}', '\u{202e}'] {
            assert!(!rendered.contains(hidden), "{hidden:?}");
        }
        let written = markdown::render(&page, "a report");
        let outside_code = written.split("```").step_by(2);
        let is_markup = |text: &str| text.replace("\\<", "").contains('<');
        assert!(
            !outside_code.into_iter().any(is_markup),
            "Markdown takes HTML for what it is"
        );
        assert!(written.len() < 2_000_000, "{} bytes", written.len());
    }
}

#[test]
fn the_same_page_is_the_same_bytes() {
    assert_eq!(html::render(&page(12), "a"), html::render(&page(12), "a"));
    assert_eq!(markdown::render(&page(12), "a"), markdown::render(&page(12), "a"));
}

#[test]
fn a_chart_is_a_document_of_its_own_with_words_for_those_who_can_not_see_it() {
    let page = page(2);
    let charts = page.sections.iter().flat_map(|section| &section.blocks);
    let charts: Vec<_> = charts
        .filter_map(|block| match block {
            Block::Chart(chart) => Some(chart),
            _ => None,
        })
        .collect();
    assert_eq!(charts.len(), 3);
    for chart in charts {
        let svg = draw::svg(chart);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("xmlns=\"http://www.w3.org/2000/svg\"") && svg.contains("viewBox"));
        assert!(svg.contains("role=\"img\"") && svg.contains("<desc>") && svg.contains("prefers-color-scheme"));
        check(&svg);
    }
}

#[test]
fn nothing_to_show_is_no_end() {
    let curve = QualityCurve {
        task: "",
        quality: "",
        curve: Vec::new(),
        deep: None,
        chosen: None,
        target: Some((String::new(), f64::NAN)),
        certificates: Vec::new(),
    };
    let page = Page {
        sections: vec![
            quality_curve::section(&curve),
            reliability::section("", &Reliability::default()),
            classes::section(&[], &[]),
            confusion::section(&[], &[], &[]),
            data_card::section(card(&Facts::default(), &[])),
            learning_curve::section("", &[]),
            cost::section("", &[Way::default()]),
            ngrams::section(&[]),
            disagreements::section(Vec::new(), disagreements::LabelledBy::People),
            origin::next(&[]),
            origin::section(&Origin::default()),
        ],
        ..Page::default()
    };
    check(&html::render(&page, ""));
    markdown::render(&page, "");
}

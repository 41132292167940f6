//! What becomes of files of labelled texts such as people have.

use std::collections::BTreeMap;

use super::*;

/// Reads a file of this name and content, with labels of models or those that it has.
fn read_as(
    name: &str,
    content: &str,
    columns: &DatasetColumns,
    known: Option<&[&str]>,
    map: &[(&str, &str)],
) -> Result<Dataset, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    let own = |text: &&str| (*text).to_owned();
    let map: BTreeMap<String, String> = map.iter().map(|(value, label)| (own(value), own(label))).collect();
    let known: Option<Vec<String>> = known.map(|labels| labels.iter().map(own).collect());
    let labels = match &known {
        Some(labels) => Labels::Known { labels, map: &map },
        None => Labels::Found { map: &map },
    };
    read(&path, columns, &Options::default(), labels)
}

fn label() -> DatasetColumns {
    DatasetColumns {
        label: Some("label".to_owned()),
        ..DatasetColumns::default()
    }
}

fn polar(name: &str, content: &str) -> Result<Dataset, String> {
    read_as(name, content, &label(), Some(&["negative", "positive"]), &[])
}

fn rows(dataset: &Dataset) -> Vec<(u64, String, Target)> {
    let row = |(at, example): (usize, &Example)| (example.line, dataset.text(at).into_owned(), example.target.clone());
    dataset.examples.iter().enumerate().map(row).collect()
}

fn targets(dataset: &Dataset) -> Vec<Target> {
    dataset.examples.iter().map(|example| example.target.clone()).collect()
}

#[test]
fn every_format_is_read() {
    for (name, content, lines) in [
        (
            "a.tsv",
            "id\tlabel\ttext\n1\tpositive\t좋다, \"정말\"\n2\tnegative\t나쁘다\n",
            [2, 3],
        ),
        ("a.csv", "text,label\n\"좋다, \"\"정말\"\"\",1\n나쁘다,0\n", [2, 3]),
        ("b.csv", "label;text\n1;\"좋다, \"\"정말\"\"\"\n0;나쁘다\n", [2, 3]),
        (
            "a.jsonl",
            "{\"text\": \"좋다, \\\"정말\\\"\", \"label\": 1}\n\n{\"label\": \"0\", \"text\": \"나쁘다\"}\n",
            [1, 3],
        ),
    ] {
        let read = polar(name, content).expect(name);
        let expected = [
            (lines[0], "좋다, \"정말\"".to_owned(), Target::One(1)),
            (lines[1], "나쁘다".to_owned(), Target::One(0)),
        ];
        assert_eq!(rows(&read), expected, "{name}");
        assert_eq!(read.facts.classes, [1, 1]);
        assert_eq!(read.facts.bytes, Some(content.len() as u64));
        assert_eq!((read.facts.rows, read.facts.used, &*read.facts.file), (2, 2, name));
    }
}

#[test]
fn labels_that_a_file_has_are_found_whatever_their_type() {
    let json =
        "{\"text\": \"a\", \"label\": true}\n{\"text\": \"b\", \"label\": false}\n{\"text\": \"c\", \"label\": 2.5}\n";
    let read = read_as("a.jsonl", json, &label(), None, &[]).expect("read");
    assert_eq!(read.labels, ["2.5", "false", "true"]);
    assert_eq!(targets(&read), [2, 1, 0].map(Target::One));
    let csv = "text,label\na,10\nb,9\nc, 9\n";
    let read = read_as("a.csv", csv, &label(), None, &[]).expect("read");
    assert_eq!(read.labels, [" 9", "9", "10"]);
    let trim = DatasetColumns { trim: true, ..label() };
    let read = read_as("a.csv", csv, &trim, None, &[("10", "ten")]).expect("read");
    assert_eq!(read.labels, ["9", "ten"]);
    assert_eq!(targets(&read), [1, 0, 0].map(Target::One));
}

#[test]
fn what_cannot_be_read_is_told_by_line_and_column() {
    let refused = |name, content| polar(name, content).err().expect("refused");
    assert_eq!(
        refused("a.csv", "text,star\na,1\n"),
        "there is no column `label`; there are: text, star"
    );
    assert_eq!(
        refused("a.jsonl", "{\"text\": \"a\", \"star\": 1}"),
        "no row has a value in `label`; there are: star, text; --label-column names the column of the label"
    );
    assert_eq!(
        refused("a.jsonl", "{\"text\": \"a\", \"label\": [1]}"),
        "1 row (line 1) can't be read; line 1: the label is a list; --multi-label reads lists"
    );
    assert_eq!(refused("a.csv", "text,label\n"), "has no rows with a text");
}

#[test]
fn every_value_that_is_no_label_is_named_with_what_a_shell_takes() {
    let content = "text\tlabel\na\tpositive\nb\tBilling & Rechnung\nc\tgood\nd\tgood\n";
    assert_eq!(
        polar("a.tsv", content).err().expect("refused"),
        "`Billing & Rechnung` (line 3), `good` (line 4, 2 rows) are none of the labels negative, positive; say what each means: \
         --map 'Billing & Rechnung=LABEL' --map good=LABEL"
    );
    let map = [("Billing & Rechnung", "negative"), ("good", "positive")];
    let read = read_as("a.tsv", content, &label(), Some(&["negative", "positive"]), &map).expect("mapped");
    assert_eq!(targets(&read), [1, 0, 1, 1].map(Target::One));
}

#[test]
fn rows_that_can_not_be_used_are_left_out_and_said() {
    let content = "text,label\na,1\nb\nc,0\nd,\n \u{3000},1\n";
    let problem = polar("a.csv", content).err().expect("refused");
    assert_eq!(
        problem,
        "1 row (line 5) without a label; --skip-unlabelled leaves them out"
    );
    let skipped = |unlabelled| {
        let columns = DatasetColumns { unlabelled, ..label() };
        read_as("a.csv", content, &columns, Some(&["negative", "positive"]), &[]).expect("the others")
    };
    let read = skipped(Unlabelled::LeaveOut);
    assert_eq!(read.len(), 2);
    assert_eq!(
        read.notes,
        [
            "left out: 1 row (line 3) can't be read; line 3: 1 column where the header has 2",
            "left out: 1 row (line 6) with an empty text",
            "left out: 1 row (line 5) without a label",
        ]
    );
    assert_eq!(read.facts.left_out["no label"], 1);
    assert_eq!(read.facts.rows, 5);
    let kept = skipped(Unlabelled::Keep);
    assert_eq!(targets(&kept), [Target::One(1), Target::One(0), Target::Unknown]);
    assert_eq!(kept.facts.unlabelled, 1);
}

#[test]
fn texts_alone_are_a_dataset_without_labels() {
    let columns = DatasetColumns {
        unlabelled: Unlabelled::Keep,
        ..DatasetColumns::default()
    };
    let read = read_as("a.txt", "one\n\ntwo\nOne \n", &columns, None, &[]).expect("read");
    assert_eq!(read.len(), 3);
    assert_eq!(read.labels, [""; 0]);
    assert_eq!(read.examples[0].group, read.examples[2].group);
    assert_ne!(read.examples[0].group, read.examples[1].group);
}

#[test]
fn several_labels_are_read_from_lists_and_from_text() {
    let columns = DatasetColumns {
        multi_label: true,
        ..label()
    };
    let expected = [vec![1, 2], vec![0], vec![]].map(Target::Many);
    for (name, content) in [
        ("a.csv", "text,label\na,toxic|insult\nb,hate\nc,\n"),
        (
            "a.jsonl",
            "{\"text\": \"a\", \"label\": [\"toxic\", \"insult\", \"toxic\"]}\n{\"text\": \"b\", \"label\": \"hate\"}\n{\"text\": \"c\", \"label\": []}\n",
        ),
    ] {
        let read = read_as(name, content, &columns, None, &[]).expect(name);
        assert_eq!(read.labels, ["hate", "insult", "toxic"]);
        assert_eq!(targets(&read), expected, "{name}");
        assert_eq!(read.problem_type, ProblemType::MultiLabel);
        assert_eq!(read.facts.classes, [1, 1, 1]);
    }
    let absent = "{\"text\": \"a\", \"label\": [\"x\"]}\n{\"text\": \"b\", \"label\": null}\n";
    let problem = read_as("a.jsonl", absent, &columns, None, &[]).err().expect("refused");
    assert!(problem.starts_with("1 row (line 2) without a label"), "{problem}");
    let spaced = DatasetColumns {
        trim: true,
        label_separator: ",".to_owned(),
        ..columns
    };
    let read = read_as("a.tsv", "text\tlabel\na\tx, y\n", &spaced, None, &[]).expect("read");
    assert_eq!((read.labels.len(), targets(&read)), (2, vec![Target::Many(vec![0, 1])]));
}

#[test]
fn probabilities_are_read_from_columns() {
    let soft = |columns: &[(&str, &str)]| DatasetColumns {
        soft: columns
            .iter()
            .map(|(label, column)| ((*label).to_owned(), (*column).to_owned()))
            .collect(),
        ..label()
    };
    let csv = "text,label,n,p\na,0,3,1\nb,1,,\nc,1,0,0.5\nd,1,x,1\n";
    let read = read_as("a.csv", csv, &soft(&[("1", "p"), ("0", "n")]), None, &[]).expect("read");
    assert_eq!(read.labels, ["0", "1"]);
    let expected = [
        Target::Soft(vec![0.75, 0.25]),
        Target::One(1),
        Target::Soft(vec![0.0, 1.0]),
    ];
    assert_eq!(targets(&read), expected);
    assert!(
        read.notes[0].ends_with("line 5: `n`: `x` is no number"),
        "{:?}",
        read.notes
    );
    // The last label gets what the others leave.
    let known: &[&str] = &["0", "1"];
    let one = soft(&[("1", "p")]);
    let read = read_as("a.csv", "text,label,p\na,0,0.9\n", &one, Some(known), &[]).expect("read");
    let Target::Soft(probabilities) = &read.examples[0].target else {
        panic!("{:?}", read.examples)
    };
    assert!((probabilities[0] - 0.1).abs() < 1e-6 && (probabilities[1] - 0.9).abs() < 1e-6);
    let problem = read_as("a.csv", "text,label,p\na,0,0.9\n", &one, Some(&["0", "1", "2"]), &[]).err();
    assert!(
        problem
            .expect("refused")
            .starts_with("the labels 0, 2 have no column of probabilities")
    );
    let problem = read_as("a.csv", csv, &soft(&[("x", "p"), ("0", "n")]), Some(known), &[]).err();
    let problem = problem.expect("refused");
    assert!(
        problem.starts_with("`x` (--soft-column) is none of the labels 0, 1"),
        "{problem}"
    );
}

#[test]
fn probabilities_are_read_as_json_and_as_predict_writes_them() {
    let columns = DatasetColumns {
        probabilities: Some("scores".to_owned()),
        ..DatasetColumns::default()
    };
    let object =
        "{\"text\": \"a\", \"scores\": {\"no\": 0.25, \"yes\": 0.75}}\n{\"text\": \"b\", \"scores\": {\"yes\": 2}}\n";
    let predicted = "{\"text\": \"a\", \"label\": \"yes\", \"scores\": [{\"label\": \"yes\", \"score\": 0.75, \"selected\": true}, \
                     {\"label\": \"no\", \"score\": 0.25, \"selected\": false}]}\n\
                     {\"text\": \"b\", \"scores\": [{\"label\": \"yes\", \"score\": 1.0}]}\n";
    let csv = "text,scores\na,\"{\"\"no\"\": 0.25, \"\"yes\"\": 0.75}\"\nb,\"{\"\"yes\"\": 1}\"\n";
    for (name, content) in [("a.jsonl", object), ("b.jsonl", predicted), ("a.csv", csv)] {
        let read = read_as(name, content, &columns, None, &[]).expect(name);
        assert_eq!(read.labels, ["no", "yes"], "{name}");
        assert_eq!(
            targets(&read),
            [vec![0.25, 0.75], vec![0.0, 1.0]].map(Target::Soft),
            "{name}"
        );
        assert_eq!(read.facts.classes, [0, 2]);
    }
    let bad = |cell: &str| {
        let content = format!("{{\"text\": \"a\", \"scores\": {cell}}}\n");
        read_as("a.jsonl", &content, &columns, None, &[]).err().expect(cell)
    };
    for (cell, said) in [
        ("{\"no\": 0, \"yes\": 0}", "all probabilities are 0"),
        ("{\"no\": -1}", "the probability of `no` is -1"),
        ("{\"no\": \"x\"}", "the probability of `no` is no number"),
        ("[0.1, 0.9]", "the probabilities are no JSON object"),
        ("0.9", "the probabilities are no JSON object"),
    ] {
        assert!(bad(cell).contains(said), "{cell}: {}", bad(cell));
    }
}

#[test]
fn weights_are_numbers_from_0() {
    let columns = DatasetColumns {
        weight: Some("w".to_owned()),
        ..label()
    };
    let csv = "text,label,w\na,x,0.5\nb,y,0\nc,x,-1\nd,x,\ne,x,NaN\nf,x,1e9\n";
    let read = read_as("a.csv", csv, &columns, None, &[]).expect("read");
    let weights: Vec<f32> = read.examples.iter().map(|example| example.weight).collect();
    assert_eq!(weights, [0.5, 0.0]);
    assert_eq!(
        read.notes,
        ["left out: 4 rows (lines 4, 5, 6, 7) can't be read; line 4: the weight -1 is not from 0 to 1000000"]
    );
}

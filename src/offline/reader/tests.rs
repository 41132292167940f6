//! What the reader makes of files such as people have.

use super::encoding::Detector;
use super::*;

fn rows_of(
    name: &str,
    content: &[u8],
    options: &Options,
    columns: &Columns,
) -> Result<(Vec<Row>, Vec<String>), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    let rows = Rows::open(&path, options, columns.clone())?;
    let notes = rows.notes().to_vec();
    Ok((rows.collect::<io::Result<Vec<_>>>().expect("read"), notes))
}

/// The line and the text of each row, or what is wrong with it.
fn texts(name: &str, content: &[u8]) -> Vec<(u64, Result<String, String>)> {
    let (rows, _) = rows_of(name, content, &Options::default(), &Columns::default()).expect("opened");
    rows.into_iter()
        .map(|row| (row.line, row.fields.map(|fields| fields.text)))
        .collect()
}

fn good(name: &str, content: &[u8]) -> Vec<String> {
    let read = texts(name, content).into_iter();
    read.map(|(line, text)| text.unwrap_or_else(|problem| panic!("{name}, line {line}: {problem}")))
        .collect()
}

const KOREAN: [&str; 2] = ["정말 재미있게 봤어요", "시간이 아까운 영화"];

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "euc-kr" => encoding_rs::EUC_KR.encode(text).0.into_owned(),
        _ => text.as_bytes().to_vec(),
    }
}

#[test]
fn zero_bytes_in_a_file_of_single_bytes_do_not_make_it_utf_16() {
    for content in ["text\nab\0c\nde\0f\n", "text\na\0\nb\n"] {
        let mut detector = Detector::default();
        detector.read(content.as_bytes()).expect("bytes");
        let found = detector.encoding();
        assert!(
            found != Ok(encoding_rs::UTF_16LE) && found != Ok(encoding_rs::UTF_16BE),
            "{content:?}: {found:?}"
        );
    }
    // Letters whose lower half is a line feed.
    let content = encoded("text\n갊 갊\n봊 재미있다\n", "utf-16le");
    let mut detector = Detector::default();
    detector.read(content.as_slice()).expect("bytes");
    assert_eq!(detector.encoding(), Ok(encoding_rs::UTF_16LE));
}

#[test]
fn every_layout_is_read_in_every_encoding_with_every_line_end() {
    for encoding in ["utf-8", "euc-kr", "utf-16le", "utf-16be"] {
        for end in ["\n", "\r\n", "\r"] {
            for mark in ["", "\u{feff}"] {
                if encoding == "euc-kr" && !mark.is_empty() {
                    continue;
                }
                let [one, two] = KOREAN;
                for (name, lines) in [
                    ("a.txt", vec![one.to_owned(), two.to_owned()]),
                    (
                        "a.tsv",
                        vec!["id\tdocument".to_owned(), format!("1\t{one}"), format!("2\t{two}")],
                    ),
                    (
                        "a.csv",
                        vec!["text,label".to_owned(), format!("\"{one}\",1"), format!("{two},0")],
                    ),
                    (
                        "b.csv",
                        vec!["label;text".to_owned(), format!("1;{one}"), format!("0;\"{two}\"")],
                    ),
                    (
                        "a.jsonl",
                        vec![
                            format!("{{\"text\": \"{one}\"}}"),
                            format!("{{\"document\": \"{two}\"}}"),
                        ],
                    ),
                ] {
                    let content = encoded(&format!("{mark}{}{end}", lines.join(end)), encoding);
                    assert_eq!(good(name, &content), KOREAN, "{name}, {encoding}, {end:?}, {mark:?}");
                }
            }
        }
    }
}

#[test]
fn a_conversion_is_said_and_a_name_overrules_it() {
    let content = encoded(&KOREAN.join("\n"), "euc-kr");
    let (_, notes) = rows_of("a.txt", &content, &Options::default(), &Columns::default()).expect("opened");
    assert_eq!(notes, ["converted from cp949 (EUC-KR)"]);
    let options = Options {
        encoding: Some(encoding::named("latin1").expect("known")),
        ..Options::default()
    };
    let (rows, notes) = rows_of("a.txt", b"d\xe9j\xe0 vu", &options, &Columns::default()).expect("opened");
    assert_eq!(rows[0].fields.as_ref().expect("decoded").text, "déjà vu");
    assert_eq!(notes, [""; 0]);
    assert_eq!(encoding::named("CP949"), Ok(encoding_rs::EUC_KR));
    assert!(encoding::named("iso-2022-jp").is_err() && encoding::named("utf-7").is_err());
}

#[test]
fn other_encodings_are_errors_of_their_rows_with_a_way_out() {
    let chinese = encoding_rs::GBK
        .encode("这部电影真的很好看\n我们都喜欢这个故事")
        .0
        .into_owned();
    let japanese = encoding_rs::SHIFT_JIS
        .encode("とても面白い映画でした\n時間の無駄だった")
        .0
        .into_owned();
    let euc = encoding_rs::EUC_JP
        .encode("とても面白い映画でした\n時間の無駄だった")
        .0
        .into_owned();
    let french = b"d\xe9j\xe0 vu\nplain".to_vec();
    for content in [chinese, japanese, euc, french] {
        let read = texts("a.txt", &content);
        let problem = read[0].1.as_ref().expect_err("no UTF-8");
        assert!(problem.contains("--encoding") && problem.contains("iconv"), "{problem}");
        assert_eq!(read.len(), 2);
    }
}

#[test]
fn one_bad_row_is_one_bad_row_with_the_number_of_its_line() {
    for (name, content, bad, count) in [
        ("a.txt", &b"one\nt\xffo\nthree\n"[..], 2, 3),
        ("a.csv", b"text,n\none,1\n\"t\nw\xffo\",2\nthree,3\n", 3, 4),
        ("a.csv", b"text,n\n\"o\nne\",1\n\nt,w,o\nthree,3\n", 5, 3),
        ("a.csv", b"text,n\none,1\n\"two,2\nthree,3\n\"f\"\"our\",4\n", 3, 4),
        ("a.tsv", b"text\tn\none\t1\ntwo\nthree\t3\n", 3, 3),
        (
            "a.jsonl",
            b"{\"text\": \"one\"}\n\n{\"text\": 2}\n{\"text\": \"\\ud800\"}\n{\"text\": \"three\"}\n",
            3,
            4,
        ),
    ] {
        let read = texts(name, content);
        let name = format!("{name}: {read:?}");
        assert_eq!(read.len(), count, "{name}");
        let (line, _) = read.iter().find(|(_, text)| text.is_err()).expect("a bad row");
        assert_eq!(*line, bad, "{name}");
        assert!(read.last().expect("rows").1.is_ok(), "{name}");
    }
}

#[test]
fn both_dialects_of_tsv_are_told_apart_by_the_whole_file() {
    let written_by_pandas = "text\tlabel\n\"he said \"\"no\"\"\"\t1\n\"one\ntwo\"\t0\nplain\t1\n";
    let (rows, notes) = rows_of(
        "a.tsv",
        written_by_pandas.as_bytes(),
        &Options::default(),
        &Columns::default(),
    )
    .expect("ok");
    let found: Vec<_> = rows
        .iter()
        .map(|row| row.fields.as_ref().expect("a row").text.as_str())
        .collect();
    assert_eq!(found, ["he said \"no\"", "one\ntwo", "plain"]);
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3, 5]);
    assert!(notes[0].contains("--quoted no"), "{notes:?}");
    for plain in [
        "text\tlabel\n\"와우\" 라고 했다\t1\n끝\t0\n",
        "text\tlabel\n\"시작만\t1\n끝\t0\n",
        // By itself, each line has as many columns as the header.
        "id\ttext\tlabel\n1\t\"시작만\t1\n2\t끝만\"\t0\n",
    ] {
        let count = plain.lines().count() - 1;
        let found = good("a.tsv", plain.as_bytes());
        assert_eq!(found.len(), count, "{found:?}");
        assert!(found[0].starts_with('"'), "{found:?}");
    }
    let keep = Options {
        quoted: Some(false),
        ..Options::default()
    };
    let (rows, _) = rows_of("a.tsv", b"text\tn\n\"a\"\t1\n", &keep, &Columns::default()).expect("ok");
    assert_eq!(rows[0].fields.as_ref().expect("a row").text, "\"a\"");
}

#[test]
fn columns_are_found_by_name_and_those_that_are_there_are_named() {
    let columns = Columns {
        text: Some("premise".to_owned()),
        pair: Some("Hypothesis".to_owned()),
        others: vec!["gold".to_owned()],
        keep: true,
    };
    let csv = b"sep=;\npremise;hypothesis;gold\na;b;1\n";
    let (rows, _) = rows_of("a.csv", csv, &Options::default(), &columns).expect("opened");
    let expected = Fields {
        text: "a".to_owned(),
        pair: Some("b".to_owned()),
        others: vec!["1".into()],
    };
    assert_eq!(
        rows[0],
        Row {
            line: 3,
            fields: Ok(expected),
            kept: Some(Kept::Cells(["a", "b", "1"].map(str::to_owned).to_vec())),
        }
    );
    let problem =
        rows_of("a.csv", b"review,star\na,1\n", &Options::default(), &Columns::default()).expect_err("refused");
    assert!(
        problem.contains("there are: review, star") && problem.contains("--text-column"),
        "{problem}"
    );
    assert!(rows_of("a.csv", b"", &Options::default(), &Columns::default()).is_err());
}

#[test]
fn what_is_no_text_is_refused_as_a_whole() {
    for (content, said) in [
        (&[0_u8, 1, 2, 3, 0, 0, 0, 0][..], "is no text"),
        (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
    ] {
        let problem = rows_of("a.txt", content, &Options::default(), &Columns::default()).expect_err("refused");
        assert!(problem.contains(said), "{problem}");
    }
    let columns = Columns {
        text: Some("review".to_owned()),
        ..Columns::default()
    };
    let lines = rows_of("a.txt", b"review,star\na,1", &Options::default(), &columns);
    assert!(lines.expect_err("refused").contains("--input-format"));
    let array = rows_of(
        "a.json",
        b"[{\"text\": \"a\"}]",
        &Options::default(),
        &Columns::default(),
    );
    assert!(array.expect_err("refused").contains("jq"));
}

#[test]
fn a_stream_is_read_as_a_file_is() {
    let tsv = Options {
        format: Some(Format::Tsv),
        ..Options::default()
    };
    let content = encoded("text\tn\n\"두 줄\n입니다 그리고 이것은\"\t1\n", "utf-16le");
    let rows = Rows::stream(Cursor::new(content), &tsv, Columns::default()).expect("opened");
    let found: Vec<Row> = rows.collect::<io::Result<_>>().expect("read");
    assert_eq!(
        found[0].fields.as_ref().expect("a row").text,
        "두 줄\n입니다 그리고 이것은"
    );
}

#[test]
fn a_line_that_does_not_end_ends_the_reading() {
    let endless = BufReader::new(Cursor::new("a\n").chain(io::repeat(b'a')));
    let mut rows = Rows::stream(endless, &Options::default(), Columns::default()).expect("opened");
    assert_eq!(rows.next().expect("a row").expect("read").line, 1);
    let problem = rows.next().expect("an end").expect_err("no row");
    assert_eq!(problem.to_string(), "line 2 does not end within 256 MiB");
}

#[test]
fn texts_are_held_to_a_bound() {
    let rows = Rows::stream(Cursor::new("a\n"), &Options::default(), Columns::default()).expect("opened");
    assert_eq!(rows.may_hold(MOST_HELD), Ok(()));
    let problem = rows.may_hold(MOST_HELD + 1).expect_err("too many");
    assert!(
        problem.starts_with("has more than 2000000 texts or 1024 MiB"),
        "{problem}"
    );
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_it() {
    for name in ["a.parquet", "A.PQ"] {
        let problem = rows_of(name, b"PAR1", &Options::default(), &Columns::default()).expect_err("refused");
        assert!(
            problem.contains("--features parquet") && problem.contains("df.to_json"),
            "{problem}"
        );
    }
}

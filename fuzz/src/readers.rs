//! Everything that reads bytes which others wrote, each as one function of these bytes. It panics if a promise is broken: that
//! nothing panics, that a refusal is one line, and that what was accepted keeps to its bounds.
//!
//! The fuzzers call these functions, and `tests/it/corpus.rs`, which includes this file, calls them with the inputs that are
//! kept. Parquet and Arrow are in `columns.rs`.

use std::path::Path;

use prost::Message;
use tandem::api::classify::request::{PipelineRequest, VllmRequest};
use tandem::api::convert;
use tandem::api::grpc::wire::decodable;
use tandem::api::http::body::{Decoding, build};
use tandem::api::http::error::malformed;
use tandem::api::http::page::form::Form;
use tandem::api::http::simple_predict::SimpleRequest;
use tandem::api::json::{Bounds, encode, measure};
use tandem::api::keys::Keys;
use tandem::api::kserve_v1::PredictBody;
use tandem::api::open_inference::grpc_messages::request_of;
use tandem::api::open_inference::pb::ModelInferRequest;
use tandem::api::open_inference::request::InferRequest;
use tandem::api::open_inference::{rest_request, tensors};
use tandem::api::target_name::TargetName;
use tandem::api::tei::request::TeiRequest;
use tandem::api::{pb, schema, tei};
use tandem::config::{Settings, resolve};
use tandem::error::Error;
use tandem::model::discover::graph::{Graph, Port};
use tandem::model::discover::{Hints, examine};
use tandem::model::linear::{graph, weights::Link};
use tandem::model::manifest::{Manifest, ProblemType, TokenizerOverrides, TokenizerSettings, Truncation};
use tandem::model::preprocess::Preprocessor;
use tandem::model::preprocess::tokenizer::TextTokenizer;
use tandem::model::runtime::library;
use tandem::model::scan;
use tandem::offline::dataset::columns::{DatasetColumns, Unlabelled};
use tandem::offline::dataset::labels::Labels;
use tandem::offline::dataset::reading;
use tandem::offline::reader::{Columns, Format, Options, Rows};
use tandem::server::authority::AuthorityFilter;
use tandem::service::catalog::cascade_calibration::Calibration;
use tandem::service::catalog::pin_file::PinFile;
use tandem::service::limits::RequestLimits;
use tandem::service::messages::PredictInput;
use tandem::service::pipeline::validate::{validate, validate_explain};

use super::inputs::{Reader, in_file, one_line};

/// Small, so that inputs find both sides of the limits.
const LIMITS: RequestLimits = RequestLimits {
    max_texts: 4,
    max_text_bytes: 64,
};

/// Each reader by the name of its fuzzer and of the folder with its inputs.
pub const ALL: &[(&str, Reader)] = &[
    ("authority", authority),
    ("cascade", cascade),
    ("hugging_face", hugging_face),
    ("json", json),
    ("keys", keys),
    ("labels", labels),
    ("manifest", manifest),
    ("onnx", onnx),
    ("request", request),
    ("rows", rows),
    ("settings", settings),
    ("tokenizer", tokenizer),
];

/// A message as the gRPC door decodes it.
fn message<T: Message + prost::Name + Default>(bytes: &[u8]) -> Option<T> {
    let part = match decodable(bytes, &schema::message::<T>(), LIMITS) {
        Ok(part) => part,
        Err(refused) => {
            one_line(refused.message);
            return None;
        }
    };
    let decoded = T::decode(&*part);
    assert!(
        decoded.is_ok() || T::decode(bytes).is_err(),
        "what was whole is still a message"
    );
    decoded.ok()
}

/// What a request asks for keeps to the limits, or is refused.
fn asked(input: Result<PredictInput, Error>) {
    match input.and_then(|input| validate(input, LIMITS)) {
        Ok(valid) => {
            let texts = valid.texts.texts;
            assert!((1..=LIMITS.max_texts).contains(&texts.len()));
            assert!(texts.iter().all(|text| text.len() <= LIMITS.max_text_bytes));
        }
        Err(refused) => one_line(refused.message),
    }
}

fn tensors_of(request: Result<InferRequest, Error>) {
    match request.and_then(|request| tensors::texts(request.inputs, LIMITS.max_texts)) {
        Ok((texts, pairs)) => assert!(texts.len() <= LIMITS.max_texts && pairs.len() <= LIMITS.max_texts),
        Err(refused) => one_line(refused.message),
    }
}

/// A Protobuf message of each gRPC method that strangers call, from its bytes to what is valid.
pub fn request(bytes: &[u8]) {
    if let Some(request) = message::<pb::PredictRequest>(bytes) {
        assert!(request.texts.len() <= LIMITS.max_texts + 1 && request.text_pairs.len() <= LIMITS.max_texts + 1);
        asked(convert::predict_input(request));
    }
    if let Some(request) = message::<pb::PredictStreamRequest>(bytes).and_then(|message| message.request) {
        asked(convert::predict_input(request));
    }
    if let Some(request) = message::<pb::ExplainRequest>(bytes) {
        let valid = convert::explain_input(request).and_then(|input| validate_explain(input, LIMITS));
        match valid {
            Ok(valid) => assert!((1..=LIMITS.max_texts).contains(&valid.texts.len())),
            Err(refused) => one_line(refused.message),
        }
    }
    if let Some(message) = message::<ModelInferRequest>(bytes) {
        tensors_of(request_of(message));
    }
    if let Some(request) = message::<tei::pb::PredictRequest>(bytes) {
        asked(request.ask());
    }
    if let Some(request) = message::<tei::pb::PredictPairRequest>(bytes) {
        asked(request.ask());
    }
}

/// A body as the HTTP door decodes it: measured first, then built.
fn body<T>(bytes: &[u8], decoding: Decoding<T>) -> Option<T> {
    let bounds = Bounds {
        items: decoding.items,
        bytes: 4096,
    };
    let read = measure(bytes, decoding.fields, bounds).and_then(|_| (decoding.build)(bytes));
    read.map_err(|refused| one_line(malformed(refused, bytes).message)).ok()
}

/// A body of each path over HTTP that takes texts.
pub fn json(bytes: &[u8]) {
    if let Some(request) = body(bytes, Decoding::<pb::PredictRequest>::of_message(LIMITS)) {
        let again: pb::PredictRequest = tandem::api::json::decode(&encode(&request)).expect("what we wrote");
        assert_eq!(encode(&again), encode(&request));
        asked(convert::predict_input(request));
    }
    if let Some(request) = body(bytes, Decoding::<pb::ExplainRequest>::of_message(LIMITS)) {
        let _ = convert::explain_input(request).and_then(|input| validate_explain(input, LIMITS));
    }
    body::<SimpleRequest>(bytes, Decoding::of_texts(SimpleRequest::FIELDS, LIMITS, build));
    body::<VllmRequest>(bytes, Decoding::of_texts(VllmRequest::FIELDS, LIMITS, build));
    body::<PipelineRequest>(bytes, Decoding::of_texts(PipelineRequest::FIELDS, LIMITS, build));
    if let Some(request) = body::<TeiRequest>(bytes, Decoding::of_texts(TeiRequest::FIELDS, LIMITS, build)) {
        asked(request.ask());
    }
    if let Some(request) = body::<PredictBody>(bytes, Decoding::of_texts(PredictBody::FIELDS, LIMITS, build)) {
        asked(request.ask(TargetName::Model("a".to_owned())));
    }
    // All of it a document, and one with tensors behind it.
    let whole = bytes::Bytes::copy_from_slice(bytes);
    let document = bytes.iter().rposition(|&byte| byte == b'}').map(|at| at + 1);
    for length in [None, document] {
        tensors_of(rest_request::read(&whole, length, LIMITS.max_texts));
    }
    match Form::parse(bytes) {
        Ok(form) => asked(form.input()),
        Err(refused) => one_line(refused.message),
    }
}

/// The bytes of an HTTP/2 connection, on their way to the library: the same however they are cut into reads.
pub fn authority(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    AuthorityFilter::default().pass(&mut whole);
    for size in [1, 7] {
        let mut cut = bytes.to_vec();
        let mut filter = AuthorityFilter::default();
        cut.chunks_mut(size).for_each(|piece| filter.pass(piece));
        assert!(cut == whole, "in reads of {size} bytes: {cut:?}, at once: {whole:?}");
    }
}

/// A manifest.toml.
pub fn manifest(bytes: &[u8]) {
    match Manifest::parse(&String::from_utf8_lossy(bytes)) {
        Ok(manifest) => {
            assert!(!manifest.labels.is_empty() && manifest.max_token_count() >= 1);
            assert!(manifest.files.contains_key(&manifest.onnx.file));
            let goes_up = |file: &String| file.starts_with('/') || file.split('/').any(|part| part == "..");
            assert!(!manifest.files.keys().any(goes_up));
        }
        Err(problem) => one_line(problem),
    }
}

/// A tandem.toml.
pub fn settings(bytes: &[u8]) {
    in_file("tandem.toml", bytes, |file| {
        match resolve(&tandem::config::Options::default(), Some(file)) {
            Ok(settings) => {
                assert!(settings.check().is_ok());
                std::fs::write(file, toml::to_string(&settings).expect("settings are TOML")).expect("written");
                let again = resolve(&tandem::config::Options::default(), Some(file));
                assert!(again.as_ref() == Ok(&settings), "{again:?} was {settings:?}");
            }
            Err(problem) => one_line(problem.to_string()),
        }
    });
}

/// The file of keys.
pub fn keys(bytes: &[u8]) {
    in_file("keys", bytes, |file| {
        match Keys::load("tokens_file", Some(file), None) {
            Ok(keys) => assert!(!keys.admits_everybody()),
            Err(problem) => one_line(problem),
        }
    });
}

/// A labels.toml: which versions operators chose.
pub fn labels(bytes: &[u8]) {
    in_file("labels.toml", bytes, |file| {
        let settings = Settings {
            labels_file: Some(file.to_owned()),
            ..Settings::default()
        };
        let kept = PinFile::of(&settings);
        match kept.read() {
            Ok(seen) => {
                let pins = seen.expect("the file is there").pins;
                assert!(kept.write(&pins, None).expect("written"));
                let again = kept.read().expect("what we wrote").expect("the file is there");
                assert_eq!(again.pins, pins);
            }
            Err(problem) => one_line(problem),
        }
    });
}

/// A <task>.cascade.toml.
pub fn cascade(bytes: &[u8]) {
    in_file("a.cascade.toml", bytes, |file| match Calibration::read(file) {
        Ok(calibration) => {
            std::fs::write(file, calibration.to_toml()).expect("written");
            let again = Calibration::read(file).expect("what we wrote");
            // NaN is not itself.
            assert_eq!(again.to_toml(), calibration.to_toml());
        }
        Err(problem) => one_line(problem),
    });
}

/// Files that lie beside each other: in `bytes` they are parted by zeros, in the order of `names`. An empty one is not there.
fn put(folder: &Path, names: &[&str], bytes: &[u8]) {
    for (name, content) in names.iter().zip(bytes.split(|&byte| byte == 0)) {
        if !content.is_empty() {
            std::fs::write(folder.join(name), content).expect("written");
        }
    }
}

/// A graph of a small transformer.
const TRANSFORMER: &[u8] = include_bytes!("../../tests/data/as_they_come/plain.onnx");
/// A folder's other files, in the order in which the inputs of [`hugging_face`] have them.
const FILES: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// A folder that transformers or Optimum wrote, without a manifest.
pub fn hugging_face(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("model.onnx"), TRANSFORMER).expect("written");
    put(folder.path(), &FILES, bytes);
    examined(folder.path());
}

/// What discovery finds in a folder is told in lines, and is a manifest that can be written and read.
fn examined(folder: &Path) {
    let examined = examine(folder, &Hints::of_folder(folder));
    // What they quote of the folder is made visible where they are shown.
    assert!(examined.notes.iter().all(|note| !note.text.is_empty()));
    let Some(manifest) = examined.manifest else {
        assert!(!examined.notes.is_empty());
        return;
    };
    // A number of a tokenizer's step that TOML does not have is told as an error.
    if let Ok(written) = toml::to_string(&manifest) {
        Manifest::parse(&written).unwrap_or_else(|problem| panic!("{problem}: {written}"));
    }
    match Preprocessor::load(&manifest, folder) {
        Ok(Preprocessor::Tokenizer(tokenizer)) => encoded(&tokenizer, manifest.max_token_count()),
        Ok(_) => {}
        Err(problem) => one_line(problem.to_string()),
    }
}

/// A tokenizer.json.
pub fn tokenizer(bytes: &[u8]) {
    for (max_tokens, text_pairs) in [(8, false), (9, true)] {
        let settings = TokenizerSettings {
            file: "tokenizer.json".to_owned(),
            max_tokens,
            max_bytes: 256,
            truncation: Truncation::End,
            text_pairs,
            pad_id: None,
            token_types: true,
            overrides: TokenizerOverrides::default(),
        };
        match TextTokenizer::load(bytes, settings) {
            Ok(tokenizer) => encoded(&tokenizer, max_tokens),
            Err(problem) => one_line(problem),
        }
    }
}

fn encoded(tokenizer: &TextTokenizer, max_tokens: usize) {
    const TEXTS: [&str; 5] = [
        "",
        "a",
        "The film, it's goood! <s> [MASK] 12",
        "정말\u{a0}재미있게 봤어요 \u{301}\u{200b}👨\u{200d}👩",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    for text in TEXTS {
        let pair = tokenizer.takes_pairs().then_some("b");
        for truncation in [Truncation::End, Truncation::Start, Truncation::Reject] {
            let Ok(encoding) = tokenizer.encode(text, pair, Some(truncation)) else {
                continue;
            };
            assert!(encoding.token_count <= max_tokens, "{} tokens", encoding.token_count);
            assert!(!encoding.truncated || truncation != Truncation::Reject);
        }
        let _ = tokenizer.marks(text, pair, None, 3);
    }
    let _ = (
        tokenizer.own_token(),
        tokenizer.greatest_id(),
        tokenizer.is_predictable(),
    );
}

/// An ONNX file, up to where ONNX Runtime would see it.
pub fn onnx(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, bytes).expect("written");
    for classes in [2, 3] {
        for problem in [ProblemType::SingleLabel, ProblemType::MultiLabel] {
            let _ = graph::read(bytes, Link::of(problem, classes), classes);
        }
    }
    let quick = scan::bytes(bytes);
    let scanned = scan::file(&file, true);
    match (&quick, &scanned) {
        (Ok(quick), Ok(scanned)) => assert_eq!((&quick.external, &quick.sha256), (&scanned.external, &scanned.sha256)),
        (Err(problem), _) => one_line(problem),
        // Keeping has a bound of its own.
        (Ok(_), Err(problem)) => one_line(problem),
    }
    let Some(scanned) = scanned.ok() else { return };
    let graph = match Graph::read(scanned) {
        Ok(graph) => graph,
        Err(problem) => return one_line(problem),
    };
    // Graphs that read texts are run: without ONNX Runtime as far as that.
    if graph.inputs.iter().any(Port::is_text) && library::locate().is_file() {
        return;
    }
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"id2label": {"0": "a", "1": "b"}}"#,
    )
    .expect("written");
    std::fs::write(folder.path().join("tokenizer.json"), TOKENIZER).expect("written");
    examined(folder.path());
}

/// A tokenizer that knows two words.
const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1}, "unk_token": "[UNK]"}}"#;

/// A file of texts, whose first byte says how it is laid out: as rows, and as a dataset with labels.
pub fn rows(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let formats = [Format::Lines, Format::Tsv, Format::Csv, Format::Jsonl];
    let options = Options {
        format: Some(formats[usize::from(first % 4)]),
        quoted: [None, Some(true), Some(false)][usize::from(first / 4 % 3)],
        encoding: None,
    };
    let columns = Columns {
        keep: first & 0x80 != 0,
        ..Columns::default()
    };
    let read = Rows::stream(std::io::Cursor::new(bytes.to_vec()), &options, columns.clone());
    let of_stream = read.map(|rows| rows.map(Result::ok).collect::<Vec<_>>());
    in_file("rows", bytes, |file| {
        match Rows::open(file, &options, columns) {
            Ok(rows) => {
                rows.notes().iter().for_each(one_line);
                let rows: Vec<_> = rows.map(Result::ok).collect();
                for row in rows.iter().flatten() {
                    row.fields.as_ref().err().into_iter().for_each(one_line);
                }
                if options.format != Some(Format::Lines) {
                    assert_eq!(of_stream, Ok(rows), "the same from a stream");
                }
            }
            Err(problem) => one_line(problem),
        }
        dataset(file, &options, first);
    });
}

fn dataset(file: &Path, options: &Options, first: u8) {
    let columns = DatasetColumns {
        label: Some("label".to_owned()),
        weight: (first & 0x40 != 0).then(|| "weight".to_owned()),
        probabilities: (first & 0x20 != 0).then(|| "probabilities".to_owned()),
        multi_label: first & 0x10 != 0,
        trim: true,
        unlabelled: Unlabelled::Keep,
        ..DatasetColumns::default()
    };
    let map = std::collections::BTreeMap::new();
    match reading::read(file, &columns, options, Labels::Found { map: &map }) {
        Ok(dataset) => {
            assert!(!dataset.is_empty());
            dataset.notes.iter().for_each(one_line);
            (0..dataset.len()).for_each(|at| assert!(!dataset.text(at).trim().is_empty()));
            assert_eq!(dataset.check_whole(), Ok(()));
        }
        Err(problem) => one_line(problem),
    }
}

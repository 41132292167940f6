//! Models that could read thousands of tokens read a moderate number unless more are asked for; what more would take is told before
//! it is taken, and what is told to do works.

use std::path::Path;

use tandem::api::pb;
use tandem::api::pb::model_service_client::ModelServiceClient;
use tandem::config::Settings;
use tandem::model::discover::Hints;
use tandem::model::loading::{FastPath, InstanceSettings, initialize};
use tandem::model::manifest::Preprocess;
use tandem::model::repository::{self, VerifiedModel};
use tandem::service::Service;
use tandem::service::lifecycle::start::open_catalog;
use tandem::telemetry::metrics::Metrics;

use crate::support::models::copy_folder;
use crate::support::{TestServer, root};

/// A folder whose files name a family and so many positions; `graph` is one of tests/data/long, if any.
fn folder(family: &str, positions: usize, graph: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/hugging_face/minilm"), folder.path());
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).expect("removed");
    let path = folder.path().join("config.json");
    let config = std::fs::read_to_string(&path).expect("a config");
    let config = config
        .replace(
            "\"max_position_embeddings\": 24",
            &format!("\"max_position_embeddings\": {positions}"),
        )
        .replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 12")
        .replace("\"hidden_size\": 16", "\"hidden_size\": 24")
        .replace("\"model_type\": \"bert\"", &format!("\"model_type\": \"{family}\""));
    std::fs::write(path, config).expect("written");
    if let Some(graph) = graph {
        let graph = root().join("tests/data/long").join(format!("{graph}.onnx"));
        std::fs::copy(graph, folder.path().join("model.onnx")).expect("copied");
    }
    folder
}

fn verified(folder: &Path, asked: Option<usize>) -> VerifiedModel {
    let hints = Hints {
        max_tokens: asked,
        ..Hints::of_folder(folder)
    };
    repository::read(folder, &hints).expect("a model")
}

fn tokens(model: &VerifiedModel) -> usize {
    let Preprocess::Tokenizer(settings) = &model.manifest.preprocess else {
        panic!("a tokenizer");
    };
    settings.max_tokens
}

fn told(model: &VerifiedModel) -> String {
    let notes: Vec<&str> = model.notes.iter().map(|note| note.text.as_str()).collect();
    notes.join("\n")
}

/// The most tokens of such a folder, and what is noted.
fn read(family: &str, positions: usize, asked: Option<usize>) -> (usize, String) {
    let folder = folder(family, positions, None);
    let model = verified(folder.path(), asked);
    (tokens(&model), told(&model))
}

const ONE: InstanceSettings = InstanceSettings {
    count: 1,
    intra_threads: 1,
    idle_threads: 1,
    max_cells: 256,
    fast_path: FastPath::Native,
};

#[test]
fn a_long_model_reads_a_moderate_number_of_tokens_and_says_so() {
    let (most, notes) = read("bert", 8192, None);
    assert_eq!(most, 512);
    assert!(notes.contains("it reads 512 tokens of the 8192"), "{notes}");
    assert_eq!(read("bert", 512, None).0, 512);
}

#[test]
fn as_many_tokens_are_read_as_are_asked_for_and_as_there_are() {
    assert_eq!(read("bert", 8192, Some(8192)).0, 8192);
    assert_eq!(read("bert", 8192, Some(1000)).0, 1000);
    assert_eq!(read("bert", 512, Some(100)).0, 100);
    let (most, notes) = read("bert", 24, Some(8192));
    assert_eq!(most, 24);
    let expected = "it reads 24 tokens (config.json: max_position_embeddings), though max_tokens is 8192";
    assert!(notes.contains(expected), "{notes}");
}

#[test]
fn a_tokenizer_that_cuts_texts_earlier_by_itself_is_told_with_what_to_do() {
    // transformers reads model_max_length; the tokenizers library alone reads its own file, which says 24.
    let folder = folder("bert", 512, None);
    let model = verified(folder.path(), None);
    assert_eq!(tokens(&model), 512);
    let expected = "texts are cut at 512 tokens, as in transformers, though tokenizer.json by itself cuts them at 24";
    assert!(told(&model).contains(expected), "{}", told(&model));
    let remedies: Vec<&str> = model.notes.iter().filter_map(|note| note.remedy.as_deref()).collect();
    assert!(
        remedies.iter().any(|remedy| remedy.ends_with("--max-tokens 24")),
        "{remedies:?}"
    );
    let model = verified(folder.path(), Some(24));
    assert_eq!(tokens(&model), 24);
    assert!(!told(&model).contains("by itself"), "{}", told(&model));
}

#[test]
fn a_model_that_reads_another_number_of_tokens_has_another_fingerprint() {
    let folder = folder("bert", 8192, None);
    let of = |asked| verified(folder.path(), asked).fingerprint;
    assert_eq!(of(None), of(Some(512)));
    assert_ne!(of(None), of(Some(64)));
    assert_ne!(of(Some(8192)), of(Some(64)));
}

#[test]
fn a_manifest_is_lowered_and_never_raised() {
    let shipped = root().join("models/sentiment-deep/1");
    let own = verified(&shipped, None);
    let fewer = verified(&shipped, Some(16));
    assert_eq!(tokens(&fewer), 16);
    assert_ne!(own.fingerprint, fewer.fingerprint);
    assert_eq!(fewer.asked_too_many(Some(16)), None);
    // Its golden examples hold, as far as they are as short.
    let all = initialize(&own, ONE).expect("it loads").golden.examples;
    let some = initialize(&fewer, ONE).expect("it loads").golden.examples;
    assert!(some > 0 && some < all, "{some} of {all}");
    let more = verified(&shipped, Some(8192));
    assert_eq!((tokens(&more), &more.fingerprint), (tokens(&own), &own.fingerprint));
    let problem = more.asked_too_many(Some(8192)).expect("told");
    let expected = format!(
        "it reads {} tokens, though max_tokens is 8192: preprocess.max_tokens",
        tokens(&own)
    );
    assert!(problem.starts_with(&expected), "{problem}");
}

#[test]
fn families_whose_positions_begin_after_the_padding_have_fewer() {
    // The padding's id is 0 here, so one position is left unused.
    for family in [
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "longformer",
        "mpnet",
        "data2vec-text",
        "roberta-prelayernorm",
        "ibert",
        "xmod",
        "luke",
        "mluke",
        "lilt",
        "esm",
        "markuplm",
        "layoutlmv3",
        "ernie_m",
    ] {
        assert_eq!(read(family, 24, None).0, 23, "{family}");
    }
    assert_eq!(read("bert", 24, None).0, 24);
}

#[test]
fn a_table_of_positions_that_ends_early_is_found_when_the_model_loads() {
    // No list knows the family, and its padding's id is not in the files.
    let folder = folder("of-tomorrow", 66, Some("positions"));
    let model = verified(folder.path(), None);
    assert_eq!(tokens(&model), 66);
    let loaded = initialize(&model, ONE).expect("it loads").model;
    assert_eq!(loaded.manifest.max_token_count(), 64);
    let fewer = loaded.fewer.as_ref().expect("a note");
    assert!(fewer.text.starts_with("it reads 64 tokens, not 66"), "{}", fewer.text);
    let long = loaded.preprocess(&"a ".repeat(100), None).expect("it is cut");
    assert_eq!((long.input.ids().len(), long.truncated), (64, true));
    // What is told to do: then nothing is told.
    let remedy = fewer.remedy.as_deref().expect("a remedy");
    assert!(
        remedy.contains("model_max_length = 64 in tokenizer_config.json"),
        "{remedy}"
    );
    let said = "{\"model_max_length\": 64}";
    std::fs::write(folder.path().join("tokenizer_config.json"), said).expect("written");
    let loaded = initialize(&verified(folder.path(), None), ONE).expect("it loads").model;
    assert!(loaded.fewer.is_none() && loaded.manifest.max_token_count() == 64);
}

#[test]
fn the_table_is_looked_at_for_tokens_that_warm_up_does_not_run() {
    // 8,192 positions are promised, and 66 are there: nothing near them runs, so it does not serve.
    let folder = folder("of-tomorrow", 8192, Some("positions"));
    let refused = initialize(&verified(folder.path(), Some(8192)), ONE)
        .err()
        .expect("refused");
    assert!(refused.problem.starts_with("warm-up failed"), "{refused}");
}

/// Loads the deep model in a folder as a server does.
fn load(folder: &Path, change: impl FnOnce(&mut Settings)) -> Result<Service, String> {
    let mut settings = Settings {
        deep: Some(folder.to_owned()),
        deep_instances: 1,
        idle_threads: 1,
        ..Settings::default()
    };
    change(&mut settings);
    settings.check().expect("sound settings");
    let opened = open_catalog(&settings).expect("a catalog");
    let service = Service::new(&settings, opened, Metrics::new("")).expect("threads");
    service.load_models().map_err(|error| error.problem)?;
    Ok(service)
}

#[test]
fn what_long_texts_need_is_told_before_it_is_taken_and_what_fits_serves() {
    let folder = folder("bert", 8192, Some("attention"));
    // A small container is enough for what nobody asked for.
    load(folder.path(), |settings| settings.max_model_memory = 64 << 20).expect("it serves");
    let refused = load(folder.path(), |settings| {
        settings.max_model_memory = 512 << 20;
        settings.max_tokens = 8192;
    });
    let refused = refused.err().expect("refused");
    for part in [
        "it needs about 6157 MiB",
        "max_model_memory's 512 MiB",
        "a text of 8192 tokens",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let (_, fits) = refused.split_once("it fits with max_tokens = ").expect("a remedy");
    let fits: usize = fits.parse().expect("a number");
    assert!((2000..2500).contains(&fits), "{fits}");
    load(folder.path(), |settings| {
        settings.max_model_memory = 512 << 20;
        settings.max_tokens = fits;
    })
    .expect("what is told fits");
}

#[test]
fn fewer_sessions_are_told_where_they_fit() {
    let folder = folder("bert", 8192, Some("attention"));
    let limits = |settings: &mut Settings| {
        settings.max_model_memory = 600 << 20;
        settings.max_tokens = 2048;
    };
    let refused = load(folder.path(), |settings| {
        limits(settings);
        settings.deep_instances = 4;
    });
    let refused = refused.err().expect("refused");
    assert!(
        refused.ends_with("or with deep_instances = 1 and idle_threads = 1"),
        "{refused}"
    );
    load(folder.path(), limits).expect("what is told fits");
}

#[tokio::test]
async fn a_long_text_is_read_and_answered_whole() {
    let folder = folder("bert", 8192, Some("attention"));
    let path = folder.path().to_owned();
    let long = move |settings: &mut Settings| {
        settings.deep = Some(path);
        settings.max_tokens = 1500;
    };
    let server = TestServer::builder().with(long).start().await;
    let mut models = ModelServiceClient::new(server.channel().await);
    let name = server.service.catalog().models().keys().next().expect("one").clone();
    let model = models.get_model(pb::GetModelRequest { name }).await.expect("an answer");
    let model = model.into_inner().model.expect("the model");
    assert_eq!(model.limits.expect("limits").max_token_count, 1500);
    let mut client = server.client().await;
    for (words, truncated) in [(1498, false), (1499, true)] {
        let request = pb::PredictRequest {
            texts: vec!["a ".repeat(words)],
            ..pb::PredictRequest::default()
        };
        let answer = client.predict(request).await.expect("an answer").into_inner();
        assert_eq!(answer.predictions[0].truncated, truncated, "{words}");
    }
}

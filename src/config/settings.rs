//! Settings, each declared once: its name, type, default, bounds and text. Flags, environment variables, keys, help,
//! `tandem.example.toml` and the table in docs/configuration.md follow from the declarations (`setting.rs` derives them;
//! `make settings-docs` writes the files).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::address::Address;
use super::addresses::AddressList;
use super::connection_threads::ConnectionThreads;
use super::duration::HumanDuration;
use super::listen::Listen;
use super::load_reports::LoadReports;
use super::origins::Origins;
use super::profile::Profile;
use super::setting::{Setting, absent, bytes, choice, count, flag, seconds, settings, value};
pub use super::tasks::{AbstainSettings, CascadeSettings, GearSettings, RouteSetting, TaskSettings, WindowSettings};
use crate::model::loading::FastPath;
use crate::model::manifest::{LEAST_TOKENS, MOST_TOKENS};
use crate::model::providers::ProviderList;
use crate::telemetry::logs::LogFormat;

const SECOND: HumanDuration = HumanDuration::seconds(1);
/// How often the load is measured: reports that come faster would say the same.
const HALF_SECOND: HumanDuration = HumanDuration(std::time::Duration::from_millis(500));
const MILLISECOND: HumanDuration = HumanDuration(std::time::Duration::from_millis(1));
const HOUR: HumanDuration = HumanDuration::seconds(3600);
const DAY: HumanDuration = HumanDuration::seconds(24 * 3600);

fn local(port: u16) -> AddressList {
    Address::Ip(([127, 0, 0, 1], port).into()).into()
}

// In the order of `--print-config`, so a heading may appear twice.
settings! {
    "Security" {
        /// The values of the settings that nobody gave: hardened has the strict ones
        profile: Profile = choice("PROFILE", Profile::Standard).link("security.md#the-profile-hardened");
    }
    "Listeners" {
        /// Where gRPC listens
        ///
        /// `127.0.0.1:50051`, `localhost:50051`, `:50051` for all addresses of the host, or `unix:/run/tandem.sock`; several with
        /// commas between. Port 0 takes a free one, which the log names. The other addresses are written so too
        grpc_addr: AddressList = value("ADDRESS", local(50051)).link("#addresses");
        /// When the gRPC port takes connections: once every model serves, or from the start
        ///
        /// `when-ready`: a balancer that asks no health sends no call to a server that is loading. `at-start`: calls are answered
        /// with UNAVAILABLE until every model serves. It holds for shared_addr too. The other ports take connections from the start
        listen: Listen = choice("WHEN", Listen::WhenReady).link("deployment.md#starting-and-balancers");
        /// Where the HTTP gateway listens
        http_addr: AddressList = value("ADDRESS", local(5000)).link("#addresses");
        /// Where gRPC and the HTTP gateway listen together, in place of grpc_addr and http_addr
        ///
        /// One port for both, which are told apart by the content type of each call. With `listen` at its default it refuses
        /// connections until every model serves, `/healthz` and `/readyz` among them: `at-start`, or metrics_addr, has these answer
        shared_addr: AddressList or None = absent("ADDRESS").sample("127.0.0.1:50051").link("#addresses");
        /// Turn the HTTP gateway off
        no_http: bool = flag();
        /// Serve /metrics, /healthz and /readyz on an address of their own too
        ///
        /// Without it, the gateway alone has them
        metrics_addr: Address or None = absent("ADDRESS").sample("127.0.0.1:9090");
        /// Serve the admin API, which changes the models that serve, on an address of its own
        ///
        /// Without it, nobody can call it
        admin_addr: Address or None =
            absent("ADDRESS").default_words("off").sample("127.0.0.1:50052").link("versions.md");
    }
    "Security" {
        /// Serve addresses other than loopback without TLS
        ///
        /// Unix sockets need no TLS either
        allow_plaintext: bool = flag().link("security.md#tls-and-keys");
    }
    "TLS" {
        /// The certificates by which this program shows itself, PEM
        ///
        /// With their key, every port speaks TLS. `predict` and `healthcheck` show them too, as a client's own
        tls_cert: PathBuf or None = absent("FILE").default_words("none").sample("/etc/tandem/tls.crt");
        /// The key of the certificates of tls_cert, PEM
        tls_key: PathBuf or None = absent("FILE").sample("/etc/tandem/tls.key");
    }
    "Security" {
        /// The authorities whose certificates clients must have, PEM
        ///
        /// With them, both sides show themselves: mutual TLS
        tls_client_ca: PathBuf or None =
            absent("FILE").default_words("clients need none").sample("/etc/tandem/clients.pem");
        /// The keys of callers, name:token a line; TANDEM_TOKENS may hold more
        ///
        /// The limits of the name may follow its token
        tokens_file: PathBuf or None =
            absent("FILE").default_words("none").sample("/etc/tandem/tokens").link("security.md#tls-and-keys");
        /// The keys of operators at the admin API, name:token a line; TANDEM_ADMIN_TOKENS may hold more
        admin_tokens_file: PathBuf or None = absent("FILE").default_words("none").sample("/etc/tandem/admin-tokens");
        /// How often the files of certificates and keys are looked at
        ///
        /// SIGHUP has them looked at at once
        reload_interval: HumanDuration = seconds(5).above_zero_to(HOUR);
        /// Turn reflection off
        no_reflection: bool = flag().hardened(true);
    }
    "Protocols" {
        /// Turn Open Inference Protocol v2 off, over gRPC and HTTP
        no_open_inference: bool = flag().link("doors-kserve.md#open-inference-protocol-v2");
        /// Turn the API of text-embeddings-inference off, over gRPC and HTTP
        no_tei: bool = flag().link("doors-tei.md#text-embeddings-inference");
        /// Turn the /classify of vLLM off
        no_classify: bool = flag().link("doors-tei.md#classify");
        /// Turn the /v1/models/NAME:predict of KServe off
        no_kserve_v1: bool = flag().link("doors-kserve.md#kserve-v1");
        /// Turn gRPC-Web off
        no_grpc_web: bool = flag().link("doors-web.md#browsers");
        /// Turn Connect off
        no_connect: bool = flag().link("doors-web.md#connect");
        /// The origins of other web pages that may call the gateway from browsers (CORS), or *
        ///
        /// Several with commas between. Without it no other page may
        cors_origins: Origins or None =
            absent("ORIGINS").default_words("none").sample("https://app.example.com").link("doors-web.md#browsers");
        /// Turn the page at / of the HTTP gateway off
        no_page: bool = flag().hardened(true).link("page.md");
    }
    "Models" {
        /// The model repository: NAME/VERSION/manifest.toml; a folder, or where to fetch it from
        ///
        /// Of each name the newest version is served. `s3://BUCKET/PREFIX`, `gs://`, `az://`, `https://HOST/PATH` or
        /// `hf://OWNER/NAME@REVISION` is fetched into model_cache
        models: PathBuf = value("FOLDER", PathBuf::from("models"))
            .default_words("models, here or beside the program")
            .link("model-storage.md");
        /// Serve the deep model in this folder, in place of the repository: a model of ours, or a Hugging Face export
        deep: PathBuf or None = absent("FOLDER").sample("my-transformer").link("models.md");
        /// Serve the fast model in this folder, in place of the repository: a model of ours, or a scikit-learn export
        fast: PathBuf or None = absent("FOLDER").sample("my-linear-model").link("models.md");
        /// The folder for models that are fetched
        ///
        /// It must be writable. `XDG_CACHE_HOME`/tandem, or else `HOME`/.cache/tandem, or else /var/cache/tandem
        model_cache: PathBuf or None = absent("FOLDER")
            .default_words("tandem in the user's cache")
            .sample("/var/cache/tandem")
            .link("model-storage.md");
        /// The most bytes in model_cache
        ///
        /// Revisions that no process uses make way, the least recently used first
        model_cache_bytes: u64 = bytes(20 << 30).from(1 << 20, 1 << 44).link("model-storage.md");
        /// The longest that one fetch of models may take
        model_fetch_time: HumanDuration = seconds(1800).above_zero_to(DAY).link("model-storage.md");
        /// How often the repository is looked at for new versions; 0 for never
        ///
        /// SIGHUP has it looked at at once
        models_poll_interval: HumanDuration = seconds(0).zero_or_from(SECOND, DAY).link("rollout.md");
        /// The bytes that loaded models may take; 0 leaves it to the control group's limit
        ///
        /// What they are expected to take counts, two versions in an exchange included. The control group's limit holds in any case
        max_model_memory: u64 = bytes(0).from(0, 1 << 40);
        /// The most tokens that a transformer reads of a text; 0 leaves it to its folder, and to 512 without a manifest
        ///
        /// It may be fewer than its folder says, or more than 512, as far as its files go: attention takes memory and time by the square
        /// of it
        max_tokens: usize =
            count(0).from_or_zero(LEAST_TOKENS, MOST_TOKENS, "what each folder says").link("windows.md#how-many-tokens-are-read");
        /// How many live texts a new version runs beside the old one before it takes its place; 0 for none
        shadow_texts: usize = count(0).from(0, 1_000_000).link("rollout.md");
        /// The longest that a new version runs beside the old one
        ///
        /// Then the texts that were compared so far decide
        shadow_time: HumanDuration = seconds(60).above_zero_to(DAY);
        /// The largest share of compared texts to which a new version may give another label
        shadow_max_disagreement: f64 = value("SHARE", 0.05).from(0.0, 1.0);
        /// How many times as long as the old version a new one may take for the median compared text
        shadow_max_slowdown: f64 = value("FACTOR", 2.0).from(0.1, 1000.0);
    }
    "Roll-out" {
        /// Where it is kept which versions are stable and canary
        ///
        /// A file, or an object that several servers share: s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH. Without it, in labels.toml in the repository
        labels_file: PathBuf or None =
            absent("FILE").default_words("labels.toml in the repository").sample("/var/lib/tandem/labels.toml");
        /// How often labels_file is looked at, which several servers share then: each does what any was told; 0 for never
        labels_poll_interval: HumanDuration = seconds(0).zero_or_from(SECOND, DAY).link("versions.md#several-servers-as-one");
        /// How many requests, and how many compared texts, it takes to tell how a canary does
        ///
        /// A canary that does badly is rolled back
        canary_min_count: u64 = count(100).from(1, 1_000_000).link("versions.md");
        /// By how much the share of a canary's requests that fail may be above the stable version's
        canary_max_failures: f64 = value("SHARE", 0.01).from(0.0, 1.0);
        /// The largest share of compared texts to which a canary may give another label
        canary_max_disagreement: f64 = value("SHARE", 0.1).from(0.0, 1.0);
        /// How many times as long as the stable version a canary may take for the median compared text
        canary_max_slowdown: f64 = value("FACTOR", 2.0).from(0.1, 1000.0);
    }
    "Models" {
        /// The task of requests that name none
        ///
        /// Without it, the only task; where there are several, requests must name one
        default_task: String or None = absent("TASK").default_words("the only task").sample("sentiment");
        /// The route of requests that name none
        ///
        /// The task may say another
        default_route: RouteSetting = choice("ROUTE", RouteSetting::Deep);
    }
    "Limits" {
        /// The most texts in a request
        ///
        /// The limits on messages follow from it and from max_text_bytes
        max_texts: usize = count(128).from(1, 10_000);
        /// The longest text, in bytes of UTF-8
        ///
        /// max_texts times max_text_bytes is at most 256 MiB
        max_text_bytes: usize = bytes(16 << 10).from(1, 16 << 20);
        /// The most windows of a text that is read in windows
        ///
        /// The rest of the text is not read, and the answer says so. Never more than max_queue_texts
        max_windows: usize = count(32).from(1, 1024).link("windows.md");
        /// The time that a request without a deadline may take
        ///
        /// At most max_timeout
        default_timeout: HumanDuration = seconds(10).above_zero_to(DAY);
        /// The longest deadline that is kept; longer ones are cut to it
        max_timeout: HumanDuration = seconds(60).hardened(HumanDuration::seconds(30)).above_zero_to(DAY);
        /// The most texts that a model accepts and has not answered
        ///
        /// Past it, RESOURCE_EXHAUSTED. At least max_texts
        max_queue_texts: usize = count(1024).from(1, 1 << 20).link("busy-server.md");
        /// The most bytes of text that a model accepts and has not answered
        ///
        /// Past it, RESOURCE_EXHAUSTED. At least max_texts times max_text_bytes
        max_queue_bytes: usize = bytes(32 << 20).from(1, 1 << 32);
        /// The most bytes of request bodies in flight, at all doors together; 0 chooses by the largest body
        ///
        /// Unread answers count too. Past it, or past a client's share of it, RESOURCE_EXHAUSTED. 0 chooses 128 MiB, or two of the
        /// largest JSON bodies (12 times max_texts times max_text_bytes, about) if that is more. At least the largest JSON body
        max_inflight_body_bytes: usize = bytes(0).at_most(1 << 40);
        /// The header whose value tells clients apart for fair shares of a busy server
        ///
        /// Without it, each connection is a client
        client_header: String or None =
            absent("NAME").default_words("none, connections are").sample("x-client-id").link("busy-server.md");
        /// The bytes of the cache of answers to texts seen before; 0 turns it off
        cache_bytes: usize = bytes(0).from(0, 1 << 36);
    }
    "Models" {
        /// Sessions of each fast model; 0 chooses one
        ///
        /// Each has a thread of its own
        fast_instances: usize = count(0).from(0, 256);
        /// Sessions of each deep model; 0 chooses by the processors
        ///
        /// Each has a thread of its own. 0 chooses one for every intra_threads processors, at most 8
        deep_instances: usize = count(0).from(0, 256);
        /// Threads inside one run of a session
        ///
        /// One is best for throughput; more shorten a single deep answer on an idle machine
        intra_threads: usize = count(1).from(1, 256);
        /// What runs a model of `tandem train`: this program itself, once it has given ONNX Runtime's answers, or ONNX Runtime
        ///
        /// `native`: the program adds the weights up itself. Each load compares it with ONNX Runtime first. `onnx`: ONNX Runtime
        /// runs it, as any other model
        fast_path: FastPath = choice("WHAT", FastPath::Native);
        /// The hardware that fast models run on: execution providers of ONNX Runtime, as `openvino,cpu`
        fast_execution_providers: ProviderList or None = absent("LIST").default_words("cpu").sample("cpu").link("providers.md");
        /// The hardware that deep models run on: execution providers of ONNX Runtime, as `tensorrt,cuda(device=1),cpu`
        ///
        /// One that is missing or answers wrongly is left out where others follow, else the model is refused
        deep_execution_providers: ProviderList or None =
            absent("LIST").default_words("cpu").sample("openvino,cpu").link("providers.md");
        /// Threads inside a deep run while nothing else runs or waits; 0 takes all processors where that is faster, 1 is off
        ///
        /// Faster is a run at least 1.2 times shorter, which is measured on the requests that arrive. There are never more than there
        /// are processors for this server
        idle_threads: usize = count(0).from(0, 256);
    }
    "Inference" {
        /// Which threads serve connections: `own` gives each connection to one thread, `shared` shares the work of all
        ///
        /// `own` costs less for each call: no work goes from thread to thread. `shared` lets one connection use many cores. `auto` is
        /// `own` on up to 4 cores, else `shared`
        connection_threads: ConnectionThreads = choice("WHICH", ConnectionThreads::Auto).link("performance.md#threads-and-connections");
    }
    "Limits" {
        /// The most open connections, at each door
        ///
        /// Past it the one of least use makes room, or the new one waits in the system's backlog
        max_connections: usize = count(1024).from(1, 1 << 20);
        /// The most open calls on one connection
        max_streams_per_connection: u32 = count(256).hardened(64).from(1, 1 << 20);
    }
    "Connections" {
        /// How long a new connection may take to its first request, with its TLS handshake
        ///
        /// Over HTTP/1, to the first bytes of one
        handshake_timeout: HumanDuration = seconds(5).hardened(HumanDuration::seconds(3)).above_zero_to(DAY);
        /// How long the headers of an HTTP/1 request may take
        ///
        /// The wait for the next request of such a connection may take as long
        header_timeout: HumanDuration = seconds(10).hardened(HumanDuration::seconds(5)).above_zero_to(DAY);
        /// How long a connection may stay without a call; 0 for ever
        ///
        /// Then it is told to go
        idle_timeout: HumanDuration = seconds(15 * 60).hardened(HumanDuration::seconds(5 * 60)).at_most(DAY);
        /// The age at which a connection is told to go, give or take a tenth; 0 for never
        max_connection_age: HumanDuration = seconds(30 * 60).hardened(HumanDuration::seconds(10 * 60)).at_most(DAY);
        /// How long the calls of a connection past its age may take to finish
        ///
        /// Then they are cut. It holds for those of an idle connection too
        max_connection_age_grace: HumanDuration = seconds(2 * 60).hardened(HumanDuration::seconds(45)).at_most(DAY);
        /// How often a quiet HTTP/2 peer is asked whether it is there; 0 for never
        keepalive_interval: HumanDuration = seconds(60).hardened(HumanDuration::seconds(30)).at_most(DAY);
        /// How long a quiet HTTP/2 peer may take to answer that
        keepalive_timeout: HumanDuration = seconds(20).hardened(HumanDuration::seconds(10)).above_zero_to(DAY);
        /// The most calls of a connection that were reset before they were begun
        ///
        /// Past it, the connection ends. The default lets a client cancel all that it may have open
        max_pending_resets: usize = count(256).hardened(64).from(1, 1 << 20);
        /// The most calls of a connection that were reset for their caller's mistakes
        ///
        /// Past it, the connection ends
        max_error_resets: usize = count(128).hardened(32).from(1, 1 << 20);
        /// The most calls of a connection that were taken back at once, before it is read slowly
        ///
        /// A call counts if it is taken back within 10 ms; two for each answered one do not. Past the bound, 4 KiB are read every 5 ms
        max_rapid_resets: usize = count(128).hardened(32).from(1, 1 << 20);
        /// The most bytes of answers that wait for the reader of one call
        max_send_buffer_bytes: usize = bytes(256 << 10).hardened(64 << 10).from(16 << 10, 64 << 20);
    }
    "Limits" {
        /// How long calls are still taken after SIGTERM, with health NOT_SERVING
        drain_pause: HumanDuration = seconds(0).at_most(DAY);
        /// How long accepted calls may take to finish after SIGTERM
        ///
        /// It begins when drain_pause is over. What is not done by then is cut
        drain_grace: HumanDuration = seconds(20).at_most(DAY);
    }
    "Load reports" {
        /// Which answers tell how loaded the server is: none, those to callers that ask, or all
        ///
        /// The reports of ORCA, by which gRPC's `weighted_round_robin` and Envoy send a slow server fewer calls. gRPC's clients never
        /// ask: for them take `always`, or the stream of reports, which is there unless this is `off`
        load_reports: LoadReports = choice("WHEN", LoadReports::Off).link("balancing-by-load.md");
        /// The wait for a batch that counts, in a load report, like a server without a free moment
        load_queue_target: HumanDuration =
            value("DURATION", HumanDuration(std::time::Duration::from_millis(100))).from(MILLISECOND, HOUR);
        /// The shortest time between two reports of a stream
        ///
        /// Callers that ask for less, or say nothing, get this
        load_report_interval: HumanDuration = seconds(30).from(HALF_SECOND, DAY);
        /// The most open streams of load reports
        ///
        /// Past it, RESOURCE_EXHAUSTED
        max_load_streams: usize = count(1024).from(1, 1 << 20);
    }
    "Kept texts" {
        /// How many texts of live traffic are kept in memory, as those worth labelling; 0 for none
        ///
        /// Texts whose answer was withheld, texts of which the audit found that the deep model says something else, and texts drawn
        /// at random; each of the three has a third of the room, and its oldest go. `tandem audit export` gets them
        keep_texts: usize = count(0).from_or_zero(3, 100_000, "none").link("labelling.md");
        /// The most bytes that kept texts may take in memory
        keep_bytes: usize = bytes(16 << 20).from(64 << 10, 1 << 30);
        /// The share of texts that are kept at random, whatever the answer
        keep_share: f64 = value("SHARE", 0.01).from(0.0, 1.0);
        /// Write each kept text to this file too, as a line of JSON
        ///
        /// It is made for its owner alone (mode 0600) and is never removed. Needs keep_texts
        keep_file: PathBuf or None =
            absent("FILE").default_words("none").sample("/var/lib/tandem/kept.jsonl").link("labelling.md");
        /// The size at which no more texts are written to keep_file
        ///
        /// What is in it already counts. Where the file was moved or removed, the next text begins a new one
        keep_file_bytes: u64 = bytes(64 << 20).from(64 << 10, 1 << 40);
    }
    "Logs" {
        /// How log lines look
        ///
        /// `auto`: pretty, for people, on a terminal, and JSON otherwise
        log_format: LogFormat = choice("FORMAT", LogFormat::Auto);
        /// Which log lines are written: a level, or a filter such as tandem=debug
        ///
        /// Another filter: `info,tandem=debug`
        log_filter: String = value("FILTER", "info".to_owned());
        /// The share of answered calls that get a line in the log at INFO, from 0 to 1; those that fail have one in any case
        access_log: f64 = value("SHARE", 0.0).from(0.0, 1.0);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(Profile::Standard)
    }
}

/// The declaration of the setting with this name.
fn declared(name: &str) -> &'static Setting {
    let mut all = DECLARED.iter();
    all.find(|setting| setting.name == name)
        .expect("every option is declared")
}

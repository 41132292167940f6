//! A real server in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use tandem::api::body_budget::BodyBudget;
use tandem::config::bodies::{largest_json, largest_message};
use tandem::config::duration::HumanDuration;
use tandem::config::settings::RouteSetting;
use tandem::config::{Address, AddressList, Listen, Settings, TaskSettings};
use tandem::model::onnx::Runtime;
use tandem::server::Server;
use tandem::server::ports::Addresses;
use tandem::server::security::{Security, Tokens};
use tandem::service::Service;
use tandem::service::catalog::health::ServingState;
use tandem::service::lifecycle::start::open_catalog;
use tandem::telemetry::metrics::Metrics;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::models::copy_folder;
use super::{AdminClient, Client, HttpClient, shipped_models};

/// A bound on what must end by itself: only a hang meets it.
pub const HANG: Duration = Duration::from_mins(1);

/// Servers outlive the runtime of the test that started them.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});
static SHARED: OnceCell<TestServer> = OnceCell::const_new();

/// A running server.
pub struct TestServer {
    /// Its service.
    pub service: Service,
    /// The bound on the bytes of its bodies.
    pub bodies: BodyBudget,
    pub addresses: Addresses,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    /// Keeps a repository of its own.
    _repository: Option<tempfile::TempDir>,
}

/// What a server is started with.
pub struct Builder {
    settings: Settings,
    loads: bool,
    repository: Option<tempfile::TempDir>,
    tokens: Tokens,
}

impl TestServer {
    /// A server of the shipped models, with default limits.
    pub fn builder() -> Builder {
        let any_port = AddressList::from(Address::from(SocketAddr::from(([127, 0, 0, 1], 0))));
        Builder {
            settings: Settings {
                grpc_addr: any_port.clone(),
                http_addr: any_port,
                models: shipped_models(),
                // Nobody waits for the models' threads when the tests have ended, and ONNX Runtime must not open a session
                // while the process ends.
                idle_threads: 1,
                ..Settings::default()
            },
            loads: true,
            repository: None,
            tokens: Tokens::default(),
        }
    }

    /// The server that every test shares which only asks.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(|| async { Self::builder().start().await }).await
    }

    /// A new connection to the gRPC port.
    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.addresses.grpc[0]))
            .expect("an address")
            .connect()
            .await
            .expect("the port is open")
    }

    /// A new connection to the admin port.
    pub async fn admin_channel(&self) -> Channel {
        let address = self.addresses.admin.as_ref().expect("the port was asked for");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        endpoint.connect().await.expect("the port is open")
    }

    /// A client of the admin API.
    pub async fn admin(&self) -> AdminClient {
        AdminClient::new(self.admin_channel().await)
    }

    /// A client of the prediction service.
    pub async fn client(&self) -> Client {
        Client::new(self.channel().await).max_decoding_message_size(usize::MAX)
    }

    /// A client of the gateway.
    pub fn http(&self) -> HttpClient {
        HttpClient::new(self.http_addr())
    }

    /// The largest Protobuf message that it takes, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        largest_message(self.service.limits().max_texts, self.service.limits().max_text_bytes)
    }

    /// The largest JSON document that it takes, in bytes.
    pub fn max_json_bytes(&self) -> usize {
        largest_json(self.service.limits().max_texts, self.service.limits().max_text_bytes)
    }

    /// Waits until no bytes of bodies are held: an answer's go only once the connection has written it, which its caller may see
    /// earlier.
    pub async fn until_no_body_is_held(&self) {
        let held = self.service.metrics().inflight_body_bytes();
        while held.get() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Where gRPC listens.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.addresses.grpc[0].ip().expect("a port")
    }

    /// Where the gateway listens.
    pub fn http_addr(&self) -> SocketAddr {
        let http = self.addresses.http.first().expect("the gateway is on");
        http.ip().expect("a port")
    }

    /// Where the admin API listens.
    pub fn admin_addr(&self) -> SocketAddr {
        let admin = self.addresses.admin.as_ref().expect("the port was asked for");
        admin.ip().expect("a port")
    }

    /// Where metrics and probes listen apart.
    pub fn metrics_addr(&self) -> SocketAddr {
        let metrics = self.addresses.metrics.as_ref().expect("the port was asked for");
        metrics.ip().expect("a port")
    }

    /// Loads the models and waits until the server serves.
    pub async fn load(&self) {
        let service = self.service.clone();
        let loaded = tokio::task::spawn_blocking(move || service.load_models());
        let mut changes = self.service.watch_health();
        loaded.await.expect("no panic").expect("the models pass their checks");
        while self.service.state() != ServingState::Serving {
            changes.changed().await.expect("the service is there");
        }
    }

    /// Tells the server to stop, and waits until it has started to drain.
    pub async fn start_shutdown(&mut self) {
        let mut changes = self.service.watch_health();
        let stop = self.stop.take().expect("told once");
        stop.send(()).expect("the server runs");
        changes
            .wait_for(|draining| *draining)
            .await
            .expect("the service is there");
    }

    /// Waits until the server's `run` has returned.
    pub async fn stopped(mut self) {
        let running = self.running.take().expect("waited for once");
        tokio::time::timeout(HANG, running)
            .await
            .expect("the server does not hang")
            .expect("no panic");
    }
}

impl Builder {
    /// Serves the fast model alone: it loads in a moment.
    pub fn fast_only(mut self) -> Self {
        let repository = tempfile::tempdir().expect("a temporary folder");
        let name = "sentiment-fast";
        copy_folder(&shipped_models().join(name), &repository.path().join(name));
        self.settings.models = repository.path().to_owned();
        self.settings.default_route = RouteSetting::Fast;
        self.repository = Some(repository);
        self
    }

    /// Serves the models of another repository.
    pub fn models(mut self, repository: PathBuf) -> Self {
        self.settings.models = repository;
        self.settings.default_route = RouteSetting::Fast;
        self
    }

    /// Opens the ports and loads nothing.
    pub fn without_loading(mut self) -> Self {
        self.loads = false;
        self.settings.listen = Listen::AtStart;
        self
    }

    /// The most texts in a request.
    pub fn max_texts(mut self, texts: usize) -> Self {
        self.settings.max_texts = texts;
        self
    }

    /// The longest text.
    pub fn max_text_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_text_bytes = bytes;
        self
    }

    /// The most texts that a model accepts and has not answered.
    pub fn max_queue_texts(mut self, texts: usize) -> Self {
        self.settings.max_queue_texts = texts;
        self
    }

    /// The bytes of the answer cache.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.settings.cache_bytes = bytes;
        self
    }

    /// The most open connections at a door.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// The most open calls on a connection.
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.settings.max_streams_per_connection = streams;
        self
    }

    /// The longest deadline that is kept; also the default.
    pub fn max_timeout(mut self, timeout: Duration) -> Self {
        self.settings.default_timeout = HumanDuration(timeout);
        self.settings.max_timeout = HumanDuration(timeout);
        self
    }

    /// What is said of a task.
    pub fn task(mut self, name: &str, settings: TaskSettings) -> Self {
        self.settings.tasks.insert(name.to_owned(), settings);
        self
    }

    /// Serves the deep model by one instance.
    pub fn one_deep_instance(mut self) -> Self {
        self.settings.deep_instances = 1;
        self
    }

    /// The keys of callers, as in `TANDEM_TOKENS`.
    pub fn tokens(mut self, tokens: &str) -> Self {
        self.tokens.callers = Some(tokens.to_owned());
        self
    }

    /// The keys of operators, as in `TANDEM_ADMIN_TOKENS`.
    pub fn admin_tokens(mut self, tokens: &str) -> Self {
        self.tokens.operators = Some(tokens.to_owned());
        self
    }

    /// The admin API on a port of its own.
    pub fn admin_port(mut self) -> Self {
        self.settings.admin_addr = Some(SocketAddr::from(([127, 0, 0, 1], 0)).into());
        self
    }

    /// Changes any setting.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// How long a drain may take.
    pub fn drain_grace(mut self, grace: Duration) -> Self {
        self.settings.drain_grace = HumanDuration(grace);
        self
    }

    /// Metrics and probes on a port of their own too.
    pub fn metrics_port(mut self) -> Self {
        self.settings.metrics_addr = Some(SocketAddr::from(([127, 0, 0, 1], 0)).into());
        self
    }

    /// Starts the server, and waits until it serves.
    pub async fn start(self) -> TestServer {
        let Self {
            settings,
            loads,
            repository,
            tokens,
        } = self;
        settings.check().expect("the settings are allowed");
        let opened = open_catalog(&settings).expect("the repository is whole");
        let runtime = Runtime::get().expect("the library is there");
        let service = Service::new(&settings, opened, Metrics::new(&runtime.version)).expect("threads");
        let security = Security::load(&settings, tokens).expect("keys and certificates can be read");
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, addresses) = oneshot::channel();
        let running = RUNTIME.spawn({
            let (settings, service) = (settings.clone(), service.clone());
            async move {
                let server = Server::bind(&settings, security, service)
                    .await
                    .expect("ports are free");
                bound
                    .send((
                        server.addresses().expect("addresses"),
                        server.listening(),
                        server.bodies().clone(),
                    ))
                    .expect("the test waits");
                let shutdown = async {
                    if stopped.await.is_err() {
                        // The test ended without stopping its server: so does the server.
                        tracing::debug!("the harness went away");
                    }
                };
                let (_, no_hang_up) = tokio::sync::watch::channel(0);
                let no_hurry = tokio_util::sync::CancellationToken::new();
                let served = server.run(shutdown, no_hang_up, no_hurry).await;
                served.expect("the port is ours");
            }
        });
        let (addresses, listening, bodies) = addresses.await.expect("the server is bound");
        let server = TestServer {
            service,
            bodies,
            addresses,
            stop: Some(stop),
            running: Some(running),
            _repository: repository,
        };
        if loads {
            server.load().await;
            listening.cancelled().await;
        }
        server
    }
}

//! A web server on a folder, which notes what it was asked for and fails as it is told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What a server is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// With the query.
    pub path: String,
    pub authorization: Option<String>,
}

/// Answers in place of the folder; `None` leaves it to the folder.
type Answer = Arc<dyn Fn(&Asked) -> Option<Response<Body>> + Send + Sync>;

/// A running server. It ends when it is dropped.
pub struct WebServer {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    count: watch::Receiver<usize>,
    runtime: Option<Runtime>,
}

impl WebServer {
    /// Serves a folder.
    pub fn of(folder: &Path) -> Self {
        Self::with(folder, |_| None)
    }

    /// Serves a folder, but for what `answer` answers.
    pub fn with(folder: &Path, answer: impl Fn(&Asked) -> Option<Response<Body>> + Send + Sync + 'static) -> Self {
        let (folder, answer): (PathBuf, Answer) = (folder.to_owned(), Arc::new(answer));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (counts, count) = watch::channel(0);
        let notes = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let header = request
                .headers()
                .get("authorization")
                .and_then(|value| value.to_str().ok());
            let asked = Asked {
                path: request.uri().path_and_query().expect("a path").to_string(),
                authorization: header.map(str::to_owned),
            };
            notes.lock().expect("no panic").push(asked.clone());
            counts.send_modify(|count| *count += 1);
            let answered = answer(&asked).unwrap_or_else(|| of_folder(&folder, &asked.path));
            async move { answered }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            asked,
            count,
            runtime: Some(runtime),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// How often it was asked for a path that ends so.
    pub fn count(&self, end: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.ends_with(end)).count()
    }

    /// Waits until it was asked for a path that ends so.
    pub fn wait_for(&mut self, end: &str) {
        self.wait_for_more(end, 0);
    }

    /// Waits until it was asked for a path that ends so more often than that.
    pub fn wait_for_more(&mut self, end: &str, than: usize) {
        while self.count(end) <= than {
            let runtime = self.runtime.as_ref().expect("it runs");
            let changed = async { tokio::time::timeout(crate::support::LIMIT, self.count.changed()).await };
            runtime.block_on(changed).expect("within the limit").expect("it runs");
        }
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // So that another server may have the port at once.
            runtime.shutdown_timeout(crate::support::LIMIT);
        }
    }
}

fn of_folder(folder: &Path, path: &str) -> Response<Body> {
    let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let path = percent_encoding::percent_decode_str(path).decode_utf8().expect("UTF-8");
    match std::fs::read(folder.join(&*path)) {
        Ok(bytes) => Response::new(Body::from(bytes)),
        Err(_) => status(StatusCode::NOT_FOUND),
    }
}

pub fn status(status: StatusCode) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .expect("a response")
}

pub fn redirect(to: &str) -> Response<Body> {
    let response = Response::builder().status(StatusCode::FOUND).header("location", to);
    response.body(Body::empty()).expect("a response")
}

pub fn json(value: &serde_json::Value) -> Response<Body> {
    Response::new(Body::from(value.to_string()))
}

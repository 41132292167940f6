//! Reports: the newest load report of a server, and who gets it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::report::Report;
use crate::config::{LoadReports as When, Settings};
use crate::error::{Error, Reason};
use crate::telemetry::load::Load;

/// The header by which callers ask; its value is a form: `BIN`, `TEXT` or `JSON`.
static ASKS: HeaderName = HeaderName::from_static("endpoint-load-metrics-format");
/// The header, or the trailer, of a report in Protobuf, which is where gRPC's clients look.
static BINARY: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");
/// The one of the other forms, whose names begin the value.
static WRITTEN: HeaderName = HeaderName::from_static("endpoint-load-metrics");

/// A form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Binary,
    Text,
    Json,
}

/// The load reports of a server; there are none where they are off.
pub struct LoadReports {
    always: bool,
    newest: ArcSwap<Report>,
    least_interval: Duration,
    most_streams: usize,
    places: Arc<Semaphore>,
}

impl LoadReports {
    /// By the settings; `None` where they are off. Nothing is measured so far, which the first reports say by zeros.
    pub fn new(settings: &Settings) -> Option<Self> {
        let nothing = Load {
            utilization: 0.0,
            cpu: 0.0,
            memory: None,
            answered: 0.0,
            failed: 0.0,
            models: Vec::new(),
        };
        (settings.load_reports != When::Off).then(|| Self {
            always: settings.load_reports == When::Always,
            newest: ArcSwap::from_pointee(Report::of(&nothing)),
            least_interval: settings.load_report_interval.0,
            most_streams: settings.max_load_streams,
            places: Arc::new(Semaphore::new(settings.max_load_streams)),
        })
    }

    /// Puts a load in the place of the one before.
    pub fn publish(&self, load: &Load) {
        self.newest.store(Arc::new(Report::of(load)));
    }

    /// The newest.
    pub fn newest(&self) -> Arc<Report> {
        self.newest.load_full()
    }

    /// The form in which the answer to a call with these headers carries it, if it does. Who asks for a form that nobody knows is
    /// taken for one that does not ask: no call fails for its report.
    pub fn form(&self, headers: &HeaderMap) -> Option<Form> {
        let asked = headers.get(&ASKS).and_then(|value| form_named(value.as_bytes()));
        asked.or(self.always.then_some(Form::Binary))
    }

    /// The newest as a header.
    pub fn header(&self, form: Form) -> (HeaderName, HeaderValue) {
        let report = self.newest.load();
        match form {
            Form::Binary => (BINARY.clone(), report.binary.clone()),
            Form::Text => (WRITTEN.clone(), report.text.clone()),
            Form::Json => (WRITTEN.clone(), report.json.clone()),
        }
    }

    /// The time between the reports of a stream whose caller asks for this.
    pub fn interval(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or_default().max(self.least_interval)
    }

    /// Takes a place for a stream of reports, until what it returns is dropped.
    pub fn open_stream(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let most = self.most_streams;
            let problem = format!("{most} streams of load reports are open, which is max_load_streams");
            Error::new(Reason::StreamsFull, problem)
        })
    }
}

fn form_named(name: &[u8]) -> Option<Form> {
    let forms = [("BIN", Form::Binary), ("TEXT", Form::Text), ("JSON", Form::Json)];
    let known = forms
        .into_iter()
        .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
    known.map(|(_, form)| form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(when: When) -> Option<LoadReports> {
        let settings = Settings {
            load_reports: when,
            max_load_streams: 2,
            ..Settings::default()
        };
        LoadReports::new(&settings)
    }

    fn form(when: When, asked: Option<&'static str>) -> Option<Form> {
        let mut headers = HeaderMap::new();
        if let Some(asked) = asked {
            headers.insert(ASKS.clone(), HeaderValue::from_static(asked));
        }
        reports(when).expect("they are on").form(&headers)
    }

    #[test]
    fn who_asks_gets_the_form_it_asks_for_and_others_what_the_setting_says() {
        for when in [When::Asked, When::Always] {
            assert_eq!(form(when, Some("BIN")), Some(Form::Binary));
            assert_eq!(form(when, Some("text")), Some(Form::Text));
            assert_eq!(form(when, Some("Json")), Some(Form::Json));
        }
        for asked in [None, Some("XML"), Some("")] {
            assert_eq!(form(When::Asked, asked), None);
            assert_eq!(form(When::Always, asked), Some(Form::Binary));
        }
        assert!(reports(When::Off).is_none());
    }

    #[test]
    fn no_interval_is_shorter_than_the_least() {
        let reports = reports(When::Always).expect("they are on");
        let intervals =
            [None, Some(1), Some(30), Some(31)].map(|asked| reports.interval(asked.map(Duration::from_secs)));
        assert_eq!(intervals, [30, 30, 30, 31].map(Duration::from_secs));
    }

    #[test]
    fn a_stream_beyond_the_bound_is_refused_until_one_ends() {
        let reports = reports(When::Always).expect("they are on");
        let open: Vec<_> = (0..2).map(|_| reports.open_stream().expect("a place")).collect();
        let refused = reports.open_stream().expect_err("no place");
        assert_eq!(refused.reason, Reason::StreamsFull);
        assert!(refused.message.starts_with("2 streams"), "{refused}");
        drop(open);
        drop(reports.open_stream().expect("a place again"));
    }
}

//! Load reports of ORCA: in trailers and headers, to whom and in which form; as a stream, with its interval, its bound and its end.

use std::time::Duration;

use http::Method;
use prost::Message;
use tandem::api::orca::pb::xds::service::orca::v3::open_rca_service_client::OpenRcaServiceClient;
use tandem::api::orca::pb::{OrcaLoadReport, OrcaLoadReportRequest};
use tandem::api::pb;
use tandem::config::{HumanDuration, LoadReports};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::support::server::{Builder, HANG};
use crate::support::{Refusal, TestServer, fast};

const ASKS: &str = "endpoint-load-metrics-format";
const BINARY: &str = "endpoint-load-metrics-bin";
const WRITTEN: &str = "endpoint-load-metrics";
/// The shortest that the settings allow.
const INTERVAL: Duration = Duration::from_millis(500);

fn with(reports: LoadReports) -> Builder {
    TestServer::builder().fast_only().with(move |settings| {
        settings.load_reports = reports;
        settings.load_report_interval = HumanDuration(INTERVAL);
    })
}

/// A request in which its caller asks for a report, if it does.
fn asking<T>(message: T, form: Option<&'static str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(form) = form {
        request.metadata_mut().insert(ASKS, form.parse().expect("ASCII"));
    }
    request
}

/// The report in Protobuf, if there is one.
fn binary(metadata: &MetadataMap) -> Option<OrcaLoadReport> {
    let value = metadata.get_bin(BINARY)?;
    let bytes = value.to_bytes().expect("base64");
    Some(OrcaLoadReport::decode(bytes).expect("a report"))
}

/// The report in another form.
fn written(metadata: &MetadataMap) -> Option<&str> {
    Some(metadata.get(WRITTEN)?.to_str().expect("ASCII"))
}

/// The trailers of an answer: unlike `into_inner`, tonic's metadata of an answer to a call with one message has both.
async fn predicted(server: &TestServer, form: Option<&'static str>) -> Result<Response<pb::PredictResponse>, Status> {
    server.client().await.predict(asking(fast(&["좋다"]), form)).await
}

#[tokio::test]
async fn nobody_gets_a_report_where_they_are_off() {
    let server = TestServer::shared().await;
    let answer = predicted(server, Some("BIN")).await.expect("an answer");
    assert!(binary(answer.metadata()).is_none() && written(answer.metadata()).is_none());
    let mut reports = OpenRcaServiceClient::new(server.channel().await);
    // By this code clients know that they need not ask again.
    let refused = reports.stream_core_metrics(OrcaLoadReportRequest::default()).await;
    assert_eq!(refused.expect_err("off").code(), Code::Unimplemented);
}

#[tokio::test]
async fn who_asks_gets_the_form_that_it_asks_for() {
    let server = with(LoadReports::Asked).start().await;
    for form in [None, Some("XML")] {
        let answer = predicted(&server, form).await.expect("an answer");
        assert!(
            binary(answer.metadata()).is_none() && written(answer.metadata()).is_none(),
            "{form:?}"
        );
    }
    let answer = predicted(&server, Some("bin")).await.expect("an answer");
    assert!(binary(answer.metadata()).is_some() && written(answer.metadata()).is_none());
    for (form, begins) in [("TEXT", "TEXT application_utilization="), ("JSON", "JSON {")] {
        let answer = predicted(&server, Some(form)).await.expect("an answer");
        let report = written(answer.metadata()).expect("a report");
        assert!(report.starts_with(begins), "{report}");
        assert!(
            binary(answer.metadata()).is_none(),
            "one form at a time: Envoy takes no two"
        );
    }
}

#[tokio::test]
async fn everybody_gets_a_report_in_protobuf_where_they_are_always_sent_also_with_a_failure_and_with_a_stream() {
    let server = with(LoadReports::Always).start().await;
    let answer = predicted(&server, None).await.expect("an answer");
    assert!(binary(answer.metadata()).is_some());

    let refused = server.client().await.predict(fast(&[])).await.expect_err("no texts");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(binary(refused.metadata()).is_some(), "{refused:?}");

    let requests = tokio_stream::iter([pb::PredictStreamRequest {
        id: "a".into(),
        request: Some(fast(&["좋다"])),
        timeout_duration: None,
    }]);
    let stream = server.client().await.predict_stream(requests).await.expect("a stream");
    let mut answers = stream.into_inner();
    while answers.message().await.expect("no failure").is_some() {}
    let trailers = answers.trailers().await.expect("no failure").expect("trailers");
    assert!(binary(&trailers).is_some(), "{trailers:?}");
}

#[tokio::test]
async fn the_gateway_tells_it_in_a_header() {
    let server = with(LoadReports::Asked).start().await;
    let body = r#"{"texts": ["좋다"], "route": "ROUTE_FAST"}"#;
    let headers = [("content-type", "application/json"), (ASKS, "JSON")];
    let answer = server.http().send(Method::POST, "/v1/predict", &headers, body).await;
    let report = answer.headers[WRITTEN]
        .to_str()
        .expect("ASCII")
        .strip_prefix("JSON ")
        .expect("its form");
    let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
    assert!(report["cpu_utilization"].is_number(), "{report}");
    let unasked = server
        .http()
        .send(Method::POST, "/v1/predict", &headers[..1], body)
        .await;
    assert!(!unasked.headers.contains_key(WRITTEN) && !unasked.headers.contains_key(BINARY));
}

/// A report as a stream sends it, once it tells of work.
async fn of_work(reports: &mut Streaming<OrcaLoadReport>) -> OrcaLoadReport {
    loop {
        let report = reports.message().await.expect("open").expect("no end");
        if report.rps_fractional > 0.0 {
            return report;
        }
    }
}

fn asked_for(interval: Option<prost_types::Duration>) -> OrcaLoadReportRequest {
    OrcaLoadReportRequest {
        report_interval: interval,
        request_cost_names: Vec::new(),
    }
}

async fn stream(channel: Channel) -> Result<Streaming<OrcaLoadReport>, Status> {
    let mut reports = OpenRcaServiceClient::new(channel);
    Ok(reports.stream_core_metrics(asked_for(None)).await?.into_inner())
}

#[tokio::test]
async fn a_stream_tells_of_the_server_its_tiers_and_its_models_what_a_balancer_needs() {
    let server = with(LoadReports::Asked).start().await;
    let mut reports = stream(server.channel().await).await.expect("a stream");
    predicted(&server, None).await.expect("an answer");
    let report = tokio::time::timeout(HANG, of_work(&mut reports))
        .await
        .expect("work is told of");
    assert!(
        report.application_utilization > 0.0,
        "without it a balancer gives no weight: {report:?}"
    );
    assert!(report.application_utilization >= report.cpu_utilization, "{report:?}");
    for name in ["fast", "model.sentiment-fast"] {
        assert!((0.0..=1.0).contains(&report.utilization[name]), "{report:?}");
        assert!(
            report.named_metrics.contains_key(&format!("queue_seconds.{name}")),
            "{report:?}"
        );
    }
    assert!((0.0..=1.0).contains(&report.mem_utilization), "{report:?}");
    assert_eq!(report.eps, 0.0);
}

#[tokio::test]
async fn an_interval_that_is_none_is_refused_by_its_name() {
    let server = with(LoadReports::Asked).start().await;
    let before_now = prost_types::Duration { seconds: -1, nanos: 0 };
    let mut reports = OpenRcaServiceClient::new(server.channel().await);
    let refused = reports
        .stream_core_metrics(asked_for(Some(before_now)))
        .await
        .expect_err("refused");
    assert_eq!(Refusal::of(&refused).fields, ["report_interval"]);
    // The longest that the protocol has: there is a report at once, and the next one never.
    let longest = prost_types::Duration {
        seconds: 315_576_000_000,
        nanos: 0,
    };
    let stream = reports
        .stream_core_metrics(asked_for(Some(longest)))
        .await
        .expect("a stream");
    assert!(stream.into_inner().message().await.expect("open").is_some());
}

#[tokio::test]
async fn streams_have_a_bound_and_a_caller_that_goes_leaves_its_place() {
    let server = with(LoadReports::Asked)
        .with(|settings| settings.max_load_streams = 1)
        .start()
        .await;
    let channel = server.channel().await;
    let first = stream(channel.clone()).await.expect("a stream");
    let refusal = Refusal::of(&stream(channel.clone()).await.expect_err("no place"));
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::ResourceExhausted, "STREAMS_FULL")
    );
    drop(first);
    let again = async {
        while stream(channel.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, again).await.expect("the place is free");
}

#[tokio::test]
async fn a_drain_ends_streams() {
    let mut server = with(LoadReports::Asked)
        .with(|settings| settings.load_report_interval = HumanDuration(Duration::from_hours(1)))
        .start()
        .await;
    let mut reports = stream(server.channel().await).await.expect("a stream");
    assert!(reports.message().await.expect("open").is_some(), "one at once");
    server.start_shutdown().await;
    assert_eq!(reports.message().await.expect("a good end"), None);
    server.stopped().await;
}

#[tokio::test]
async fn reports_want_a_key_where_calls_do_and_one_for_metrics_is_good_for_the_stream() {
    let server = with(LoadReports::Always)
        .tokens("first:0123456789abcdef,collector:fedcba9876543210 only=metrics")
        .start()
        .await;
    let stranger = predicted(&server, Some("BIN")).await.expect_err("no key");
    assert_eq!(stranger.code(), Code::Unauthenticated);
    assert!(binary(stranger.metadata()).is_none(), "{stranger:?}");
    let channel = server.channel().await;
    assert_eq!(
        stream(channel.clone()).await.expect_err("no key").code(),
        Code::Unauthenticated
    );
    for key in ["0123456789abcdef", "fedcba9876543210"] {
        let mut request = Request::new(asked_for(None));
        let bearer = format!("Bearer {key}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", bearer);
        let opened = OpenRcaServiceClient::new(channel.clone())
            .stream_core_metrics(request)
            .await;
        assert!(
            opened
                .expect("a stream")
                .into_inner()
                .message()
                .await
                .expect("open")
                .is_some()
        );
    }
    // Health is open to all, and says nothing of the load.
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let answer = health
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await
        .expect("an answer");
    assert!(binary(answer.metadata()).is_none());
}

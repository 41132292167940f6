//! Metrics as collectors read them: what is there before its first use, health checks apart, keys by name, formats.

use tandem::api::pb;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{HttpClient, TestServer, fast};

async fn scrape(http: &HttpClient) -> String {
    http.get("/metrics").await.text().to_owned()
}

/// The value of a series by its name with all its labels, as OpenMetrics writes them.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn refusals_and_answers_are_there_before_the_first_of_them() {
    let server = TestServer::builder().fast_only().start().await;
    let metrics = scrape(&server.http()).await;
    for reason in tandem::error::Reason::ALL {
        let series = format!("tandem_refusals_total{{reason=\"{}\"}}", reason.name());
        assert_eq!(value(&metrics, &series), Some(0.0), "{series}");
    }
    for series in [
        r#"tandem_requests_total{door="grpc",method="Predict",code="OK",reason=""}"#,
        r#"tandem_requests_total{door="http",method="/v1/predict",code="OK",reason=""}"#,
        r#"tandem_health_checks_total{door="grpc",status="NOT_SERVING"}"#,
        r#"tandem_texts_total{model="sentiment-fast",tier="fast"}"#,
        r#"tandem_queued_texts{model="sentiment-fast",tier="fast",priority="bulk"}"#,
        r#"tandem_security_reloads_total{outcome="failed"}"#,
        "tandem_panics_total",
    ] {
        assert_eq!(value(&metrics, series), Some(0.0), "{series}");
    }
    for limit in [
        r#"tandem_queue_limit_texts{model="sentiment-fast",tier="fast"}"#,
        r#"tandem_connections_limit{door="http"}"#,
        "tandem_inflight_body_limit_bytes",
        r#"tandem_instances{model="sentiment-fast",tier="fast"}"#,
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(value(&metrics, limit) >= Some(1.0), "{limit}");
    }
}

#[tokio::test]
async fn health_checks_are_no_requests() {
    let server = TestServer::builder().fast_only().start().await;
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.expect("health");
    let http = server.http();
    for path in ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(http.get(path).await.status.as_u16(), 200, "{path}");
    }
    let metrics = scrape(&http).await;
    let checks = |door: &str| {
        let series = format!("tandem_health_checks_total{{door=\"{door}\",status=\"SERVING\"}}");
        value(&metrics, &series)
    };
    assert_eq!((checks("grpc"), checks("http")), (Some(1.0), Some(4.0)), "{metrics}");
    for name in ["Health.Check", "/readyz", "/v2/health/ready"] {
        assert!(!metrics.contains(&format!("method=\"{name}\"")), "{name}");
    }
}

#[tokio::test]
async fn a_check_of_a_server_that_does_not_serve_is_told_apart() {
    let server = TestServer::builder().fast_only().without_loading().start().await;
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.expect("health");
    let http = server.http();
    assert_eq!(http.get("/readyz").await.status.as_u16(), 503);
    let metrics = scrape(&http).await;
    for door in ["grpc", "http"] {
        let series = format!("tandem_health_checks_total{{door=\"{door}\",status=\"NOT_SERVING\"}}");
        assert_eq!(value(&metrics, &series), Some(1.0), "{door}");
    }
}

#[tokio::test]
async fn refusals_are_counted_once_and_by_the_name_of_the_key() {
    let server = TestServer::builder()
        .fast_only()
        .tokens("noisy:0123456789abcdef texts_per_second=1 burst=1,quiet:fedcba9876543210")
        .start()
        .await;
    let mut client = server.client().await;
    let asked = |texts: &[&str]| {
        let mut request: Request<pb::PredictRequest> = Request::new(fast(texts));
        let value = "Bearer 0123456789abcdef".parse().expect("a value");
        request.metadata_mut().insert("authorization", value);
        request
    };
    client
        .predict(asked(&["a"]))
        .await
        .expect("the first is within the burst");
    client.predict(asked(&["a"])).await.expect_err("over the rate");
    client.predict(fast(&["a"])).await.expect_err("no key");
    let metrics = String::from_utf8(
        server
            .service
            .metrics()
            .render(tandem::telemetry::metrics::Format::OpenMetrics),
    );
    let metrics = metrics.expect("UTF-8");
    for (series, count) in [
        (r#"tandem_refusals_total{reason="RATE_LIMITED"}"#, Some(1.0)),
        (r#"tandem_refusals_total{reason="UNAUTHENTICATED"}"#, Some(1.0)),
        (
            r#"tandem_key_refusals_total{key="noisy",reason="RATE_LIMITED"}"#,
            Some(1.0),
        ),
        (r#"tandem_key_refusals_total{key="quiet",reason="RATE_LIMITED"}"#, None),
        (
            r#"tandem_requests_total{door="grpc",method="Predict",code="RESOURCE_EXHAUSTED",reason="RATE_LIMITED"}"#,
            Some(1.0),
        ),
        (
            r#"tandem_answer_duration_seconds_count{model="sentiment-fast",route="fast"}"#,
            Some(1.0),
        ),
        (r#"tandem_inflight_requests{door="grpc"}"#, Some(0.0)),
    ] {
        assert_eq!(value(&metrics, series), count, "{series}");
    }
}

#[tokio::test]
async fn each_format_has_its_content_type_and_its_form() {
    let server = TestServer::builder().fast_only().start().await;
    let client = server.http();
    let ask = async |accept: &str| {
        let answer = client
            .send(http::Method::GET, "/metrics", &[("accept", accept)], "")
            .await;
        let kind = answer.headers["content-type"].to_str().expect("ASCII").to_owned();
        (kind, answer.body)
    };
    let (kind, text) = ask("text/plain").await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let text = String::from_utf8(text.to_vec()).expect("UTF-8");
    assert!(
        text.contains("# TYPE tandem_requests_total counter\n") && !text.contains("# EOF"),
        "{text}"
    );
    let (kind, text) = ask("application/openmetrics-text; version=1.0.0").await;
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.ends_with(b"# EOF\n"));
    let (kind, bytes) =
        ask("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited").await;
    assert!(kind.starts_with("application/vnd.google.protobuf"), "{kind}");
    let mut bytes = bytes;
    let mut native = 0;
    while !bytes.is_empty() {
        use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricFamily;
        let family: MetricFamily = prost::Message::decode_length_delimited(&mut bytes).expect("a family");
        let histograms = family.metric.iter().filter_map(|metric| metric.histogram.as_ref());
        native += histograms.filter(|histogram| histogram.zero_threshold > 0.0).count();
    }
    assert!(native > 0, "no native histogram");
}

//! What the spans of calls say.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use serde_json::json;
use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;

use crate::collector::{Collector, spans, value};
use crate::support::command::curl_get;
use crate::support::{curl, runtime, wait};
use crate::{CANARY, PARENT, TRACE, request, server, server_of_both, traced, traceparent, url};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The span of a call by its method, once it has come.
fn call_named(collector: &Collector, name: &str) -> (Span, Vec<Span>) {
    collector.until(|exports| {
        let all = spans(exports);
        let call = all.iter().find(|span| span.name == name)?.clone();
        Some((call, all))
    })
}

/// The stages of a span, by their names.
fn stages<'a>(all: &'a [Span], of: &Span) -> Vec<&'a Span> {
    all.iter().filter(|span| span.parent_span_id == of.span_id).collect()
}

fn names(spans: &[&Span]) -> Vec<String> {
    let mut names: Vec<String> = spans.iter().map(|span| span.name.clone()).collect();
    names.sort();
    names
}

fn one<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).copied().collect();
    let [one] = found[..] else {
        panic!("one {name}: {spans:#?}")
    };
    one
}

/// The batch belongs to many calls: it has a trace of its own, and links go both ways.
fn assert_linked_to_its_batch(all: &[Span], call: &Span, inference: &Span) {
    let [to_batch] = &inference.links[..] else {
        panic!("one link: {inference:#?}")
    };
    let batch = all
        .iter()
        .find(|span| span.span_id == to_batch.span_id)
        .expect("the batch");
    assert_eq!((batch.name.as_str(), &batch.trace_id), ("batch", &to_batch.trace_id));
    assert_ne!(batch.trace_id, call.trace_id);
    let [to_call] = &batch.links[..] else {
        panic!("one link: {batch:#?}")
    };
    assert_eq!((&to_call.trace_id, &to_call.span_id), (&call.trace_id, &call.span_id));
    assert_eq!(
        value(&batch.attributes, "tandem.model").as_deref(),
        Some("sentiment-deep")
    );
}

#[test]
fn a_call_over_grpc_has_its_callers_trace_its_stages_and_its_batches() {
    let collector = Collector::start();
    let server = server_of_both(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.grpc)),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-for-collector=hello"),
        ("OTEL_SERVICE_NAME", "reviews"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=test",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let mut call = traced(request(pb::Route::Cascade, 1), &traceparent());
    call.metadata_mut()
        .insert("tracestate", "vendor=abc".parse().expect("a value"));
    call.metadata_mut()
        .insert("baggage", "tenant=acme".parse().expect("a value"));
    wait(&runtime, client.predict(call)).expect("an answer");

    let (call, all) = call_named(&collector, "tandem.v1.PredictionService/Predict");
    assert_eq!(
        (hex(&call.trace_id), hex(&call.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(call.kind, SpanKind::Server as i32);
    for (key, expected) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "tandem.v1.PredictionService/Predict"),
        ("rpc.response.status_code", "OK"),
        ("tandem.texts", "1"),
        ("baggage.tenant", "acme"),
    ] {
        assert_eq!(value(&call.attributes, key).as_deref(), Some(expected), "{key}");
    }
    let of_call = stages(&all, &call);
    assert_eq!(
        names(&of_call),
        ["deep", "escalate", "fast", "postprocess", "read", "route", "validate"]
    );
    for tier in ["fast", "deep"] {
        let tier = one(&of_call, tier);
        assert_eq!(value(&tier.attributes, "tandem.task").as_deref(), Some("sentiment"));
        assert!(value(&tier.attributes, "tandem.model").is_some_and(|name| name.starts_with("sentiment-")));
    }
    let deep = stages(&all, one(&of_call, "deep"));
    assert_eq!(names(&deep), ["inference", "preprocess", "queue"]);

    assert_linked_to_its_batch(&all, &call, one(&deep, "inference"));
    let of_trace = || all.iter().filter(|span| span.trace_id == call.trace_id);
    for span in of_trace() {
        assert_eq!(span.trace_state, "vendor=abc", "{}", span.name);
        assert!(
            call.start_time_unix_nano <= span.start_time_unix_nano
                && span.end_time_unix_nano <= call.end_time_unix_nano,
            "within the call: {span:#?}"
        );
    }
    collector.now(|exports| {
        assert_eq!(exports[0].headers.get("x-for-collector").expect("it"), "hello");
        let resource = exports[0].message.resource_spans[0]
            .resource
            .as_ref()
            .expect("a resource");
        for (key, expected) in [("service.name", "reviews"), ("deployment.environment.name", "test")] {
            assert_eq!(value(&resource.attributes, key).as_deref(), Some(expected));
        }
    });
    drop(client);
}

#[test]
fn calls_at_once_share_a_batch_whose_span_points_at_each() {
    let collector = Collector::start();
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url(collector.grpc)),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    let runtime = runtime();
    let client = PredictionServiceClient::new(server.channel(&runtime));
    let round = || {
        let calls = (0..16).map(|_| {
            let mut client = client.clone();
            let request = request(pb::Route::Fast, 2);
            async move { client.predict(request).await }
        });
        for answer in wait(&runtime, futures::future::join_all(calls)) {
            answer.expect("an answer");
        }
    };
    // Whether two calls meet is the machine's affair: they do sooner or later.
    let batch = loop {
        round();
        let found = collector.until(|exports| {
            let all = spans(exports);
            let mut batches = all.iter().filter(|span| span.name == "batch");
            // At least one has come of every round.
            let first = batches.next()?.clone();
            Some(batches.find(|batch| batch.links.len() > 1).cloned().unwrap_or(first))
        });
        if found.links.len() > 1 {
            break found;
        }
    };
    let linked: Vec<Span> = collector.until(|exports| {
        let all = spans(exports);
        let calls = batch.links.iter();
        let calls = calls.map(|link| all.iter().find(|span| span.span_id == link.span_id).cloned());
        calls.collect()
    });
    for call in &linked {
        assert_eq!(call.name, "tandem.v1.PredictionService/Predict");
        assert!(call.parent_span_id.is_empty(), "the trace begins here");
    }
}

#[test]
fn no_text_is_in_any_span_not_of_calls_that_are_refused_for_it_either() {
    let collector = Collector::start();
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.grpc)),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    wait(&runtime, client.predict(request(pb::Route::Fast, 2))).expect("an answer");
    let bad = [
        pb::PredictRequest {
            task: CANARY.to_owned(),
            ..request(pb::Route::Fast, 1)
        },
        pb::PredictRequest {
            model: CANARY.to_owned(),
            ..request(pb::Route::Fast, 1)
        },
        pb::PredictRequest {
            texts: vec![CANARY.repeat(2000)],
            ..request(pb::Route::Fast, 1)
        },
    ];
    for request in bad {
        wait(&runtime, client.predict(request)).expect_err("refused");
    }
    let body = json!({"text": CANARY, "do_fast": true}).to_string();
    curl(server.http(), "/predict", &[], body.as_bytes());
    curl(
        server.http(),
        &format!("/v1/{CANARY}?text={CANARY}"),
        &[],
        body.as_bytes(),
    );
    let (call, _) = call_named(&collector, "POST /predict");
    assert_eq!(
        value(&call.attributes, "http.response.status_code").as_deref(),
        Some("200")
    );
    call_named(&collector, "HTTP");
    collector.now(|exports| {
        let refused = spans(exports);
        let refused = refused
            .iter()
            .filter(|span| value(&span.attributes, "tandem.reason").is_some());
        assert!(refused.count() >= 4);
        for export in exports {
            let bytes = export.message.encode_to_vec();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(CANARY),
                "{:#?}",
                export.message
            );
        }
    });
}

#[test]
fn over_http_only_calls_of_sampled_callers_have_spans_log_lines_and_exemplars_name_their_trace() {
    let collector = Collector::start();
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.http)),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-for-collector=hello"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    let unsampled = format!("traceparent: 00-{}-{PARENT}-00", TRACE.replace('4', "5"));
    let sampled = format!("traceparent: {}", traceparent());
    for headers in [&[][..], &[&*unsampled], &["traceparent: nonsense"], &[&*sampled]] {
        let (status, _) = curl(server.http(), "/predict", headers, b"{}");
        assert_eq!(status, 400);
    }
    let line = server.logged_where("refused", |line| line["trace_id"] == TRACE);
    assert_eq!(line["reason"], "INVALID_FIELD");
    let (call, _) = call_named(&collector, "POST /predict");
    assert_eq!(
        (hex(&call.trace_id), hex(&call.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(
        value(&call.attributes, "http.response.status_code").as_deref(),
        Some("400")
    );
    assert_eq!(value(&call.attributes, "http.route").as_deref(), Some("/predict"));
    assert_eq!(
        value(&call.attributes, "tandem.reason").as_deref(),
        Some("INVALID_FIELD")
    );
    // The caller's fault is no failure of a server.
    assert_eq!(call.status.map_or(0, |status| status.code), StatusCode::Unset as i32);

    let metrics = curl_get(server.http(), "/metrics");
    let exemplars: Vec<&str> = metrics.lines().filter(|line| line.contains(" # {")).collect();
    let [exemplar] = exemplars[..] else {
        panic!("one call was sampled: {exemplars:#?}")
    };
    assert!(
        exemplar.starts_with("tandem_request_duration_seconds_bucket{"),
        "{exemplar}"
    );
    let points_at = format!("trace_id=\"{TRACE}\",span_id=\"{}\"", hex(&call.span_id));
    assert!(exemplar.contains(&points_at), "{exemplar}");

    // A health check of a sampled caller has none.
    curl_get(server.http(), "/healthz");
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
    collector.now(|exports| {
        let calls = spans(exports);
        let calls = calls.iter().filter(|span| span.kind == SpanKind::Server as i32);
        assert_eq!(calls.count(), 1);
        assert_eq!(exports[0].headers.get("x-for-collector").expect("it"), "hello");
    });
}

#[test]
fn each_request_of_a_stream_has_a_span_below_the_streams() {
    let collector = Collector::start();
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.http)),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let of_stream = |id: usize| pb::PredictStreamRequest {
        id: id.to_string(),
        request: Some(request(pb::Route::Fast, 1)),
        ..pb::PredictStreamRequest::default()
    };
    let answers = wait(&runtime, async {
        let requests = tokio_stream::iter((0..3).map(of_stream));
        let mut answers = client.predict_stream(requests).await.expect("a stream").into_inner();
        let mut count = 0;
        while answers.message().await.expect("an answer").is_some() {
            count += 1;
        }
        count
    });
    assert_eq!(answers, 3);
    let (stream, all) = call_named(&collector, "tandem.v1.PredictionService/PredictStream");
    let requests = stages(&all, &stream);
    assert_eq!(names(&requests), ["PredictStream.request"; 3]);
    for request in requests {
        let of_request = stages(&all, request);
        assert_eq!(one(&of_request, "fast").trace_id, stream.trace_id);
        assert_eq!(
            value(&request.attributes, "rpc.response.status_code").as_deref(),
            Some("OK")
        );
    }
}

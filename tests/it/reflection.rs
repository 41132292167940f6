//! Server reflection: both versions list the same services.

use tonic_reflection::pb::{v1, v1alpha};

use crate::support::TestServer;

const SERVICES: [&str; 5] = [
    "grpc.health.v1.Health",
    "inference.GRPCInferenceService",
    "tandem.v1.ModelService",
    "tandem.v1.PredictionService",
    "grpc.reflection.",
];

fn assert_listed(mut found: Vec<String>) {
    found.sort();
    for expected in SERVICES {
        assert!(
            found.iter().any(|name| name.starts_with(expected)),
            "{expected} in {found:?}"
        );
    }
}

#[tokio::test]
async fn v1_lists_the_services_and_finds_a_symbol() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let channel = TestServer::shared().await.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let ask = |message| v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let requests = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("tandem.v1.PredictRequest".into())),
    ]);
    let mut answers = client
        .server_reflection_info(requests)
        .await
        .expect("a stream")
        .into_inner();
    let listed = answers.message().await.expect("open").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = listed.message_response else {
        panic!("{listed:?}");
    };
    assert_listed(list.service.into_iter().map(|service| service.name).collect());
    let found = answers.message().await.expect("open").expect("an answer");
    assert!(matches!(
        found.message_response,
        Some(MessageResponse::FileDescriptorResponse(files)) if !files.file_descriptor_proto.is_empty()
    ));
}

#[tokio::test]
async fn v1alpha_lists_the_services() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let channel = TestServer::shared().await.channel().await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("a stream")
        .into_inner();
    let listed = answers.message().await.expect("open").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = listed.message_response else {
        panic!("{listed:?}");
    };
    assert_listed(list.service.into_iter().map(|service| service.name).collect());
}

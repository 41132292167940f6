//! `tandem bench-echo`: the cost of gRPC alone. A plain tonic server with the same messages, which gives every call the
//! same answer and has no models, limits, deadlines or metrics.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::api::pb;
use crate::api::pb::prediction_service_server::{PredictionService, PredictionServiceServer};
use crate::cli::exit::Exit;
use crate::cli::output::{fail, outln};

/// The arguments of `tandem bench-echo`.
#[derive(clap::Args)]
pub struct EchoArgs {
    /// Threads that serve
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub threads: u64,
}

/// Reads the answer, in hexadecimal, from the first line of standard input, prints the server's address on one line,
/// and serves until standard input ends.
pub fn run(args: &EchoArgs) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(args.threads).unwrap_or(2))
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(serve()),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => Exit::Success,
        Err(problem) => fail(&problem, Exit::Failure),
    }
}

async fn serve() -> Result<(), String> {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let line = input.next_line().await.map_err(|error| error.to_string())?;
    let answer = line
        .as_deref()
        .and_then(decode)
        .ok_or("the first line is no answer in hexadecimal")?;
    let listener = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    outln!("{}", json!({"grpc": address}));
    let server = tonic::transport::Server::builder()
        .add_service(PredictionServiceServer::new(Echo(answer)))
        // As tonic's own `serve` does.
        .serve_with_incoming(listener.with_nodelay(Some(true)));
    tokio::select! {
        outcome = server => outcome.map_err(|error| error.to_string()),
        // The process that started this one has ended.
        _ = input.next_line() => Ok(()),
    }
}

/// A message as one line of hexadecimal.
pub fn encode(answer: &pb::PredictResponse) -> String {
    let bytes = prost::Message::encode_to_vec(answer);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(line: &str) -> Option<pb::PredictResponse> {
    let bytes: Option<Vec<u8>> = (0..line.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(line.get(at..at + 2)?, 16).ok())
        .collect();
    prost::Message::decode(bytes?.as_slice()).ok()
}

struct Echo(pb::PredictResponse);

#[tonic::async_trait]
impl PredictionService for Echo {
    async fn predict(&self, _request: Request<pb::PredictRequest>) -> Result<Response<pb::PredictResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    type PredictStreamStream = std::pin::Pin<Box<dyn Stream<Item = Result<pb::PredictStreamResponse, Status>> + Send>>;

    async fn predict_stream(
        &self,
        _request: Request<Streaming<pb::PredictStreamRequest>>,
    ) -> Result<Response<Self::PredictStreamStream>, Status> {
        Err(Status::unimplemented("this service answers Predict only"))
    }

    async fn explain(&self, _request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        Err(Status::unimplemented("this service answers Predict only"))
    }

    async fn health(&self, _request: Request<pb::HealthRequest>) -> Result<Response<pb::HealthResponse>, Status> {
        Err(Status::unimplemented("this service answers Predict only"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_its_line() {
        let answer = pb::PredictResponse {
            predictions: vec![pb::Prediction {
                label: "positive".into(),
                ..pb::Prediction::default()
            }],
            ..pb::PredictResponse::default()
        };
        assert_eq!(decode(&encode(&answer)), Some(answer));
        assert_eq!(decode("0"), None);
        assert_eq!(decode("zz"), None);
    }
}

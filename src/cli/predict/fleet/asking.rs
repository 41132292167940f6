//! A request to a fleet: from server to server, until one answers it or says that none will.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::servers::{Plan, Servers, Turn};
use super::verdict::{self, Verdict};
use crate::api::pb;
use crate::api::pb::model_service_client::ModelServiceClient;
use crate::api::pb::prediction_service_client::PredictionServiceClient;
use crate::cli::client::{Connection, describe};
use crate::cli::predict::refusal::Refusal;

/// How long a request may take at a server: the most that servers allow by default.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a request is tried that no server answers while they answer others.
const MOST_TRIES: u32 = 10;

/// Servers that answer together; cheap to clone.
#[derive(Clone)]
pub struct Fleet(Arc<Servers>);

impl Fleet {
    /// The servers behind the addresses, at least one of which can be reached. The error is one line.
    pub async fn find(plan: Plan) -> Result<Self, String> {
        let fleet = Self(Arc::new(Servers::find(plan).await?));
        let mut first = None;
        for _ in 0..fleet.0.count() {
            let turn = fleet.0.turn(Instant::now()).await?;
            let Err(problem) = fleet.0.connection(&turn).await else {
                drop(turn);
                return Ok(fleet);
            };
            turn.lost(problem.clone());
            first.get_or_insert(problem);
        }
        Err(first.unwrap_or_else(|| "the addresses stand for no server".to_owned()))
    }

    /// How many servers there are.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// The models of a server that can be reached.
    pub async fn models(&self) -> Result<ModelServiceClient<Connection>, Refusal> {
        let (_turn, connection) = self.reach(Instant::now()).await?;
        Ok(ModelServiceClient::new(connection))
    }

    /// The answer of one of the servers.
    pub async fn ask(&self, request: pb::PredictRequest) -> Result<pb::PredictResponse, Refusal> {
        let since = Instant::now();
        let (mut tries, mut answers) = (0, self.0.answers());
        loop {
            let (turn, connection) = self.reach(since).await?;
            // An answer has every score of each text, so it needs no bound of its own.
            let mut client = PredictionServiceClient::new(connection).max_decoding_message_size(usize::MAX);
            let mut call = tonic::Request::new(request.clone());
            call.set_timeout(CALL_TIMEOUT);
            let status = match client.predict(call).await {
                Ok(answer) => {
                    turn.answered();
                    return Ok(answer.into_inner());
                }
                Err(status) => status,
            };
            let problem = describe(&status);
            match verdict::of(status) {
                Verdict::Later(pause) => {
                    turn.refused(pause, problem);
                    continue;
                }
                Verdict::TooLong => turn.refused(None, problem.clone()),
                Verdict::Gone => turn.lost(problem.clone()),
                Verdict::Final(refusal) => {
                    turn.answered();
                    return Err(refusal);
                }
            }
            self.0.look_up().await;
            // While the servers answer nothing else, it is not this request that is at fault.
            let now = self.0.answers();
            tries += u32::from(now > answers);
            answers = now;
            if tries >= MOST_TRIES {
                let mut refusal = Refusal::whole(format!("no server answered it in {MOST_TRIES} tries; {problem}"));
                refusal.of_some = true;
                return Err(refusal);
            }
        }
    }

    /// A turn at a server that can be reached.
    async fn reach(&self, since: Instant) -> Result<(Turn<'_>, Connection), Refusal> {
        loop {
            let turn = self.0.turn(since).await.map_err(Refusal::whole)?;
            match self.0.connection(&turn).await {
                Ok(connection) => return Ok((turn, connection)),
                Err(problem) => {
                    turn.lost(problem);
                    self.0.look_up().await;
                }
            }
        }
    }
}

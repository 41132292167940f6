//! What the methods that answer once have in common: the call beside the message, and a failure as a status.

use tonic::{Request, Response, Status};

use super::status::to_status;
use crate::api::call::Call;
use crate::error::Error;

/// The call that the layer put beside the message.
pub fn take_call<T>(mut request: Request<T>) -> (Call, T) {
    let call = request.extensions_mut().remove::<Call>();
    (
        call.expect("no request gets past the call layer without"),
        request.into_inner(),
    )
}

/// Does the work of a call of `method`, takes note of how it ended, and answers.
pub async fn respond<T>(
    call: &Call,
    method: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Response<T>, Status> {
    let outcome = call.run(method, work).await;
    outcome
        .map(Response::new)
        .map_err(|error| to_status(&error, Some(&call.request_id)))
}

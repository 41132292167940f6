//! What methods with one answer share: taking the call from the request, and turning a failure into a status.

use futures::FutureExt;
use tonic::{Request, Response, Status};

use crate::api::call::Call;
use crate::api::status::to_status;
use crate::error::Error;

/// Takes the call that the layer added to the request.
pub fn take_call<T>(mut request: Request<T>) -> (Call, T) {
    let call = request.extensions_mut().remove::<Call>();
    (
        call.expect("no request gets past the call layer without"),
        request.into_inner(),
    )
}

/// Does the work of a call of `method`, records how it ended, and returns the answer or a status.
// Not an `async fn`: that would hold the work twice.
pub fn respond<'a, T: 'a>(
    call: &'a Call,
    method: &'static str,
    work: impl Future<Output = Result<T, Error>> + 'a,
) -> impl Future<Output = Result<Response<T>, Status>> + 'a {
    call.run(method, work).map(|outcome| {
        outcome
            .map(Response::new)
            .map_err(|error| to_status(&error, Some(&call.request_id)))
    })
}

//! `xds.service.orca.v3.OpenRcaService`: the newest load report now and after each interval. A stream ends at a drain, and with its
//! caller; it is no task of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::pb::{OpenRcaService, OrcaLoadReport, OrcaLoadReportRequest};
use super::reports::LoadReports;
use crate::api::grpc::unary::{respond, take_call};
use crate::error::Error;

/// The service, as reflection lists it.
pub const SERVICE: &str = "xds.service.orca.v3.OpenRcaService";
/// Its method, in logs and metrics.
const METHOD: &str = "xds.service.orca.v3.OpenRcaService.StreamCoreMetrics";
/// The longest interval. Who asks for more gets this: no clock counts much further.
const LONGEST: Duration = Duration::from_hours(24);

pub struct OrcaApi {
    reports: Arc<LoadReports>,
    drain: CancellationToken,
}

impl OrcaApi {
    /// Sends these reports. Streams end when `drain` is cancelled.
    pub fn new(reports: Arc<LoadReports>, drain: CancellationToken) -> Self {
        Self { reports, drain }
    }
}

#[tonic::async_trait]
impl OpenRcaService for OrcaApi {
    type StreamCoreMetricsStream = Pin<Box<dyn Stream<Item = Result<OrcaLoadReport, Status>> + Send>>;

    async fn stream_core_metrics(
        &self,
        request: Request<OrcaLoadReportRequest>,
    ) -> Result<Response<Self::StreamCoreMetricsStream>, Status> {
        let (call, OrcaLoadReportRequest { report_interval, .. }) = take_call(request);
        let work = async {
            let interval = self.reports.interval(read(report_interval)?).min(LONGEST);
            let place = self.reports.open_stream()?;
            let (reports, drain) = (Arc::clone(&self.reports), self.drain.clone());
            // The call goes with its stream: it is one without an end until then.
            let held = (place, call.clone());
            let stream = unfold((held, Duration::ZERO), move |(held, wait)| {
                let (reports, drain) = (Arc::clone(&reports), drain.clone());
                async move {
                    tokio::select! {
                        biased;
                        () = drain.cancelled() => None,
                        () = tokio::time::sleep(wait) => Some((Ok(reports.newest().message.clone()), (held, interval))),
                    }
                }
            });
            let stream: Self::StreamCoreMetricsStream = Box::pin(stream);
            Ok(stream)
        };
        respond(&call, METHOD, work).await
    }
}

/// The interval that a caller asks for; `None` if it says none.
fn read(asked: Option<prost_types::Duration>) -> Result<Option<Duration>, Error> {
    let invalid = |_| Error::invalid_field("report_interval", "must be a valid duration of at least 0");
    asked.map(Duration::try_from).transpose().map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_or_the_field_is_named() {
        let asked = |seconds, nanos| read(Some(prost_types::Duration { seconds, nanos }));
        assert_eq!(read(None), Ok(None));
        assert_eq!(asked(1, 500_000_000), Ok(Some(Duration::from_millis(1500))));
        assert!(asked(i64::MAX, 0).is_ok(), "it is cut later");
        let refused = asked(-1, 0).expect_err("before now");
        assert_eq!(refused.violations[0].field, "report_interval");
    }
}

//! What is known of a method before it is reached: how many messages it takes and answers, how large they may be, and whether it
//! needs a key. A method that nobody knows takes one small message, and needs a key.

use std::time::{Duration, Instant};

use prost_reflect::MethodDescriptor;

use crate::api::call::{Access, Call};
use crate::api::call_layer::{CallMethod, UNKNOWN_METHOD};
use crate::api::door_context::DoorContext;
use crate::api::schema;

/// What may be asked without a key, by how paths begin: load balancers have none.
const OPEN_TO_ALL: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
];

/// The methods whose messages hold texts.
const OF_TEXTS: [&str; 8] = [
    "/tandem.v1.PredictionService/Predict",
    "/tandem.v1.PredictionService/PredictStream",
    "/tandem.v1.PredictionService/Explain",
    "/inference.GRPCInferenceService/ModelInfer",
    "/tei.v1.Predict/Predict",
    "/tei.v1.Predict/PredictPair",
    "/tei.v1.Predict/PredictStream",
    "/tei.v1.Predict/PredictPairStream",
];

/// What tells no more than metrics do, and so takes a key for these.
const OF_METRICS: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

/// How the services begin whose methods have names of their own.
const OWN_PACKAGES: [&str; 2] = ["tandem.v1.", "grpc."];

/// The methods of operators, which may take as long as loading a model, by how their paths begin.
const OF_OPERATORS: [&str; 3] = [
    "/tandem.v1.AdminService/",
    "/inference.GRPCInferenceService/RepositoryModelLoad",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
];

/// How long a call of operators may take that does not say.
const DEFAULT_OPERATION: Duration = Duration::from_mins(10);
/// The longest that one may take.
const MAX_OPERATION: Duration = Duration::from_hours(1);

/// The deadline of an operator's call.
pub fn operation_deadline(call: &Call) -> Instant {
    call.arrived + call.timeout.unwrap_or(DEFAULT_OPERATION).min(MAX_OPERATION)
}

/// The longest message of any other method, in bytes: names, versions, tokens of pages.
pub const SMALL_MESSAGE_BYTES: usize = 4 << 10;

/// A method, by what stands around its calls.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// What it takes and gives; absent where there is no such method.
    pub descriptor: Option<&'static MethodDescriptor>,
    /// Whether it takes many messages.
    pub takes_stream: bool,
    /// Whether it answers with many.
    pub gives_stream: bool,
    /// The longest message that it takes, in bytes, as sent and as unpacked.
    pub largest: usize,
    /// Whether it needs a key.
    pub access: Access,
    /// Whether it is an operator's.
    pub of_operators: bool,
    /// Whether it tells what metrics do.
    pub of_metrics: bool,
}

impl Method {
    /// The method at a path.
    pub fn at(path: &str, context: &DoorContext) -> Self {
        let descriptor = schema::method(path);
        let largest = if OF_TEXTS.contains(&path) {
            context.max_message_bytes
        } else {
            SMALL_MESSAGE_BYTES
        };
        let access = if OPEN_TO_ALL.iter().any(|begin| path.starts_with(begin)) {
            Access::Open
        } else {
            Access::Keyed
        };
        Self {
            descriptor,
            takes_stream: descriptor.is_some_and(MethodDescriptor::is_client_streaming),
            gives_stream: descriptor.is_some_and(MethodDescriptor::is_server_streaming),
            largest,
            access,
            of_metrics: path == OF_METRICS,
            of_operators: OF_OPERATORS.iter().any(|begin| path.starts_with(begin)),
        }
    }
}

impl CallMethod for Method {
    /// Its own name, or with its service where that is a protocol's of others: these have methods of the same names.
    fn name(&self) -> &'static str {
        self.descriptor.map_or(UNKNOWN_METHOD, |method| {
            let service = method.parent_service().full_name();
            if OWN_PACKAGES.iter().any(|package| service.starts_with(package)) {
                method.name()
            } else {
                method.full_name()
            }
        })
    }

    fn access(&self) -> Access {
        self.access
    }

    fn gives_metrics(&self) -> bool {
        self.of_metrics
    }

    fn is_probe(&self) -> bool {
        self.access == Access::Open
    }

    fn deadline(&self, call: &Call) -> Option<Instant> {
        if self.of_operators {
            return Some(operation_deadline(call));
        }
        let unary = !self.takes_stream && !self.gives_stream;
        unary.then(|| call.deadline())
    }
}

/// The names of the methods of Tandem's own services for callers, as metrics have them.
pub fn own_names() -> impl Iterator<Item = &'static str> {
    let own =
        |path: &&str| path.starts_with("/tandem.v1.") && !OF_OPERATORS.iter().any(|begin| path.starts_with(begin));
    let paths = schema::paths().filter(own);
    paths.filter_map(|path| schema::method(path).map(MethodDescriptor::name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::service::limits::RequestLimits;
    use crate::telemetry::metrics::Metrics;

    fn context() -> DoorContext {
        let limits = RequestLimits {
            max_texts: 128,
            max_text_bytes: 16 << 10,
        };
        DoorContext::new(&Settings::default(), limits, Metrics::new(""))
    }

    #[test]
    fn streams_are_known_and_what_is_not_known_is_one_small_message() {
        let context = context();
        let streams = |path: &str| {
            let method = Method::at(path, &context);
            (method.takes_stream, method.gives_stream)
        };
        assert_eq!(streams("/tandem.v1.PredictionService/PredictStream"), (true, true));
        assert_eq!(
            streams("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            (true, true)
        );
        assert_eq!(
            streams("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
            (true, true)
        );
        assert_eq!(streams("/grpc.health.v1.Health/Watch"), (false, true));
        assert_eq!(streams("/tandem.v1.PredictionService/Predict"), (false, false));
        let unknown = Method::at("/a/b", &context);
        assert_eq!((unknown.largest, unknown.access), (SMALL_MESSAGE_BYTES, Access::Keyed));
    }

    #[test]
    fn health_is_open_to_all_and_small() {
        let context = context();
        let check = Method::at("/grpc.health.v1.Health/Check", &context);
        assert_eq!((check.largest, check.access), (SMALL_MESSAGE_BYTES, Access::Open));
        assert_eq!(Method::at(OF_TEXTS[0], &context).largest, context.max_message_bytes);
    }
}

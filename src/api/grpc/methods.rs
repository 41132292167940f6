//! What is known of a method before it is reached: how many messages it takes and answers, how large they may be, and whether it
//! needs a key. A method that nobody knows takes one small message, and needs a key.

use prost_reflect::MethodDescriptor;

use crate::api::call::Access;
use crate::api::schema;
use crate::service::limits::RequestLimits;

/// What may be asked without a key: load balancers have none.
const OPEN_TO_ALL: &str = "/grpc.health.v1.Health/";

/// The methods whose messages hold texts.
const OF_TEXTS: [&str; 3] = [
    "/tandem.v1.PredictionService/Predict",
    "/tandem.v1.PredictionService/PredictStream",
    "/tandem.v1.PredictionService/Explain",
];

/// The methods of operators, which may take as long as loading a model.
const ADMIN: &str = "/tandem.v1.AdminService/";

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
}

impl Method {
    /// Its name in logs and metrics. Paths from the network never become labels.
    pub fn name(&self) -> &'static str {
        self.descriptor.map_or("unknown", MethodDescriptor::name)
    }

    /// The method at a path.
    pub fn at(path: &str, limits: RequestLimits) -> Self {
        let descriptor = schema::method(path);
        let largest = match OF_TEXTS.contains(&path) {
            true => limits.max_message_bytes(),
            false => SMALL_MESSAGE_BYTES,
        };
        let access = match path.starts_with(OPEN_TO_ALL) {
            true => Access::Open,
            false => Access::Keyed,
        };
        Self {
            descriptor,
            takes_stream: descriptor.is_some_and(MethodDescriptor::is_client_streaming),
            gives_stream: descriptor.is_some_and(MethodDescriptor::is_server_streaming),
            largest,
            access,
            of_operators: path.starts_with(ADMIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits {
        max_texts: 128,
        max_text_bytes: 16 << 10,
    };

    #[test]
    fn streams_are_known_and_what_is_not_known_is_one_small_message() {
        let streams = |path: &str| {
            let method = Method::at(path, LIMITS);
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
        let unknown = Method::at("/a/b", LIMITS);
        assert_eq!((unknown.largest, unknown.access), (SMALL_MESSAGE_BYTES, Access::Keyed));
    }

    #[test]
    fn health_is_open_to_all_and_small() {
        let check = Method::at("/grpc.health.v1.Health/Check", LIMITS);
        assert_eq!((check.largest, check.access), (SMALL_MESSAGE_BYTES, Access::Open));
        assert_eq!(Method::at(OF_TEXTS[0], LIMITS).largest, LIMITS.max_message_bytes());
    }
}

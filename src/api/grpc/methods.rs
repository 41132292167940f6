//! What is known of a method before it is reached: how many messages it takes and answers, how large they may be, and whether it
//! needs a key. A method that nobody knows takes one small message, and needs a key.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::api::DESCRIPTOR_SET;
use crate::api::call::Access;
use crate::service::RequestLimits;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
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

/// Whether methods take and give streams, by their paths: those that do.
static STREAMS: LazyLock<HashMap<String, (bool, bool)>> = LazyLock::new(|| {
    let sets = [
        DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let sets = sets.map(|set| FileDescriptorSet::decode(set).expect("builds wrote these descriptor sets"));
    let files = sets.iter().flat_map(|set| &set.file);
    let services = files.flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let methods = services.flat_map(|(package, service)| {
        let path = move |method: &str| format!("/{package}.{}/{method}", service.name());
        service.method.iter().map(move |method| {
            let streams = (method.client_streaming(), method.server_streaming());
            (path(method.name()), streams)
        })
    });
    methods.filter(|(_, streams)| *streams != (false, false)).collect()
});

impl Method {
    /// The method at a path.
    pub fn at(path: &str, limits: RequestLimits) -> Self {
        let (takes_stream, gives_stream) = STREAMS.get(path).copied().unwrap_or_default();
        let largest = match OF_TEXTS.contains(&path) {
            true => limits.max_message_bytes(),
            false => SMALL_MESSAGE_BYTES,
        };
        let access = match path.starts_with(OPEN_TO_ALL) {
            true => Access::Open,
            false => Access::Keyed,
        };
        Self {
            takes_stream,
            gives_stream,
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
        assert_eq!(STREAMS.len(), 4, "{STREAMS:?}");
    }

    #[test]
    fn health_is_open_to_all_and_small() {
        let check = Method::at("/grpc.health.v1.Health/Check", LIMITS);
        assert_eq!((check.largest, check.access), (SMALL_MESSAGE_BYTES, Access::Open));
        assert_eq!(Method::at(OF_TEXTS[0], LIMITS).largest, LIMITS.max_message_bytes());
    }
}

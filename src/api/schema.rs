//! Schema: the request type of every method, from the descriptors that the build wrote. For code that reads messages
//! without knowing them by name.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, MethodDescriptor};

use crate::api::open_inference::request::MAX_TENSORS;
use crate::service::catalog::kept::page::MAX_REASONS;
use crate::service::limits::RequestLimits;
use crate::service::pipeline::named_tasks::MAX_TASKS;
use crate::service::pipeline::validate::MAX_EXPLAINED_TEXTS;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::new();
    for described in [
        super::DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(described)
            .expect("the build wrote this descriptor set");
    }
    pool
});

/// The methods by path.
static METHODS: LazyLock<HashMap<String, MethodDescriptor>> = LazyLock::new(|| {
    let methods = POOL
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    let path = |method: &MethodDescriptor| format!("/{}/{}", method.parent_service().full_name(), method.name());
    methods.map(|method| (path(&method), method)).collect()
});

/// The type of a message.
pub fn message<T: prost::Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&T::full_name())
        .expect("the type was generated from this descriptor set")
}

/// The method at a path; `None` for an unknown path.
pub fn method(path: &str) -> Option<&'static MethodDescriptor> {
    METHODS.get(path)
}

/// The paths of all methods.
pub fn paths() -> impl Iterator<Item = &'static str> {
    METHODS.keys().map(String::as_str)
}

/// The most items that any list of this message may have.
pub fn max_items_of_any(message: &MessageDescriptor, limits: RequestLimits) -> usize {
    let lists = message.fields().filter(FieldDescriptor::is_list);
    lists
        .map(|list| max_items(&list, limits))
        .max()
        .unwrap_or(limits.max_texts)
}

/// The most items that a list may have.
pub fn max_items(list: &FieldDescriptor, limits: RequestLimits) -> usize {
    match list.parent_message().full_name() {
        "tandem.v1.PredictRequest" if list.name() == "tasks" => MAX_TASKS,
        // Whatever the limit of texts: what follows a list that is cut is lost.
        "tandem.v1.ExportTextsRequest" => MAX_REASONS,
        "tandem.v1.ExplainRequest" => limits.max_texts.min(MAX_EXPLAINED_TEXTS),
        // Tensors, their dimensions, and their elements: the texts and their pairs count together.
        "inference.ModelInferRequest" | "inference.ModelInferRequest.InferInputTensor" => MAX_TENSORS,
        "inference.InferTensorContents" => 2 * limits.max_texts,
        // A text and its pair.
        "tei.v1.PredictPairRequest" => 2,
        _ => limits.max_texts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_every_service_are_known() {
        for (path, streams) in [
            ("/tandem.v1.PredictionService/Predict", false),
            ("/tandem.v1.PredictionService/PredictStream", true),
            ("/tandem.v1.AdminService/SetCanary", false),
            ("/tei.v1.Predict/PredictPair", false),
            ("/tei.v1.Predict/PredictPairStream", true),
            ("/grpc.health.v1.Health/Watch", false),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
            ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
        ] {
            assert_eq!(
                method(path).map(MethodDescriptor::is_client_streaming),
                Some(streams),
                "{path}"
            );
        }
        assert!(method("/tandem.v1.PredictionService/Guess").is_none());
    }
}

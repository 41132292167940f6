//! Conversion between the messages of `inference.GRPCInferenceService` and what the protocol means, whatever it came by.
//! Elements come in one of two places, in the tensors or raw; the answer's are in the same place.

use std::collections::HashMap;

use super::PLATFORM;
use super::answer::{Answer, Data, OutputTensor};
use super::binary;
use super::describe::{Description, Tensor};
use super::pb::infer_parameter::ParameterChoice;
use super::pb::model_metadata_response::TensorMetadata;
use super::pb::{self, model_infer_response};
use super::request::{Elements, InferRequest, InputTensor, Parameter, RequestedOutput, quoted};
use super::tensors::{FP32, Output};
use crate::error::Error;

pub fn metadata(described: Description) -> pb::ModelMetadataResponse {
    let tensor = |tensor: Tensor| TensorMetadata {
        name: tensor.name.to_owned(),
        datatype: tensor.datatype.to_owned(),
        shape: tensor.shape(),
    };
    pb::ModelMetadataResponse {
        name: described.name,
        versions: described.versions,
        platform: PLATFORM.to_owned(),
        inputs: described.inputs.into_iter().map(tensor).collect(),
        outputs: described.outputs.into_iter().map(tensor).collect(),
    }
}

pub fn config(described: Description) -> pb::ModelConfig {
    let input = |tensor: Tensor| pb::ModelInput {
        name: tensor.name.to_owned(),
        data_type: data_type(&tensor).into(),
        dims: tensor.columns.into_iter().collect(),
        optional: tensor.optional,
    };
    let output = |tensor: Tensor| pb::ModelOutput {
        name: tensor.name.to_owned(),
        data_type: data_type(&tensor).into(),
        dims: tensor.columns.into_iter().collect(),
    };
    let labels = pb::ModelParameter {
        string_value: described.labels,
    };
    pb::ModelConfig {
        name: described.name,
        platform: PLATFORM.to_owned(),
        backend: PLATFORM.to_owned(),
        max_batch_size: i32::try_from(described.max_texts).unwrap_or(i32::MAX),
        input: described.inputs.into_iter().map(input).collect(),
        output: described.outputs.into_iter().map(output).collect(),
        parameters: HashMap::from([("labels".to_owned(), labels)]),
    }
}

fn data_type(tensor: &Tensor) -> pb::DataType {
    match tensor.datatype {
        FP32 => pb::DataType::TypeFp32,
        _ => pb::DataType::TypeString,
    }
}

/// A request from the wire. Elements are in one place: in the tensors, or raw.
pub fn request_of(message: pb::ModelInferRequest) -> Result<InferRequest, Error> {
    let (tensors, raw) = (message.inputs.len(), message.raw_input_contents);
    if !raw.is_empty() && raw.len() != tensors {
        let problem = format!(
            "holds {} pieces, it must hold one for each of the {tensors} inputs",
            raw.len()
        );
        return Err(Error::invalid_field("raw_input_contents", problem));
    }
    let mut raw = raw.into_iter();
    let inputs = message.inputs.into_iter().map(|input| {
        let elements = match (input.contents, raw.next()) {
            (None, None) => Elements::Missing,
            (None, Some(bytes)) => Elements::Raw(bytes),
            (Some(contents), None) => elements_of(contents),
            (Some(contents), Some(bytes)) => match elements_of(contents) {
                Elements::Missing => Elements::Raw(bytes),
                _ => {
                    let problem = format!("excludes contents, which {} has", quoted(&input.name));
                    return Err(Error::invalid_field("raw_input_contents", problem));
                }
            },
        };
        Ok(InputTensor {
            name: input.name,
            datatype: input.datatype,
            shape: input.shape,
            parameters: parameters_of(input.parameters),
            elements,
        })
    });
    let inputs = inputs.collect::<Result<_, Error>>()?;
    let outputs = message.outputs.into_iter().map(|output| RequestedOutput {
        name: output.name,
        parameters: parameters_of(output.parameters),
    });
    Ok(InferRequest {
        model_name: message.model_name,
        model_version: message.model_version,
        id: message.id,
        parameters: parameters_of(message.parameters),
        inputs,
        outputs: outputs.collect(),
    })
}

fn elements_of(contents: pb::InferTensorContents) -> Elements {
    let others = [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
    ];
    match others.into_iter().find(|(_, count)| *count > 0) {
        Some((field, _)) => Elements::Other(field),
        None if contents.bytes_contents.is_empty() => Elements::Missing,
        None => Elements::Typed(contents.bytes_contents),
    }
}

fn parameters_of(parameters: HashMap<String, pb::InferParameter>) -> Vec<(String, Parameter)> {
    let value = |value: Option<ParameterChoice>| match value {
        None => Parameter::Missing,
        Some(ParameterChoice::BoolParam(truth)) => Parameter::Truth(truth),
        Some(ParameterChoice::Int64Param(whole)) => Parameter::Whole(whole),
        Some(ParameterChoice::Uint64Param(whole)) => i64::try_from(whole).map_or(Parameter::Large, Parameter::Whole),
        Some(ParameterChoice::DoubleParam(number)) => Parameter::Number(number),
        Some(ParameterChoice::StringParam(text)) => Parameter::Text(text),
    };
    let parameters = parameters.into_iter();
    parameters
        .map(|(name, parameter)| (name, value(parameter.parameter_choice)))
        .collect()
}

/// An answer for the wire, with its elements where the request had its own.
pub fn response_of(answer: Answer, raw: bool) -> pb::ModelInferResponse {
    let mut raw_output_contents = Vec::new();
    let outputs = answer.outputs.into_iter().map(|tensor| {
        let (output, contents) = if raw {
            raw_output_contents.push(raw_of(&tensor.data));
            (head_of(tensor.output, &tensor), None)
        } else {
            (head_of(tensor.output, &tensor), Some(contents_of(tensor.data)))
        };
        model_infer_response::InferOutputTensor { contents, ..output }
    });
    let outputs = outputs.collect();
    pb::ModelInferResponse {
        model_name: answer.model_name,
        model_version: answer.model_version,
        id: answer.id,
        parameters: HashMap::from([("models".to_owned(), text_parameter(answer.models))]),
        outputs,
        raw_output_contents,
    }
}

fn head_of(output: Output, tensor: &OutputTensor) -> model_infer_response::InferOutputTensor {
    let shape = tensor.shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX));
    let labels = tensor
        .labels
        .clone()
        .map(|labels| ("labels".to_owned(), text_parameter(labels)));
    model_infer_response::InferOutputTensor {
        name: output.name().to_owned(),
        datatype: output.datatype().to_owned(),
        shape: shape.collect(),
        parameters: labels.into_iter().collect(),
        contents: None,
    }
}

fn raw_of(data: &Data) -> Vec<u8> {
    match data {
        Data::Texts(texts) => binary::write_texts(texts),
        Data::Numbers(numbers) => binary::write_numbers(numbers),
    }
}

fn contents_of(data: Data) -> pb::InferTensorContents {
    match data {
        Data::Texts(texts) => pb::InferTensorContents {
            bytes_contents: texts.into_iter().map(String::into_bytes).collect(),
            ..pb::InferTensorContents::default()
        },
        Data::Numbers(numbers) => pb::InferTensorContents {
            fp32_contents: numbers,
            ..pb::InferTensorContents::default()
        },
    }
}

fn text_parameter(text: String) -> pb::InferParameter {
    pb::InferParameter {
        parameter_choice: Some(ParameterChoice::StringParam(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::open_inference::pb::model_infer_request;

    fn input(name: &str) -> model_infer_request::InferInputTensor {
        model_infer_request::InferInputTensor {
            name: name.to_owned(),
            ..model_infer_request::InferInputTensor::default()
        }
    }

    #[test]
    fn elements_are_in_one_place() {
        let typed = pb::InferTensorContents {
            bytes_contents: vec![b"a".to_vec()],
            ..pb::InferTensorContents::default()
        };
        let with = |contents: Option<pb::InferTensorContents>, raw: &[&'static [u8]]| {
            let request = request_of(pb::ModelInferRequest {
                inputs: vec![model_infer_request::InferInputTensor {
                    contents,
                    ..input("text")
                }],
                raw_input_contents: raw.iter().map(|&raw| raw.into()).collect(),
                ..pb::ModelInferRequest::default()
            });
            request
                .map(|request| request.inputs[0].elements.clone())
                .map_err(|error| error.violations[0].field.clone())
        };
        let both = Err("raw_input_contents".to_owned());
        assert_eq!(with(Some(typed.clone()), &[]), Ok(Elements::Typed(vec![b"a".to_vec()])));
        assert_eq!(with(None, &[b"r"]), Ok(Elements::Raw(b"r"[..].into())));
        assert_eq!(
            with(Some(pb::InferTensorContents::default()), &[b"r"]),
            Ok(Elements::Raw(b"r"[..].into()))
        );
        assert_eq!(with(None, &[]), Ok(Elements::Missing));
        assert_eq!(with(Some(typed), &[b"r"]), both);
        assert_eq!(with(None, &[b"r", b"s"]), both);
    }
}

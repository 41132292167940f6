//! Requests of the REST form: JSON, with the elements of tensors in it or in binary behind it. Lists are bounded while
//! they are read: a few bytes could become a hundred times as much.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::request::{Elements, InferRequest, InputTensor, MAX_PARAMETERS, MAX_TENSORS, Parameter, RequestedOutput};
use super::rest_elements::elements_of;
use crate::api::http::error::malformed;
use crate::api::json::{Refused, with_path};
use crate::api::object::Object;
use crate::error::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(borrow)]
    inputs: Few<Object<Input<'a>>>,
    #[serde(default)]
    outputs: Option<Few<Object<Output>>>,
    /// Some clients say it here too; the path counts.
    #[serde(default, rename = "model_name")]
    _model_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input<'a> {
    name: String,
    datatype: String,
    shape: Few<i64>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Option<Parameters>,
}

/// A list of which no more is read than is needed to refuse it.
struct Few<T>(Vec<T>);

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(FewVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
        let mut few = Vec::new();
        while let Some(item) = items.next_element()? {
            if few.len() == MAX_TENSORS {
                return Err(A::Error::custom(format_args!(
                    "holds more than {MAX_TENSORS}, the limit is {MAX_TENSORS}"
                )));
            }
            few.push(item);
        }
        Ok(Few(few))
    }
}

/// Parameters by their names; each once.
#[derive(Default)]
struct Parameters(Vec<(String, Parameter)>);

struct ParametersVisitor;

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ParametersVisitor)
    }
}

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parameters, A::Error> {
        let mut parameters: Vec<(String, Parameter)> = Vec::new();
        while let Some((name, value)) = entries.next_entry::<String, Parameter>()? {
            if parameters.len() == MAX_PARAMETERS {
                let problem = format_args!("holds more than {MAX_PARAMETERS}, the limit is {MAX_PARAMETERS}");
                return Err(A::Error::custom(problem));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("holds a name twice"));
            }
            parameters.push((name, value));
        }
        Ok(Parameters(parameters))
    }
}

struct ParameterVisitor;

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ParameterVisitor)
    }
}

impl Visitor<'_> for ParameterVisitor {
    type Value = Parameter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false, a number or a text")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Parameter, E> {
        Ok(Parameter::Truth(truth))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Parameter, E> {
        Ok(Parameter::Whole(whole))
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Parameter, E> {
        Ok(i64::try_from(whole).map_or(Parameter::Large, Parameter::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Parameter, E> {
        Ok(Parameter::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Parameter, E> {
        Ok(Parameter::Text(text.to_owned()))
    }
}

/// Reads a request. `header_length`: the size of the JSON in bytes, where the headers say it; else all is JSON.
pub fn read(body: &Bytes, header_length: Option<usize>, max_texts: usize) -> Result<InferRequest, Error> {
    let length = header_length.unwrap_or(body.len());
    if length > body.len() {
        let problem = format!("says {length} bytes, the body has {}", body.len());
        return Err(Error::invalid_field("inference-header-content-length", problem));
    }
    let json = &body[..length];
    // Some clients write a byte order mark first; RFC 8259 allows us to skip it.
    let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
    let Object(document): Object<Document<'_>> =
        with_path(json, PhantomData).map_err(|error| malformed(Refused::Malformed(error), json))?;
    let mut binary = header_length.map(|_| body.slice(length..));
    let inputs = document.inputs.0.into_iter();
    let inputs = inputs.map(|Object(input)| input_of(input, &mut binary, max_texts));
    let inputs = inputs.collect::<Result<_, Error>>()?;
    if let Some(rest) = binary.filter(|rest| !rest.is_empty()) {
        let problem = format!("leaves {} bytes behind the JSON that belong to no input", rest.len());
        return Err(Error::invalid_field("binary_data_size", problem));
    }
    let outputs = document
        .outputs
        .map(|outputs| outputs.0)
        .unwrap_or_default()
        .into_iter();
    let outputs = outputs.map(|Object(output)| RequestedOutput {
        name: output.name,
        parameters: output.parameters.unwrap_or_default().0,
    });
    Ok(InferRequest {
        id: document.id.unwrap_or_default(),
        parameters: document.parameters.unwrap_or_default().0,
        inputs,
        outputs: outputs.collect(),
        ..InferRequest::default()
    })
}

/// An input, with its piece of what is in binary, if it says that it has one.
fn input_of(input: Input<'_>, binary: &mut Option<Bytes>, max_texts: usize) -> Result<InputTensor, Error> {
    let mut parameters = input.parameters.unwrap_or_default().0;
    let size = parameters.iter().position(|(name, _)| name == "binary_data_size");
    let size = size.map(|at| parameters.swap_remove(at).1);
    let place = |field: &str| format!("{}.{field}", cut(&input.name));
    let elements = match (input.data, size) {
        (None, None) => Elements::Missing,
        (Some(data), None) => elements_of(data.get(), &place("data"), max_texts)?,
        (Some(_), Some(_)) => {
            let problem = "excludes data: the elements are in one place";
            return Err(Error::invalid_field(place("parameters.binary_data_size"), problem));
        }
        (None, Some(size)) => {
            let field = || place("parameters.binary_data_size");
            let Some(binary) = binary else {
                let problem = "needs the header Inference-Header-Content-Length, which says where the JSON ends";
                return Err(Error::invalid_field(field(), problem));
            };
            let left = binary.len();
            let fits = match size {
                Parameter::Whole(size) => usize::try_from(size).ok().filter(|size| *size <= left),
                _ => None,
            };
            let Some(size) = fits else {
                let problem = format!("must be a number of bytes, of which {left} are left behind the JSON");
                return Err(Error::invalid_field(field(), problem));
            };
            Elements::Raw(binary.split_to(size))
        }
    };
    Ok(InputTensor {
        name: input.name,
        datatype: input.datatype,
        shape: input.shape.0,
        parameters,
        elements,
    })
}

/// A name from the network as a part of a field's path.
fn cut(name: &str) -> String {
    name[..name.floor_char_boundary(80)].replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(json: impl Into<Bytes>) -> Result<InferRequest, Error> {
        read(&json.into(), None, 3)
    }

    #[test]
    fn what_is_in_binary_is_cut_by_the_sizes() {
        let input = |name: &str, size: i64| {
            format!(
                r#"{{"name": "{name}", "shape": [1], "datatype": "BYTES", "parameters": {{"binary_data_size": {size}}}}}"#
            )
        };
        let told = |sizes: [i64; 2], behind: &str, header: bool| {
            let json = format!(
                r#"{{"inputs": [{}, {}]}}"#,
                input("text", sizes[0]),
                input("text_pair", sizes[1])
            );
            let length = header.then_some(json.len());
            let read = read(&(json + behind).into(), length, 3);
            read.map(|request| {
                request
                    .inputs
                    .into_iter()
                    .map(|input| input.elements)
                    .collect::<Vec<_>>()
            })
            .map_err(|error| {
                error
                    .violations
                    .first()
                    .map(|found| found.field.clone())
                    .unwrap_or_default()
            })
        };
        let raw = |bytes: &'static str| Elements::Raw(bytes.into());
        assert_eq!(told([2, 3], "abcde", true), Ok(vec![raw("ab"), raw("cde")]));
        let size = |name: &str| Err(format!("{name}.parameters.binary_data_size"));
        assert_eq!(told([2, 4], "abcde", true), size("text_pair"));
        assert_eq!(told([-1, 4], "abcde", true), size("text"));
        assert_eq!(told([2, 2], "abcde", true), Err("binary_data_size".to_owned()));
        assert_eq!(told([2, 3], "", false), size("text"));
        let long = read(&Bytes::from_static(b"{}"), Some(3), 3).expect_err("longer than it is");
        assert_eq!(long.violations[0].field, "inference-header-content-length");
    }

    #[test]
    fn lists_are_read_no_further_than_they_may_go() {
        let many = |item: &str| format!("[{}]", vec![item; 100_000].join(","));
        for json in [
            format!(
                r#"{{"inputs": {}}}"#,
                many(r#"{"name": "", "shape": [], "datatype": ""}"#)
            ),
            format!(r#"{{"inputs": [], "outputs": {}}}"#, many(r#"{"name": ""}"#)),
            format!(
                r#"{{"inputs": [{{"name": "text", "datatype": "BYTES", "shape": {}}}]}}"#,
                many("1")
            ),
        ] {
            let error = read_json(json).expect_err("too many");
            assert!(error.message.contains("the limit is 16"), "{error}");
        }
        let named: Vec<String> = (0..100_000).map(|at| format!(r#""{at}": 1"#)).collect();
        let error =
            read_json(format!(r#"{{"inputs": [], "parameters": {{{}}}}}"#, named.join(","))).expect_err("too many");
        assert!(error.message.contains("the limit is 64"), "{error}");
        let error = read_json(r#"{"inputs": [], "input": 1}"#).expect_err("no such field");
        assert!(error.message.contains("unknown field `input`"), "{error}");
    }
}

//! Schemas of Tandem's own messages, from the descriptors that the build wrote: proto3 JSON as it is read and written.
//! The comments of the contract are the descriptions. What descriptors can't say is in the tables here.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use tandem::api::DESCRIPTOR_SET;

use super::json::{Json, list, object, parsed, reference};

/// A name, as validation takes it.
const NAME: &str = "[a-z0-9][a-z0-9_-]{0,62}";

/// Messages that answers may lack, though their comments do not say when they are absent.
const MAY_LACK: [&str; 2] = [
    "tandem.v1.ModelVersions.canary",
    "tandem.v1.ModelVersions.last_rollback",
];

/// Which fields exclude each other.
const PREDICT_EXCLUDES: &str = r#"{"anyOf": [
    {"required": ["tasks", "task"], "properties": {
        "tasks": {"type": "array", "minItems": 1}, "task": {"type": "string", "minLength": 1}}},
    {"required": ["tasks", "model"], "properties": {
        "tasks": {"type": "array", "minItems": 1}, "model": {"type": "string", "minLength": 1}}},
    {"required": ["model", "route"], "properties": {
        "model": {"type": "string", "minLength": 1},
        "route": {"enum": ["ROUTE_FAST", "ROUTE_DEEP", "ROUTE_CASCADE", 1, 2, 3]}}},
    {"required": ["model", "allowFallback"], "properties": {
        "model": {"type": "string", "minLength": 1}, "allowFallback": {"const": true}}},
    {"required": ["model", "minConfidence"], "properties": {
        "model": {"type": "string", "minLength": 1}, "minConfidence": {"type": ["number", "string"]}}},
    {"required": ["route", "minConfidence"], "properties": {
        "route": {"enum": ["ROUTE_FAST", "ROUTE_DEEP", 1, 2]}, "minConfidence": {"type": ["number", "string"]}}}
]}"#;
const EXPLAIN_EXCLUDES: &str = r#"{"anyOf": [
    {"required": ["model", "route"], "properties": {
        "model": {"type": "string", "minLength": 1}, "route": {"enum": ["ROUTE_FAST", "ROUTE_DEEP", 1, 2]}}},
    {"required": ["route"], "properties": {"route": {"enum": ["ROUTE_CASCADE", 3]}}},
    {"required": ["truncation"], "properties": {"truncation": {"enum": ["TRUNCATION_WINDOWS", 4]}}}
]}"#;

/// Limits of a request's field that no setting changes.
fn limits(field: &FieldDescriptor) -> Json {
    let whole = |pattern: &str| object([("pattern", format!("^({pattern})?$").into())]);
    match field.full_name() {
        "tandem.v1.PredictRequest.texts" => parsed(r#"{"minItems": 1}"#),
        "tandem.v1.ExplainRequest.texts" => parsed(r#"{"minItems": 1, "maxItems": 8}"#),
        "tandem.v1.PredictRequest.task" | "tandem.v1.ExplainRequest.task" => whole(NAME),
        "tandem.v1.PredictRequest.model" | "tandem.v1.ExplainRequest.model" => whole(&format!("{NAME}(@{NAME})?")),
        "tandem.v1.PredictRequest.tasks" => parsed(
            r#"{"maxItems": 32, "uniqueItems": true,
                "items": {"type": "string", "pattern": "^([a-z0-9][a-z0-9_-]{0,62}|[*])$"},
                "not": {"minItems": 2, "contains": {"const": "*"}}}"#,
        ),
        "tandem.v1.ListModelsRequest.page_token" => whole(&format!("{NAME}@{NAME}")),
        "tandem.v1.GetModelRequest.name" => object([("pattern", format!("^{NAME}(@{NAME})?$").into())]),
        "tandem.v1.PredictRequest.top_k" | "tandem.v1.ListModelsRequest.page_size" => parsed(r#"{"minimum": 0}"#),
        "tandem.v1.ExplainRequest.max_contribution_count" => {
            parsed(r#"{"minimum": 0, "maximum": 100, "pattern": "^([0-9]{1,2}|100)$"}"#)
        }
        "tandem.v1.PredictRequest.min_confidence" => parsed(r#"{"minimum": 0, "maximum": 1}"#),
        _ => object([]),
    }
}

/// Reads the descriptors, and collects the schemas of the messages that are asked for.
pub struct Messages {
    pool: DescriptorPool,
    known: BTreeSet<String>,
    /// The schemas by their names.
    pub schemas: Json,
}

/// Whether a message comes or goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Messages {
    pub fn new() -> Self {
        let pool = DescriptorPool::decode(DESCRIPTOR_SET).expect("the build wrote this descriptor set");
        Self {
            pool,
            known: BTreeSet::new(),
            schemas: object([]),
        }
    }

    /// The method of this full name.
    pub fn method(&self, name: &str) -> MethodDescriptor {
        let (service, method) = name.rsplit_once('.').expect("a service and a method");
        let service = self.pool.get_service_by_name(service);
        let mut methods = service
            .into_iter()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        methods
            .find(|known| known.name() == method)
            .unwrap_or_else(|| panic!("there is no method {name}"))
    }

    /// What a method does: the first paragraph of its comment.
    pub fn about(method: &MethodDescriptor) -> String {
        let comment = comment(method.parent_file().file_descriptor_proto(), method.path());
        prose(comment.split("\n\n").next().unwrap_or_default(), method.input())
    }

    /// A reference to the schema of a message that callers send.
    pub fn read(&mut self, message: &MessageDescriptor) -> Json {
        self.refer(message, Way::In)
    }

    /// A reference to the schema of a message that answers hold.
    pub fn written(&mut self, message: &MessageDescriptor) -> Json {
        self.refer(message, Way::Out)
    }

    /// The fields of a message as parameters of a query; a field that the path names is one of the path's.
    pub fn parameters(&mut self, message: &MessageDescriptor, path: &str) -> Vec<Json> {
        let fields = message.fields().map(|field| {
            let of_path = path.contains(&format!("{{{}}}", field.name()));
            let mut schema = self.plain(&field, Way::Out);
            schema.add(&limits(&field));
            object([
                ("name", field.json_name().into()),
                ("in", if of_path { "path" } else { "query" }.into()),
                ("required", of_path.into()),
                ("description", of_field(&field).into()),
                ("schema", schema),
            ])
        });
        fields.collect()
    }

    fn refer(&mut self, message: &MessageDescriptor, way: Way) -> Json {
        let name = message.name();
        if self.known.insert(name.to_owned()) {
            // In its place before those that it names.
            self.schemas.set(name, Json::Null);
            let schema = self.message(message, way);
            self.schemas.set(name, schema);
        }
        reference("schemas", name)
    }

    fn message(&mut self, message: &MessageDescriptor, way: Way) -> Json {
        let mut properties = object([]);
        let mut required = Vec::new();
        for field in message.fields() {
            let mut schema = if way == Way::In {
                self.taken(&field)
            } else {
                self.of_kind(&field, way)
            };
            let mut described = object([("description", of_field(&field).into())]);
            described.add(&schema);
            std::mem::swap(&mut schema, &mut described);
            properties.set(field.json_name(), schema);
            let is_there = match way {
                Way::In => comment_of(&field).starts_with("Required."),
                Way::Out => is_always_written(&field),
            };
            if is_there {
                required.push(field.json_name().to_owned());
            }
        }
        let mut about = of(message);
        if way == Way::In {
            about += " Names of fields may also be written in snake_case, and `null` is the same as no field. An unknown \
                field, and one that is given twice, is refused.";
        }
        let mut schema = object([
            ("type", "object".into()),
            ("description", about.into()),
            ("properties", properties),
        ]);
        if !required.is_empty() {
            schema.set("required", list(required));
        }
        if way == Way::In {
            schema.set("additionalProperties", false);
        }
        match message.name() {
            "PredictRequest" => schema.set("not", parsed(PREDICT_EXCLUDES)),
            "ExplainRequest" => schema.set("not", parsed(EXPLAIN_EXCLUDES)),
            _ => {}
        }
        schema
    }

    /// A field as it is taken: proto3 JSON reads more than it writes.
    fn taken(&mut self, field: &FieldDescriptor) -> Json {
        let is_required = comment_of(field).starts_with("Required.");
        if let Kind::Enum(of) = field.kind() {
            let numbers = Json::List((0..of.values().len()).map(Json::from).collect());
            let numbers = object([("type", "integer".into()), ("enum", numbers)]);
            let name = self.choices(&of);
            return object([("anyOf", list([name, numbers, parsed(r#"{"type": "null"}"#)]))]);
        }
        let mut schema = self.of_kind(field, Way::In);
        let mut types: Vec<Json> = schema.get("type").cloned().into_iter().collect();
        match field.kind() {
            Kind::Int32 => {
                types.push("string".into());
                // Nine digits are all whole numbers of 32 bits, whatever they are.
                schema.set("pattern", "^[0-9]{1,9}$");
            }
            Kind::Float => {
                types.push("string".into());
                schema.set("pattern", "^(0(\\.[0-9]+)?|1(\\.0+)?)$");
            }
            _ => {}
        }
        if !is_required {
            types.push("null".into());
        }
        if types.len() > 1 {
            schema.set("type", Json::List(types));
        }
        schema.add(&limits(field));
        schema
    }

    /// A field as it is written.
    fn of_kind(&mut self, field: &FieldDescriptor, way: Way) -> Json {
        let one = self.plain(field, way);
        if field.is_list() {
            return object([("type", "array".into()), ("items", one)]);
        }
        assert!(!field.is_map(), "{} is a map", field.full_name());
        one
    }

    /// One value of a field.
    fn plain(&mut self, field: &FieldDescriptor, way: Way) -> Json {
        parsed(match field.kind() {
            Kind::String => r#"{"type": "string"}"#,
            Kind::Bool => r#"{"type": "boolean"}"#,
            Kind::Int32 => r#"{"type": "integer", "format": "int32"}"#,
            Kind::Int64 => r#"{"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}"#,
            Kind::Float => r#"{"type": "number", "format": "float"}"#,
            Kind::Double => r#"{"type": "number", "format": "double"}"#,
            Kind::Enum(of) => return self.choices(&of),
            Kind::Message(of) if of.full_name() == "google.protobuf.Duration" => return self.duration(),
            Kind::Message(of) if of.full_name() == "google.protobuf.Struct" => {
                r#"{"type": "object", "additionalProperties": true}"#
            }
            Kind::Message(of) if of.full_name() == "google.rpc.Status" => return self.status(),
            Kind::Message(of) => return self.refer(&of, way),
            other => panic!("{} is {other:?}: say how JSON has it", field.full_name()),
        })
    }

    fn duration(&mut self) -> Json {
        let schema = r#"{"type": "string", "description": "Seconds with a fraction and an `s`.",
            "pattern": "^[0-9]+(\\.[0-9]+)?s$", "examples": ["0.002003633s"]}"#;
        self.schemas.set("Duration", parsed(schema));
        reference("schemas", "Duration")
    }

    fn status(&mut self) -> Json {
        let schema = r#"{"type": "object", "description": "`google.rpc.Status`: why one of several has no answer.",
            "properties": {
                "code": {"type": "integer", "description": "The code, as gRPC numbers them."},
                "message": {"type": "string", "description": "Why, for people."},
                "details": {"type": "array", "description": "The reason for programs, and more.", "items": {
                    "type": "object", "required": ["@type"], "additionalProperties": true,
                    "properties": {"@type": {"type": "string", "description": "Which message it is."}}}}},
            "required": ["code", "message", "details"]}"#;
        self.schemas.set("RpcStatus", parsed(schema));
        reference("schemas", "RpcStatus")
    }

    fn choices(&mut self, of: &EnumDescriptor) -> Json {
        let mut about = comment(of.parent_file().file_descriptor_proto(), of.path());
        for value in of.values() {
            let says = comment(of.parent_file().file_descriptor_proto(), value.path());
            about += &format!(" `{}`: {says}", value.name());
        }
        let names = list(of.values().map(|value| value.name().to_owned()));
        let about = about.replace('\n', " ");
        let schema = object([
            ("type", "string".into()),
            ("description", about.into()),
            ("enum", names),
        ]);
        self.schemas.set(of.name(), schema);
        reference("schemas", of.name())
    }
}

/// Whether an answer has a field in any case: proto3 JSON leaves out what is absent, not what is zero.
fn is_always_written(field: &FieldDescriptor) -> bool {
    let is_message = matches!(field.kind(), Kind::Message(_)) && !field.is_list();
    let says_so = comment_of(field).to_lowercase().contains("absent");
    let may_lack = is_message && (says_so || MAY_LACK.contains(&field.full_name()));
    let by_presence = field.containing_oneof().is_some();
    !may_lack && !by_presence
}

/// The comment before a thing of a file.
fn comment(file: &prost_types::FileDescriptorProto, path: &[i32]) -> String {
    let places = file.source_code_info.iter().flat_map(|info| &info.location);
    let comment = places
        .filter(|place| place.path == path)
        .find_map(|place| place.leading_comments.clone());
    let comment = comment.unwrap_or_else(|| panic!("{} has no comment at {path:?}", file.name()));
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

fn comment_of(field: &FieldDescriptor) -> String {
    comment(field.parent_file().file_descriptor_proto(), field.path())
}

fn of_field(field: &FieldDescriptor) -> String {
    let comment = comment_of(field);
    let comment = ["Required. ", "Optional. "]
        .iter()
        .find_map(|word| comment.strip_prefix(word))
        .unwrap_or(&comment);
    prose(comment, field.parent_message().clone())
}

fn of(message: &MessageDescriptor) -> String {
    let comment = comment(message.parent_file().file_descriptor_proto(), message.path());
    prose(&comment, message.clone())
}

/// A comment as a description: its lines in one, and names of fields as JSON writes them.
fn prose(comment: &str, near: MessageDescriptor) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    let text = paragraphs.collect::<Vec<_>>().join("\n\n");
    let all: Vec<_> = near.parent_pool().all_messages().collect();
    let json_name = |word: &str| {
        let mut fields = all.iter().filter_map(|message| message.get_field_by_name(word));
        fields.next().map(|field| field.json_name().to_owned())
    };
    let parts = text.split('`').enumerate().map(|(at, part)| match json_name(part) {
        Some(name) if at % 2 == 1 => name,
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

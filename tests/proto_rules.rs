//! The rules of our protocol files, read from the descriptor set that the server carries.

use std::collections::HashMap;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tandem::api::DESCRIPTOR_SET;

/// Numbers of fields in descriptor.proto, of which paths to comments are made.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_NESTED: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const MESSAGE_ONEOF: i32 = 8;
const ENUM_VALUE: i32 = 2;
const SERVICE_METHOD: i32 = 2;

/// Everything in our files that has a name: where its comment stands, and what it is called.
struct Element {
    path: Vec<i32>,
    name: String,
}

fn our_files() -> Vec<FileDescriptorProto> {
    files_of(DESCRIPTOR_SET, "tandem.v1")
}

fn files_of(set: &[u8], package: &str) -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(set).expect("a descriptor set");
    let mut files: Vec<_> = set.file.into_iter().filter(|file| file.package() == package).collect();
    assert!(!files.is_empty());
    files.sort_by_key(|file| file.name().to_owned());
    files
}

fn at(path: &[i32], field: i32, index: usize) -> Vec<i32> {
    let index = i32::try_from(index).expect("a short list");
    [path, &[field, index]].concat()
}

fn of_enum(found: &mut Vec<Element>, path: Vec<i32>, it: &EnumDescriptorProto) {
    for (index, value) in it.value.iter().enumerate() {
        found.push(Element {
            path: at(&path, ENUM_VALUE, index),
            name: value.name().to_owned(),
        });
    }
    found.push(Element {
        path,
        name: it.name().to_owned(),
    });
}

fn of_message(found: &mut Vec<Element>, path: Vec<i32>, it: &DescriptorProto) {
    let names = it.field.iter().map(prost_types::FieldDescriptorProto::name);
    for (index, name) in names.enumerate() {
        found.push(Element {
            path: at(&path, MESSAGE_FIELD, index),
            name: format!("{}.{name}", it.name()),
        });
    }
    // The oneof that an optional field is made into has the name of the field, after a line.
    for (index, oneof) in it.oneof_decl.iter().enumerate() {
        if !oneof.name().starts_with('_') {
            found.push(Element {
                path: at(&path, MESSAGE_ONEOF, index),
                name: format!("{}.{}", it.name(), oneof.name()),
            });
        }
    }
    for (index, nested) in it.nested_type.iter().enumerate() {
        of_message(found, at(&path, MESSAGE_NESTED, index), nested);
    }
    for (index, nested) in it.enum_type.iter().enumerate() {
        of_enum(found, at(&path, MESSAGE_ENUM, index), nested);
    }
    found.push(Element {
        path,
        name: it.name().to_owned(),
    });
}

fn elements(file: &FileDescriptorProto) -> Vec<Element> {
    let mut found = Vec::new();
    for (index, message) in file.message_type.iter().enumerate() {
        of_message(&mut found, at(&[], FILE_MESSAGE, index), message);
    }
    for (index, it) in file.enum_type.iter().enumerate() {
        of_enum(&mut found, at(&[], FILE_ENUM, index), it);
    }
    for (index, service) in file.service.iter().enumerate() {
        let path = at(&[], FILE_SERVICE, index);
        for (index, method) in service.method.iter().enumerate() {
            found.push(Element {
                path: at(&path, SERVICE_METHOD, index),
                name: format!("{}.{}", service.name(), method.name()),
            });
        }
        found.push(Element {
            path,
            name: service.name().to_owned(),
        });
    }
    found
}

#[test]
fn everything_has_a_comment() {
    for file in our_files() {
        let info = file.source_code_info.as_ref().expect("the build keeps comments");
        let comments: HashMap<&[i32], &str> = info
            .location
            .iter()
            .map(|location| (location.path.as_slice(), location.leading_comments()))
            .collect();
        let bare: Vec<String> = elements(&file)
            .into_iter()
            .filter(|element| {
                comments
                    .get(element.path.as_slice())
                    .is_none_or(|comment| comment.trim().is_empty())
            })
            .map(|element| element.name)
            .collect();
        assert!(bare.is_empty(), "without a comment in {}: {bare:?}", file.name());
        assert!(elements(&file).len() > 40, "the elements were found");
    }
}

#[test]
fn the_zero_of_an_enum_says_that_nothing_was_said() {
    for file in our_files() {
        for it in &file.enum_type {
            let zero = it.value.iter().find(|value| value.number() == 0).expect("a zero");
            assert!(zero.name().ends_with("_UNSPECIFIED"), "{}", zero.name());
        }
    }
}

#[test]
fn services_end_in_service_and_methods_have_messages_of_their_own() {
    for file in our_files() {
        for service in &file.service {
            assert!(service.name().ends_with("Service"), "{}", service.name());
            for method in &service.method {
                let package = file.package();
                let expected = format!(".{package}.{}", method.name());
                assert_eq!(method.input_type(), format!("{expected}Request"));
                assert_eq!(method.output_type(), format!("{expected}Response"));
            }
        }
    }
}

#[test]
fn generated_code_has_names_that_fit_its_language() {
    for file in our_files() {
        let options = file.options.clone().expect("options");
        assert_eq!(options.go_package(), "tandem/v1;tandemv1");
        assert_eq!(options.java_package(), "com.tandem.v1");
        assert!(options.java_multiple_files(), "one class would be 26,000 lines");
        assert_eq!(options.csharp_namespace(), "Tandem.V1");
        assert_eq!(options.php_namespace(), "Tandem\\V1");
        assert_eq!(options.ruby_package(), "Tandem::V1");
    }
}

/// A client that has Google's generated files besides ours must find one definition: the same messages, in the same packages.
#[test]
fn the_files_of_google_rpc_are_googles() {
    let ours = files_of(DESCRIPTOR_SET, "google.rpc");
    let googles = files_of(tonic_types::pb::FILE_DESCRIPTOR_SET, "google.rpc");
    let names: Vec<&str> = ours.iter().map(FileDescriptorProto::name).collect();
    assert_eq!(names, ["google/rpc/error_details.proto", "google/rpc/status.proto"]);
    for (our, google) in ours.iter().zip(&googles) {
        // The crate compiles them without their folder.
        assert!(our.name().ends_with(google.name()), "{}", google.name());
        for message in &google.message_type {
            assert!(our.message_type.contains(message), "{} differs", message.name());
        }
        let (our, google) = (our.options.clone(), google.options.clone());
        let (our, google) = (our.expect("options"), google.expect("options"));
        assert_eq!(our.go_package(), google.go_package());
        assert_eq!(our.java_package(), google.java_package());
        assert_eq!(our.java_outer_classname(), google.java_outer_classname());
        assert_eq!(our.java_multiple_files(), google.java_multiple_files());
    }
}

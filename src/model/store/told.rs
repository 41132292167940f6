//! What is told of a store's errors: one short line without credentials.

use std::error::Error;
use std::fmt::Write as _;

/// The longest that an error is told.
const LONGEST: usize = 400;
/// The variables whose values are never told.
const SECRETS: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
    "HF_TOKEN",
];

/// An error with what caused it, as a part of a line.
pub fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        // Many errors repeat what caused them.
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        source = cause.source();
    }
    without_secrets(&without_times(&text))
}

/// Without how long and how often object_store tried, so that a problem that stays is told in the same words.
fn without_times(text: &str) -> String {
    const BEFORE: &str = "Error performing ";
    let Some(at) = text.find(BEFORE) else {
        return text.to_owned();
    };
    let Some(end) = text[at..].find(" - ").map(|end| at + end) else {
        return text.to_owned();
    };
    match text[at..end].find(" in ").map(|from| at + from) {
        Some(from) => format!("{}{}", &text[..from], &text[end..]),
        None => text.to_owned(),
    }
}

/// A text without the queries of addresses, without users in them, and without the credentials in the environment.
pub fn without_secrets(text: &str) -> String {
    let values = SECRETS.iter().filter_map(|name| std::env::var(name).ok());
    without(text, values.filter(|value| value.len() >= 4))
}

fn without(text: &str, secrets: impl Iterator<Item = String>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(&secret, "…");
    }
    let words: Vec<String> = text.split_whitespace().map(without_query).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn without_query(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let (kept, queried) = match rest.split_once('?') {
        Some((kept, _)) => (kept, "?…"),
        None => (rest, ""),
    };
    let authority = kept.split('/').next().unwrap_or_default();
    let kept = match authority.rsplit_once('@') {
        Some((user, _)) => &kept[user.len() + 1..],
        None => kept,
    };
    format!("{scheme}://{kept}{queried}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_took_is_left_out() {
        let text = "Generic S3 error: Error performing GET http://h/b/o in 201.967854ms, after 1 retries, max_retries: 1, retry_timeout: 2s  - Server returned 500";
        let told = without_times(text);
        assert_eq!(
            told,
            "Generic S3 error: Error performing GET http://h/b/o - Server returned 500"
        );
        assert_eq!(
            without_times("Error performing - in short"),
            "Error performing - in short"
        );
    }

    #[test]
    fn queries_users_and_known_secrets_are_left_out() {
        let text = "GET https://me:pw@host/a?sig=hunter2&x=1: 403\n <AWSAccessKeyId>AKIA99</AWSAccessKeyId>";
        let told = without(text, ["AKIA99".to_owned()].into_iter());
        assert_eq!(told, "GET https://host/a?… 403 <AWSAccessKeyId>…</AWSAccessKeyId>");
        assert!(without(&"x".repeat(900), std::iter::empty()).chars().count() == LONGEST + 1);
    }
}

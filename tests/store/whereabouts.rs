//! Places of one address in other accounts and behind other endpoints: what was fetched from one is not another's.

use crate::Cache;
use crate::support::command::finish;

/// The folder in the cache that a start uses. The start fails at once, since `broken` can't be read.
fn folder(cache: &Cache, models: &str, broken: &str, variables: &[(&str, &str)]) -> String {
    let before = cache.places();
    for place in &before {
        std::fs::remove_dir_all(place).expect("removed");
    }
    let mut command = cache.checking(models);
    command.env(broken, "perhaps").envs(variables.iter().copied());
    let refused = finish(&mut command, b"");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let after: Vec<_> = cache.places().into_iter().collect();
    let [place] = after.as_slice() else { panic!("{after:?}") };
    place.display().to_string()
}

#[test]
fn a_place_has_a_folder_for_each_account_and_endpoint_and_none_for_a_key() {
    let cache = Cache::empty();
    let s3 = |variables: &[(&str, &str)]| folder(&cache, "s3://bucket/models", "AWS_SKIP_SIGNATURE", variables);
    let (one, other) = (
        ("AWS_ENDPOINT_URL", "https://one.test"),
        ("AWS_ENDPOINT_URL", "https://other.test"),
    );
    let of_s3 = ("AWS_ENDPOINT_URL_S3", "https://of-s3.test");
    let folders = [s3(&[]), s3(&[one]), s3(&[other]), s3(&[of_s3])];
    for (at, folder) in folders.iter().enumerate() {
        assert!(!folders[..at].contains(folder), "{folders:?}");
    }
    assert_eq!(s3(&[one, of_s3]), folders[3], "the one that the library takes");
    assert_eq!(
        s3(&[("AWS_ENDPOINT", "https://one.test/")]),
        folders[1],
        "by its other name"
    );
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), one];
    assert_eq!(s3(&keys), folders[1]);

    let azure = |variables: &[(&str, &str)]| folder(&cache, "az://container/models", "AZURE_SKIP_SIGNATURE", variables);
    let account = |name: &'static str| ("AZURE_STORAGE_ACCOUNT_NAME", name);
    let folders = [
        azure(&[account("one")]),
        azure(&[account("other")]),
        azure(&[account("one"), ("AZURE_STORAGE_ENDPOINT", "https://one.test")]),
        azure(&[account("one"), ("AZURE_STORAGE_USE_EMULATOR", "true")]),
    ];
    for (at, folder) in folders.iter().enumerate() {
        assert!(!folders[..at].contains(folder), "{folders:?}");
    }
}

//! The moment, as the files of a command tell it.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Set to seconds since 1970, it is told in place of the clock's, so that the same work gives the same files:
/// <https://reproducible-builds.org/specs/source-date-epoch/>.
const SET: &str = "SOURCE_DATE_EPOCH";
/// The end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Now, or what the environment says of it, in UTC: `2026-11-29T17:08:29Z`.
pub fn told() -> String {
    let set = env::var(SET).ok();
    rfc_3339(set.as_deref(), SystemTime::now())
}

fn rfc_3339(set: Option<&str>, now: SystemTime) -> String {
    let set = set.and_then(|seconds| seconds.parse::<u64>().ok());
    let seconds = set.unwrap_or_else(|| now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    let moment = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_says_goes_before_the_clock() {
        let now = UNIX_EPOCH + Duration::from_mins(1);
        assert_eq!(rfc_3339(Some("0"), now), "1970-01-01T00:00:00Z");
        assert_eq!(rfc_3339(Some("1796000909"), now), "2026-11-30T01:08:29Z");
        assert_eq!(rfc_3339(Some("yesterday"), now), "1970-01-01T00:01:00Z");
        assert_eq!(rfc_3339(None, now), "1970-01-01T00:01:00Z");
        assert_eq!(rfc_3339(Some(&u64::MAX.to_string()), now), "9999-12-31T23:59:59Z");
    }
}

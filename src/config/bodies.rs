//! How large bodies may be: what follows from the limits on texts, and the bound on all of them together.

use super::settings::Settings;

/// Room for all bodies together where the setting leaves it open, unless the largest ones need more.
const USUAL_ROOM: usize = 128 << 20;

/// The largest Protobuf message that a legal request can be: every text and its pair at the limit, each with its tag and
/// its length, and room for the options.
pub fn largest_message(max_texts: usize, max_text_bytes: usize) -> usize {
    const TAG_AND_LENGTH: usize = 6;
    const OPTIONS: usize = 4096;
    2 * max_texts * (max_text_bytes + TAG_AND_LENGTH) + OPTIONS
}

/// The largest JSON document that a legal request can be: each byte of a text may stand as an escape of six.
pub fn largest_json(max_texts: usize, max_text_bytes: usize) -> usize {
    const ESCAPED: usize = 6;
    ESCAPED * largest_message(max_texts, max_text_bytes)
}

/// The part of the room that connections have for themselves, together.
const OWN_PART: usize = 8;

/// How large the room for bodies is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSize {
    /// The bytes that callers share.
    pub shared: usize,
    /// The bytes that each connection has for itself.
    pub own: usize,
    /// All of them, for as many connections as there may be; the figure that errors name.
    pub limit: usize,
}

impl Settings {
    /// The room for bodies: an eighth of it in equal parts for as many connections as there may be, if the largest body still
    /// fits into the rest; the rest is shared.
    pub fn room_size(&self) -> RoomSize {
        let limit = self.body_room();
        let largest = largest_json(self.max_texts, self.max_text_bytes);
        let doors = 1 + usize::from(!self.no_http) + usize::from(self.metrics_addr.is_some());
        let doors = doors + usize::from(self.admin_addr.is_some());
        let connections = doors * self.max_connections;
        let own = (limit / OWN_PART).min(limit.saturating_sub(largest)) / connections;
        RoomSize {
            shared: limit - own * connections,
            own,
            limit,
        }
    }

    /// The bytes of bodies that may be in flight: as set, or 128 MiB, or two of the largest bodies if that is more.
    pub fn body_room(&self) -> usize {
        match self.max_inflight_body_bytes {
            0 => USUAL_ROOM.max(2 * largest_json(self.max_texts, self.max_text_bytes)),
            bytes => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_body_always_fits() {
        let mut settings = Settings {
            max_texts: 128,
            max_text_bytes: 1 << 20,
            ..Settings::default()
        };
        let largest = largest_json(128, 1 << 20);
        assert_eq!(settings.body_room(), 2 * largest);
        settings.max_inflight_body_bytes = largest;
        assert_eq!(settings.body_room(), largest);
        assert_eq!(Settings::default().body_room(), 128 << 20);
    }

    #[test]
    fn connections_have_an_eighth_for_themselves_where_the_largest_body_leaves_it() {
        let settings = Settings::default();
        let size = settings.room_size();
        assert_eq!((size.own, size.shared), (8 << 10, 112 << 20));
        let tight = Settings {
            max_inflight_body_bytes: largest_json(settings.max_texts, settings.max_text_bytes),
            ..settings
        };
        let size = tight.room_size();
        assert_eq!((size.own, size.shared), (0, size.limit));
    }
}

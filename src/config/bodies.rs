//! Sizes of bodies: the largest body that the limits on texts allow, and the bound on all bodies together.

use super::settings::Settings;

/// The default bound on all bodies together, unless the largest bodies need more.
const USUAL_ROOM: usize = 128 << 20;

/// The size of the largest valid Protobuf request, in bytes: every text and its pair at the limit, each with its tag
/// and its length, and room for the options.
pub fn largest_message(max_texts: usize, max_text_bytes: usize) -> usize {
    const TAG_AND_LENGTH: usize = 6;
    const OPTIONS: usize = 4096;
    2 * max_texts * (max_text_bytes + TAG_AND_LENGTH) + OPTIONS
}

/// The size of the largest valid JSON request, in bytes: each byte of a text may be written as an escape of six.
pub fn largest_json(max_texts: usize, max_text_bytes: usize) -> usize {
    const ESCAPED: usize = 6;
    ESCAPED * largest_message(max_texts, max_text_bytes)
}

/// Connections get this part of the room for their own pieces, all together: an eighth.
const OWN_PART: usize = 8;

/// The size of the room for bodies, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSize {
    /// The part that callers share.
    pub shared: usize,
    /// The piece that each connection has for itself.
    pub own: usize,
    /// All of it, with the pieces of as many connections as there may be. Errors name this figure.
    pub limit: usize,
}

impl Settings {
    /// The room for bodies. An eighth of it is split evenly among as many connections as there may be, as far as the
    /// largest body still fits into the rest. The rest is shared.
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

    /// The bytes of bodies that may be in flight: as configured, or else 128 MiB, or two of the largest bodies if that
    /// is more.
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

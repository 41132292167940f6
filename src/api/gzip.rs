//! Unpacking gzip (RFC 1952), and zlib (RFC 1950), which HTTP calls deflate. A few bytes can become megabytes, so what
//! comes out is bounded, and counted before it is kept.

use std::io::Read;

use flate2::bufread::{GzDecoder, ZlibDecoder};
use tokio_util::sync::CancellationToken;

use crate::api::body_budget::HeldBody;
use crate::error::{Error, Reason};

/// The most members of one body. Files with many members have one for about 64 KiB; even an empty one takes time.
const MAX_MEMBERS: usize = 4096;
/// How much is unpacked at a time, in bytes.
const PIECE_BYTES: usize = 16 * 1024;
/// The first allocation, in bytes; it doubles from there.
const FIRST_BYTES: usize = 1024;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    /// As HTTP's `deflate`: in one piece.
    Zlib,
}

/// Unpacks `packed`; of gzip every member, one after the other.
///
/// Fails if the result is larger than `limit` bytes, if `held` has no room for it, or if anything between the first
/// byte and the last is not packed so. Ends early, with any error, once `cancelled` says that nobody waits.
pub fn unpack(
    packing: Packing,
    packed: &[u8],
    limit: usize,
    held: &HeldBody,
    cancelled: &CancellationToken,
) -> Result<Vec<u8>, Error> {
    let mut rest = packed;
    let mut whole = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut take = |member: &mut dyn Read| {
        loop {
            if cancelled.is_cancelled() {
                return Err(Error::new(Reason::Cancelled, "nobody waits for the answer any more"));
            }
            match member.read(&mut piece).map_err(|_| broken())? {
                0 => return Ok(()),
                more => append(&mut whole, &piece[..more], limit, held)?,
            }
        }
    };
    match packing {
        Packing::Gzip => {
            let mut members = 0;
            while members == 0 || !rest.is_empty() {
                members += 1;
                if members > MAX_MEMBERS {
                    return Err(broken());
                }
                take(&mut GzDecoder::new(&mut rest))?;
            }
        }
        Packing::Zlib => {
            take(&mut ZlibDecoder::new(&mut rest))?;
            if !rest.is_empty() {
                return Err(broken());
            }
        }
    }
    Ok(whole)
}

/// Appends a piece; its room is counted before it is taken.
fn append(whole: &mut Vec<u8>, piece: &[u8], limit: usize, held: &HeldBody) -> Result<(), Error> {
    let length = whole.len() + piece.len();
    if length > limit {
        return Err(Error::message_too_large(limit));
    }
    if length > whole.capacity() {
        let room = (2 * whole.capacity()).max(FIRST_BYTES).max(length).min(limit);
        held.grow_to(room)?;
        whole.reserve_exact(room - whole.len());
    }
    whole.extend_from_slice(piece);
    Ok(())
}

fn broken() -> Error {
    Error::unreadable("its compression is broken")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;
    use crate::api::body_budget::BodyBudget;
    use crate::config::bodies::RoomSize;
    use crate::service::messages::Weight;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).expect("a Vec takes every write");
        packer.finish().expect("a Vec takes every write")
    }

    /// The body of the only caller, in a room of `room` bytes.
    fn body(room: usize) -> HeldBody {
        let size = RoomSize {
            shared: room,
            own: 0,
            limit: room,
        };
        let bodies = BodyBudget::new(size, Gauge::default());
        HeldBody::new(bodies.caller(1, None, None, Weight::default()))
    }

    fn unpacked(packed: &[u8], limit: usize, room: usize) -> Result<Vec<u8>, Reason> {
        let held = body(room);
        unpack(Packing::Gzip, packed, limit, &held, &CancellationToken::new()).map_err(|error| error.reason)
    }

    #[test]
    fn members_follow_each_other_and_nothing_else_does() {
        let two = [packed(b"one, "), packed(b""), packed(b"two")].concat();
        assert_eq!(unpacked(&two, 8, 1 << 20), Ok(b"one, two".to_vec()));
        assert_eq!(unpacked(&two, 7, 1 << 20), Err(Reason::MessageTooLarge));
        for broken in [
            &b""[..],
            b"plain",
            &two[..two.len() - 1],
            &[&two[..], b"junk"].concat(),
            &[&two[..], &[0]].concat(),
            &packed(b"").repeat(MAX_MEMBERS + 1),
        ] {
            assert_eq!(unpacked(broken, 100, 1 << 20), Err(Reason::MalformedMessage));
        }
        assert_eq!(unpacked(&packed(b"").repeat(MAX_MEMBERS), 0, 0), Ok(Vec::new()));
    }

    #[test]
    fn zlib_is_one_piece() {
        let packed = |bytes: &[u8]| {
            let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
            packed.write_all(bytes).expect("a Vec takes every write");
            packed.finish().expect("a Vec takes every write")
        };
        let unpacked = |packed: &[u8], limit| {
            let unpacked = unpack(Packing::Zlib, packed, limit, &body(1 << 20), &CancellationToken::new());
            unpacked.map_err(|error| error.reason)
        };
        let one = packed(b"a text");
        assert_eq!(unpacked(&one, 6), Ok(b"a text".to_vec()));
        assert_eq!(unpacked(&one, 5), Err(Reason::MessageTooLarge));
        for broken in [&b""[..], &one[..one.len() - 1], &[&one[..], &one].concat(), b"a text"] {
            assert_eq!(unpacked(broken, 100), Err(Reason::MalformedMessage));
        }
    }

    #[test]
    fn what_comes_out_is_counted_before_it_is_kept() {
        let bomb = packed(&vec![0; 1 << 20]);
        assert!(bomb.len() < 2000);
        assert_eq!(unpacked(&bomb, 1 << 20, 1 << 20).map(|whole| whole.len()), Ok(1 << 20));
        assert_eq!(unpacked(&bomb, 1 << 20, (1 << 20) - 1), Err(Reason::BodiesFull));
        assert_eq!(unpacked(&bomb, (1 << 20) - 1, 1 << 20), Err(Reason::MessageTooLarge));
    }

    #[test]
    fn it_ends_once_nobody_waits() {
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let held = body(100);
        let error = unpack(Packing::Gzip, &packed(b"a"), 100, &held, &cancelled).expect_err("it ended");
        assert_eq!(error.reason, Reason::Cancelled);
    }
}

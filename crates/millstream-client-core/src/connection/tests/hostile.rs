//! Whatever a peer sends, a connection answers each request once and never panics.

use proptest::prelude::*;

use super::*;

/// What a peer does: sends these bytes, whole or in pieces.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        // Noise.
        proptest::collection::vec(any::<u8>(), 0..200),
        // A frame of noise, with the number of the first or second request.
        (0..4_i32, proptest::collection::vec(any::<u8>(), 0..100)).prop_map(|(id, body)| {
            let length = i32::try_from(body.len() + 4).unwrap();
            [&length.to_be_bytes()[..], &id.to_be_bytes(), &body].concat()
        }),
        // A good answer with a byte changed.
        (0..3_i32, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(id, at, value)| {
            let mut frame = Wire::heartbeat(id, 0).to_vec();
            let at = at.index(frame.len());
            frame[at] = value;
            frame
        }),
    ]
}

proptest! {
    #[test]
    fn every_request_is_answered_once(
        ready in any::<bool>(),
        sent in proptest::collection::vec(bytes(), 1..8),
        piece in 1..64_usize,
    ) {
        let mut wire = if ready { Wire::ready() } else { Wire::new() };
        let mut requests = Vec::new();
        if ready {
            requests.push(wire.send(HeartbeatRequest::default()));
            requests.push(wire.send(HeartbeatRequest::default()));
        }
        wire.written();
        let all = sent.concat();
        for piece in all.chunks(piece) {
            if wire.receive(piece).is_err() {
                break;
            }
        }
        wire.connection.fail(wire.now, "over", &mut wire.answers);
        let mut answered: Vec<_> = wire.answers.iter().map(|answer| answer.id).collect();
        answered.sort();
        prop_assert_eq!(answered, requests);
    }
}

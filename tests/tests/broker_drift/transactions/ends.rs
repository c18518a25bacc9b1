//! Transactions that end as they should.

use super::wire::Story;
use crate::peer::Peer;

pub(crate) fn version_1(peer: &mut Peer) {
    let mut story = Story::begin(peer, "version-1");
    let producer = story.new_producer();
    story.tell_state("at first");
    story.end("of none", 4, producer, true);
    story.end("of none", 4, producer, false);
    story.add("added", 3, producer, &[0]);
    story.add("added again", 3, producer, &[0]);
    story.tell_state("with a partition");
    story.write("written", 11, producer, 0);
    story.write("written again", 11, producer, 0);
    story.write("written", 11, producer, 1);
    story.read("while it is open", 0);
    story.end("of the first", 4, producer, true);
    story.tell_state("after the commit");
    story.read("after the commit", 0);
    story.end("again", 4, producer, true);
    story.end("otherwise", 4, producer, false);
    story.add("added to the second", 2, producer, &[0]);
    story.write("the sequence goes on", 11, producer, 2);
    story.end("of the second", 3, producer, false);
    story.tell_state("after the abort");
    story.read("after the abort", 0);
    story.read("behind what was aborted", 5);
    story.end("again", 3, producer, false);
    story.end("otherwise", 3, producer, true);
    let next = story.new_producer();
    story.tell_state("after another producer came");
    story.write("by the old one", 11, producer, 3);
    story.add("by the old one", 3, producer, &[0]);
    story.add("by the old one", 1, producer, &[0]);
    story.add("by the new one", 3, next, &[0]);
    story.write("a new epoch begins at 0", 11, next, 0);
    story.end("of the third", 4, next, true);
    story.read("in the end", 0);
}

pub(crate) fn version_2(peer: &mut Peer) {
    let mut story = Story::begin(peer, "version-2");
    let producer = story.new_producer();
    story.end("of none", 5, producer, true);
    let first = story.end("of none", 5, producer, false);
    story.tell_state("after an empty abort");
    let second = story.end("of none again", 5, first, false);
    story.write("written", 12, second, 0);
    story.tell_state("with a partition");
    story.write("written", 12, second, 1);
    story.write("written again", 12, second, 1);
    let third = story.end("of the first", 5, second, true);
    story.tell_state("after the commit");
    story.read("after the commit", 0);
    story.end("again", 5, second, true);
    story.end("otherwise", 5, second, false);
    story.end("of none", 5, third, true);
    story.write("not from 0", 12, third, 2);
    story.write("the second", 12, third, 0);
    let fourth = story.end("of the second", 5, third, false);
    story.tell_state("after the abort");
    story.read("after the abort", 0);
    story.end("again", 5, third, false);
    story.end("otherwise", 5, third, true);
    story.write("by the epoch before", 12, third, 1);
    story.end("by an epoch long gone", 5, second, true);
    story.end("by an epoch to come", 5, (fourth.0, fourth.1 + 1), false);
    story.write("by an epoch to come", 12, (fourth.0, fourth.1 + 1), 0);
    story.write("the third", 12, fourth, 0);
    story.tell_state("in the third");
    // A client of version 1 on the same id.
    story.end("of the third", 4, fourth, true);
    story.tell_state("after a commit that keeps the epoch");
    story.write("the fourth", 12, fourth, 1);
    let fifth = story.end("of the fourth", 5, fourth, true);
    story.read("in the end", 0);
    story.init("a retry by the epoch before", 4, fourth);
    story.init("by the current epoch", 4, fifth);
}

pub(crate) fn epochs(peer: &mut Peer) {
    let mut story = Story::begin(peer, "epochs");
    let first = story.init("without what it is", 2, (-1, -1));
    let second = story.init("going on", 4, first);
    story.init("going on again", 4, first);
    let third = story.init("going on", 5, second);
    story.init("an epoch long gone", 4, first);
    story.init("an epoch long gone, in an old version", 3, first);
    story.init("an epoch to come", 4, (first.0, third.1 + 1));
    story.init("another id", 4, (first.0 + 1_000_000, third.1));
    story.init("an id without an epoch", 4, (first.0, -1));
    story.init("an epoch without an id", 4, (-1, 0));
    let fourth = story.init("a newcomer", 4, (-1, -1));
    story.init("by the one before the newcomer", 4, third);
    story.add("a transaction begins", 3, fourth, &[0]);
    story.init("a newcomer aborts it", 4, (-1, -1));
    story.tell_state("after that");
    story.end("by the one that was fenced", 4, fourth, true);
    story.end("by the one that was fenced", 5, fourth, true);
    story.end("by the one that was fenced", 1, fourth, true);
    let fifth = story.init("a newcomer", 4, (-1, -1));
    story.write("a transaction begins", 12, fifth, 0);
    story.init("its own producer goes on", 4, fifth);
    story.tell_state("after that");
}

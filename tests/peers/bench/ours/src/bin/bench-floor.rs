//! The floor under every producer: requests built before the clock starts, written to a plain socket, five in
//! flight, their answers checked. Nothing is encoded, accounted for or retried; no client can cost less.

use std::io::{Read, Write};
use std::net::TcpStream;

use bench_common::{Compression, Meter, Mode, Run, Values};
use bytes::{Bytes, BytesMut};
use millstream_protocol::batch::BatchBuilder;
use millstream_protocol::codec::{decode_response, encode_request};
use millstream_protocol::compression::{Compression as Codec, Compressor};
use millstream_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use millstream_protocol::messages::{ProduceRequest, StrBytes};
use millstream_types::{RecordHeader, Timestamp};

/// The newest version that names topics.
const VERSION: i16 = 12;
/// Where the correlation id stands in a frame: after the length, the API's key and its version.
const CORRELATION_ID: std::ops::Range<usize> = 8..12;
const IN_FLIGHT_MAX: u64 = 5;
/// `max.request.size` holds this many batches of the default size.
const BATCHES_PER_REQUEST: usize = 7;
/// Requests that are built: as many as different partitions ask for, but no more memory than this needs.
const DISTINCT_MAX: usize = 16;
const NO_HEADERS: &[RecordHeader<'static>] = &[];

fn main() {
    let mut run = Run::from_args();
    assert_eq!(run.mode, Mode::Produce, "the floor can only produce");
    let mut socket = TcpStream::connect(&run.bootstrap).expect("the broker listens");
    socket.set_nodelay(true).expect("a TCP socket");
    let (warm, records) = (run.warm, run.records);
    Requests::build(&mut run, warm).send(&mut socket);
    run.values.restart();
    let mut requests = Requests::build(&mut run, records);
    let meter = Meter::start();
    requests.send(&mut socket);
    let reading = meter.stop();
    println!("{}", reading.line("floor", env!("CARGO_PKG_VERSION"), warm, records));
}

/// The requests that carry a number of records.
struct Requests {
    /// Full ones, sent in turn.
    full: Vec<BytesMut>,
    /// How many full ones are sent.
    rounds: u64,
    /// The rest of the records.
    last: Option<BytesMut>,
}

impl Requests {
    fn build(run: &mut Run, count: u64) -> Self {
        let spread = run.partitions.min(BATCHES_PER_REQUEST);
        let per_batch = u64::from(records_per_batch(run));
        let per_request = per_batch * spread as u64;
        let rounds = count / per_request;
        let distinct = run.partitions.div_ceil(spread).min(DISTINCT_MAX).min(rounds as usize);
        // The values of a request follow each other as a client would send them, but a request that is sent
        // again has the same ones: the harness compares the number of records, not their sum.
        let full =
            (0..distinct).map(|set| request(run, set * spread, &vec![per_batch; spread])).collect();
        let mut left = count % per_request;
        let mut rest = Vec::new();
        while left > 0 {
            rest.push(left.min(per_batch));
            left -= left.min(per_batch);
        }
        let last = (!rest.is_empty()).then(|| request(run, 0, &rest));
        Self { full, rounds, last }
    }

    fn send(&mut self, socket: &mut TcpStream) {
        let mut answer = Vec::new();
        let (mut sent, mut answered) = (0_u64, 0_u64);
        let total = self.rounds + u64::from(self.last.is_some());
        while answered < total {
            if sent < total && sent - answered < IN_FLIGHT_MAX {
                let frame = if sent < self.rounds {
                    let index = (sent % self.full.len() as u64) as usize;
                    &mut self.full[index]
                } else {
                    self.last.as_mut().expect("there is a rest")
                };
                frame[CORRELATION_ID].copy_from_slice(&(sent as u32).to_be_bytes());
                socket.write_all(frame).expect("the broker reads");
                sent += 1;
                continue;
            }
            read_answer(socket, &mut answer, answered as u32);
            answered += 1;
        }
    }
}

fn read_answer(socket: &mut TcpStream, answer: &mut Vec<u8>, correlation_id: u32) {
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("the broker answers");
    answer.resize(u32::from_be_bytes(length) as usize, 0);
    socket.read_exact(answer).expect("the broker answers");
    assert_eq!(answer[..4], correlation_id.to_be_bytes(), "answers come in order");
    let frame = Bytes::copy_from_slice(answer);
    let response = decode_response::<ProduceRequest>(VERSION, frame).expect("a valid answer");
    for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
        assert_eq!(partition.error_code, 0, "partition {} refuses", partition.index);
    }
}

fn records_per_batch(run: &mut Run) -> u32 {
    let (_, count) = batch(run, u64::MAX);
    run.values.restart();
    count
}

/// A frame with a batch of each size for the partitions from `first` on.
fn request(run: &mut Run, first: usize, sizes: &[u64]) -> BytesMut {
    let partitions = (0..).zip(sizes).map(|(offset, size)| {
        let index = (first + offset) % run.partitions;
        let (bytes, count) = batch(run, *size);
        assert_eq!(u64::from(count), *size);
        let index = i32::try_from(index).expect("few partitions");
        PartitionProduceData::default().with_index(index).with_records(Some(bytes))
    });
    let partitions = partitions.collect();
    let topic = StrBytes::from_string(run.topic.clone());
    let topic = TopicProduceData::default().with_name(topic.into()).with_partition_data(partitions);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let mut frame = BytesMut::new();
    encode_request(VERSION, 0, Some("floor"), &request, &mut frame).expect("a valid request");
    frame
}

/// A batch of `count` records, or of as many as it holds.
fn batch(run: &mut Run, count: u64) -> (Bytes, u32) {
    let values: &mut Values = &mut run.values;
    let mut builder = BatchBuilder::new(Vec::with_capacity(run.batch), run.batch);
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    let now = Timestamp(i64::try_from(now.as_millis()).expect("a clock of our time"));
    let mut appended = 0;
    while u64::from(appended) < count {
        let value = values.next_value();
        if builder.append(now, None, Some(value), NO_HEADERS).is_err() {
            break;
        }
        appended += 1;
    }
    let codec = match run.compression {
        Compression::None => Codec::None,
        Compression::Lz4 => Codec::Lz4,
        Compression::Zstd => Codec::Zstd,
    };
    let mut sealed = if codec == Codec::None {
        builder.seal()
    } else {
        builder.seal_compressed(&mut Compressor::new(codec), Vec::new()).0
    };
    sealed.finish();
    (Bytes::from(sealed.into_bytes()), appended)
}

//! Makes a topic for a run, and proves afterwards what is in it.
//!
//! `bench-topic create BOOTSTRAP TOPIC PARTITIONS`, `bench-topic delete BOOTSTRAP TOPIC`,
//! `bench-topic ends BOOTSTRAP TOPIC PARTITIONS`: the sum of the log end offsets,
//! `bench-topic verify BOOTSTRAP TOPIC PARTITIONS VALUES SIZE COUNT[,COUNT…]`: reads all records back and compares
//! their number and the sum of their CRC-32Cs with that of the first COUNT values, COUNT by COUNT.

use std::time::{Duration, Instant};

use bench_common::Values;
use millstream_client::{Admin, Consumer, NewTopic, OffsetReset, OffsetSpec};
use millstream_types::TopicPartition;

type Failure = Box<dyn std::error::Error>;

/// How long reading back may go without a record.
const STALL_MAX: Duration = Duration::from_secs(20);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match words[..] {
            ["create", bootstrap, topic, partitions] => {
                create(bootstrap, topic, partitions.parse()?).await
            }
            ["delete", bootstrap, topic] => {
                let admin = Admin::connect([bootstrap]).await?;
                admin.delete_topics([topic]).await?;
                Ok(())
            }
            ["ends", bootstrap, topic, partitions] => {
                println!("{}", ends(bootstrap, topic, partitions.parse()?).await?);
                Ok(())
            }
            ["verify", bootstrap, topic, partitions, values, size, counts] => {
                let values = Values::read(values, size.parse()?);
                verify(bootstrap, topic, partitions.parse()?, &values, counts).await
            }
            _ => Err("usage: bench-topic create|delete|ends|verify …".into()),
        }
    })
}

async fn create(bootstrap: &str, topic: &str, partitions: i32) -> Result<(), Failure> {
    let admin = Admin::connect([bootstrap]).await?;
    admin.create_topics([NewTopic::new(topic, partitions)]).await?;
    let begun = Instant::now();
    while begun.elapsed() < STALL_MAX {
        // Created is not yet led: wait until every partition has its leader.
        if let Ok(found) = admin.describe_topics([topic]).await
            && found.values().all(|topic| {
                topic.partitions.len() == partitions as usize
                    && topic.partitions.values().all(|partition| partition.leader.is_some())
            })
        {
            // A broker says who leads before it leads: this asks the leaders, until they know.
            return ends(bootstrap, topic, partitions).await.map(drop);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{topic} has no leaders").into())
}

async fn ends(bootstrap: &str, topic: &str, partitions: i32) -> Result<i64, Failure> {
    let admin = Admin::connect([bootstrap]).await?;
    let all = (0..partitions).map(|id| (TopicPartition::new(topic, id), OffsetSpec::Latest));
    let listed = admin.list_offsets(all).await?;
    Ok(listed.values().filter_map(|listed| listed.offset).map(|offset| offset.value()).sum())
}

async fn verify(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    values: &Values,
    counts: &str,
) -> Result<(), Failure> {
    let (mut records, mut checksum) = (0_u64, 0_u64);
    for count in counts.split(',') {
        let count = count.parse()?;
        records += count;
        checksum = checksum.wrapping_add(values.checksum(count));
    }
    let end = ends(bootstrap, topic, partitions).await?;
    if u64::try_from(end) != Ok(records) {
        return Err(format!("the logs end at {end} in all, not at {records}").into());
    }
    let reader =
        Consumer::reader([bootstrap]).auto_offset_reset(OffsetReset::Earliest).build().await?;
    reader.assign((0..partitions).map(|id| TopicPartition::new(topic, id)))?;
    let (mut seen, mut sum) = (0_u64, 0_u64);
    while seen < records {
        let polled = tokio::time::timeout(STALL_MAX, reader.poll()).await;
        let batch = polled.map_err(|_| format!("{seen} of {records} came back"))??;
        let batch = batch.ok_or("the reader is closed")?;
        for record in &batch {
            seen += 1;
            let crc = crc32c::crc32c(record.value().unwrap_or_default());
            sum = sum.wrapping_add(u64::from(crc));
        }
    }
    if (seen, sum) != (records, checksum) {
        return Err(format!("{seen} records of {records}, checksum {sum} not {checksum}").into());
    }
    Ok(())
}

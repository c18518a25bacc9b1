import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own clients on the other side of ours. One command a run; see the README. */
public final class Peer {
    public static void main(String[] args) throws Exception {
        PrintWriter out = new PrintWriter(new BufferedWriter(
            new OutputStreamWriter(System.out, StandardCharsets.UTF_8), 1 << 16));
        String[] rest = Arrays.copyOfRange(args, 2, args.length);
        switch (args[0]) {
            case "read" -> read(args[1], rest[0], Arrays.copyOfRange(rest, 1, rest.length), out);
            case "produce" -> produce(args[1], rest, out);
            case "transactions" -> transactions(args[1], rest, out);
            default -> throw new IllegalArgumentException(args[0]);
        }
        out.flush();
    }

    /** Every record from the first to the end as it is when this begins, a line each. */
    private static void read(String bootstrap, String isolation, String[] topics, PrintWriter out) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", isolation);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("max.poll.records", "5000");
        try (var consumer = new KafkaConsumer<>(
                properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : topics) {
                consumer.partitionsFor(topic)
                    .forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            }
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
            consumer.seekToBeginning(partitions);
            ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
            while (!ends.isEmpty()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    print(record, out);
                }
                ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
            }
        }
    }

    private static void print(ConsumerRecord<byte[], byte[]> record, PrintWriter out) {
        StringBuilder headers = new StringBuilder();
        for (Header header : record.headers()) {
            headers.append(headers.isEmpty() ? "" : ",")
                .append(text(header.key().getBytes(StandardCharsets.UTF_8)))
                .append(':')
                .append(text(header.value()));
        }
        out.println(String.join("\t", record.topic(), String.valueOf(record.partition()),
            String.valueOf(record.offset()), String.valueOf(record.timestamp()),
            record.timestampType().toString(), text(record.key()), text(record.value()),
            headers));
    }

    /** Writes a record for each key of the input, and tells the partition of each. */
    private static void produce(String bootstrap, String[] args, PrintWriter out) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("linger.ms", "5");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(
                properties, new ByteArraySerializer(), new ByteArraySerializer());
             var in = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                byte[] key = Base64.getDecoder().decode(line);
                sent.add(producer.send(new ProducerRecord<>(args[0], key, new byte[0])));
            }
            for (Future<RecordMetadata> future : sent) {
                out.println(future.get().partition());
            }
        }
    }

    /**
     * What stands open: the transactions of ids with a prefix, with their states, and the producers
     * of the topics' partitions that have a transaction begun.
     */
    private static void transactions(String bootstrap, String[] args, PrintWriter out)
            throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        try (Admin admin = Admin.create(properties)) {
            Collection<TransactionListing> all = admin.listTransactions().all().get();
            for (TransactionListing listing : all) {
                if (listing.transactionalId().startsWith(args[0])) {
                    out.println(String.join("\t", "transaction", listing.transactionalId(),
                        listing.state().toString(), String.valueOf(listing.producerId())));
                }
            }
            List<String> topics = Arrays.asList(args).subList(1, args.length);
            var described = admin.describeTopics(topics).allTopicNames().get();
            List<TopicPartition> partitions = described.values().stream()
                .flatMap(topic -> topic.partitions().stream()
                    .map(info -> new TopicPartition(topic.name(), info.partition())))
                .collect(Collectors.toList());
            var producers = admin.describeProducers(partitions).all().get();
            for (var partition : producers.entrySet()) {
                for (ProducerState state : partition.getValue().activeProducers()) {
                    if (state.currentTransactionStartOffset().isPresent()) {
                        out.println(String.join("\t", "open", partition.getKey().toString(),
                            String.valueOf(state.producerId()),
                            String.valueOf(state.producerEpoch()),
                            String.valueOf(state.currentTransactionStartOffset().getAsLong())));
                    }
                }
            }
        }
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : "=" + Base64.getEncoder().encodeToString(bytes);
    }
}

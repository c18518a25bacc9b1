import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A life of transactions by Kafka's own clients: {@code Transactions BOOTSTRAP PREFIX}. What is
 * printed is the same on every cluster that does as Kafka does.
 */
public final class Transactions {
    private final String bootstrap;
    private final String prefix;

    private Transactions(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
    }

    public static void main(String[] args) throws Exception {
        new Transactions(args[0], args[1]).run();
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    private KafkaProducer<String, String> producer(String id) {
        Properties properties = properties();
        properties.put("transactional.id", prefix + id);
        properties.put("transaction.timeout.ms", "20000");
        var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    private KafkaConsumer<String, String> consumer(String group, String isolation) {
        Properties properties = properties();
        properties.put("group.id", prefix + group);
        properties.put("isolation.level", isolation);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("max.poll.records", "5");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private void run() throws Exception {
        String in = prefix + "in";
        String out = prefix + "out";
        try (Admin admin = Admin.create(properties())) {
            admin.createTopics(List.of(new NewTopic(in, 1, (short) 1), new NewTopic(out, 3, (short) 1)))
                .all().get();
            fill(in);
            copy(in, out);
            System.out.println("committed " + values(out, "read_committed"));
            System.out.println("written " + values(out, "read_uncommitted"));
            var offsets = admin.listConsumerGroupOffsets(prefix + "copier")
                .partitionsToOffsetAndMetadata().get();
            System.out.println("offset " + offsets.get(new TopicPartition(in, 0)).offset());
            described(admin, "copier");
            fencing(admin, out);
            hanging(admin, out);
            System.out.println("at last " + values(out, "read_committed").size());
        }
    }

    private void fill(String topic) {
        try (var producer = new KafkaProducer<>(properties(), new StringSerializer(), new StringSerializer())) {
            for (int number = 0; number < 30; number++) {
                producer.send(new ProducerRecord<>(topic, "value " + number));
            }
        }
    }

    /** Copies all records in transactions, every third of which is aborted and tried again. */
    private void copy(String in, String out) throws Exception {
        try (var consumer = consumer("copier", "read_committed"); var producer = producer("copier")) {
            consumer.subscribe(List.of(in));
            int attempts = 0;
            long position = 0;
            while (position < 30) {
                var records = consumer.poll(Duration.ofSeconds(10));
                if (records.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                for (ConsumerRecord<String, String> record : records) {
                    int partition = (int) (record.offset() % 3);
                    producer.send(new ProducerRecord<>(out, partition, null, record.value()));
                    position = record.offset() + 1;
                }
                TopicPartition partition = new TopicPartition(in, 0);
                producer.sendOffsetsToTransaction(
                    Map.of(partition, new OffsetAndMetadata(position)), consumer.groupMetadata());
                if (++attempts % 3 == 0) {
                    // What was not sent yet would never be written.
                    producer.flush();
                    producer.abortTransaction();
                    var committed = consumer.committed(Set.of(partition)).get(partition);
                    position = committed == null ? 0 : committed.offset();
                    consumer.seek(partition, position);
                } else {
                    producer.commitTransaction();
                }
            }
            System.out.println("transactions " + attempts);
        }
    }

    private List<String> values(String topic, String isolation) {
        List<String> values = new ArrayList<>();
        try (var consumer = consumer("reader", isolation)) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic)
                .forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(it -> consumer.position(it) < ends.get(it))) {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> values.add(record.value()));
            }
        }
        values.sort((one, other) -> number(one) - number(other));
        return values;
    }

    private static int number(String value) {
        return Integer.parseInt(value.substring(value.lastIndexOf(' ') + 1));
    }

    private void described(Admin admin, String id) throws Exception {
        var found = admin.describeTransactions(List.of(prefix + id)).description(prefix + id).get();
        // Markers may still be on their way.
        while (found.state() == TransactionState.PREPARE_COMMIT
                || found.state() == TransactionState.PREPARE_ABORT) {
            found = admin.describeTransactions(List.of(prefix + id)).description(prefix + id).get();
        }
        System.out.println(id + " " + found.state() + " " + found.topicPartitions().size());
    }

    /** A second producer of the same id fences the first, in the midst of its transaction. */
    private void fencing(Admin admin, String out) throws Exception {
        try (var first = producer("fenced")) {
            first.beginTransaction();
            first.send(new ProducerRecord<>(out, 0, null, "fenced 100")).get();
            try (var second = producer("fenced")) {
                try {
                    first.send(new ProducerRecord<>(out, 0, null, "fenced 101")).get();
                    System.out.println("not fenced");
                } catch (ExecutionException error) {
                    System.out.println("fenced " + isFenced(error.getCause()));
                }
                try {
                    first.commitTransaction();
                    System.out.println("committed though fenced");
                } catch (RuntimeException error) {
                    System.out.println("no commit " + isFenced(error));
                }
                second.beginTransaction();
                second.send(new ProducerRecord<>(out, 0, null, "second 102"));
                second.commitTransaction();
            }
        }
        described(admin, "fenced");
        admin.fenceProducers(List.of(prefix + "fenced")).all().get();
        described(admin, "fenced");
    }

    private static boolean isFenced(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof ProducerFencedException || cause instanceof InvalidProducerEpochException) {
                return true;
            }
        }
        return false;
    }

    /** An administrator sees a transaction that hangs, and aborts it. */
    private void hanging(Admin admin, String out) throws Exception {
        TopicPartition partition = new TopicPartition(out, 1);
        try (var producer = producer("hanging")) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(out, 1, null, "hanging 103")).get();
            var listed = new TreeMap<String, String>();
            var options = new ListTransactionsOptions().filterStates(List.of(TransactionState.ONGOING));
            admin.listTransactions(options).all().get().stream()
                .filter(it -> it.transactionalId().startsWith(prefix))
                .forEach(it -> listed.put(it.transactionalId().substring(prefix.length()), it.state().toString()));
            System.out.println("ongoing " + listed);
            List<ProducerState> open = open(admin, partition);
            System.out.println("open " + open.size());
            ProducerState state = open.get(0);
            admin.abortTransaction(new AbortTransactionSpec(
                partition, state.producerId(), (short) state.producerEpoch(),
                state.coordinatorEpoch().orElse(0))).all().get();
            System.out.println("open " + open(admin, partition).size());
        }
    }

    private static List<ProducerState> open(Admin admin, TopicPartition partition) throws Exception {
        return admin.describeProducers(List.of(partition)).partitionResult(partition).get()
            .activeProducers().stream()
            .filter(it -> it.currentTransactionStartOffset().isPresent())
            .toList();
    }
}

// Writes a file for each program: its described topology, and what it wrote to every topic.
package streams;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.test.TestRecord;

public final class Main {
    /** Key, value, time; "-" is null. Every program gets these, on each topic that it reads. */
    static final String[][] INPUT = {
        {"k1", "a b a", "1000"},
        {"-", "b c", "900"},
        {"k2", "c", "2000"},
        {"k1", "-", "2100"},
        {"k2", "a a a a zebra", "500"},
        {"k3", "", "2200"},
        {"k1", "b", "3000"},
    };

    public static void main(String[] args) throws IOException {
        Path dir = Path.of(args[0]);
        Files.createDirectories(dir);
        for (Map.Entry<String, Programs.Program> entry : Programs.all().entrySet()) {
            Files.writeString(dir.resolve(entry.getKey() + ".txt"), run(entry.getValue()));
        }
    }

    static String run(Programs.Program program) {
        StreamsBuilder builder = new StreamsBuilder();
        program.build().accept(builder);
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "app");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:9092");
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, program.cacheBytes());
        Topology topology = builder.build(config);
        StringBuilder out = new StringBuilder(topology.describe().toString());
        out.append("==\n");
        try (TopologyTestDriver driver = new TopologyTestDriver(topology, config)) {
            for (String[] record : INPUT) {
                for (String topic : program.inputs()) {
                    pipe(driver, topic, record);
                }
            }
            for (String topic : new TreeSet<>(driver.producedTopicNames())) {
                print(driver, topic, out);
            }
        }
        return out.toString();
    }

    static void pipe(TopologyTestDriver driver, String topic, String[] record) {
        driver.createInputTopic(topic, new StringSerializer(), new StringSerializer())
            .pipeInput(orNull(record[0]), orNull(record[1]), Long.parseLong(record[2]));
    }

    static void print(TopologyTestDriver driver, String topic, StringBuilder out) {
        out.append(topic).append('\n');
        var output = driver.createOutputTopic(
            topic, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        for (TestRecord<byte[], byte[]> record : output.readRecordsToList()) {
            out.append("  ").append(hex(record.key())).append(' ').append(hex(record.value()))
                .append(' ').append(record.timestamp()).append('\n');
        }
    }

    static String orNull(String text) {
        return text.equals("-") ? null : text;
    }

    static String hex(byte[] bytes) {
        return bytes == null ? "null" : "'" + HexFormat.of().formatHex(bytes) + "'";
    }
}

// The programs. tests/java.rs of millstream-core has the same ones, in the same order.
package streams;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

final class Programs {
    record Program(long cacheBytes, List<String> inputs, Consumer<StreamsBuilder> build) {}

    private static final Map<String, Program> ALL = new LinkedHashMap<>();

    static Map<String, Program> all() {
        add("word_count", Programs::wordCount);
        addUncached("word_count_no_cache", Programs::wordCount);
        add("word_count_named", Programs::wordCountNamed);
        add("count_by_key", b -> lines(b).groupByKey().count().toStream().to("out", counts()));
        add("count_selected_key", Programs::countSelectedKey);
        add("count_unnamed_store", Programs::countUnnamedStore);
        add("count_plain_store", Programs::countPlainStore);
        add("stateless", Programs::stateless);
        add("named_operators", Programs::namedOperators);
        add("forks", Programs::forks);
        add("shared_repartition", Programs::sharedRepartition);
        add("separate_repartitions", Programs::separateRepartitions);
        add("source_read_twice", Programs::sourceReadTwice);
        ALL.put("many_topics", new Program(10 << 20, List.of("zeta", "alpha", "mid", "beta"),
            b -> b.stream(List.of("zeta", "alpha", "mid", "beta"), strings()).to("out")));
        add("chained_counts", Programs::chainedCounts);
        for (int seed = 0; seed < 4; seed++) {
            int chosen = seed;
            ALL.put("maze_" + seed, new Program(10 << 20, List.of(), b -> maze(b, chosen)));
        }
        return ALL;
    }

    private static void add(String name, Consumer<StreamsBuilder> build) {
        ALL.put(name, new Program(10 << 20, List.of("lines"), build));
    }

    private static void addUncached(String name, Consumer<StreamsBuilder> build) {
        ALL.put(name, new Program(0, List.of("lines"), build));
    }

    private static void wordCount(StreamsBuilder b) {
        lines(b).flatMapValues(Programs::words).groupBy((k, word) -> word).count().toStream()
            .to("out", counts());
    }

    private static void wordCountNamed(StreamsBuilder b) {
        lines(b).flatMapValues(Programs::words)
            .groupBy((k, word) -> word, Grouped.<String, String>as("by-word"))
            .count(Named.as("counting"), Materialized.as("words"))
            .toStream(Named.as("changes"))
            .to("out", counts().withName("writer"));
    }

    private static void countSelectedKey(StreamsBuilder b) {
        nonNull(lines(b)).selectKey((k, v) -> v.substring(0, Math.min(1, v.length())))
            .peek((k, v) -> { }).groupByKey().count(Named.as("per-letter")).toStream()
            .to("out", counts());
    }

    private static void countUnnamedStore(StreamsBuilder b) {
        nonNull(lines(b)).map((k, v) -> KeyValue.pair(v, k == null ? "" : k)).groupByKey()
            .count(Materialized.with(Serdes.String(), Serdes.Long())).toStream()
            .to("out", counts());
    }

    private static void countPlainStore(StreamsBuilder b) {
        lines(b).groupByKey().count(
                Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("plain")
                    .withCachingDisabled().withLoggingDisabled())
            .toStream().to("out", counts());
    }

    private static void stateless(StreamsBuilder b) {
        nonNull(lines(b)).filter((k, v) -> !v.isEmpty()).filterNot((k, v) -> v.contains("z"))
            .mapValues(v -> v.toUpperCase()).peek((k, v) -> { })
            .flatMap((k, v) -> words(v).stream().map(w -> KeyValue.pair(w, w + "!"))
                .collect(Collectors.toList()))
            .map((k, v) -> KeyValue.pair(v, k)).to("out");
    }

    private static void namedOperators(StreamsBuilder b) {
        KStream<String, String> lines =
            b.stream("lines", Consumed.<String, String>as("reader"));
        nonNull(lines).mapValues(v -> v + "?", Named.as("asking"))
            .filter((k, v) -> true, Named.as("all")).to("out", Produced.as("writer"));
    }

    private static void forks(StreamsBuilder b) {
        KStream<String, String> lines = nonNull(lines(b));
        lines.to("copy");
        KStream<String, String> upper = lines.mapValues(v -> v.toUpperCase());
        lines.foreach((k, v) -> { });
        upper.flatMapValues(Programs::words).to("upper-words");
        upper.mapValues(v -> v + v).filter((k, v) -> true).mapValues(v -> v).to("twice");
        upper.to("upper");
    }

    private static void sharedRepartition(StreamsBuilder b) {
        KGroupedStream<String, String> grouped = lines(b).flatMapValues(Programs::words)
            .groupBy((k, word) -> word, Grouped.<String, String>as("by-word"));
        grouped.count().toStream().to("out", counts());
        grouped.count(Materialized.as("second")).toStream().to("out2", counts());
    }

    private static void separateRepartitions(StreamsBuilder b) {
        KGroupedStream<String, String> grouped = lines(b).flatMapValues(Programs::words)
            .groupBy((k, word) -> word);
        grouped.count().toStream().to("out", counts());
        grouped.count(Materialized.as("second")).toStream().to("out2", counts());
    }

    private static void sourceReadTwice(StreamsBuilder b) {
        lines(b).groupByKey().count().toStream().to("out", counts());
        lines(b).to("copy");
    }

    private static void chainedCounts(StreamsBuilder b) {
        lines(b).flatMapValues(Programs::words).groupBy((k, word) -> word).count().toStream()
            .map((word, count) -> KeyValue.pair(count.toString(), word)).groupByKey().count()
            .toStream().to("out", counts());
    }

    /** Sixty verbs on streams chosen by a linear congruential generator: for the order of the text. */
    private static void maze(StreamsBuilder b, int seed) {
        List<KStream<String, String>> streams = new ArrayList<>();
        streams.add(lines(b));
        long state = seed;
        for (int i = 0; i < 60; i++) {
            state = (state * 1103515245L + 12345L) % 2147483648L;
            KStream<String, String> stream = streams.get((int) ((state >> 8) % streams.size()));
            switch ((int) ((state >> 20) % 8)) {
                case 0 -> streams.add(stream.filter((k, v) -> true));
                case 1 -> streams.add(stream.mapValues(v -> v));
                case 2 -> streams.add(stream.peek((k, v) -> { }));
                case 3 -> stream.to("out-" + i);
                case 4 -> streams.add(stream.selectKey((k, v) -> v));
                case 5 -> streams.add(b.stream("lines-" + i, strings()));
                case 6 -> streams.add(stream.groupByKey().count().toStream()
                    .mapValues(v -> v.toString()));
                default -> stream.foreach((k, v) -> { });
            }
        }
    }

    private static KStream<String, String> lines(StreamsBuilder b) {
        return b.stream("lines", strings());
    }

    private static Consumed<String, String> strings() {
        return Consumed.with(Serdes.String(), Serdes.String());
    }

    /** Closures of the Rust DSL are never shown a null value: filter them out by name. */
    private static KStream<String, String> nonNull(KStream<String, String> stream) {
        return stream.filter((k, v) -> v != null);
    }

    private static Produced<String, Long> counts() {
        return Produced.with(Serdes.String(), Serdes.Long());
    }

    private static List<String> words(String line) {
        return line == null ? List.of()
            : Arrays.stream(line.split(" ")).filter(w -> !w.isEmpty()).collect(Collectors.toList());
    }

    private Programs() {}
}

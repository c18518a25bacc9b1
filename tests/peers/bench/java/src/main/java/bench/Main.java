package bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Java's producer. It serves runs from its standard input, a line of arguments each, so that the code it runs is
 * compiled when it counts: before the first run it sends for half a minute. The contract is in ../README.md.
 */
public final class Main {
    private static final long WARM_UP_NANOS = 30_000_000_000L;
    /** Warming up sends in bursts with pauses: it takes calls to be compiled, not gigabytes. */
    private static final int WARM_UP_BURST = 50_000;
    private static final long WARM_UP_PAUSE_NANOS = 100_000_000L;
    private static final long WARM_UP_BYTES_MAX = 1_500_000_000L;

    private static byte[][] values;
    private static boolean isWarm;

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.trim().split(" ");
            Map<String, String> named = new HashMap<>();
            for (String word : Arrays.asList(words).subList(1, words.length)) {
                int equals = word.indexOf('=');
                named.put(word.substring(0, equals), word.substring(equals + 1));
            }
            System.out.println(run(words[0], named));
            System.out.flush();
        }
    }

    private static String run(String mode, Map<String, String> named) throws Exception {
        byte[] all = Files.readAllBytes(Path.of(named.get("values")));
        int size = number(named, "size");
        values = new byte[all.length / size][];
        for (int i = 0; i < values.length; i++) {
            values[i] = Arrays.copyOfRange(all, i * size, (i + 1) * size);
        }
        String topic = named.get("topic");
        try (KafkaProducer<byte[], byte[]> producer = producer(named)) {
            List<String> warm = new ArrayList<>();
            warm.add(named.get("warm"));
            long warmed = number(named, "warm");
            if (!isWarm) {
                long extra = warmUp(producer, topic, size);
                isWarm = true;
                // All bursts begin with the first value, as the warm records of every peer do.
                for (long sent = 0; sent < extra; sent += WARM_UP_BURST) {
                    warm.add(Integer.toString(WARM_UP_BURST));
                }
                warmed += extra;
            }
            Map<String, Long> extra = new HashMap<>();
            long records = number(named, "records");
            long[] reading;
            switch (mode) {
                case "produce" -> {
                    send(producer, topic, number(named, "warm"));
                    reading = start();
                    send(producer, topic, records);
                    stop(reading);
                }
                case "latency" -> reading = latency(producer, topic, named, extra);
                case "idle" -> {
                    send(producer, topic, number(named, "warm"));
                    long before = switches();
                    reading = start();
                    Thread.sleep(number(named, "idle_ms"));
                    stop(reading);
                    extra.put("switches", switches() - before);
                    records = 0;
                }
                default -> throw new IllegalArgumentException(mode);
            }
            StringBuilder line = new StringBuilder();
            line.append("{\"peer\":\"java\",\"version\":\"").append(AppInfoParser.getVersion())
                .append("\",\"warm\":").append(warmed).append(",\"bursts\":\"").append(String.join(",", warm))
                .append("\",\"records\":").append(records)
                .append(",\"wall_ns\":").append(reading[0]).append(",\"cpu_ns\":").append(reading[1])
                .append(",\"rss_bytes\":").append(status("VmHWM:") * 1024).append(",\"allocations\":null");
            extra.forEach((name, value) -> line.append(",\"").append(name).append("\":").append(value));
            return line.append('}').toString();
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, String> named) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", named.get("bootstrap"));
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        settings.put("max.in.flight.requests.per.connection", "5");
        settings.put("linger.ms", named.get("linger_ms"));
        settings.put("batch.size", named.get("batch"));
        settings.put("buffer.memory", Integer.toString(32 * 1024 * 1024));
        settings.put("compression.type", named.get("compression"));
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static long warmUp(KafkaProducer<byte[], byte[]> producer, String topic, int size) {
        long end = System.nanoTime() + WARM_UP_NANOS;
        long sent = 0;
        while (System.nanoTime() < end && sent * size < WARM_UP_BYTES_MAX) {
            send(producer, topic, WARM_UP_BURST);
            sent += WARM_UP_BURST;
            LockSupport.parkNanos(WARM_UP_PAUSE_NANOS);
        }
        return sent;
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, long count) {
        AtomicLong acknowledged = new AtomicLong();
        int next = 0;
        for (long i = 0; i < count; i++) {
            producer.send(new ProducerRecord<>(topic, values[next]), (metadata, error) -> {
                check(error);
                acknowledged.incrementAndGet();
            });
            next = next + 1 == values.length ? 0 : next + 1;
        }
        producer.flush();
        if (acknowledged.get() != count) {
            fail(acknowledged + " of " + count + " acknowledged");
        }
    }

    private static long[] latency(
            KafkaProducer<byte[], byte[]> producer, String topic, Map<String, String> named, Map<String, Long> extra) {
        int warm = number(named, "warm");
        int records = number(named, "records");
        long interval = 1_000_000_000L / number(named, "rate");
        long[] latencies = new long[records];
        AtomicLong acknowledged = new AtomicLong();
        long[] reading = start();
        producer.partitionsFor(topic);
        long begun = System.nanoTime();
        for (int i = 0; i < warm + records; i++) {
            if (i == warm) {
                reading = start();
            }
            long due = begun + i * interval;
            long wait = due - System.nanoTime();
            if (wait > 0) {
                LockSupport.parkNanos(wait);
            }
            int counted = i - warm;
            byte[] value = values[(counted < 0 ? i : counted) % values.length];
            producer.send(new ProducerRecord<>(topic, value), (metadata, error) -> {
                check(error);
                if (counted >= 0) {
                    latencies[counted] = System.nanoTime() - due;
                    acknowledged.incrementAndGet();
                }
            });
        }
        producer.flush();
        stop(reading);
        if (acknowledged.get() != records) {
            fail(acknowledged + " of " + records + " acknowledged");
        }
        Arrays.sort(latencies);
        double last = records - 1;
        extra.put("p50_ns", latencies[(int) Math.round(last * 0.5)]);
        extra.put("p99_ns", latencies[(int) Math.round(last * 0.99)]);
        extra.put("p999_ns", latencies[(int) Math.round(last * 0.999)]);
        extra.put("max_ns", latencies[records - 1]);
        return reading;
    }

    /** Wall and CPU time now; {@link #stop} makes them what passed since. */
    private static long[] start() {
        long cpu = cpu();
        return new long[] {System.nanoTime(), cpu};
    }

    private static void stop(long[] reading) {
        reading[0] = System.nanoTime() - reading[0];
        reading[1] = cpu() - reading[1];
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime();
    }

    private static long switches() throws Exception {
        long sum = 0;
        try (var tasks = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (Path task : tasks) {
                Path status = task.resolve("status");
                sum += find(status, "voluntary_ctxt_switches:") + find(status, "nonvoluntary_ctxt_switches:");
            }
        }
        return sum;
    }

    private static long status(String name) throws Exception {
        return find(Path.of("/proc/self/status"), name);
    }

    private static long find(Path path, String name) throws Exception {
        for (String line : Files.readAllLines(path)) {
            if (line.startsWith(name)) {
                return Long.parseLong(line.substring(name.length()).trim().split("\\s+")[0]);
            }
        }
        return 0;
    }

    private static int number(Map<String, String> named, String name) {
        return Integer.parseInt(named.get(name));
    }

    private static void check(Exception error) {
        if (error != null) {
            fail(error.toString());
        }
    }

    /** Callbacks swallow what they throw: a run that failed must not go on. */
    private static void fail(String why) {
        System.err.println(why);
        Runtime.getRuntime().halt(1);
    }
}

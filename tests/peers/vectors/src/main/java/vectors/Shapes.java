package vectors;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.Utils;

/** The vectors. Every choice is fixed: two runs give the same bytes. */
final class Shapes {
    private static final Header[] NO_HEADERS = {};
    private final Map<String, byte[]> vectors = new TreeMap<>();

    private Shapes() {
    }

    static Map<String, byte[]> all() {
        Shapes shapes = new Shapes();
        shapes.plain();
        shapes.compressed();
        shapes.producers();
        shapes.broker();
        shapes.markers();
        shapes.sequences();
        shapes.legacy();
        return shapes.vectors;
    }

    /** Uncompressed shapes that an encoder is compared with byte for byte. */
    private void plain() {
        add("v2-one", new Builder(), b -> b.append(1000, bytes("key"), bytes("value"), NO_HEADERS));
        add("v2-null-and-empty", new Builder(), b -> {
            b.append(1000, (byte[]) null, null, NO_HEADERS);
            b.append(1000, bytes(""), bytes(""), NO_HEADERS);
            b.append(1000, null, bytes(""), NO_HEADERS);
            b.append(1000, bytes(""), null, NO_HEADERS);
        });
        add("v2-headers", new Builder(), b -> {
            b.append(5, bytes("k"), bytes("v"), new Header[] {
                header("a", "1"), header("b", ""), header("a", "2"), header("", "3"),
                new RecordHeader("none", null), header("a", "1")});
            b.append(6, bytes("k"), null, new Header[] {header("\u00fcml\u00e4ut \u2713", "x")});
            b.append(7, null, bytes("v"), many(70));
        });
        add("v2-timestamps", new Builder(), b -> {
            for (long time : new long[] {1_700_000_000_000L, 1_700_000_000_001L, 1_699_999_999_000L,
                0, -1, 4_102_444_800_000L, 1_700_000_000_000L, Long.MAX_VALUE, 63, 64, 8191, 8192}) {
                b.append(time, null, bytes("t"), NO_HEADERS);
            }
        });
        add("v2-no-timestamp", new Builder(), b -> b.append(-1, null, bytes("t"), NO_HEADERS));
        add("v2-lengths", new Builder(), b -> {
            for (int size : new int[] {0, 1, 62, 63, 64, 65, 127, 128, 8190, 8191, 8192, 8193, 20_000}) {
                b.append(9, filled(size / 2), filled(size), NO_HEADERS);
            }
        });
        add("v2-many", new Builder(), b -> words(b, 300));
    }

    private void compressed() {
        for (CompressionType type : CompressionType.values()) {
            if (type == CompressionType.NONE) {
                continue;
            }
            Builder builder = new Builder();
            builder.codec = type;
            add("v2-" + type.name + "-words", builder, b -> words(b, 300));
            add("v2-" + type.name + "-one", builder, b -> b.append(1000, null, bytes("v"), NO_HEADERS));
            add("v2-" + type.name + "-noise", builder, b -> {
                b.append(1, bytes("k"), noise(40_000), NO_HEADERS);
                b.append(2, bytes("k"), filled(100_000), NO_HEADERS);
            });
        }
    }

    private void producers() {
        Builder builder = new Builder();
        builder.producerId = 4_711;
        builder.producerEpoch = 3;
        builder.baseSequence = 42;
        add("v2-idempotent", builder, b -> words(b, 3));
        builder.baseSequence = Integer.MAX_VALUE - 1;
        add("v2-sequence-wraps", builder, b -> words(b, 5));
        builder.baseSequence = 7;
        builder.transactional = true;
        add("v2-transactional", builder, b -> words(b, 2));
        builder.codec = CompressionType.LZ4;
        add("v2-lz4-transactional", builder, b -> words(b, 20));
    }

    /** What a broker writes: base offsets, epochs, its own time, gaps where records were compacted away. */
    private void broker() {
        Builder builder = new Builder();
        builder.baseOffset = 123_456_789_012L;
        builder.leaderEpoch = 17;
        add("v2-appended", builder, b -> words(b, 4));
        builder.timestamps = TimestampType.LOG_APPEND_TIME;
        builder.appendTime = 777_000;
        add("v2-log-append-time", builder, b -> words(b, 4));
        Builder gaps = new Builder();
        gaps.baseOffset = 100;
        add("v2-offset-gaps", gaps, b -> {
            b.appendWithOffset(103, 5L, bytes("a"), bytes("1"), NO_HEADERS);
            b.appendWithOffset(107, 6L, bytes("b"), bytes("2"), NO_HEADERS);
            b.overrideLastOffset(120);
        });
        ByteBuffer empty = ByteBuffer.allocate(61);
        DefaultRecordBatch.writeEmptyHeader(empty, (byte) 2, 5, (short) 1,
            9, 40, 49, 3, TimestampType.CREATE_TIME, 1234, true, false);
        vectors.put("v2-compacted-to-nothing", array(empty.flip()));
        Builder horizon = new Builder();
        horizon.baseOffset = 10;
        horizon.deleteHorizon = 5_000_000;
        add("v2-delete-horizon", horizon, b -> {
            b.append(1_000, bytes("gone"), null, NO_HEADERS);
            b.append(2_000, bytes("kept"), bytes("v"), NO_HEADERS);
        });
    }

    private void markers() {
        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
            MemoryRecords marker = MemoryRecords.withEndTransactionMarker(55, 99_000, 4, 4_711, (short) 3,
                new EndTransactionMarker(type, 12));
            vectors.put("v2-marker-" + type.name().toLowerCase(), array(marker.buffer()));
        }
    }

    /** Several batches one behind the other, of all formats. */
    private void sequences() {
        byte[] all = {};
        for (String name : new String[] {"v2-one", "v2-gzip-one", "v2-marker-commit", "v2-compacted-to-nothing",
            "v2-headers"}) {
            all = concat(all, vectors.get(name));
        }
        vectors.put("v2-several", all);
    }

    private void legacy() {
        for (byte magic = 0; magic < 2; magic++) {
            for (CompressionType type : CompressionType.values()) {
                if (type == CompressionType.ZSTD) {
                    continue;
                }
                Builder builder = new Builder();
                builder.magic = magic;
                builder.codec = type;
                builder.baseOffset = 1_000;
                add("v" + magic + "-" + type.name, builder, b -> {
                    b.append(50, bytes("k1"), bytes("v1"), NO_HEADERS);
                    b.append(40, null, bytes("v2"), NO_HEADERS);
                    b.append(60, bytes("k3"), null, NO_HEADERS);
                    b.append(60, bytes(""), bytes(""), NO_HEADERS);
                    for (int i = 0; i < 40; i++) {
                        b.append(100 + i, bytes("key-" + i), filled(400), NO_HEADERS);
                    }
                });
            }
            Builder gaps = new Builder();
            gaps.magic = magic;
            gaps.codec = CompressionType.SNAPPY;
            gaps.baseOffset = 500;
            add("v" + magic + "-snappy-gaps", gaps, b -> {
                b.appendWithOffset(503, 5L, bytes("a"), bytes("1"), NO_HEADERS);
                b.appendWithOffset(507, 6L, bytes("b"), bytes("2"), NO_HEADERS);
            });
        }
        Builder appended = new Builder();
        appended.magic = 1;
        appended.baseOffset = 30;
        appended.timestamps = TimestampType.LOG_APPEND_TIME;
        appended.appendTime = 888_000;
        add("v1-log-append-time", appended, b -> b.append(888_000, null, bytes("v"), NO_HEADERS));
        appended.codec = CompressionType.GZIP;
        add("v1-gzip-log-append-time", appended, b -> {
            b.append(888_000, null, bytes("v"), NO_HEADERS);
            b.append(888_000, null, bytes("w"), NO_HEADERS);
        });
    }

    private void add(String name, Builder builder, Consumer<MemoryRecordsBuilder> records) {
        MemoryRecordsBuilder open = builder.open();
        records.accept(open);
        vectors.put(name, array(open.build().buffer()));
    }

    private static void words(MemoryRecordsBuilder builder, int count) {
        String[] words = {"stream", "record", "batch", "partition", "offset", "commit", "epoch"};
        long state = 7;
        for (int i = 0; i < count; i++) {
            StringBuilder line = new StringBuilder();
            for (int word = 0; word < 12; word++) {
                state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
                line.append(words[(int) ((state >> 16) % words.length)]).append(' ');
            }
            builder.append(1_700_000_000_000L + i % 9, bytes("key-" + i), bytes(line.toString()), NO_HEADERS);
        }
    }

    private static Header header(String key, String value) {
        return new RecordHeader(key, bytes(value));
    }

    private static Header[] many(int count) {
        Header[] headers = new Header[count];
        for (int i = 0; i < count; i++) {
            headers[i] = header("h" + i, "v" + i);
        }
        return headers;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] filled(int size) {
        byte[] out = new byte[size];
        for (int i = 0; i < size; i++) {
            out[i] = (byte) ('a' + i % 26);
        }
        return out;
    }

    private static byte[] noise(int size) {
        byte[] out = new byte[size];
        new Random(1).nextBytes(out);
        return out;
    }

    private static byte[] array(ByteBuffer buffer) {
        return Utils.toArray(buffer.duplicate());
    }

    private static byte[] concat(byte[] first, byte[] second) {
        byte[] out = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, out, first.length, second.length);
        return out;
    }

    /** The arguments of MemoryRecordsBuilder, with a producer's defaults. */
    private static final class Builder {
        private byte magic = 2;
        private CompressionType codec = CompressionType.NONE;
        private TimestampType timestamps = TimestampType.CREATE_TIME;
        private long baseOffset = 0;
        private long appendTime = -1;
        private long producerId = -1;
        private short producerEpoch = -1;
        private int baseSequence = -1;
        private boolean transactional = false;
        private int leaderEpoch = -1;
        private long deleteHorizon = -1;

        private MemoryRecordsBuilder open() {
            return new MemoryRecordsBuilder(
                new ByteBufferOutputStream(ByteBuffer.allocate(1024)),
                magic, Compression.of(codec).build(), timestamps, baseOffset, appendTime, producerId,
                producerEpoch, baseSequence, transactional, false, leaderEpoch, Integer.MAX_VALUE,
                deleteHorizon);
        }
    }
}

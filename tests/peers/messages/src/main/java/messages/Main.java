package messages;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ConsumerProtocolAssignment;
import org.apache.kafka.common.message.ConsumerProtocolSubscription;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Requests and responses of every API and stable version, as Kafka's own classes write them.
 *
 * Each message is populated from Kafka's schema, read into Kafka's class, and written by it: what the
 * class writes is the vector. There are three of each: FULL has every field set and two entries in
 * each array, NULL has null where that is allowed, EMPTY has defaults.
 */
public final class Main {
    private enum Fill { FULL, NULL, EMPTY }

    private Main() {
    }

    public static void main(String[] args) throws IOException {
        if (args.length != 1) {
            System.err.println("usage: FILE");
            System.exit(2);
        }
        generate(Path.of(args[0]));
    }

    /**
     * One file: per message a byte, key, version, length, bytes. The byte is 0 for a request, 1 for a response,
     * 2 for a message inside others, whose key is 0 for a subscription and 1 for an assignment.
     */
    private static void generate(Path file) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        int count = 0;
        for (ApiMessageType api : ApiMessageType.values()) {
            if (api.lowestSupportedVersion() > api.highestSupportedVersion(false)) {
                continue;
            }
            for (short v = api.lowestSupportedVersion(); v <= api.highestSupportedVersion(false); v++) {
                count += side(out, 0, api.apiKey(), v, api.requestSchemas()[v], api::newRequest);
                count += side(out, 1, api.apiKey(), v, api.responseSchemas()[v], api::newResponse);
            }
        }
        for (short v = 0; v <= ConsumerProtocolSubscription.HIGHEST_SUPPORTED_VERSION; v++) {
            count += side(out, 2, (short) 0, v, ConsumerProtocolSubscription.SCHEMAS[v],
                ConsumerProtocolSubscription::new);
        }
        for (short v = 0; v <= ConsumerProtocolAssignment.HIGHEST_SUPPORTED_VERSION; v++) {
            count += side(out, 2, (short) 1, v, ConsumerProtocolAssignment.SCHEMAS[v],
                ConsumerProtocolAssignment::new);
        }
        Files.write(file, bytes.toByteArray());
        System.out.println("wrote " + count + " messages");
    }

    private static int side(DataOutputStream out, int side, short key, short version, Schema schema,
            Supplier<ApiMessage> fresh) throws IOException {
        Set<ByteBuffer> seen = new HashSet<>();
        for (Fill fill : Fill.values()) {
            ApiMessage message = fresh.get();
            try {
                message.read(new ByteBufferAccessor(ByteBuffer.wrap(raw(schema, fill))), version);
            } catch (RuntimeException error) {
                throw new IllegalStateException(side + " of " + key + " version " + version + " " + fill, error);
            }
            ByteBuffer written = ByteBuffer.wrap(bytes(MessageUtil.toByteBufferAccessor(message, version).buffer()));
            ApiMessage again = fresh.get();
            again.read(new ByteBufferAccessor(written.duplicate()), version);
            if (!again.equals(message)) {
                throw new IllegalStateException(side + " of " + key + " version " + version + " changed when read again");
            }
            if (!seen.add(written)) {
                continue;
            }
            out.writeByte(side);
            out.writeShort(key);
            out.writeShort(version);
            out.writeInt(written.remaining());
            out.write(written.array());
        }
        return seen.size();
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    private static byte[] raw(Schema schema, Fill fill) {
        Struct struct = struct(schema, fill, new int[] {1});
        ByteBuffer buffer = ByteBuffer.allocate(schema.sizeOf(struct));
        schema.write(buffer, struct);
        return buffer.array();
    }

    private static Struct struct(Schema schema, Fill fill, int[] seed) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, value(field.def.type, fill, seed));
        }
        return struct;
    }

    private static Object value(Type type, Fill fill, int[] seed) {
        int n = fill == Fill.EMPTY ? 0 : seed[0]++;
        if (type instanceof TaggedFields tagged) {
            return tags(tagged, fill, seed);
        }
        if (fill == Fill.NULL && type.isNullable()) {
            return null;
        }
        if (type instanceof Schema schema) {
            return fill == Fill.EMPTY && type.isNullable() ? null : struct(schema, fill, seed);
        }
        if (type.arrayElementType().isPresent()) {
            Type element = type.arrayElementType().get();
            List<Object> entries = new ArrayList<>();
            for (int i = 0; i < (fill == Fill.EMPTY ? 0 : fill == Fill.FULL ? 2 : 1); i++) {
                entries.add(value(element, fill, seed));
            }
            return entries.toArray();
        }
        return scalar(type, n);
    }

    private static Object scalar(Type type, int n) {
        return switch (type.toString()) {
            case "BOOLEAN" -> n != 0;
            case "INT8" -> (byte) (n % 100);
            case "INT16" -> (short) (n * 257 % 32767);
            case "UINT16" -> n * 523 % 65536;
            case "INT32" -> n * 65_537;
            case "UINT32" -> (long) n * 65_539;
            case "INT64" -> n * 4_294_967_299L;
            case "FLOAT64" -> n / 8.0;
            case "UUID" -> new Uuid(n, n * 31L);
            case "STRING", "COMPACT_STRING", "NULLABLE_STRING", "COMPACT_NULLABLE_STRING" ->
                n == 0 ? "" : (n % 7 == 0 ? "gr\u00f6\u00dfe-" : "s") + n;
            case "BYTES", "COMPACT_BYTES", "NULLABLE_BYTES", "COMPACT_NULLABLE_BYTES" ->
                ByteBuffer.wrap(n == 0 ? new byte[0] : new byte[] {(byte) n, 0, -1});
            case "RECORDS", "COMPACT_RECORDS", "NULLABLE_RECORDS", "COMPACT_NULLABLE_RECORDS" -> MemoryRecords.readableRecords(
                ByteBuffer.wrap(n == 0 ? new byte[0] : new byte[] {(byte) n, 0, -1}));
            default -> throw new IllegalStateException("no values for type " + type);
        };
    }

    private static NavigableMap<Integer, Object> tags(TaggedFields type, Fill fill, int[] seed) {
        NavigableMap<Integer, Object> tags = new TreeMap<>();
        if (fill != Fill.FULL) {
            return tags;
        }
        for (var known : type.fields().entrySet()) {
            Field field = known.getValue();
            tags.put(known.getKey(), value(field.type, fill, seed));
        }
        // A field of some future version, which readers keep and write again.
        tags.put(99, new RawTaggedField(99, new byte[] {1, 2, 3}));
        return tags;
    }
}

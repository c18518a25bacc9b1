package vectors;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.zip.CRC32;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.Utils;

/**
 * What Kafka reads from bytes: a line a batch and a line a record. Bytes are `null`, or `x` and hex digits, or
 * for more than 40 of them `#`, their number and their CRC-32.
 */
final class Reading {
    private static final int LONG = 40;

    private Reading() {
    }

    static String of(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            batch(out, batch);
            for (Record record : batch) {
                record.ensureValid();
                record(out, record);
                if (batch.isControlBatch()) {
                    EndTransactionMarker marker = EndTransactionMarker.deserialize(record);
                    out.append("marker ").append(marker.controlType()).append(' ')
                        .append(marker.coordinatorEpoch()).append('\n');
                }
            }
        }
        return out.toString();
    }

    private static void batch(StringBuilder out, RecordBatch batch) {
        out.append("batch magic=").append(batch.magic())
            .append(" next=").append(batch.nextOffset())
            .append(" codec=").append(batch.compressionType().name)
            .append(" timestamps=").append(batch.timestampType())
            .append(" max=").append(batch.maxTimestamp());
        if (batch.magic() >= 2) {
            out.append(" base=").append(batch.baseOffset())
                .append(" epoch=").append(batch.partitionLeaderEpoch())
                .append(" producer=").append(batch.producerId())
                .append(':').append(batch.producerEpoch())
                .append(':').append(batch.baseSequence())
                .append(':').append(batch.lastSequence())
                .append(" transactional=").append(batch.isTransactional())
                .append(" control=").append(batch.isControlBatch())
                .append(" horizon=").append(batch.deleteHorizonMs().isPresent()
                    ? batch.deleteHorizonMs().getAsLong() : -1)
                .append(" count=").append(batch.countOrNull());
        }
        out.append('\n');
    }

    private static void record(StringBuilder out, Record record) {
        out.append("record ").append(record.offset()).append(' ').append(record.timestamp())
            .append(' ').append(hex(record.key())).append(' ').append(hex(record.value()));
        for (Header header : record.headers()) {
            out.append(' ').append(hex(ByteBuffer.wrap(Utils.utf8(header.key())))).append('=')
                .append(header.value() == null ? "null" : hex(ByteBuffer.wrap(header.value())));
        }
        out.append('\n');
    }

    private static String hex(ByteBuffer bytes) {
        if (bytes == null) {
            return "null";
        }
        byte[] array = Utils.toArray(bytes);
        if (array.length <= LONG) {
            return "x" + HexFormat.of().formatHex(array);
        }
        CRC32 crc = new CRC32();
        crc.update(array);
        return "#" + array.length + ":" + HexFormat.of().toHexDigits((int) crc.getValue());
    }
}

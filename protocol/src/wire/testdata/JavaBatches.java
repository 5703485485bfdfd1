// Writes batches with Kafka's own classes, as fixtures for the reading side: one file a magic, codec and kind of timestamp.
// How to run it: see README.md beside it.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class JavaBatches {
    static final long BASE_OFFSET = 100;
    static final long APPEND_TIME = 1_800_000_000_000L;

    public static void main(String[] args) throws IOException {
        Map<String, Compression> codecs = new LinkedHashMap<>();
        codecs.put("none", Compression.NONE);
        codecs.put("gzip", Compression.gzip().build());
        codecs.put("snappy", Compression.snappy().build());
        codecs.put("lz4", Compression.lz4().build());
        codecs.put("zstd", Compression.zstd().build());
        for (byte magic = 0; magic <= 2; magic++) {
            for (Map.Entry<String, Compression> codec : codecs.entrySet()) {
                if (magic < 2 && codec.getKey().equals("zstd")) {
                    continue;
                }
                write(args[0], magic, codec.getKey(), codec.getValue(), TimestampType.CREATE_TIME, "create");
                if (magic > 0) {
                    write(args[0], magic, codec.getKey(), codec.getValue(), TimestampType.LOG_APPEND_TIME, "append");
                }
            }
        }
    }

    static void write(String folder, byte magic, String codecName, Compression codec, TimestampType type, String typeName)
            throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, magic, codec, type, BASE_OFFSET, APPEND_TIME);
        // Offset 107 is left out, as if it had been compacted away.
        for (int i = 0; i < 12; i++) {
            if (i == 7) {
                continue;
            }
            long timestamp = magic == 0 ? RecordBatch.NO_TIMESTAMP : 1_700_000_000_000L + (i % 4) * 1000;
            byte[] key = i % 3 == 0 ? null : ("key " + i).getBytes();
            byte[] value = i % 5 == 4 ? null : ("value " + i + " " + "lorem ipsum ".repeat(i * i)).getBytes();
            Header[] headers = magic < 2 || i % 2 == 1 ? new Header[0] : new Header[] {
                new RecordHeader("name", "first".getBytes()),
                new RecordHeader("name", "second".getBytes()),
                new RecordHeader("nothing", (byte[]) null),
            };
            builder.appendWithOffset(BASE_OFFSET + i, timestamp, key, value, headers);
        }
        MemoryRecords records = builder.build();
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(bytes);
        Files.write(Path.of(folder, "magic" + magic + "-" + codecName + "-" + typeName + ".bin"), bytes);
    }
}

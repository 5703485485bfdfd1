// The only member of a consumer group, by Kafka's own consumer, reading what is committed.
//
//   GroupMember BOOTSTRAP (GROUP TOPIC PROTOCOL RECORDS)...
//
// One after the other: reads so many records, or with `rest` all there are; commits after each poll, and leaves. A group
// without a position is refused, unless the records are `all`: then it begins with the first. So does one that is to
// read a number of records. Prints `> GROUP` and a line for each record: partition, offset, digest of key and value.

import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class GroupMember {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    public static void main(String[] args) throws Exception {
        for (int at = 1; at < args.length; at += 4) {
            System.out.println("> " + args[at]);
            member(args[0], args[at], args[at + 1], args[at + 2], args[at + 3]);
        }
        System.exit(0);
    }

    static void member(String bootstrap, String group, String topic, String protocol, String records) throws Exception {
        boolean toTheEnd = records.equals("all") || records.equals("rest");
        long wanted = toTheEnd ? Long.MAX_VALUE : Long.parseLong(records);
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("isolation.level", "read_committed");
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", records.equals("rest") ? "none" : "earliest");
        settings.put("max.poll.records", toTheEnd ? 500 : 1);
        if (protocol.equals("consumer")) {
            settings.put("group.protocol", "consumer");
        }
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(topic));
            long read = 0;
            while (read < wanted && !(toTheEnd && isAtEnd(consumer))) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("only " + read + " records came");
                }
                var polled = consumer.poll(Duration.ofMillis(200));
                for (ConsumerRecord<byte[], byte[]> record : polled) {
                    System.out.println(record.partition() + " " + record.offset() + " " + digest(record));
                    read++;
                }
                if (!polled.isEmpty()) {
                    consumer.commitSync();
                }
            }
            if (toTheEnd && read > 0) {
                consumer.commitSync();
            }
        }
    }

    static boolean isAtEnd(KafkaConsumer<byte[], byte[]> consumer) {
        var ends = consumer.endOffsets(consumer.assignment());
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            if (consumer.position(end.getKey()) < end.getValue()) {
                return false;
            }
        }
        return !ends.isEmpty();
    }

    static String digest(ConsumerRecord<byte[], byte[]> record) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("MD5");
        for (byte[] part : new byte[][] {record.key(), record.value()}) {
            digest.update((byte) (part == null ? 0 : 1));
            digest.update(part == null ? new byte[0] : part);
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}

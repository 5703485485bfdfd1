// Share groups by Kafka's own client (4.1 and later).
//
//   ShareGroups BOOTSTRAP set GROUP TOPIC PARTITION OFFSET     sets where the group begins to read
//   ShareGroups BOOTSTRAP start GROUP TOPIC PARTITION          prints it, -1 if it is not set
//   ShareGroups BOOTSTRAP read GROUP TOPIC                     joins, prints the offset of the first record it gets

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class ShareGroups {
    public static void main(String[] args) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0]);
        String group = args[2];
        if (args[1].equals("read")) {
            System.out.println(firstRead(args[0], group, args[3]));
            return;
        }
        TopicPartition partition = new TopicPartition(args[3], Integer.parseInt(args[4]));
        try (Admin admin = Admin.create(settings)) {
            if (args[1].equals("set")) {
                admin.alterShareGroupOffsets(group, Map.of(partition, Long.parseLong(args[5]))).all().get();
                System.out.println(args[5]);
                return;
            }
            var spec = Map.of(group, new ListShareGroupOffsetsSpec());
            var offsets = admin.listShareGroupOffsets(spec).partitionsToOffsetInfo(group).get();
            var found = offsets.get(partition);
            System.out.println(found == null ? -1 : found.startOffset());
        }
    }

    static long firstRead(String bootstrap, String group, String topic) {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "group.id", group);
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaShareConsumer<>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(topic));
            for (int tries = 0; tries < 60; tries++) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    return record.offset();
                }
            }
        }
        return -1;
    }
}

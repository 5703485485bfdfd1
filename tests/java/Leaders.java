// Has another replica of each partition lead: turns the lists of replicas round by one and elects the first of each.
//
//   Leaders BOOTSTRAP TOPIC...
//
// Prints how many partitions have another leader in the end.

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;

public class Leaders {
    static final long SECONDS = 20;

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("request.timeout.ms", 5000);
        settings.put("default.api.timeout.ms", 20000);
        List<String> topics = List.of(args).subList(1, args.length);
        try (Admin admin = Admin.create(settings)) {
            Map<TopicPartition, Integer> before = new HashMap<>();
            Map<TopicPartition, Optional<NewPartitionReassignment>> turned = new HashMap<>();
            for (TopicDescription topic : describe(admin, topics)) {
                topic.partitions().forEach(partition -> {
                    List<Integer> replicas = new ArrayList<>(partition.replicas().stream().map(Node::id).toList());
                    Collections.rotate(replicas, -1);
                    TopicPartition place = new TopicPartition(topic.name(), partition.partition());
                    before.put(place, partition.leader() == null ? -1 : partition.leader().id());
                    turned.put(place, Optional.of(new NewPartitionReassignment(replicas)));
                });
            }
            admin.alterPartitionReassignments(turned).all().get(SECONDS, TimeUnit.SECONDS);
            var elected = admin.electLeaders(ElectionType.PREFERRED, turned.keySet());
            // Partitions that are led so already are told as errors of their own.
            elected.partitions().get(SECONDS, TimeUnit.SECONDS);
            int moved = 0;
            for (TopicDescription topic : describe(admin, topics)) {
                for (var partition : topic.partitions()) {
                    int leader = partition.leader() == null ? -1 : partition.leader().id();
                    TopicPartition place = new TopicPartition(topic.name(), partition.partition());
                    moved += leader == before.getOrDefault(place, leader) ? 0 : 1;
                }
            }
            System.out.println(moved);
        }
    }

    static Iterable<TopicDescription> describe(Admin admin, List<String> topics) throws Exception {
        return admin.describeTopics(topics).allTopicNames().get(SECONDS, TimeUnit.SECONDS).values();
    }
}
